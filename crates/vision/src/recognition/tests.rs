mod overlay;

use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use keepwatch_core::events::{Event, EventFilter, EventKind, EventStore, Region, Store};
use keepwatch_core::jiff::{SignedDuration, Timestamp};
use keepwatch_recognition::plate::list::{PlateList, PlateLists};
use keepwatch_testkit::vault::event_store;

use super::*;
use crate::analysis::Best;
use crate::analyzer::Seen;
use crate::decoder::Frame;
use crate::ledger::{Ledger, Lost};
use crate::motion::{MotionFrame, MovingRegion};
use crate::settings::CameraSettings;
use crate::status::Shared;
use crate::tracking::{Tracker, TrackerSettings};

/// Sees what the test says.
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    sees: Sightings,
    crops: Vec<[usize; 2]>,
}

impl Recognizer for Scripted {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        let mut script = self.0.lock().expect("nobody panicked");
        script.crops = crops
            .iter()
            .map(|crop| [crop.view.width(), crop.view.height()])
            .collect();
        let mut sees = crops.iter().map(|_| Ok(Sightings::default()));
        let first = Ok(script.sees.clone());
        sees.next();
        std::iter::once(first).chain(sees).collect()
    }
}

/// A camera without a camera: each look is at a frame in which all moves.
struct Scene {
    recognizing: Recognizing,
    script: Arc<Mutex<Script>>,
    status: Shared,
    rules: Rules,
    ledger: Ledger,
    book: JoinHandle<Lost>,
    store: Arc<Store>,
    _dir: tempfile::TempDir,
    pictures: Vec<Best>,
}

const SIZE: [u32; 2] = [640, 360];

fn zero() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("in range")
}

impl Scene {
    fn new(settings: RecognitionSettings) -> Self {
        Self::with(settings, Recognize::default()).expect("something is looked for")
    }

    fn with(settings: RecognitionSettings, recognize: Recognize) -> Option<Self> {
        let script = Arc::<Mutex<Script>>::default();
        let for_pool = script.clone();
        let factory: RecognizerFactory =
            Arc::new(move || Ok(Box::new(Scripted(for_pool.clone())) as Box<dyn Recognizer>));
        let (dir, store) = event_store();
        let (ledger, _, book) = Ledger::start(store.clone()).expect("it starts");
        let pool = Pool::start(&factory, settings.threads, settings.batch, &Arc::default())
            .expect("it starts");
        let rules = Rules::default();
        let running = Running {
            pool: Arc::new(pool),
            settings,
            rules: rules.clone(),
        };
        let mut camera = CameraSettings::new("test:ball".parse().expect("an address"));
        camera.recognize = recognize;
        let status = Shared::new("door", String::new());
        let recognizing = Recognizing::new(
            &running,
            "door",
            &camera,
            ledger.clone(),
            status.clone(),
            true,
            &Tracker::new(TrackerSettings::default()),
        );
        Some(Self {
            recognizing: recognizing.expect("the settings work")?,
            script,
            status,
            rules,
            ledger,
            book,
            store,
            _dir: dir,
            pictures: Vec::new(),
        })
    }

    /// A frame, so many milliseconds after the first.
    fn frame(&mut self, ms: u64, moving: Option<Region>, sees: Sightings) {
        self.script.lock().expect("nobody panicked").sees = sees;
        let pts = Duration::from_millis(ms);
        let frame = Frame::gray(SIZE[0], SIZE[1], 100, pts);
        let mut motion = MotionFrame::default();
        motion.regions.extend(moving.map(|region| MovingRegion {
            region,
            area: 0.1,
            zones: 0,
        }));
        let seen = Seen {
            camera: "door",
            frame: &frame,
            at: zero() + SignedDuration::from_millis(ms as i64),
            motion: &motion,
        };
        self.pictures.extend(self.recognizing.look(&seen));
    }

    /// All of the picture moves.
    fn look(&mut self, ms: u64, sees: Sightings) {
        let all = Region {
            x: 0.0,
            y: 0.0,
            w: 1.0,
            h: 1.0,
        };
        self.frame(ms, Some(all), sees);
    }

    /// Looks of which each shows the same, one every 200 ms.
    fn looks(&mut self, from: u64, count: u64, sees: &Sightings) {
        for n in 0..count {
            self.look(from + 200 * n, sees.clone());
        }
    }

