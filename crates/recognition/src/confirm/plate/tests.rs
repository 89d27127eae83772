use proptest::prelude::*;

use super::*;
use crate::plate::grammar::Region;
use crate::plate::list::PlateList;
use crate::plate::lookalike::distance;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Gate {
    plates: PlateConfirmer,
    grammar: Grammar,
    lists: PlateLists,
}

impl Gate {
    fn new(region: Region) -> Self {
        let list = |text: &str| PlateList::parse(text.as_bytes(), "list").expect("a list");
        Self {
            plates: PlateConfirmer::new(PlateSettings::default()).expect("settings"),
            grammar: Grammar::new(region),
            lists: PlateLists {
                allow: list("RK300AG,Ann\n"),
                deny: list("GWT-2180,stolen\n"),
                ..PlateLists::default()
            },
        }
    }

    fn see(&mut self, track: u64, seconds: u64, text: &str, confidence: f32) -> Option<PlateSeen> {
        let confidences = [confidence];
        let reading = (!text.is_empty()).then_some(Reading {
            text,
            confidences: &confidences,
        });
        let Self {
            plates,
            grammar,
            lists,
        } = self;
        plates.see(track, at(seconds), reading, grammar, lists)
    }

    /// Readings a second apart, and the texts that were told.
    fn tell(&mut self, track: u64, from: u64, texts: &[&str]) -> Vec<String> {
        let seen = texts
            .iter()
            .zip(from..)
            .filter_map(|(text, now)| self.see(track, now, text, 0.8));
        seen.map(|seen| seen.text.clean).collect()
    }

    fn end(&mut self, track: u64) -> Option<PlateSeen> {
        self.plates.end(track, &self.grammar, &self.lists)
    }
}

#[test]
fn a_plate_counts_when_enough_readings_agree() {
    let mut gate = Gate::new(Region::Eu);
    assert!(gate.tell(1, 3, &["RK300AG", "", "RK300A6"]).is_empty());
    let seen = gate.see(1, 6, "RK3O0AG", 0.8).expect("three of four looks");
    assert_eq!(
        (seen.text.clean.as_str(), seen.text.fits),
        ("RK300AG", true)
    );
    assert_eq!((seen.track, seen.since, seen.readings), (1, at(3), 3));
    assert!(!seen.improves && seen.agreement > 0.6 && seen.confidence > 0.5);
    let listed = seen.listed.expect("it is on the allow list");
    assert_eq!(
        (listed.list, listed.description.as_str()),
        (ListKind::Allow, "Ann")
    );
    assert_eq!((listed.plate.as_str(), listed.distance), ("RK300AG", 0.0));
    assert!(gate.tell(1, 7, &["RK300AG"; 50]).is_empty());
    assert!(gate.end(1).is_none());
}

#[test]
fn readings_that_do_not_agree_or_fit_are_nothing() {
    let mut gate = Gate::new(Region::Br);
    assert!(
        gate.tell(1, 0, &["GWT2180", "ABC1234", "XYZ9876", "KLM4567"])
            .is_empty()
    );
    assert!(gate.tell(2, 0, &["GWAGENS"; 9]).is_empty());
    assert!(
        gate.tell(3, 0, &["GWT2180", "", "", "", "GWT2180", "", "", "GWT2180"])
            .is_empty()
    );
    // Corrected by the grammar, and a plate's edge left out.
    assert_eq!(gate.tell(4, 0, &["TGWTZ18O"; 3]), ["GWT2180"]);
}

