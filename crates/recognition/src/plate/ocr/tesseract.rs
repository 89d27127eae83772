//! Tesseract, in this process.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

use keepwatch_tesseract::Engine;

use super::{PageMode, PlateReader, Reading, TesseractSettings};
use super::{hocr, traineddata};
use crate::error::{Error, Result};
use crate::geometry::{Box2, Quad};
use crate::picture::{Picture, View};
use crate::plate::isolate::{By, Isolator, Shape};
use crate::plate::preprocess::{Preprocessor, invert};
use crate::plate::rectify::Rectifier;
use crate::plate::text::clean;

/// Where Debian, others and Homebrew put language files: the first that has them is taken.
pub const DATAPATHS: [&str; 6] = [
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/usr/share/tesseract/tessdata",
    "/opt/homebrew/share/tessdata",
];
/// How characters are shown, one after the other.
const SHAPES: [Shape; 2] = [
    Shape {
        height: 40.0,
        width: 0.55,
    },
    Shape {
        height: 26.0,
        width: 0.6,
    },
];
/// The value of a reading after which no other is tried.
const GOOD: f32 = 0.93;
/// The value of a reading after which the same characters are not tried in another shape.
const HOPELESS: f32 = 0.35;
/// How high plates may be that are read with all that is on them, in pixels.
const MAX_HEIGHT: usize = 400;
/// Larger than the largest that is published, by half.
const MAX_LANGUAGE_FILE: u64 = 64 << 20;

/// Reads plates with Tesseract's network for lines of text (its engine mode 1).
///
/// The engine takes some tens of milliseconds to start and is then used for all plates: keep one per thread.
pub struct TesseractReader {
    engine: Engine,
    preprocessor: Preprocessor,
    isolator: Isolator,
    rectifier: Rectifier,
    prepared: Picture,
}

impl TesseractReader {
    /// Starts an engine.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting cannot be, or Tesseract or the language is not installed; [`Error::Read`]
    /// when its file cannot be read.
    pub fn new(settings: &TesseractSettings) -> Result<Self> {
        settings.check()?;
        let language = &settings.language;
        let languages: Vec<&str> = language.split('+').collect();
        let directory = find_languages(&languages, settings.datapath.as_deref())?;
        let mut engine = Engine::new().map_err(|error| missing(&error))?;
        // Tesseract writes to the standard error of the program otherwise.
        set(&mut engine, c"debug_file", c"/dev/null")?;
        let name = c_string("language", language)?;
        let started = if let [_] = languages[..] {
            let path = language_file(&directory, language);
            let mut file = read_language(&path)?;
            if !traineddata::forget_words(&mut file) {
                return Err(not_a_language(&path));
            }
            engine.load(&file, &name)
        } else {
            let path = c_string("datapath", &directory.to_string_lossy())?;
            engine.load_from(&path, &name)
        };
        if started.is_err() {
            return Err(not_a_language(&language_file(&directory, languages[0])));
        }
        engine.set_page_mode(match settings.page_mode {
            PageMode::Line => keepwatch_tesseract::PageMode::Line,
            PageMode::Word => keepwatch_tesseract::PageMode::Word,
            PageMode::RawLine => keepwatch_tesseract::PageMode::RawLine,
        });
        let whitelist = c_string("whitelist", &settings.whitelist)?;
        set(&mut engine, c"tessedit_char_whitelist", &whitelist)?;
        // The characters are dark when they get here; it need not try them both ways.
        set(&mut engine, c"tessedit_do_invert", c"0")?;
        // Each character with its confidence, and others that it may be.
        set(&mut engine, c"hocr_char_boxes", c"1")?;
        set(&mut engine, c"lstm_choice_mode", c"2")?;
        Ok(Self {
            engine,
            preprocessor: Preprocessor::new(settings.preprocess)?,
            isolator: Isolator::default(),
            rectifier: Rectifier::default(),
            prepared: Picture::default(),
        })
    }

