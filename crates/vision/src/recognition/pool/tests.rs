use std::sync::atomic::AtomicUsize;

use crossbeam_channel::{Receiver, bounded, unbounded};

use super::super::{RecognitionSettings, Recognize};
use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// Which cameras' crops came together, with the brightness of each.
type Batch = Vec<(String, u8)>;

/// Says what it is given, and works on until it is let go.
struct Slow {
    say: Sender<Batch>,
    go: Receiver<()>,
}

impl Recognizer for Slow {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        let seen = crops
            .iter()
            .map(|crop| (crop.camera.to_owned(), crop.view.row(0)[0]));
        self.say.send(seen.collect()).expect("the test listens");
        let _ = self.go.recv_timeout(PATIENCE);
        crops.iter().map(|_| Ok(Sightings::default())).collect()
    }
}

struct Scene {
    pool: Arc<Pool>,
    meter: Arc<Meter>,
    batches: Receiver<Batch>,
    go: Sender<()>,
}

impl Scene {
    fn new(threads: usize, batch: usize) -> Self {
        let (say, batches) = unbounded();
        let (go, gone) = unbounded();
        let factory: RecognizerFactory = Arc::new(move || {
            let (say, go) = (say.clone(), gone.clone());
            Ok(Box::new(Slow { say, go }) as Box<dyn Recognizer>)
        });
        let meter = Arc::default();
        let pool = Pool::start(&factory, threads, batch, &meter).expect("it starts");
        Self {
            pool: Arc::new(pool),
            meter,
            batches,
            go,
        }
    }

    fn camera(&self, name: &str) -> (Hatch, Receiver<Answer>) {
        let (say, answers) = unbounded();
        (self.pool.desk(name, Vec::new(), say), answers)
    }

    fn batch(&self) -> Batch {
        self.batches.recv_timeout(PATIENCE).expect("it works")
    }
}

#[test]
fn what_waits_and_what_was_done_is_counted() {
    let scene = Scene::new(1, 8);
    let (hatch, answers) = scene.camera("one");
    let (other, _answers) = scene.camera("other");
    hatch.hand_in(look(10, 3));
    scene.batch();
    hatch.hand_in(look(11, 1));
    other.hand_in(look(12, 1));
    let gauges = scene.meter.gauges();
    assert_eq!((gauges.waiting, gauges.runs.count()), (2, 0));
    scene.go.send(()).expect("it listens");
    assert_eq!(answer(&answers).0, 10);
    let gauges = scene.meter.gauges();
    assert_eq!((gauges.pictures, gauges.runs.count()), (3, 1));
    assert!(gauges.runs.sum > 0.0);
    // What is under way ends.
    drop(scene.go);
}

/// A look at a frame of one brightness.
fn look(luma: u8, parts: usize) -> Look {
    let part = |n: usize| Part {
        x: 16 * n,
        y: 0,
        w: 16,
        h: 16,
    };
    Look {
        frame: Frame::gray(64, 32, luma, Duration::from_millis(luma.into())),
        at: Timestamp::UNIX_EPOCH,
        parts: (0..parts).map(part).collect(),
        wanted: RecognitionSettings::default().wanted(Recognize::default()),
        round: 0,
    }
}

fn answer(answers: &Receiver<Answer>) -> (u8, &'static str) {
    let answer = answers.recv_timeout(PATIENCE).expect("it is answered");
    let outcome = match answer.outcome {
        Outcome::Seen(_) => "seen",
        Outcome::Skipped => "skipped",
        Outcome::Failed => "failed",
    };
    (answer.look.frame.pts.as_millis() as u8, outcome)
}