    fn end(mut self) -> (Vec<Event>, Vec<Best>) {
        self.pictures.extend(self.recognizing.end_all(None));
        drop((self.recognizing, self.ledger));
        assert_eq!(self.book.join().expect("it ends"), Lost::default());
        let filter = EventFilter {
            oldest_first: true,
            ..EventFilter::default()
        };
        let events = self.store.list(&filter).expect("they are listed");
        assert!(events.iter().all(|event| event.ended_at.is_some()));
        (events, self.pictures)
    }
}

/// Tracks go after a second.
fn settings() -> RecognitionSettings {
    RecognitionSettings {
        max_age_frames: 5,
        ..RecognitionSettings::default()
    }
}

fn bounds(x: f32) -> Box2 {
    Box2 {
        x,
        y: 100.0,
        w: 60.0,
        h: 80.0,
    }
}

fn face(x: f32, person: Option<&str>, similarity: f32) -> FaceSighting {
    FaceSighting {
        bounds: bounds(x),
        score: 0.9,
        quality: None,
        person: person.map(str::to_owned),
        similarity: Some(similarity),
        comparable: true,
    }
}

fn faces(faces: &[FaceSighting]) -> Sightings {
    Sightings {
        faces: faces.to_vec(),
        ..Sightings::default()
    }
}

fn plate(text: &str, confidence: f32) -> Sightings {
    let bounds = bounds(300.0);
    Sightings {
        plates: vec![PlateSighting {
            bounds,
            quad: bounds.quad(),
            score: 0.8,
            text_raw: format!("{text} "),
            text_clean: text.to_owned(),
            characters: vec![confidence; text.len()],
            confidence,
        }],
        ..Sightings::default()
    }
}

fn object(x: f32, label: &str, score: f32) -> ObjectSighting {
    ObjectSighting {
        bounds: bounds(x),
        score,
        label: label.into(),
    }
}

fn objects(objects: &[ObjectSighting]) -> Sightings {
    Sightings {
        objects: objects.to_vec(),
        ..Sightings::default()
    }
}

/// What happened: kind, label, and milliseconds from the first sighting to the last.
fn told(events: &[Event]) -> Vec<(EventKind, &str, i128, i128)> {
    let ms = |at: Timestamp| at.duration_since(zero()).as_millis();
    let of = |event: &Event| (ms(event.started_at), event.ended_at.map_or(-1, ms));
    events
        .iter()
        .map(|event| {
            let (from, to) = of(event);
            let [seen] = event.observations.as_slice() else {
                panic!("{event:?}");
            };
            (event.kind, seen.label.as_str(), from, to)
        })
        .collect()
}

#[test]
fn somebody_who_is_seen_in_several_frames_is_one_match() {
    let mut scene = Scene::new(settings());
    for (n, similarity) in [0.5, 0.6, 0.8, 0.7].into_iter().enumerate() {
        let ms = 200 * n as u64;
        scene.look(
            ms,
            faces(&[face(100.0 + ms as f32 / 50.0, Some("ann"), similarity)]),
        );
    }
    scene.looks(800, 8, &Sightings::default());
    let status = scene.status.get();
    assert_eq!(
        (status.looks, status.looks_skipped, status.looks_failed),
        (12, 0, 0)
    );
    assert!(status.last_event.is_some());
    let (events, pictures) = scene.end();
    assert_eq!(told(&events), [(EventKind::FaceMatch, "ann", 0, 600)]);
    let details = events[0].details.as_ref().expect("there are some");
    assert_eq!(details["person"], "ann");
    assert_eq!(details["similarity"], 0.8);
    let size = details["picture"].as_array().expect("it has a size");
    assert!(size.iter().all(|side| side.as_u64() > Some(0)), "{size:?}");
    let seen = &events[0].observations[0];
    assert!((seen.score - 0.8).abs() < 1e-6 && seen.track.is_some());
    let region = seen.region.expect("it has one");
    assert!((region.w - 60.0 / 640.0).abs() < 1e-6 && (region.h - 80.0 / 360.0).abs() < 1e-6);
    let [picture] = &pictures[..] else {
        panic!("there is one");
    };
    assert_eq!(picture.id, events[0].id);
    assert!(picture.blur.is_empty());
}

