//! What those who look on are told of what is followed.

use super::*;
use crate::live::{OverlayTrack, TrackKind};

fn tracks(scene: &Scene) -> Vec<OverlayTrack> {
    let mut tracks = Vec::new();
    scene.recognizing.tracks(&mut tracks);
    tracks.sort_by(|a, b| a.region.x.total_cmp(&b.region.x));
    tracks
}

fn labels(tracks: &[OverlayTrack]) -> Vec<(TrackKind, Option<&str>)> {
    let labels = tracks.iter();
    let labels = labels.map(|track| (track.kind, track.label.as_deref()));
    labels.collect()
}

#[test]
fn labels_are_those_of_events_once_there_are_some() {
    let mut scene = Scene::new(settings());
    let all = Sightings {
        faces: vec![face(100.0, Some("ann"), 0.7)],
        plates: plate("AB12CD", 0.9).plates,
        objects: vec![object(500.0, "dog", 0.6)],
    };
    scene.looks(0, 1, &all);
    let first = tracks(&scene);
    assert_eq!(
        labels(&first),
        [
            (TrackKind::Face, None),
            (TrackKind::Plate, None),
            (TrackKind::Object, Some("dog"))
        ]
    );
    assert!((first[0].score - 0.9).abs() < 1e-6 && (first[1].score - 0.8).abs() < 1e-6);
    scene.looks(200, 5, &all);
    let then = tracks(&scene);
    assert_eq!(
        labels(&then),
        [
            (TrackKind::Face, Some("ann")),
            (TrackKind::Plate, Some("AB12CD")),
            (TrackKind::Object, Some("dog"))
        ]
    );
    assert!((then[0].score - 0.7).abs() < 1e-6);
    assert!((then[0].region.w - 60.0 / 640.0).abs() < 1e-6);
    // They are the tracks of the events.
    let numbers: Vec<u64> = then.iter().map(|track| track.track).collect();
    assert_eq!(
        numbers,
        first.iter().map(|track| track.track).collect::<Vec<_>>()
    );
    scene.looks(1200, 10, &Sightings::default());
    assert_eq!(tracks(&scene), []);
    let (events, _) = scene.end();
    let told = events
        .iter()
        .filter_map(|event| event.observations[0].track);
    assert!(told.clone().all(|track| numbers.contains(&track)));
    assert_eq!(told.count(), 3);
}

#[test]
fn strangers_who_are_blurred_or_ignored_are_not_told_of() {
    let both = faces(&[face(100.0, None, 0.1), face(400.0, Some("ann"), 0.7)]);
    let ann = (TrackKind::Face, Some("ann"));
    for (unknown_faces, first, then) in [
        (
            UnknownFaces::Record,
            vec![(TrackKind::Face, None), (TrackKind::Face, None)],
            vec![(TrackKind::Face, Some("unknown")), ann],
        ),
        (UnknownFaces::Blur, vec![], vec![ann]),
        (UnknownFaces::Ignore, vec![], vec![ann]),
    ] {
        let mut scene = Scene::new(RecognitionSettings {
            unknown_faces,
            ..settings()
        });
        scene.looks(0, 1, &both);
        assert_eq!(labels(&tracks(&scene)), first, "{unknown_faces:?}");
        scene.looks(200, 9, &both);
        assert_eq!(labels(&tracks(&scene)), then, "{unknown_faces:?}");
        scene.end();
    }
}
