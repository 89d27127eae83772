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
fn a_window_may_be_64_frames_long() {
    for (window, state) in [(63, TrackState::Tentative), (64, TrackState::Confirmed)] {
        let mut tracker = Tracker::new(TrackerSettings {
            hits: 2,
            window,
            max_age: ms(10_000),
            ..TrackerSettings::default()
        });
        tracker.update(ms(0), &[square(0.5, 0.5)]);
        for i in 1..63 {
            tracker.update(ms(100 * i), &[]);
        }
        let updates = tracker.update(ms(6300), &[square(0.5, 0.5)]);
        assert_eq!((updates[0].id, updates[0].state), (1, state), "{window}");
    }
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

#[test]
fn a_cooldown_forgets_the_oldest_rather_than_grow() {
    let mut cooldown = Cooldown::new(Duration::from_secs(3600));
    for identity in 0..10_000_u64 {
        assert!(cooldown.pass(identity, ms(identity)));
        assert!(cooldown.last.len() <= MAX_IDENTITIES);
    }
    assert!(!cooldown.pass(9_999, ms(10_000)));
    assert!(cooldown.pass(0, ms(10_000)));
}

proptest! {
    #[test]
    fn the_order_of_detections_is_no_matter(
        frames in proptest::collection::vec(
            proptest::collection::vec((0.0_f32..0.9, 0.0_f32..0.9, 0_u32..2), 0..8), 1..12),
        turn in 1_usize..8,
    ) {
        let mut tracker = Tracker::new(TrackerSettings { max_tracks: 10, ..TrackerSettings::default() });
        let mut again = Tracker::new(TrackerSettings { max_tracks: 10, ..TrackerSettings::default() });
        for (n, frame) in frames.iter().enumerate() {
            let mut detections: Vec<_> = frame.iter()
                .map(|&(x, y, label)| Detection { label, ..square(x, y) })
                .collect();
            let seen = |tracker: &mut Tracker, detections: &[Detection]| -> Vec<_> {
                let updates = tracker.update(ms(100 * n as u64), detections);
                updates.iter()
                    .map(|u| (u.id, u.state, u.region, u.detection.map(|d| detections[d])))
                    .collect()
            };
            let first = seen(&mut tracker, &detections);
            let middle = turn % detections.len().max(1);
            detections.rotate_left(middle);
            detections[middle..].reverse();
            prop_assert_eq!(first, seen(&mut again, &detections));
        }
    }

    #[test]
    fn numbers_only_grow_and_no_detection_belongs_to_two_tracks(
        frames in proptest::collection::vec(
            proptest::collection::vec((0.0_f32..0.9, 0.0_f32..0.9), 0..8), 1..20),
        interval in 1_u64..3000,
    ) {
        let mut tracker = Tracker::new(TrackerSettings::default());
        let (mut newest, mut alive) = (0, Vec::new());
        for (n, frame) in frames.iter().enumerate() {
            let detections: Vec<_> = frame.iter().map(|&(x, y)| square(x, y)).collect();
            let updates = tracker.update(ms(interval * n as u64), &detections);
            let mut used: Vec<_> = updates.iter().filter_map(|u| u.detection).collect();
            prop_assert_eq!(used.len(), detections.len());
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), detections.len());
            for update in updates {
                prop_assert!(update.id > newest || alive.contains(&update.id));
            }
            newest = updates.iter().map(|u| u.id).fold(newest, u64::max);
            alive = updates.iter().filter(|u| u.state != TrackState::Lost).map(|u| u.id).collect();
        }
    }

    #[test]
    fn jitter_does_not_lose_a_thing_at_any_rate(
        jitter in proptest::collection::vec((-0.008_f32..0.008, -0.008_f32..0.008), 60),
        interval in 40_u64..250,
    ) {
        let mut tracker = Tracker::new(TrackerSettings::default());
        for (n, (dx, dy)) in jitter.iter().enumerate() {
            // 0.03 of the picture in a second.
            let x = 0.1 + 0.03 * (interval as f32 * n as f32 / 1e3);
            let updates = tracker.update(ms(interval * n as u64), &[square(x + dx, 0.5 + dy)]);
            prop_assert_eq!(updates.len(), 1, "frame {}", n);
            prop_assert_eq!(updates[0].id, 1);
        }
    }
}
