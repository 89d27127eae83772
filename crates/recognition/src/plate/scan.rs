//! Plates of a whole picture: found, then read.

use super::localize::{Candidate, Localizer};
use super::ocr::{PlateReader, Reading};
use crate::error::Result;
use crate::picture::View;

/// A plate that was found and read.
#[derive(Clone, Debug, PartialEq)]
pub struct Plate {
    /// Where it is.
    pub candidate: Candidate,
    /// What stands on it.
    pub reading: Reading,
    /// How likely it is to be a plate and read right, from 0 to 1.
    pub value: f32,
}

/// How long is looked for plates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanSettings {
    /// The most candidates that are read, the likeliest first.
    pub most_readings: usize,
    /// After a reading of this value, less likely candidates are not read any more. Above 1, all
    /// are.
    pub enough: f32,
    /// Readings of less value are left out.
    pub least: f32,
}

impl Default for ScanSettings {
    fn default() -> Self {
        Self {
            most_readings: 4,
            enough: 0.8,
            least: 0.2,
        }
    }
}

/// Finds plates by their shape and has them read.
pub struct Scanner<R> {
    localizer: Localizer,
    reader: R,
    settings: ScanSettings,
    candidates: Vec<Candidate>,
}

impl<R: PlateReader> Scanner<R> {
    /// One that has `reader` read what `localizer` finds.
    pub fn new(localizer: Localizer, reader: R, settings: ScanSettings) -> Self {
        Self {
            localizer,
            reader,
            settings,
            candidates: Vec::new(),
        }
    }

    /// The plates of a picture, the likeliest first.
    ///
    /// `plausible` says how well a text fits the plates that are expected, from 0 to 1: what is
    /// read off bumpers and shop signs seldom does.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn scan(
        &mut self,
        picture: View<'_>,
        plausible: impl Fn(&str) -> f32,
    ) -> Result<Vec<Plate>> {
        self.localizer.find(picture, &mut self.candidates);
        let mut plates: Vec<Plate> = Vec::new();
        let mut enough = false;
        for candidate in self.candidates.iter().take(self.settings.most_readings) {
            if enough {
                break;
            }
            let reading = self.reader.read(picture, &candidate.quad)?;
            let value =
                plausible(&reading.text) * reading.confidence * (0.8 + 0.2 * candidate.score);
            enough = value >= self.settings.enough;
            if value >= self.settings.least {
                plates.push(Plate {
                    candidate: *candidate,
                    reading,
                    value,
                });
            }
        }
        plates.sort_by(|a, b| b.value.total_cmp(&a.value));
        Ok(plates)
    }
}
