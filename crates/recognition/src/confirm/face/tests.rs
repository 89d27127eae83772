use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const ANN: Option<(&str, f32)> = Some(("ann", 0.6));
const BOB: Option<(&str, f32)> = Some(("bob", 0.5));

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn confirmer() -> FaceConfirmer {
    FaceConfirmer::new(ConfirmSettings::default()).expect("settings")
}

/// Looks at a track, a second apart, and who was told.
fn tell(
    faces: &mut FaceConfirmer,
    track: u64,
    from: u64,
    looks: &[Option<(&str, f32)>],
) -> Vec<Option<String>> {
    let mut told = Vec::new();
    for (look, now) in looks.iter().zip(from..) {
        told.extend(faces.see(track, at(now), *look).map(|seen| seen.person));
    }
    told
}

fn named(name: &str) -> Vec<Option<String>> {
    vec![Some(name.to_owned())]
}

#[test]
fn a_person_counts_when_enough_looks_agree() {
    let mut faces = confirmer();
    assert!(tell(&mut faces, 1, 0, &[ANN, None, BOB]).is_empty());
    assert!(faces.see(1, at(3), ANN).is_none());
    let seen = faces
        .see(1, at(4), Some(("ann", 0.9)))
        .expect("three of five");
    assert_eq!((seen.person.as_deref(), seen.looks), (Some("ann"), 3));
    assert_eq!(
        (seen.track, seen.since, seen.was_stranger),
        (1, at(0), false)
    );
    assert!((seen.similarity - 0.7).abs() < 1e-6);
    // Once in a track, however long it lasts.
    assert!(tell(&mut faces, 1, 5, &[ANN; 100]).is_empty());
    assert!(faces.end(1).is_none());
}

#[test]
fn looks_that_are_too_old_do_not_count() {
    let mut faces = confirmer();
    assert!(tell(&mut faces, 1, 0, &[ANN, ANN, BOB, None, BOB, None, ANN]).is_empty());
}

#[test]
fn two_who_are_equally_likely_are_nobody() {
    let settings = ConfirmSettings {
        frames_required: 2,
        frames_window: 4,
        ..ConfirmSettings::default()
    };
    let mut faces = FaceConfirmer::new(settings).expect("settings");
    assert!(tell(&mut faces, 1, 0, &[ANN, BOB]).is_empty());
    // Ann has two of three, then Bob two of four as well.
    assert_eq!(tell(&mut faces, 1, 2, &[ANN, BOB]), named("ann"));
    assert_eq!(tell(&mut faces, 1, 4, &[BOB]), named("bob"));
}

#[test]
fn a_visit_is_told_once_and_the_next_one_again() {
    let mut faces = confirmer();
    assert_eq!(tell(&mut faces, 1, 0, &[ANN; 10]), named("ann"));
    // Seen until 9; the next track begins 29 seconds later, and counts after 31.
    assert!(tell(&mut faces, 2, 38, &[ANN; 5]).is_empty());
    // Seen until 42.
    assert!(tell(&mut faces, 3, 71, &[ANN; 3]).is_empty());
    assert_eq!(tell(&mut faces, 4, 103, &[ANN; 3]), named("ann"));
    assert_eq!(tell(&mut faces, 5, 103, &[BOB; 3]), named("bob"));
}

#[test]
fn whoever_stays_without_being_looked_at_is_still_here() {
    let mut faces = confirmer();
    assert_eq!(tell(&mut faces, 1, 0, &[ANN; 3]), named("ann"));
    for now in (10..200).step_by(10) {
        faces.still(1, at(now));
    }
    assert!(faces.end(1).is_none());
    assert!(tell(&mut faces, 2, 210, &[ANN; 3]).is_empty());
    assert_eq!(tell(&mut faces, 3, 300, &[ANN; 3]), named("ann"));
}

#[test]
fn one_look_does_not_make_a_visit_longer() {
    let mut faces = confirmer();
    assert_eq!(tell(&mut faces, 1, 0, &[ANN; 3]), named("ann"));
    // A stranger who once looks like her.
    assert!(faces.see(2, at(20), ANN).is_none());
    assert_eq!(tell(&mut faces, 3, 40, &[ANN; 3]), named("ann"));
}