fn names(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn the_newest_frame_takes_the_place_of_one_that_waits() {
    let scene = Scene::new(1, 8);
    let (door, answers) = scene.camera("door");
    door.hand_in(look(50, 1));
    scene.batch();
    for luma in [60, 70, 80] {
        door.hand_in(look(luma, 1));
    }
    assert_eq!(answer(&answers), (60, "skipped"));
    assert_eq!(answer(&answers), (70, "skipped"));
    scene.go.send(()).expect("it waits");
    let [(_, luma)] = scene.batch()[..] else {
        panic!("there is one");
    };
    // 80 of 16 to 235.
    assert!(luma.abs_diff(75) <= 1, "{luma}");
    scene.go.send(()).expect("it waits");
    assert_eq!(answer(&answers), (50, "seen"));
    assert_eq!(answer(&answers), (80, "seen"));
}

#[test]
fn who_waits_longest_is_next_and_as_many_as_allowed_go_together() {
    let scene = Scene::new(1, 2);
    let cameras: Vec<_> = ["a", "b", "c"].map(|name| scene.camera(name)).into();
    cameras[0].0.hand_in(look(50, 1));
    assert_eq!(names(&scene.batch()), ["a"]);
    for n in [1, 2, 0] {
        cameras[n].0.hand_in(look(50, 1));
    }
    // A newer frame does not wait anew.
    cameras[1].0.hand_in(look(60, 2));
    scene.go.send(()).expect("it waits");
    assert_eq!(names(&scene.batch()), ["b", "b", "c"]);
    scene.go.send(()).expect("it waits");
    assert_eq!(names(&scene.batch()), ["a"]);
    scene.go.send(()).expect("it waits");
}

#[test]
fn looks_of_a_camera_are_answered_in_their_order_by_any_number_of_threads() {
    let scene = Scene::new(2, 8);
    let (door, answers) = scene.camera("door");
    let (yard, _) = scene.camera("yard");
    door.hand_in(look(50, 1));
    assert_eq!(names(&scene.batch()), ["door"]);
    door.hand_in(look(60, 1));
    yard.hand_in(look(50, 1));
    // The other thread takes what is not of a camera that is being looked at.
    assert_eq!(names(&scene.batch()), ["yard"]);
    scene.go.send(()).expect("it waits");
    scene.go.send(()).expect("it waits");
    assert_eq!(names(&scene.batch()), ["door"]);
    scene.go.send(()).expect("it waits");
    assert_eq!(answer(&answers), (50, "seen"));
    assert_eq!(answer(&answers), (60, "seen"));
}

#[test]
fn stopping_answers_what_waits_and_leaves_no_thread() {
    let scene = Scene::new(1, 8);
    let (door, answers) = scene.camera("door");
    door.hand_in(look(50, 1));
    scene.batch();
    door.hand_in(look(60, 1));
    door.take_back();
    assert_eq!(answer(&answers), (60, "skipped"));
    door.hand_in(look(70, 1));
    let Scene {
        pool, batches, go, ..
    } = scene;
    drop(door);
    let (done, is_done) = bounded(1);
    let stopping = std::thread::spawn(move || {
        drop(pool);
        done.send(()).expect("the test listens");
    });
    assert_eq!(answer(&answers), (70, "skipped"));
    // What is under way is finished.
    assert!(is_done.try_recv().is_err());
    go.send(()).expect("it waits");
    is_done.recv_timeout(PATIENCE).expect("it stops");
    stopping.join().expect("it stops");
    assert_eq!(answer(&answers), (50, "seen"));
    // Whoever could say something more is gone.
    assert!(batches.recv_timeout(PATIENCE).is_err());
}

/// Fails as its frames are bright.
struct Broken;

impl Recognizer for Broken {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        match crops[0].view.row(0)[0] {
            0..100 => panic!("as the test wants it"),
            100..150 => Vec::new(),
            150..200 => vec![Err(Error::Picture)],
            _ => crops.iter().map(|_| Ok(Sightings::default())).collect(),
        }
    }
}

#[test]
fn a_recogniser_that_fails_or_panics_is_no_reason_to_stop() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let factory: RecognizerFactory = Arc::new(move || {
        // The third one cannot be made.
        match count.fetch_add(1, Ordering::Relaxed) {
            2 => Err(Error::Picture),
            _ => Ok(Box::new(Broken) as Box<dyn Recognizer>),
        }
    });
    let pool = Arc::new(Pool::start(&factory, 1, 8, &Arc::default()).expect("it starts"));
    let (say, answers) = unbounded();
    let door = pool.desk("door", Vec::new(), say);
    for (luma, outcome, recognisers) in [
        (50, "failed", 1),
        (220, "seen", 2),
        (125, "failed", 2),
        (170, "failed", 2),
        (221, "seen", 2),
        (51, "failed", 2),
        (222, "failed", 3),
        // It is not tried again at once.
        (223, "failed", 3),
    ] {
        door.hand_in(look(luma, 1));
        assert_eq!(answer(&answers), (luma, outcome));
        assert_eq!(made.load(Ordering::Relaxed), recognisers, "{luma}");
    }
    let factory: RecognizerFactory = Arc::new(|| Err(Error::Picture));
    assert!(Pool::start(&factory, 1, 8, &Arc::default()).is_err());
}

#[test]
fn what_masks_hide_is_black_for_recognisers_too() {
    let scene = Scene::new(1, 8);
    let (say, answers) = unbounded();
    let left_half = vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]];
    let door = scene.pool.desk("door", vec![left_half], say);
    door.hand_in(look(200, 4));
    let batch = scene.batch();
    let dark: Vec<bool> = batch.iter().map(|(_, luma)| *luma == 0).collect();
    assert_eq!(dark, [true, true, false, false]);
    scene.go.send(()).expect("it waits");
    assert_eq!(answer(&answers), (200, "seen"));
}