#[test]
fn what_flickers_is_nothing() {
    let mut scene = Scene::new(settings());
    for from in [0, 4000, 8000] {
        scene.looks(from, 2, &faces(&[face(100.0, Some("ann"), 0.7)]));
        scene.looks(from + 400, 10, &Sightings::default());
    }
    scene.looks(12_000, 2, &plate("AB12CD", 0.9));
    scene.looks(12_400, 10, &Sightings::default());
    assert_eq!(scene.end().0, []);
}

#[test]
fn whoever_is_back_before_the_cooldown_is_over_was_not_away() {
    let ann = faces(&[face(100.0, Some("ann"), 0.7)]);
    let mut scene = Scene::new(settings());
    for from in [0, 10_000, 50_000] {
        scene.looks(from, 5, &ann);
        scene.looks(from + 1000, 10, &Sightings::default());
    }
    let (events, pictures) = scene.end();
    let told = told(&events);
    assert_eq!(
        told,
        [
            (EventKind::FaceMatch, "ann", 0, 800),
            (EventKind::FaceMatch, "ann", 50_000, 50_800)
        ]
    );
    assert_eq!(pictures.len(), 2);
}

#[test]
fn unknown_faces_are_recorded_blurred_or_ignored() {
    let both = faces(&[face(100.0, None, 0.1), face(400.0, Some("ann"), 0.7)]);
    for (unknown_faces, kinds, blurred) in [
        (
            UnknownFaces::Record,
            vec![EventKind::FaceMatch, EventKind::FaceUnknown],
            0,
        ),
        (
            UnknownFaces::Blur,
            vec![EventKind::FaceMatch, EventKind::FaceUnknown],
            1,
        ),
        (UnknownFaces::Ignore, vec![EventKind::FaceMatch], 1),
    ] {
        let mut scene = Scene::new(RecognitionSettings {
            unknown_faces,
            ..settings()
        });
        scene.looks(0, 6, &both);
        let (events, pictures) = scene.end();
        let mut found: Vec<_> = events.iter().map(|event| event.kind).collect();
        found.sort_by_key(|kind| format!("{kind:?}"));
        assert_eq!(found, kinds, "{unknown_faces:?}");
        assert_eq!(pictures.len(), kinds.len());
        for picture in &pictures {
            assert_eq!(picture.blur.len(), blurred, "{unknown_faces:?}");
            // That of the stranger.
            assert!(picture.blur.iter().all(|region| region.x < 0.5));
        }
    }
}

#[test]
fn faces_beside_a_plate_are_blurred_in_its_picture() {
    for (unknown_faces, blurred) in [(UnknownFaces::Record, 0), (UnknownFaces::Ignore, 1)] {
        let mut scene = Scene::new(RecognitionSettings {
            unknown_faces,
            ..settings()
        });
        let mut sees = plate("B-AB1234", 0.9);
        sees.plates[0].text_clean = "BAB1234".to_owned();
        sees.faces = vec![face(100.0, None, 0.1)];
        scene.looks(0, 4, &sees);
        let (events, pictures) = scene.end();
        let of_plate = events
            .iter()
            .find(|event| event.kind == EventKind::PlateRead);
        let id = of_plate.expect("it was read").id;
        let picture = pictures.iter().find(|picture| picture.id == id);
        assert_eq!(picture.expect("it has one").blur.len(), blurred);
    }
}

#[test]
fn a_stranger_who_is_recognised_later_is_one_no_more() {
    let mut scene = Scene::new(settings());
    scene.looks(0, 6, &faces(&[face(100.0, None, 0.2)]));
    scene.looks(1200, 4, &faces(&[face(100.0, Some("ann"), 0.7)]));
    let (events, _) = scene.end();
    let mut kinds: Vec<_> = told(&events)
        .iter()
        .map(|(kind, name, ..)| (*kind, name.to_string()))
        .collect();
    kinds.sort_by_key(|(kind, _)| format!("{kind:?}"));
    assert_eq!(
        kinds,
        [
            (EventKind::FaceMatch, "ann".to_owned()),
            (EventKind::FaceUnknown, "unknown".to_owned())
        ]
    );
    let unknown = events
        .iter()
        .find(|event| event.kind == EventKind::FaceUnknown);
    let reason = unknown.and_then(|event| event.reason.as_deref());
    assert_eq!(reason, Some("the face was recognised later"));
}

