//! Plates of real photographs, found and read as well as before. They need Tesseract's English.

#[path = "../../examples/plate_accuracy/measure.rs"]
mod measure;

use std::path::{Path, PathBuf};

use keepwatch_recognition::infer::Backend;
use keepwatch_recognition::plate::ocr::{
    DATAPATHS, PageMode, PlateReader, Reading, TesseractReader, TesseractSettings,
};
use keepwatch_recognition::plate::preprocess::{
    AdaptiveThreshold, Bilateral, Clahe, PreprocessSettings,
};
use keepwatch_recognition::{Box2, Quad, photo};
use measure::{Chain, Counts, What};

use crate::common::{engine, testdata};

fn photographs() -> PathBuf {
    testdata().join("plates/dev")
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
    let accuracy = measure::measure(
        &photographs(),
        Chain::Classical,
        &engine(Backend::Tract),
        What::All,
    );
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
fn networks_find_and_read_most_plates() {
    let engine = engine(Backend::OnnxRuntime);
    let accuracy = measure::measure(&photographs(), Chain::Networks, &engine, What::All);
    for (region, found, folded) in [("br", 100, 90), ("eu", 100, 98), ("us", 96, 78)] {
        let counts: &Counts = &accuracy.regions[region];
        at_least(&format!("{region} found"), counts.found, counts.all, found);
        let read = format!("{region} read");
        at_least(&read, counts.end_folded, counts.all, folded);
    }
}

#[test]
fn labelled_boxes_are_read() {
    let accuracy = measure::measure(
        &photographs(),
        Chain::Classical,
        &engine(Backend::Tract),
        What::Boxes,
    );
    for (region, folded) in [("br", 80), ("eu", 80), ("us", 40)] {
        let counts: &Counts = &accuracy.regions[region];
        at_least(region, counts.box_folded, counts.all, folded);
    }
}

/// A clear one: its file, its labelled box, its text.
fn clear() -> (&'static str, Quad, &'static str) {
    let plate = Box2 {
        x: 419.0,
        y: 308.0,
        w: 368.0,
        h: 119.0,
    };
    ("br/PJB2414.jpg", plate.quad(), "PJB2414")
}

fn read(settings: &TesseractSettings) -> Reading {
    let (file, quad, _) = clear();
    let picture = photo::read(&photographs().join(file)).expect("the photograph can be read");
    let mut reader = TesseractReader::new(settings).expect("Tesseract starts");
    let first = reader.read(picture.view(), &quad).expect("it reads");
    // An engine that was used reads the same.
    assert_eq!(reader.read(picture.view(), &quad).expect("it reads"), first);
    first
}

#[test]
fn a_reading_has_its_characters_with_alternatives() {
    let reading = read(&TesseractSettings::default());
    assert_eq!(reading.text, clear().2);
    assert!((0.8..=1.0).contains(&reading.confidence));
    assert_eq!(reading.characters.len(), reading.text.len());
    for (place, character) in reading.characters.iter().zip(reading.text.chars()) {
        assert_eq!(place[0].0, character);
        assert!(place.is_sorted_by(|a, b| a.1 >= b.1));
    }
    assert!(reading.characters.iter().any(|place| place.len() > 1));
}

#[test]
fn filters_leave_a_clear_plate_readable() {
    let plain = PreprocessSettings {
        isolate: false,
        ..PreprocessSettings::default()
    };
    for preprocess in [
        plain,
        PreprocessSettings {
            bilateral: Some(Bilateral::default()),
            ..plain
        },
        PreprocessSettings {
            clahe: Some(Clahe::default()),
            ..PreprocessSettings::default()
        },
        PreprocessSettings {
            adaptive_threshold: Some(AdaptiveThreshold {
                block_size: 41,
                c: 10.0,
            }),
            ..PreprocessSettings::default()
        },
    ] {
        let reading = read(&TesseractSettings {
            preprocess,
            ..TesseractSettings::default()
        });
        assert_eq!(measure::fold(&reading.text), clear().2, "{preprocess:?}");
    }
}

#[test]
fn only_listed_characters_are_given() {
    let digits = read(&TesseractSettings {
        whitelist: "0123456789".to_owned(),
        page_mode: PageMode::RawLine,
        ..TesseractSettings::default()
    });
    assert!(digits.text.ends_with("2414"), "{digits:?}");
    assert!(
        digits.text.bytes().all(|b| b.is_ascii_digit()),
        "{digits:?}"
    );
}

#[test]
fn several_languages_are_read_together() {
    let installed = DATAPATHS
        .iter()
        .map(|directory| Path::new(directory).join("eng.traineddata"))
        .find(|path| path.is_file())
        .expect("Tesseract's English is installed");
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["one.traineddata", "two.traineddata"] {
        std::fs::copy(&installed, directory.path().join(name)).expect("it is copied");
    }
    let reading = read(&TesseractSettings {
        language: "one+two".to_owned(),
        datapath: Some(directory.path().to_owned()),
        page_mode: PageMode::Word,
        ..TesseractSettings::default()
    });
    assert_eq!(measure::fold(&reading.text), clear().2);
}

#[test]
fn where_nothing_is_nothing_is_read() {
    let (file, ..) = clear();
    let picture = photo::read(&photographs().join(file)).expect("the photograph can be read");
    let mut reader = TesseractReader::new(&TesseractSettings::default()).expect("Tesseract starts");
    let none = Box2 {
        x: f32::NAN,
        ..Box2::default()
    };
    for quad in [Quad::default(), none.quad()] {
        let reading = reader.read(picture.view(), &quad).expect("it reads");
        assert_eq!(reading, Reading::default());
    }
}
