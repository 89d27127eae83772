//! How many plates of labelled photographs are found and read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepwatch_recognition::infer::Engine;
use keepwatch_recognition::plate::grammar::Grammar;
use keepwatch_recognition::plate::localize::{Candidate, Localizer, LocalizerSettings};
use keepwatch_recognition::plate::network::{NetworkFinder, NetworkReader};
use keepwatch_recognition::plate::ocr::{PlateReader, TesseractReader, TesseractSettings};
use keepwatch_recognition::plate::scan::{PlateFinder, ScanSettings, Scanner};
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

/// What finds and reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// The networks that are part of the program.
    #[default]
    Networks,
    /// What plates look like, and Tesseract.
    Classical,
}

impl Chain {
    fn finder(self, engine: &Engine) -> Box<dyn PlateFinder> {
        match self {
            Self::Networks => Box::new(NetworkFinder::new(engine).expect("it is a network")),
            Self::Classical => {
                let localizer = Localizer::new(LocalizerSettings::default());
                Box::new(localizer.expect("the defaults are good"))
            }
        }
    }

    fn reader(self, engine: &Engine) -> Box<dyn PlateReader> {
        match self {
            Self::Networks => Box::new(NetworkReader::new(engine).expect("it is a network")),
            Self::Classical => {
                let reader = TesseractReader::new(&TesseractSettings::default());
                Box::new(reader.expect("Tesseract starts"))
            }
        }
    }
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
pub fn measure(folder: &Path, chain: Chain, engine: &Engine, what: What) -> Accuracy {
    let mut box_reader = chain.reader(engine);
    let mut finder = chain.finder(engine);
    let settings = ScanSettings::default();
    let mut scanner = Scanner::new(chain.finder(engine), chain.reader(engine), settings);
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
                .expect("it reads");
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
                .scan(
                    picture.view(),
                    &Grammar::parse::<&str>(&region, &[]).expect("a region"),
                )
                .expect("it reads");
            accuracy.times.push(start.elapsed());
            let found = finder.find(picture.view(), &mut candidates);
            found.expect("it finds");
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