#[test]
fn faces_that_cannot_be_compared_say_nothing() {
    let mut scene = Scene::new(settings());
    let mut blurred = face(100.0, None, 0.0);
    blurred.comparable = false;
    scene.looks(0, 10, &faces(&[blurred]));
    assert_eq!(scene.end().0, []);
}

fn list(text: &str) -> PlateList {
    PlateList::parse(text.as_bytes(), "list").expect("it is one")
}

#[test]
fn plates_are_told_with_the_list_they_are_on() {
    for (text, verdict) in [
        ("BAB1234", "allow"),
        ("MXY99", "deny"),
        ("HHZZ777", "unlisted"),
    ] {
        let mut scene = Scene::new(settings());
        scene.rules.set(PlateRules {
            lists: PlateLists {
                allow: list("plate_text,description\nB-AB 1234,the owner\n"),
                deny: list("M-XY 99\n"),
                ..PlateLists::default()
            },
            ..PlateRules::default()
        });
        scene.looks(0, 5, &plate(text, 0.9));
        scene.looks(1000, 10, &Sightings::default());
        let (events, pictures) = scene.end();
        assert_eq!(told(&events), [(EventKind::PlateRead, text, 0, 800)]);
        assert_eq!(pictures.len(), 1);
        let details = events[0].details.as_ref().expect("there are some");
        assert_eq!(details["verdict"], verdict);
        assert_eq!(details["text_clean"], text);
        assert_eq!(details["text_raw"], format!("{text} "));
        let owner = details["entry"]["description"].as_str();
        assert_eq!(owner == Some("the owner"), verdict == "allow");
    }
}

#[test]
fn a_better_reading_takes_the_place_of_an_earlier_one() {
    let mut scene = Scene::new(settings());
    scene.looks(0, 3, &plate("BAB1Z34", 0.3));
    scene.looks(600, 8, &plate("BAB1234", 0.95));
    let (events, _) = scene.end();
    let [(kind, text, from, to)] = told(&events)[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (kind, text, from, to),
        (EventKind::PlateRead, "BAB1234", 0, 2000)
    );
}

#[test]
fn looks_are_as_rare_as_set_and_where_something_moves_or_is_followed() {
    let mut scene = Scene::new(settings());
    let corner = Region {
        x: 0.0,
        y: 0.0,
        w: 0.25,
        h: 0.25,
    };
    // 2 seconds of 25 frames, at 5 looks a second.
    for n in 0..50 {
        scene.frame(40 * n, Some(corner), Sightings::default());
    }
    assert_eq!(scene.status.get().looks, 10);
    // 160 by 90 pixels, and 40 more where there is room.
    let crops = |scene: &Scene| scene.script.lock().expect("nobody panicked").crops.clone();
    assert_eq!(crops(&scene), [[200, 130]]);
    // Nothing moves, and nothing is followed.
    for n in 50..75 {
        scene.frame(40 * n, None, Sightings::default());
    }
    assert_eq!(scene.status.get().looks, 10);
    // A face that was seen is looked at again, though nothing moves, until it is gone for long.
    let mut sees = faces(&[face(100.0, Some("ann"), 0.7)]);
    sees.faces[0].bounds = Box2 {
        x: 20.0,
        y: 20.0,
        w: 40.0,
        h: 40.0,
    };
    scene.frame(4000, Some(corner), sees);
    for n in 0..20 {
        scene.frame(4200 + 200 * n, None, Sightings::default());
        assert!(
            n > 0 || crops(&scene) == [[100, 100]],
            "{:?}",
            crops(&scene)
        );
    }
    assert_eq!(scene.status.get().looks, 10 + 1 + 6);
    assert_eq!(scene.end().0, []);
}