#[test]
fn a_chosen_plate_counts_when_it_is_sure() {
    let see = |texts: &[&str], confidence: f32, region: Region| {
        let mut gate = Gate::new(region);
        let seen = texts.iter().zip(0..);
        let mut seen = seen.filter_map(|(text, now)| gate.see(1, now, text, confidence));
        seen.next().map(|seen| (seen.text.clean, seen.text.fits))
    };
    let chosen = Some(("BIMMIAN".to_owned(), false));
    assert_eq!(see(&["BIMMIAN"; 3], 0.95, Region::Eu), chosen);
    assert_eq!(see(&["BIMMIAN"; 9], 0.8, Region::Eu), None);
    assert_eq!(
        see(&["BIMMIAN", "BIMMIAN", "BIMM1AN"], 0.95, Region::Eu),
        None
    );
    assert_eq!(see(&["BIMMIAN"; 9], 0.95, Region::De), None);
    // What the first looks read from afar is forgotten.
    let afar = ["BIMNIAN", "BIMMIAN"].into_iter();
    let near: Vec<&str> = afar.chain(["BIMMIAN"; 10]).collect();
    assert_eq!(see(&near, 0.95, Region::Eu), chosen);
}

#[test]
fn a_listed_plate_counts_though_no_plate_of_the_region_looks_so() {
    // Of another country, with a region that has two forms only.
    let mut gate = Gate::new(Region::Br);
    let seen = (0..3).find_map(|now| gate.see(1, now, "RK3OOAG", 0.8));
    let seen = seen.expect("it is on the allow list");
    assert!(!seen.text.fits);
    let listed = seen.listed.expect("it is listed");
    assert_eq!(
        (listed.list, listed.plate.as_str()),
        (ListKind::Allow, "RK300AG")
    );
    assert!(gate.end(1).is_none());
    assert!(gate.tell(2, 90, &["RK311AG"; 9]).is_empty());
}

#[test]
fn looks_that_read_nothing_tell_of_no_plate_and_hide_none() {
    let mut gate = Gate::new(Region::Eu);
    assert!(gate.tell(1, 0, &[""; 50]).is_empty());
    assert!(gate.end(1).is_none());
    // Read at last, and by as many looks as it takes.
    assert!(gate.tell(2, 60, &[""; 50]).is_empty());
    assert_eq!(
        gate.tell(2, 110, &["RK300AG", "", "RK300AG", "", "RK300AG"]),
        ["RK300AG"]
    );
}

#[test]
fn errors_in_different_places_do_not_matter() {
    let mut gate = Gate::new(Region::Br);
    assert_eq!(
        gate.tell(1, 0, &["GWX2180", "KWT2180", "GWT2190"]),
        ["GWT2180"]
    );
}

#[test]
fn the_deny_list_is_told() {
    let mut gate = Gate::new(Region::Br);
    let seen = (0..3).find_map(|now| gate.see(1, now, "GWT2180", 0.9));
    let listed = seen.expect("three readings").listed.expect("it is listed");
    assert_eq!(
        (listed.list, listed.plate.as_str()),
        (ListKind::Deny, "GWT-2180")
    );
    let seen = (0..3).find_map(|now| gate.see(2, now, "ABC1234", 0.9));
    assert_eq!(seen.expect("three readings").listed, None);
}

#[test]
fn a_visit_is_told_once_even_if_characters_flicker() {
    let mut gate = Gate::new(Region::Us);
    assert_eq!(gate.tell(1, 0, &["8OO123"; 5]), ["8OO123"]);
    assert!(gate.end(1).is_none());
    assert!(gate.tell(2, 20, &["B00123"; 5]).is_empty());
    // Seen until 24, with the second spelling.
    assert!(gate.tell(3, 50, &["8OO123"; 5]).is_empty());
    assert_eq!(gate.tell(4, 52, &["XYZ987"; 5]), ["XYZ987"]);
    assert_eq!(gate.tell(5, 90, &["8OO123"; 5]), ["8OO123"]);
}

#[test]
fn a_car_that_stays_is_still_here() {
    let mut gate = Gate::new(Region::Us);
    assert_eq!(gate.tell(1, 0, &["ABC123"; 3]), ["ABC123"]);
    for now in 3..100 {
        assert!(gate.see(1, now, "", 0.0).is_none());
    }
    gate.plates.still(1, at(125));
    // Read from 154 on, and sure after 156.
    assert!(
        gate.tell(2, 150, &["", "", "", "", "ABC123", "ABC123", "ABC123"])
            .is_empty()
    );
    assert_eq!(gate.tell(3, 190, &["ABC123"; 3]), ["ABC123"]);
}

