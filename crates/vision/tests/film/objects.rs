//! What an analyser finds in a film.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keepwatch_core::events::{Event, EventKind, Region};
use keepwatch_vision::{Analyzer, CameraStatus, Error, Found, Result, Seen, Watch, source};

use crate::watch::{Place, film, seconds};

/// Takes whatever is large and moves for a car, and a mast for a mast.
#[derive(Default)]
struct Cars {
    looks: AtomicU64,
}

impl Analyzer for Cars {
    fn analyze(&self, seen: &Seen<'_>) -> Result<Vec<Found>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        assert_eq!(seen.camera, "drive");
        let size = seen.frame.with_luma(|luma| (luma.width(), luma.height()))?;
        assert_eq!(size, (768, 432));
        let large = seen
            .motion
            .regions
            .iter()
            .filter(|moving| moving.area > 0.01);
        let cars = large.map(|moving| Found {
            label: "car".to_owned(),
            score: 0.5 + moving.area,
            region: moving.region,
        });
        // Once, which is too little.
        let ghost = (seen.frame.pts.as_millis() % 4000 < 80).then(|| Found {
            label: "ghost".to_owned(),
            score: 1.0,
            region: Region {
                x: 0.0,
                y: 0.0,
                w: 0.1,
                h: 0.1,
            },
        });
        Ok(cars.chain(ghost).collect())
    }
}

struct Broken;

impl Analyzer for Broken {
    fn analyze(&self, _: &Seen<'_>) -> Result<Vec<Found>> {
        Err(Error::Picture)
    }
}

fn watch(place: &Place, analyzers: Vec<Arc<dyn Analyzer>>) -> (Vec<Event>, CameraStatus) {
    let watch = Watch::new(place.store.clone(), place.store.media()).expect("it starts");
    for analyzer in analyzers {
        watch.add_analyzer(analyzer);
    }
    let settings = film("car-detection");
    let source = source::of(&settings);
    let added = watch.add("drive".to_owned(), settings, source);
    added.expect("it is added");
    while !watch.is_over() {
        let _ = watch.events().recv_timeout(Duration::from_millis(50));
    }
    let status = watch.status().remove(0);
    watch.stop().expect("all is stored");
    (place.events(), status)
}

#[test]
fn cars_are_followed_and_become_events_beside_those_of_motion() {
    let place = Place::new();
    let cars = Arc::new(Cars::default());
    let (events, status) = watch(&place, vec![Arc::new(Broken), cars.clone()]);
    assert_eq!(cars.looks.load(Ordering::Relaxed), status.analysed);
    let of = |kind| events.iter().filter(move |event| event.kind == kind);
    assert_eq!(of(EventKind::Motion).count(), 3);
    let found: Vec<_> = of(EventKind::Object).collect();
    assert!((3..=8).contains(&found.len()), "{found:?}");
    let mut tracks = Vec::new();
    for event in &found {
        assert!((0.1..=8.0).contains(&seconds(event)), "{event:?}");
        let [seen] = event.observations.as_slice() else {
            panic!("{event:?}");
        };
        assert_eq!(
            (seen.label.as_str(), event.camera.as_str()),
            ("car", "drive")
        );
        assert!(event.started_at <= seen.at && Some(seen.at) <= event.ended_at);
        assert!(seen.score > 0.5 && seen.region.is_some_and(|region| region.w > 0.0));
        tracks.push(seen.track.expect("it has one"));
        let picture = place.open(event.snapshot.as_ref().expect("it has a picture"));
        assert!(picture.starts_with(&[0xff, 0xd8]));
        assert!(event.clip.is_none());
    }
    // Not even those of motion have the same numbers.
    let moved = of(EventKind::Motion).flat_map(|event| &event.observations);
    tracks.extend(moved.filter_map(|seen| seen.track));
    let all = tracks.len();
    tracks.sort_unstable();
    tracks.dedup();
    assert_eq!(tracks.len(), all);
    place.verify();
}