#[test]
fn a_stranger_counts_later_than_a_person() {
    let mut faces = confirmer();
    assert_eq!(tell(&mut faces, 1, 0, &[None; 4]), []);
    assert_eq!(tell(&mut faces, 1, 4, &[None; 50]), [None]);
    assert!(faces.end(1).is_none());
    // Ann from afar.
    assert_eq!(
        tell(&mut faces, 2, 0, &[None, None, None, ANN, ANN, ANN]),
        named("ann")
    );
    // A short look at somebody.
    assert_eq!(tell(&mut faces, 3, 0, &[None; 3]), []);
    let seen = faces.end(3).expect("three looks are enough at the end");
    assert_eq!((seen.person, seen.looks), (None, 3));
    assert_eq!(tell(&mut faces, 4, 0, &[None; 2]), []);
    assert!(faces.end(4).is_none() && faces.end(4).is_none());
}

#[test]
fn one_false_match_does_not_hide_a_stranger() {
    let mut faces = confirmer();
    assert_eq!(
        tell(&mut faces, 1, 0, &[None, ANN, None, None, None, None, None]),
        [None]
    );
    assert_eq!(tell(&mut faces, 2, 0, &[None, ANN, None, None]), []);
    assert!(faces.end(2).is_some_and(|seen| seen.person.is_none()));
    assert_eq!(tell(&mut faces, 3, 0, &[None, ANN, None, ANN]), []);
    assert!(faces.end(3).is_none());
}

#[test]
fn a_stranger_who_turns_out_to_be_known_is_told_as_such() {
    let mut faces = confirmer();
    assert_eq!(tell(&mut faces, 1, 0, &[None; 6]), [None]);
    assert!(tell(&mut faces, 1, 6, &[ANN; 2]).is_empty());
    let seen = faces.see(1, at(8), ANN).expect("three of five");
    assert!(seen.was_stranger && seen.person.as_deref() == Some("ann"));
    // And is none again when she turns away.
    assert!(tell(&mut faces, 1, 9, &[None; 9]).is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let with = |change: fn(&mut ConfirmSettings)| {
        let mut settings = ConfirmSettings::default();
        change(&mut settings);
        FaceConfirmer::new(settings)
            .map(|_| ())
            .expect_err("no use")
            .to_string()
    };
    assert!(with(|all| all.frames_required = 0).starts_with("frames_required: 0"));
    assert!(with(|all| all.frames_required = 6).starts_with("frames_required: 6"));
    assert!(with(|all| all.frames_window = 0).starts_with("frames_window: 0"));
    assert!(with(|all| all.frames_window = 65).starts_with("frames_window: 65"));
    assert!(with(|all| all.max_tracks = 0).starts_with("max_tracks"));
    assert!(with(|all| all.max_identities = 0).starts_with("max_identities"));
}

#[test]
fn memory_is_bounded() {
    let settings = ConfirmSettings {
        frames_required: 1,
        frames_window: 1,
        max_tracks: 4,
        max_identities: 8,
        ..ConfirmSettings::default()
    };
    let mut faces = FaceConfirmer::new(settings).expect("settings");
    for n in 0..1000 {
        let name = format!("person {n}");
        assert!(faces.see(n, at(1), Some((&name, 0.5))).is_some());
        assert!(faces.tracks.tracks.len() <= 4 && faces.visits.len() <= 8);
    }
    // One track that is taken for many tells of a few.
    let names: Vec<String> = (0..100).map(|n| format!("other {n}")).collect();
    let told = names
        .iter()
        .filter_map(|name| faces.see(5000, at(1), Some((name, 0.5))));
    assert_eq!(told.count(), MAX_TOLD);
}

proptest! {
    #[test]
    fn nobody_is_told_twice_within_the_cooldown(
        looks in prop::collection::vec((0_u64..4, 0_u64..8, 0_usize..4, any::<bool>()), 0..200)
    ) {
        let names = [None, Some(("ann", 0.6)), Some(("bob", 0.5)), Some(("eve", 0.4))];
        let mut faces = confirmer();
        let mut now = 0;
        let mut told: HashMap<String, u64> = HashMap::new();
        let mut strangers: Vec<u64> = Vec::new();
        let mut offset = 0;
        for (track, pause, who, ends) in looks {
            now += pause;
            let seen = if ends && pause == 0 {
                // Numbers are never used again.
                offset += 4;
                faces.end(offset - 4 + track)
            } else {
                faces.see(offset + track, at(now), names[who])
            };
            let Some(seen) = seen else { continue };
            prop_assert!(seen.looks >= 3 && seen.since <= at(now));
            match seen.person {
                Some(name) => {
                    let before = told.insert(name, now);
                    prop_assert!(before.is_none_or(|before| now - before >= 30));
                }
                None => {
                    prop_assert!(!strangers.contains(&seen.track));
                    strangers.push(seen.track);
                }
            }
        }
    }
}