    /// The version of Tesseract's library, such as `5.3.0`.
    ///
    /// # Errors
    /// [`Error::Setting`] when there is none.
    pub fn version() -> Result<&'static str> {
        keepwatch_tesseract::version().map_err(|error| missing(&error))
    }

    /// Tries several ways to find the characters and to show them to Tesseract, until one gives a
    /// good reading.
    fn read_isolated(&mut self, picture: View<'_>, quad: &Quad) -> Result<Reading> {
        let mut best = Reading::default();
        for by in [By::Components, By::Band] {
            let found = self
                .isolator
                .isolate(picture, quad, by, &mut self.preprocessor);
            if found.is_none() {
                continue;
            }
            for shape in SHAPES {
                self.isolator.draw(shape, &mut self.prepared);
                let reading = self.recognize()?;
                let value_of_it = value(&reading);
                if value_of_it > value(&best) {
                    best = reading;
                }
                if value(&best) >= GOOD {
                    return Ok(best);
                }
                if value_of_it < HOPELESS {
                    break;
                }
            }
        }
        Ok(best)
    }

    /// Reads the plate with all that is on it.
    fn read_whole(&mut self, picture: View<'_>, quad: &Quad) -> Result<Reading> {
        let settings = *self.preprocessor.settings();
        let Box2 { w, h, .. } = quad.bounds();
        let with_margin = |side: f32| (side + 2.0 * settings.crop_margin_px) / side;
        let around = quad.grown(with_margin(w), with_margin(h));
        let height = (around.bounds().h.round() as usize).clamp(settings.min_height, MAX_HEIGHT);
        let cut = self
            .rectifier
            .cut(picture, &around, height, &mut self.prepared);
        if cut.is_none() {
            return Ok(Reading::default());
        }
        self.preprocessor.filter(&mut self.prepared);
        if settings.invert {
            invert(&mut self.prepared);
        }
        self.recognize()
    }

    /// What stands in a grey picture.
    fn recognize(&mut self) -> Result<Reading> {
        let (width, height) = (self.prepared.width(), self.prepared.height());
        let read = self.engine.read(self.prepared.data(), width, height);
        let answer = read.map_err(|error| Error::Inference {
            problem: format!("Tesseract: {error}"),
        })?;
        let mut characters = hocr::characters(&answer);
        characters.iter_mut().for_each(keep_characters);
        Ok(Reading::new(characters))
    }
}

impl PlateReader for TesseractReader {
    fn read(&mut self, picture: View<'_>, quad: &Quad) -> Result<Reading> {
        if self.preprocessor.settings().isolate {
            let isolated = self.read_isolated(picture, quad)?;
            if !isolated.text.is_empty() {
                return Ok(isolated);
            }
        }
        self.read_whole(picture, quad)
    }
}

/// Leaves of what may stand at a place what can be part of a cleaned plate; nothing if the likeliest
/// is a dash or the like, which nobody looks for on a plate.
fn keep_characters(place: &mut Vec<(char, f32)>) {
    let cleaned = |c: char| {
        let mut encoded = [0; 4];
        let cleaned = clean(c.encode_utf8(&mut encoded));
        let mut characters = cleaned.chars();
        characters.next().filter(|_| characters.next().is_none())
    };
    if place.first().is_none_or(|(c, _)| cleaned(*c).is_none()) {
        place.clear();
        return;
    }
    let mut kept: Vec<(char, f32)> = Vec::with_capacity(place.len());
    for (c, confidence) in place.drain(..) {
        // The likelier of two that are one when they are cleaned comes first.
        if let Some(c) = cleaned(c)
            && !kept.iter().any(|(known, _)| *known == c)
        {
            kept.push((c, confidence));
        }
    }
    *place = kept;
}

/// How likely a reading is to be right, to choose among those of one plate. Plates have about seven
/// characters: fewer were lost, more were seen in dirt.
fn value(reading: &Reading) -> f32 {
    let places = reading.characters.len() as f32;
    reading.confidence * (places / 6.0).min(1.0) * (8.0 / places.max(1.0)).min(1.0)
}

fn set(engine: &mut Engine, name: &CStr, value: &CStr) -> Result<()> {
    engine.set(name, value).map_err(|error| Error::Setting {
        name: "tesseract",
        problem: error.to_string(),
    })
}

fn missing(error: &keepwatch_tesseract::Error) -> Error {
    Error::Setting {
        name: "reader",
        problem: format!("{error}. Debian has it in the package libtesseract5"),
    }
}

fn c_string(name: &'static str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Setting {
        name,
        problem: "there is a zero byte in it".to_owned(),
    })
}

fn language_file(directory: &Path, language: &str) -> PathBuf {
    directory.join(format!("{language}.traineddata"))
}