#[test]
fn a_better_text_takes_the_place_of_the_first_one() {
    let mut gate = Gate::new(Region::Us);
    let first = (0..3)
        .find_map(|now| gate.see(1, now, "ABC12X", 0.4))
        .expect("three");
    assert!(!first.improves);
    let better = (3..20)
        .find_map(|now| gate.see(1, now, "ABC1234", 0.9))
        .expect("it is surer");
    assert_eq!(
        (better.text.clean.as_str(), better.improves),
        ("ABC1234", true)
    );
    assert!(better.confidence > first.confidence);
    // The worse one does not come back, and the end has nothing new.
    assert!((20..40).all(|now| gate.see(1, now, "ABC12X", 0.3).is_none()));
    assert!(gate.end(1).is_none());
}

#[test]
fn a_slightly_better_text_waits_for_the_end() {
    let mut gate = Gate::new(Region::Br);
    assert!((0..3).any(|now| gate.see(1, now, "GWT2189", 0.80).is_some()));
    assert!((3..20).all(|now| gate.see(1, now, "GWT2180", 0.85).is_none()));
    let better = gate.end(1).expect("it is surer");
    assert_eq!(
        (better.text.clean.as_str(), better.improves),
        ("GWT2180", true)
    );
    assert_eq!(
        better.listed.map(|listed| listed.list),
        Some(ListKind::Deny)
    );
    assert!(gate.end(1).is_none());
}

#[test]
fn another_car_in_the_same_track_is_another_plate() {
    let mut gate = Gate::new(Region::Us);
    assert_eq!(gate.tell(1, 0, &["ABC1234"; 9]), ["ABC1234"]);
    let seen: Vec<PlateSeen> = (9..30)
        .filter_map(|now| gate.see(1, now, "XKJ9078", 0.8))
        .collect();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].text.clean.as_str(), seen[0].improves),
        ("XKJ9078", false)
    );
    // The first one, again in a track that begins with it.
    assert!(gate.tell(2, 20, &["ABC1234"; 3]).is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (threshold, same, name) in [
        (1.1, 0.5, "ocr_agreement_threshold"),
        (f32::NAN, 0.5, "ocr_agreement_threshold"),
        (0.6, f32::NAN, "same_plate"),
        (0.6, -1.0, "same_plate"),
    ] {
        let settings = PlateSettings {
            ocr_agreement_threshold: threshold,
            same_plate: same,
            ..PlateSettings::default()
        };
        let error = PlateConfirmer::new(settings).expect_err(name);
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

proptest! {
    #[test]
    fn no_plate_is_told_twice_within_the_cooldown(
        looks in prop::collection::vec((0_u64..3, 0_u64..8, 0_usize..6, 0.1_f32..1.0, any::<bool>()), 0..150)
    ) {
        let texts = ["", "8OO123", "B00123", "8O0I23", "XYZ987", "KLM4567"];
        let mut gate = Gate::new(Region::Us);
        let (mut now, mut offset) = (0, 0);
        let mut told: Vec<(String, u64)> = Vec::new();
        let mut of_track: Vec<u64> = Vec::new();
        for (track, pause, text, confidence, ends) in looks {
            now += pause;
            let seen = if ends && pause == 0 {
                offset += 3;
                gate.end(offset - 3 + track)
            } else {
                gate.see(offset + track, now, texts[text], confidence)
            };
            let Some(seen) = seen else { continue };
            prop_assert!(seen.text.fits && seen.agreement > 0.59);
            if seen.improves {
                prop_assert!(of_track.contains(&seen.track), "there is something to improve");
                continue;
            }
            of_track.push(seen.track);
            for (before, when) in &told {
                let same = distance(before, &seen.text.clean) <= SAME_PLATE;
                prop_assert!(!same || now - when >= 30, "{} {}", before, seen.text.clean);
            }
            told.push((seen.text.clean, now));
        }
    }
}
