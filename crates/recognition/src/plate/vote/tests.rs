use proptest::prelude::*;

use super::*;

fn fuse(readings: &[(&str, f32)]) -> Fused {
    let mut votes = Votes::new();
    for (text, confidence) in readings {
        votes.add(text, &[*confidence]);
    }
    votes.fused()
}

#[test]
fn one_reading_is_what_it_is() {
    let mut votes = Votes::new();
    votes.add("AB1", &[0.9, 0.5, 0.7]);
    let fused = votes.fused();
    assert_eq!(fused.text, "AB1");
    assert_eq!(fused.characters, [0.9, 0.5, 0.7]);
    assert!((fused.confidence - 0.7).abs() < 1e-6);
    assert_eq!(
        (fused.agreement, fused.whole, fused.readings),
        (1.0, 1.0, 1)
    );
}

#[test]
fn readings_that_are_wrong_in_different_places_make_the_right_one() {
    let fused = fuse(&[("RK3X0AG", 0.8), ("RW300AG", 0.8), ("RK300AC", 0.8)]);
    assert_eq!((fused.text.as_str(), fused.whole), ("RK300AG", 0.0));
    // Two of three are right at each of these places, and SecureVision would say one third.
    assert!((fused.agreement - 2.0 / 3.0).abs() < 0.01, "{fused:?}");
}

#[test]
fn lengths_may_differ() {
    for readings in [
        ["RK300AG", "RK00AG", "IRK300AG"],
        ["K300AG", "RK300AGI", "RK300AG"],
        ["RK3000AG", "RK300A", "RK300AG"],
    ] {
        let fused = fuse(&readings.map(|text| (text, 0.7)));
        assert_eq!(fused.text, "RK300AG", "{readings:?}");
    }
    // What most have is taken even if the centre lacks it.
    let fused = fuse(&[("RK30AG", 0.9), ("RK300AX", 0.8), ("YK300AG", 0.8)]);
    assert_eq!(fused.text, "RK300AG");
}

#[test]
fn the_surer_reader_wins() {
    let mut votes = Votes::new();
    votes.add("AB8", &[0.9, 0.9, 0.2]);
    votes.add("ABB", &[0.9, 0.9, 0.3]);
    votes.add("AB8", &[0.9, 0.9, 0.2]);
    assert_eq!(votes.fused().text, "AB8");
    votes.add("ABB", &[0.9, 0.9, 0.9]);
    assert_eq!(votes.fused().text, "ABB");
}

#[test]
fn characters_that_look_alike_hardly_disagree() {
    let alike = fuse(&[("A0", 0.8), ("AO", 0.8)]);
    assert!(alike.agreement > 0.9, "{alike:?}");
    // Equal votes go to the lesser character, in whatever order they come.
    assert_eq!(
        (alike.text.as_str(), fuse(&[("AO", 0.8), ("A0", 0.8)]).text),
        ("A0", "A0".into())
    );
    let other = fuse(&[("A0", 0.8), ("AX", 0.8)]);
    assert!((other.agreement - 0.5).abs() < 1e-6, "{other:?}");
}

#[test]
fn what_securevision_agrees_on_is_agreed_on() {
    let fused = fuse(&[
        ("AB12", 0.5),
        ("AB12", 0.5),
        ("AB12", 0.5),
        ("XYZ9", 0.5),
        ("KK77", 0.5),
    ]);
    assert_eq!((fused.text.as_str(), fused.whole), ("AB12", 0.6));
    assert!(fused.agreement >= 0.6);
}

#[test]
fn only_the_latest_vote() {
    let mut votes = Votes::new();
    for _ in 0..MAX_READINGS {
        votes.add("OLD1234", &[1.0]);
    }
    assert_eq!(
        (votes.len(), votes.fused().text.as_str()),
        (MAX_READINGS, "OLD1234")
    );
    for _ in 0..MAX_READINGS {
        votes.add("NEW5678", &[0.3]);
    }
    assert_eq!(
        (votes.len(), votes.fused().text.as_str()),
        (MAX_READINGS, "NEW5678")
    );
    votes.clear();
    assert!(votes.is_empty() && votes.fused() == Fused::default());
    votes.add("AB1", &[]);
    assert_eq!(
        (votes.fused().text.as_str(), votes.fused().confidence),
        ("AB1", 1.0)
    );
}

#[test]
fn nothing_and_no_numbers_are_no_votes() {
    let mut votes = Votes::new();
    votes.add("", &[1.0]);
    assert!(votes.is_empty());
    votes.add("AB1", &[f32::NAN]);
    votes.add("AC1", &[f32::INFINITY]);
    votes.add("AB1", &[f32::NEG_INFINITY]);
    let fused = votes.fused();
    assert_eq!(fused.text, "AC1");
    assert!(fused.confidence > 0.0 && fused.confidence <= 1.0);
}

proptest! {
    #[test]
    fn shares_are_shares(readings in prop::collection::vec(
        ("[A-C0-2]{0,8}", prop::collection::vec(-0.5_f32..1.5, 0..9)), 0..14)
    ) {
        let mut votes = Votes::new();
        let mut fused = Fused::default();
        for (text, confidences) in &readings {
            votes.add(text, confidences);
            // The memory of the last time changes nothing.
            votes.fuse_into(&mut fused);
            prop_assert_eq!(&fused, &votes.clone().fused());
        }
        prop_assert_eq!(fused.text.chars().count(), fused.characters.len());
        for share in fused.characters.iter().chain([&fused.confidence, &fused.agreement]) {
            prop_assert!((0.0..=1.0001).contains(share), "{:?}", fused);
        }
        prop_assert!(fused.agreement >= fused.whole);
        prop_assert_eq!(fused.readings, votes.len());
    }

    #[test]
    fn equal_readings_are_agreed_on(text in "[A-Z0-9]{1,9}", count in 1_usize..12, sure in 0.1_f32..1.0) {
        let fused = fuse(&vec![(text.as_str(), sure); count]);
        prop_assert_eq!(fused.text, text);
        prop_assert!((fused.confidence - sure).abs() < 1e-4);
        prop_assert_eq!((fused.agreement, fused.whole), (1.0, 1.0));
    }

    #[test]
    fn a_majority_of_equal_readings_is_the_text(
        text in "[A-Z0-9]{2,8}", others in prop::collection::vec("[A-Z0-9]{1,9}", 0..4),
    ) {
        let mut readings = vec![(text.as_str(), 0.8); others.len() + 1];
        readings.extend(others.iter().map(|other| (other.as_str(), 0.8)));
        prop_assert_eq!(fuse(&readings).text, text);
    }
}
