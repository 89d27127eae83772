//! How plates are recognised.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Models;
use crate::error::{Error, Result};
use crate::infer::Engine;
use crate::models::DetectorSettings;
use crate::plate::grammar::Grammar;
use crate::plate::list::ListFiles;
use crate::plate::localize::{Localizer, LocalizerSettings};
use crate::plate::lookalike::SAME_PLATE;
use crate::plate::network::{NetworkFinder, NetworkReader};
use crate::plate::ocr::{PlateReader, TesseractSettings};
use crate::plate::scan::{DetectedPlates, PlateFinder, ScanSettings, Scanner};
use crate::plate::text::Substitutions;

/// What finds and reads plates, as the settings say.
pub type PlateScanner = Scanner<Box<dyn PlateFinder>, Box<dyn PlateReader>>;

/// What finds plates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinderKind {
    /// The model that is set as `plate_detector`, or else the network that is part of the program.
    #[default]
    Network,
    /// What plates look like, without a network.
    Classical,
}

/// What reads plates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReaderKind {
    /// The network that is part of the program.
    #[default]
    Network,
    /// Tesseract.
    Tesseract,
}

/// How plates are recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlateSettings {
    /// Where plates are from: `eu`, `us`, `br`, `de`, or `custom` with patterns.
    pub region: String,
    /// What plates look like, for `custom`: regular expressions for all of the cleaned text.
    pub patterns: Vec<String>,
    /// A file with plates that are welcome.
    pub allow_list: Option<PathBuf>,
    /// A file with plates that are not.
    pub deny_list: Option<PathBuf>,
    /// How far a reading may be from a plate of the allow list: characters that are taken for each
    /// other count less than 1, others 1.
    pub allow_distance: f32,
    /// The same of the deny list.
    pub deny_distance: f32,
    /// What finds them.
    pub finder: FinderKind,
    /// What reads them.
    pub reader: ReaderKind,
    /// Readings that are less sure are left out, 0 to 1.
    pub min_confidence: f32,
    /// Characters that are put in place of others in what is read, before the patterns say what it
    /// means: capitals and digits.
    pub substitutions: BTreeMap<char, char>,
    /// How Tesseract reads, where it is the reader.
    pub tesseract: Option<TesseractSettings>,
}

impl Default for PlateSettings {
    fn default() -> Self {
        Self {
            region: "eu".to_owned(),
            patterns: Vec::new(),
            allow_list: None,
            deny_list: None,
            allow_distance: SAME_PLATE,
            deny_distance: SAME_PLATE,
            finder: FinderKind::default(),
            reader: ReaderKind::default(),
            min_confidence: ScanSettings::default().least,
            substitutions: BTreeMap::new(),
            tesseract: None,
        }
    }
}

impl PlateSettings {
    /// Refuses what cannot work, without reading a file.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        self.grammar()?;
        for (name, value, most) in [
            ("allow_distance", self.allow_distance, 8.0),
            ("deny_distance", self.deny_distance, 8.0),
            ("min_confidence", self.min_confidence, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::Setting {
                    name,
                    problem: format!("it is from 0 to {most}"),
                });
            }
        }
        self.substitutions()?;
        match &self.tesseract {
            Some(_) if self.reader != ReaderKind::Tesseract => Err(Error::Setting {
                name: "tesseract",
                problem: "it says how Tesseract reads, and Tesseract is not the reader: set \
                          reader = \"tesseract\", or leave it out"
                    .to_owned(),
            }),
            Some(tesseract) => tesseract.check(),
            None => Ok(()),
        }
    }

    fn substitutions(&self) -> Result<Substitutions> {
        Substitutions::new(self.substitutions.iter().map(|(&from, &to)| (from, to)))
    }

    /// What plates look like.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn grammar(&self) -> Result<Grammar> {
        Grammar::parse(&self.region, &self.patterns)
    }

    /// Reads the lists.
    ///
    /// # Errors
    /// When one cannot be read, or is none.
    pub fn lists(&self) -> Result<ListFiles> {
        let lists = ListFiles::open(self.allow_list.as_deref(), self.deny_list.as_deref())?;
        Ok(lists.with_distances(self.allow_distance, self.deny_distance))
    }

    /// Makes ready what finds and reads plates.
    ///
    /// # Errors
    /// [`Error::Model`] for a model that does not fit, [`Error::Backend`] where Tesseract is not to be
    /// had.
    pub fn scanner(&self, models: &Models, engine: &Engine) -> Result<PlateScanner> {
        self.validate()?;
        let finder: Box<dyn PlateFinder> = match (self.finder, &models.plate_detector) {
            (FinderKind::Classical, _) => Box::new(Localizer::new(LocalizerSettings::default())?),
            (FinderKind::Network, Some(file)) => {
                let model = file.load(engine)?;
                let detector = model.detector(&DetectorSettings::default())?;
                Box::new(DetectedPlates::new(detector))
            }
            (FinderKind::Network, None) => Box::new(NetworkFinder::new(engine)?),
        };
        let reader: Box<dyn PlateReader> = match self.reader {
            ReaderKind::Network => Box::new(NetworkReader::new(engine)?),
            ReaderKind::Tesseract => tesseract(&self.tesseract.clone().unwrap_or_default())?,
        };
        let settings = ScanSettings {
            least: self.min_confidence,
            ..ScanSettings::default()
        };
        Ok(Scanner::new(finder, reader, settings).with_substitutions(self.substitutions()?))
    }
}

#[cfg(feature = "tesseract")]
fn tesseract(settings: &TesseractSettings) -> Result<Box<dyn PlateReader>> {
    use crate::plate::ocr::TesseractReader;
    Ok(Box::new(TesseractReader::new(settings)?))
}

#[cfg(not(feature = "tesseract"))]
fn tesseract(_: &TesseractSettings) -> Result<Box<dyn PlateReader>> {
    Err(Error::Backend {
        backend: "tesseract",
        problem: "this program was built without it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plate::preprocess::PreprocessSettings;

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        PlateSettings::default()
            .validate()
            .expect("the defaults work");
        type Change = fn(&mut PlateSettings);
        for (name, change) in [
            ("region", (|s| s.region = "xx".to_owned()) as Change),
            ("patterns", |s| s.patterns = vec!["A".to_owned()]),
            ("allow_distance", |s| s.allow_distance = f32::NAN),
            ("min_confidence", |s| s.min_confidence = 55.0),
            ("substitutions", |s| {
                s.substitutions = BTreeMap::from([('o', '0')]);
            }),
            // Nothing is set that has no effect.
            ("tesseract", |s| {
                s.tesseract = Some(TesseractSettings::default());
            }),
            ("language", |s| {
                s.reader = ReaderKind::Tesseract;
                s.tesseract = Some(TesseractSettings {
                    language: "../eng".to_owned(),
                    ..TesseractSettings::default()
                });
            }),
            ("min_height", |s| {
                s.reader = ReaderKind::Tesseract;
                s.tesseract = Some(TesseractSettings {
                    preprocess: PreprocessSettings {
                        min_height: 0,
                        ..PreprocessSettings::default()
                    },
                    ..TesseractSettings::default()
                });
            }),
        ] {
            let mut settings = PlateSettings::default();
            change(&mut settings);
            let error = settings.validate().expect_err(name).to_string();
            assert!(error.starts_with(name), "{name}: {error}");
        }
    }
}
