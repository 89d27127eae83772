//! Plates of real photographs, found and read as well as before.
//!
//! They need the photographs of KEEPWATCH_TESTDATA and Tesseract's English.
#![cfg(feature = "tesseract")]

#[path = "../examples/plate_accuracy/measure.rs"]
mod measure;

use std::path::PathBuf;

use measure::{Counts, What};

fn photographs() -> PathBuf {
    let testdata = std::env::var_os("KEEPWATCH_TESTDATA")
        .expect("KEEPWATCH_TESTDATA says where the test data are: this test needs plates/dev");
    PathBuf::from(testdata).join("plates/dev")
}

/// At least so many percent of all.
fn at_least(name: &str, part: usize, all: usize, percent: usize) {
    assert!(
        part * 100 >= percent * all,
        "{name}: {part} of {all} are less than {percent} %"
    );
}

#[test]
fn plates_are_found_and_read() {
    let accuracy = measure::measure(&photographs(), What::All);
    let all: usize = accuracy.regions.values().map(|counts| counts.all).sum();
    assert_eq!(all, 185);
    // Found, found as the first, and read right with O as 0 and I as 1, in percent.
    for (region, found, first, folded) in
        [("br", 95, 80, 80), ("eu", 96, 85, 76), ("us", 92, 75, 36)]
    {
        let counts: &Counts = &accuracy.regions[region];
        at_least(&format!("{region} found"), counts.found, counts.all, found);
        at_least(&format!("{region} first"), counts.first, counts.all, first);
        at_least(
            &format!("{region} read"),
            counts.end_folded,
            counts.all,
            folded,
        );
    }
}

#[test]
fn labelled_boxes_are_read() {
    let accuracy = measure::measure(&photographs(), What::Boxes);
    for (region, folded) in [("br", 80), ("eu", 80), ("us", 40)] {
        let counts: &Counts = &accuracy.regions[region];
        at_least(region, counts.box_folded, counts.all, folded);
    }
}
