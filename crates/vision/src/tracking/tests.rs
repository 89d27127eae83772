use proptest::prelude::*;

use super::*;

fn square(x: f32, y: f32) -> Detection {
    Detection {
        region: Region {
            x,
            y,
            w: 0.1,
            h: 0.1,
        },
        score: 1.0,
        label: 0,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_track_counts_after_k_hits_in_m_frames() {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let seen = [true, false, false, false, false, true, false, true, true];
    let states: Vec<_> = seen
        .iter()
        .enumerate()
        .map(|(i, seen)| {
            let detections = if *seen {
                vec![square(0.5, 0.5)]
            } else {
                vec![]
            };
            let updates = tracker.update(ms(100 * i as u64), &detections);
            (updates[0].id, updates[0].state)
        })
        .collect();
    let mut expected = vec![(1, TrackState::Tentative); 8];
    expected.push((1, TrackState::Confirmed));
    assert_eq!(states, expected);
}

#[test]
fn a_thing_that_was_hidden_for_a_moment_is_the_same_thing_where_it_should_be_by_now() {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let mut ids = Vec::new();
    for i in 0..30 {
        let hidden = (12..18).contains(&i);
        let x = 0.02 * i as f32;
        let detections = if hidden { vec![] } else { vec![square(x, 0.4)] };
        ids.extend(
            tracker
                .update(ms(100 * i), &detections)
                .iter()
                .map(|u| u.id),
        );
    }
    assert!(ids.iter().all(|id| *id == 1), "{ids:?}");
}

#[test]
fn things_that_cross_keep_their_names() {
    let mut tracker = Tracker::new(TrackerSettings::default());
    for i in 0..40 {
        let x = 0.02 * i as f32;
        let detections = [square(x, 0.30), square(0.8 - x, 0.34)];
        let updates = tracker.update(ms(100 * i), &detections);
        assert_eq!(updates.len(), 2, "frame {i}");
        assert_eq!(
            (updates[0].id, updates[0].detection),
            (1, Some(0)),
            "frame {i}"
        );
        assert_eq!(
            (updates[1].id, updates[1].detection),
            (2, Some(1)),
            "frame {i}"
        );
    }
}

#[test]
fn what_is_gone_is_lost_once_and_its_number_never_comes_back() {
    let mut tracker = Tracker::new(TrackerSettings::default());
    tracker.update(ms(0), &[square(0.5, 0.5)]);
    assert_eq!(
        tracker.update(ms(2000), &[])[0].state,
        TrackState::Tentative
    );
    assert_eq!(tracker.update(ms(2100), &[])[0].state, TrackState::Lost);
    assert!(tracker.update(ms(2200), &[]).is_empty());
    assert_eq!(tracker.update(ms(2300), &[square(0.5, 0.5)])[0].id, 2);
}

#[test]
fn classes_do_not_mix_and_tracks_are_bounded() {
    let mut tracker = Tracker::new(TrackerSettings {
        max_tracks: 3,
        ..TrackerSettings::default()
    });
    let mut other = square(0.5, 0.5);
    other.label = 7;
    tracker.update(ms(0), &[square(0.5, 0.5)]);
    assert_eq!(tracker.update(ms(100), &[other])[1].id, 2);
    let many: Vec<_> = (0..9).map(|i| square(0.1 * i as f32, 0.0)).collect();
    assert_eq!(tracker.update(ms(200), &many).len(), 3);
}

#[test]
fn a_cooldown_lets_each_identity_through_once_in_a_while() {
    let mut cooldown = Cooldown::new(ms(1000));
    let passed = [
        (0, "a"),
        (10, "b"),
        (500, "a"),
        (999, "a"),
        (1000, "a"),
        (1010, "b"),
        (1500, "a"),
    ]
    .map(|(at, who)| cooldown.pass(who, ms(at)));
    assert_eq!(passed, [true, true, false, false, true, true, false]);
}

proptest! {
    #[test]
    fn the_order_of_detections_is_no_matter(
        places in proptest::collection::vec((0.0_f32..0.9, 0.0_f32..0.9), 1..8),
        turn in 0_usize..8,
    ) {
        let mut tracker = Tracker::new(TrackerSettings::default());
        let detections: Vec<_> = places.iter().map(|&(x, y)| square(x, y)).collect();
        tracker.update(ms(0), &detections);
        let moved: Vec<_> = places.iter().map(|&(x, y)| square(x + 0.01, y)).collect();
        let mut turned = moved.clone();
        turned.rotate_left(turn % moved.len());
        let regions = |tracker: &mut Tracker, detections: &[Detection]| -> Vec<(u64, Option<[f32; 2]>)> {
            let updates = tracker.update(ms(100), detections);
            updates.iter().map(|update| {
                let region = update.detection.map(|d| detections[d].region);
                (update.id, region.map(|region| [region.x, region.y]))
            }).collect()
        };
        let mut again = Tracker::new(TrackerSettings::default());
        again.update(ms(0), &detections);
        prop_assert_eq!(regions(&mut tracker, &moved), regions(&mut again, &turned));
    }
}
