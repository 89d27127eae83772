//! How many plates of labelled photographs are found and read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepwatch_recognition::plate::localize::{Candidate, Localizer, LocalizerSettings};
use keepwatch_recognition::plate::ocr::{PlateReader, TesseractReader, TesseractSettings};
use keepwatch_recognition::plate::scan::{ScanSettings, Scanner};
use keepwatch_recognition::{Box2, photo};

/// A plate is found if this share of both boxes is in both.
pub const FOUND: f32 = 0.4;

/// A labelled photograph.
pub struct Labelled {
    /// Its name in the folder.
    pub file: String,
    /// `eu`, `us` or `br`.
    pub region: String,
    /// Where the plate is.
    pub plate: Box2,
    /// What stands on it.
    pub text: String,
}

/// The labelled photographs of a folder with a `groundtruth.csv`.
pub fn labelled(folder: &Path) -> Vec<Labelled> {
    let path = folder.join("groundtruth.csv");
    let table = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("no labels at {}: {error}", path.display()));
    let rows = table.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [file, region, x, y, w, h, text] = fields[..] else {
            panic!("{}: not seven fields: {line}", path.display());
        };
        let number = |field: &str| field.parse().expect("a number of pixels");
        Labelled {
            file: file.to_owned(),
            region: region.to_owned(),
            plate: Box2 {
                x: number(x),
                y: number(y),
                w: number(w),
                h: number(h),
            },
            text: text.to_owned(),
        }
    });
    rows.collect()
}

/// Many plates have one shape for the letter and the digit.
pub fn fold(text: &str) -> String {
    text.replace('O', "0").replace('I', "1")
}

/// How well a text fits a region. It stands in for the regional patterns, to tell plates from other
/// writing; it changes no character.
pub fn plausible(region: &str, text: &str) -> f32 {
    let places = text.len();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if region == "br" {
        // Three letters and four digits, or what looks like them.
        let fits = text.chars().enumerate().filter(|(place, c)| {
            let (letter, digit) = match c {
                'O' | 'I' | 'S' | 'B' | 'Z' | 'G' | 'Q' | 'D' => (true, true),
                '0' | '1' | '5' | '8' | '2' | '6' => (true, true),
                c => (c.is_ascii_alphabetic(), c.is_ascii_digit()),
            };
            if *place < 3 { letter } else { digit }
        });
        return match fits.count() {
            7 if places == 7 => 1.0,
            5.. if (6..=8).contains(&places) => 0.6,
            _ => 0.2,
        };
    }
    let length = match places {
        5..=7 => 1.0,
        8 => 0.9,
        4 | 9 => 0.5,
        _ => 0.2,
    };
    // Dates and advertisements.
    let mixed = match digits {
        0 => 0.6,
        _ if digits == places => 0.75,
        _ => 1.0,
    };
    length * mixed
}

/// What is counted, for a region.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Photographs.
    pub all: usize,
    /// With the plate among the candidates.
    pub found: usize,
    /// With the plate as the first candidate.
    pub first: usize,
    /// All candidates.
    pub candidates: usize,
    /// Read right on the labelled box, to the letter.
    pub box_strict: usize,
    /// Read right on the labelled box, with O as 0 and I as 1.
    pub box_folded: usize,
    /// Found, and read right as the likeliest plate of the picture, to the letter.
    pub end_strict: usize,
    /// Found, and read right as the likeliest plate of the picture, with O as 0 and I as 1.
    pub end_folded: usize,
}

/// The result.
#[derive(Default)]
pub struct Accuracy {
    /// By region.
    pub regions: BTreeMap<String, Counts>,
    /// What was not found or not read: a line each.
    pub failures: Vec<String>,
    /// How long finding and reading took, for each photograph.
    pub times: Vec<Duration>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// Finding and reading.
    #[default]
    All,
    /// Reading, on the labelled boxes.
    Boxes,
}

/// Finds and reads the plates of a folder.
pub fn measure(folder: &Path, what: What) -> Accuracy {
    let reader = || TesseractReader::new(&TesseractSettings::default()).expect("Tesseract starts");
    let localizer = || Localizer::new(LocalizerSettings::default()).expect("the defaults are good");
    let mut box_reader = reader();
    let mut finder = localizer();
    let mut scanner = Scanner::new(localizer(), reader(), ScanSettings::default());
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut accuracy = Accuracy::default();
    for Labelled {
        file,
        region,
        plate,
        text,
    } in labelled(folder)
    {
        let path: PathBuf = folder.join(&file);
        let picture = photo::read(&path).expect("the photograph can be read");
        let counts = accuracy.regions.entry(region.clone()).or_default();
        counts.all += 1;
        let mut failure = String::new();
        if what == What::Boxes {
            let start = Instant::now();
            let reading = box_reader
                .read(picture.view(), &plate.quad())
                .expect("Tesseract reads");
            accuracy.times.push(start.elapsed());
            counts.box_strict += usize::from(reading.text == text);
            let right = fold(&reading.text) == fold(&text);
            counts.box_folded += usize::from(right);
            if !right {
                failure = format!("read {:?} ({:.2})", reading.text, reading.confidence);
            }
        } else {
            let start = Instant::now();
            let plates = scanner
                .scan(picture.view(), |text| plausible(&region, text))
                .expect("Tesseract reads");
            accuracy.times.push(start.elapsed());
            finder.find(picture.view(), &mut candidates);
            counts.candidates += candidates.len();
            let hit = |candidate: &Candidate| candidate.quad.bounds().iou(&plate) > FOUND;
            let rank = candidates.iter().position(hit);
            counts.found += usize::from(rank.is_some());
            counts.first += usize::from(rank == Some(0));
            let best = plates.first();
            let read = best.map_or("", |best| best.reading.text.as_str());
            counts.end_strict += usize::from(read == text);
            let right = fold(read) == fold(&text);
            counts.end_folded += usize::from(right);
            if !right {
                let place = match rank {
                    None => "not found".to_owned(),
                    Some(rank) => format!("candidate {}", rank + 1),
                };
                let at_it = best.is_some_and(|best| hit(&best.candidate));
                let elsewhere = if at_it || best.is_none() {
                    ""
                } else {
                    " elsewhere"
                };
                failure = format!(
                    "{place}, read {read:?} ({:.2}){elsewhere}",
                    best.map_or(0.0, |best| best.value)
                );
            }
        }
        if !failure.is_empty() {
            accuracy.failures.push(format!("{file}: {text}, {failure}"));
        }
    }
    accuracy
}