#[test]
fn what_stays_where_nothing_moves_is_looked_at_now_and_then() {
    let mut scene = Scene::new(RecognitionSettings::default());
    let ann = faces(&[face(100.0, Some("ann"), 0.7)]);
    scene.looks(0, 5, &ann);
    // In the part around it, which begins 80 pixels before it.
    let mut around = ann.clone();
    (around.faces[0].bounds.x, around.faces[0].bounds.y) = (80.0, 80.0);
    for n in 5..305 {
        scene.frame(200 * n, None, around.clone());
    }
    // All of another second, and one each 1.6 seconds (frames come each 0.2) of the other 59.
    let looks = scene.status.get().looks;
    assert!((45..50).contains(&looks), "{looks}");
    // As soon as something moves it is as before.
    let before = looks;
    scene.looks(61_000, 5, &ann);
    assert_eq!(scene.status.get().looks - before, 5);
    let (events, _) = scene.end();
    assert_eq!(told(&events), [(EventKind::FaceMatch, "ann", 0, 61_800)]);
}

#[test]
fn a_camera_may_look_for_less_than_the_others() {
    let none = Recognize {
        faces: Some(false),
        plates: Some(false),
        objects: Some(false),
    };
    assert!(Scene::with(settings(), none).is_none());
    let plates_only = Recognize {
        faces: Some(false),
        ..Recognize::default()
    };
    let mut scene = Scene::with(settings(), plates_only).expect("plates are looked for");
    let mut sees = plate("BAB1234", 0.9);
    sees.faces = vec![face(100.0, Some("ann"), 0.7)];
    scene.looks(0, 5, &sees);
    let kinds: Vec<_> = scene.end().0.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::PlateRead]);
}

#[test]
fn objects_are_told_of_by_class_once_they_are_seen_often_enough() {
    let mut scene = Scene::new(settings());
    for (n, score) in [0.5, 0.9, 0.6, 0.7].into_iter().enumerate() {
        let ms = 200 * n as u64;
        // A car, a dog before it, and something that flickers.
        let mut seen = vec![object(100.0, "car", score), object(110.0, "dog", 0.4)];
        seen.extend((n == 1).then(|| object(400.0, "bench", 0.9)));
        scene.look(ms, objects(&seen));
    }
    scene.looks(800, 8, &Sightings::default());
    assert!(scene.status.get().last_event.is_some());
    scene.looks(2400, 3, &objects(&[object(100.0, "car", 0.8)]));
    let (events, pictures) = scene.end();
    let mut told = told(&events);
    told.sort_by_key(|(_, label, from, _)| (*from, *label));
    assert_eq!(
        told,
        [
            (EventKind::Object, "car", 0, 600),
            (EventKind::Object, "dog", 0, 600),
            (EventKind::Object, "car", 2400, 2800),
        ]
    );
    // Events that begin at once have no order.
    let mut observations = events.iter().flat_map(|event| &event.observations);
    let car = observations.find(|seen| seen.label == "car");
    let car = car.expect("it was seen");
    assert_eq!(car.score, 0.9);
    assert_eq!(car.at, zero() + SignedDuration::from_millis(200));
    assert_eq!(pictures.len(), 3);
}

#[test]
fn unknown_faces_are_blurred_in_the_pictures_of_objects() {
    for (unknown_faces, blurred) in [(UnknownFaces::Record, 0), (UnknownFaces::Blur, 1)] {
        let mut scene = Scene::new(RecognitionSettings {
            unknown_faces,
            ..settings()
        });
        let mut sees = objects(&[object(100.0, "person", 0.9)]);
        sees.faces = vec![face(110.0, None, 0.1)];
        scene.looks(0, 4, &sees);
        let (events, pictures) = scene.end();
        let person = events.iter().find(|event| event.kind == EventKind::Object);
        let id = person.expect("it was seen").id;
        let picture = pictures.iter().find(|picture| picture.id == id);
        assert_eq!(picture.expect("it has one").blur.len(), blurred);
    }
}

#[test]
fn what_a_recogniser_makes_up_is_left_out() {
    let mut scene = Scene::new(settings());
    let mut absurd: Vec<FaceSighting> = (0..5).map(|_| face(100.0, Some("ann"), 0.7)).collect();
    absurd[0].bounds.x = f32::NAN;
    absurd[1].bounds.x = 5000.0;
    absurd[2].bounds.w = -1.0;
    absurd[3].score = f32::NAN;
    absurd[4].score = 7.0;
    scene.looks(0, 5, &faces(&absurd));
    assert_eq!(scene.end().0, []);
}