/// The first directory that has them all.
fn find_languages(languages: &[&str], datapath: Option<&Path>) -> Result<PathBuf> {
    let directories: Vec<PathBuf> = match datapath {
        Some(path) => vec![path.to_owned()],
        None => DATAPATHS.iter().map(PathBuf::from).collect(),
    };
    let has = |directory: &PathBuf, language: &str| language_file(directory, language).is_file();
    let all = |directory: &&PathBuf| languages.iter().all(|language| has(directory, language));
    if let Some(directory) = directories.iter().find(all) {
        return Ok(directory.clone());
    }
    let missing = languages
        .iter()
        .find(|language| !directories.iter().any(|directory| has(directory, language)));
    let looked: Vec<_> = directories
        .iter()
        .map(|d| d.display().to_string())
        .collect();
    let looked = looked.join(", ");
    Err(Error::Setting {
        name: "language",
        problem: match missing {
            Some(language) => format!(
                "there is no {language}.traineddata in {looked}; Debian has it in the package \
                 tesseract-ocr-{}",
                language.replace('_', "-")
            ),
            None => format!("no directory has all of {}: {looked}", languages.join(", ")),
        },
    })
}

fn read_language(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_LANGUAGE_FILE {
        return Err(not_a_language(path));
    }
    std::fs::read(path).map_err(failed)
}

fn not_a_language(path: &Path) -> Error {
    Error::Setting {
        name: "language",
        problem: format!(
            "Tesseract cannot use {}; install the language again",
            path.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(settings: &TesseractSettings) -> String {
        let Err(error) = TesseractReader::new(settings) else {
            panic!("it started");
        };
        error.to_string()
    }

    #[test]
    fn a_missing_language_is_told_with_where_it_was_looked_for() {
        let missing = TesseractSettings {
            language: "frk_old".to_owned(),
            ..TesseractSettings::default()
        };
        let told = error(&missing);
        for part in DATAPATHS {
            assert!(told.contains(part), "{told}");
        }
        assert!(told.contains("package tesseract-ocr-frk-old"), "{told}");
        let directory = tempfile::tempdir().expect("a directory");
        let told = error(&TesseractSettings {
            datapath: Some(directory.path().to_owned()),
            ..TesseractSettings::default()
        });
        let path = directory.path().display().to_string();
        let expected = format!("no eng.traineddata in {path};");
        assert!(told.contains(&expected), "{told}");
    }

    #[test]
    fn of_several_languages_the_missing_one_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(language_file(directory.path(), "one"), "").expect("it is written");
        let told = error(&TesseractSettings {
            language: "one+two".to_owned(),
            datapath: Some(directory.path().to_owned()),
            ..TesseractSettings::default()
        });
        assert!(told.contains("no two.traineddata"), "{told}");
    }

    #[test]
    fn settings_that_cannot_be_are_refused_first() {
        let told = error(&TesseractSettings {
            language: "../eng".to_owned(),
            ..TesseractSettings::default()
        });
        assert!(told.contains("no name of a language file"), "{told}");
    }

    #[test]
    fn what_is_read_are_capitals_and_digits() {
        for (before, after) in [
            (
                vec![('a', 0.9), ('A', 0.5), ('-', 0.4), ('4', 0.3)],
                vec![('A', 0.9), ('4', 0.3)],
            ),
            (vec![('-', 0.9), ('I', 0.5)], vec![]),
            (vec![('А', 0.9)], vec![('A', 0.9)]),
            (vec![], vec![]),
        ] {
            let mut place = before.clone();
            keep_characters(&mut place);
            assert_eq!(place, after, "{before:?}");
        }
    }

    #[test]
    fn what_is_no_language_file_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut header = Vec::from(24_u32.to_le_bytes());
        header.extend([0xff; 192]);
        for bytes in [&b"not a language"[..], &header] {
            std::fs::write(language_file(directory.path(), "eng"), bytes).expect("it is written");
            let told = error(&TesseractSettings {
                datapath: Some(directory.path().to_owned()),
                ..TesseractSettings::default()
            });
            assert!(told.contains("Tesseract cannot use"), "{told}");
        }
    }

    #[test]
    fn the_better_reading_is_the_sure_one_of_a_usual_length() {
        let reading =
            |places: usize, confidence| Reading::new(vec![vec![('A', confidence)]; places]);
        assert!(value(&reading(7, 0.9)) > value(&reading(7, 0.8)));
        assert!(value(&reading(6, 0.9)) > value(&reading(3, 0.95)));
        assert!(value(&reading(7, 0.9)) > value(&reading(12, 0.95)));
        assert_eq!(value(&Reading::default()), 0.0);
    }
}
