//! Plates of a whole picture: found, read, and understood.

use super::grammar::{Grammar, PlateText};
use super::localize::{Candidate, Localizer};
use super::ocr::{PlateReader, Reading};
use super::text::Substitutions;
use crate::detect::{Detection, Detector};
use crate::error::Result;
use crate::picture::{Picture, View};

/// Finds plates, on one thread at a time.
pub trait PlateFinder: Send {
    /// Puts what may be plates of a picture into `out`, the likeliest first.
    ///
    /// # Errors
    /// When the finder itself fails, whatever the picture.
    fn find(&mut self, picture: View<'_>, out: &mut Vec<Candidate>) -> Result<()>;
}

impl PlateFinder for Localizer {
    fn find(&mut self, picture: View<'_>, out: &mut Vec<Candidate>) -> Result<()> {
        Localizer::find(self, picture, out);
        Ok(())
    }
}

impl<F: PlateFinder + ?Sized> PlateFinder for Box<F> {
    fn find(&mut self, picture: View<'_>, out: &mut Vec<Candidate>) -> Result<()> {
        (**self).find(picture, out)
    }
}

/// Plates that a network of boxes finds, such as [`Yolo`](crate::detect::Yolo).
pub struct DetectedPlates {
    detector: Box<dyn Detector>,
    found: Vec<Vec<Detection>>,
}

impl DetectedPlates {
    /// Everything that `detector` finds is taken for a plate.
    pub fn new(detector: Box<dyn Detector>) -> Self {
        Self {
            detector,
            found: Vec::new(),
        }
    }
}

impl PlateFinder for DetectedPlates {
    fn find(&mut self, picture: View<'_>, out: &mut Vec<Candidate>) -> Result<()> {
        out.clear();
        self.detector.detect(&[picture], &mut self.found)?;
        out.extend(self.found.iter().flatten().map(|found| Candidate {
            quad: found.bounds.quad(),
            score: found.score,
        }));
        Ok(())
    }
}

/// A plate that was found and read.
#[derive(Clone, Debug, PartialEq)]
pub struct Plate {
    /// Where it is.
    pub candidate: Candidate,
    /// What stands on it.
    pub reading: Reading,
    /// The same with the substitutions: what several readings of a plate are compared by. It is as
    /// long as the reading.
    pub substituted: String,
    /// What that means, by the grammar.
    pub text: PlateText,
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
            most_readings: 8,
            enough: 0.8,
            least: 0.2,
        }
    }
}

/// How likely a text is to stand on a plate, 0 to 1: what is read off bumpers and shop signs seldom
/// is.
pub fn plausible(text: &PlateText) -> f32 {
    match (text.fits, text.regular, text.clean.chars().count()) {
        (true, true, _) => 1.0,
        (true, false, 5..) => 0.9,
        (true, false, 4) => 0.7,
        (false, _, 4..=8) => 0.5,
        _ => 0.2,
    }
}

/// Finds plates and has them read.
pub struct Scanner<F, R> {
    finder: F,
    reader: R,
    settings: ScanSettings,
    substitutions: Substitutions,
    candidates: Vec<Candidate>,
    gray: Picture,
}

impl<F: PlateFinder, R: PlateReader> Scanner<F, R> {
    /// One that has `reader` read what `finder` finds.
    pub fn new(finder: F, reader: R, settings: ScanSettings) -> Self {
        Self {
            finder,
            reader,
            settings,
            substitutions: Substitutions::default(),
            candidates: Vec::new(),
            gray: Picture::default(),
        }
    }

    /// Puts these characters in place of others in all that is read, before the grammar says what it
    /// means.
    #[must_use]
    pub fn with_substitutions(mut self, substitutions: Substitutions) -> Self {
        self.substitutions = substitutions;
        self
    }

    /// The plates of a picture, the likeliest first.
    ///
    /// # Errors
    /// Those of the finder and of the reader.
    pub fn scan(&mut self, picture: View<'_>, grammar: &Grammar) -> Result<Vec<Plate>> {
        self.finder.find(picture, &mut self.candidates)?;
        // Once, and not for each candidate.
        picture.gray_into(&mut self.gray);
        let mut plates: Vec<Plate> = Vec::new();
        let mut enough = false;
        for candidate in self.candidates.iter().take(self.settings.most_readings) {
            if enough {
                break;
            }
            let reading = self.reader.read(self.gray.view(), &candidate.quad)?;
            let mut substituted = reading.text.clone();
            self.substitutions.apply(&mut substituted);
            let text = grammar.read(&substituted);
            let value = plausible(&text) * reading.confidence * (0.8 + 0.2 * candidate.score);
            enough = value >= self.settings.enough;
            if value >= self.settings.least {
                plates.push(Plate {
                    candidate: *candidate,
                    reading,
                    substituted,
                    text,
                    value,
                });
            }
        }
        plates.sort_by(|a, b| b.value.total_cmp(&a.value));
        Ok(plates)
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::{DARK_ON_LIGHT, plate, put, scene, upright};
    use super::super::localize::LocalizerSettings;
    use super::*;
    use crate::geometry::Quad;
    use crate::picture::Picture;

    /// Reads what is on the left half of a picture as one text, and on the right as another.
    struct Sides {
        width: f32,
        left: Reading,
        right: Reading,
        readings: usize,
    }

    impl PlateReader for &mut Sides {
        fn read(&mut self, _: View<'_>, quad: &Quad) -> Result<Reading> {
            self.readings += 1;
            let on_the_left = quad.bounds().center().x < self.width / 2.0;
            let reading = if on_the_left { &self.left } else { &self.right };
            Ok(reading.clone())
        }
    }

    fn reading(text: &str, confidence: f32) -> Reading {
        Reading::new(text.chars().map(|c| vec![(c, confidence)]).collect())
    }

    fn two_plates() -> Picture {
        let mut picture = scene(500, 120, DARK_ON_LIGHT, &upright(20.0, 40.0, 180.0, 42.0));
        let other = upright(300.0, 40.0, 180.0, 42.0);
        put(&mut picture, &plate(DARK_ON_LIGHT), &other);
        picture
    }

    fn scan(sides: &mut Sides, settings: ScanSettings) -> Vec<Plate> {
        let localizer = Localizer::new(LocalizerSettings::default()).expect("good settings");
        let grammar = Grammar::custom(&["[A-Z]{2}[0-9]{3}"]).expect("a good pattern");
        Scanner::new(localizer, sides, settings)
            .scan(two_plates().view(), &grammar)
            .expect("it reads")
    }

    fn sides(left: Reading, right: Reading) -> Sides {
        Sides {
            width: 500.0,
            left,
            right,
            readings: 0,
        }
    }

    const ALL: ScanSettings = ScanSettings {
        most_readings: 10,
        enough: 2.0,
        least: 0.2,
    };

    #[test]
    fn the_likeliest_plate_comes_first() {
        for (left, right) in [(0.5, 0.9), (0.9, 0.5)] {
            let mut sides = sides(reading("AB123", left), reading("AB123", right));
            let plates = scan(&mut sides, ALL);
            let confidence = |plate: &Plate| plate.reading.confidence;
            assert!((confidence(&plates[0]) - 0.9).abs() < 1e-6);
            assert!(plates.iter().any(|plate| confidence(plate) < 0.6));
            assert!(plates.is_sorted_by(|a, b| a.value >= b.value));
        }
    }

    #[test]
    fn what_is_not_plausible_is_left_out() {
        let mut sides = sides(reading("NEWSPAPER", 1.0), reading("AB123", 0.6));
        let plates = scan(&mut sides, ALL);
        assert!(!plates.is_empty());
        assert!(plates.iter().all(|plate| plate.reading.text == "AB123"));
    }

    #[test]
    fn substitutions_come_before_the_grammar() {
        let mut sides = sides(reading("OBI2Q", 0.9), Reading::default());
        let localizer = Localizer::new(LocalizerSettings::default()).expect("good settings");
        let pairs = [('I', '1'), ('Q', '3'), ('O', '0')];
        let plates = Scanner::new(localizer, &mut sides, ALL)
            .with_substitutions(Substitutions::new(pairs).expect("capitals and digits"))
            .scan(
                two_plates().view(),
                &Grammar::custom(&["[A-Z]{2}[0-9]{3}"]).expect("a good pattern"),
            )
            .expect("it reads");
        let plate = &plates[0];
        assert_eq!(plate.reading.text, "OBI2Q");
        assert_eq!(plate.substituted, "0B123");
        // A letter stands first there.
        assert_eq!(plate.text.clean, "OB123");
    }

    #[test]
    fn after_a_good_reading_no_more_are_made() {
        let good = || reading("AB123", 0.99);
        let mut both = sides(good(), good());
        let all = scan(&mut both, ALL).len();
        assert!(all >= 2 && both.readings >= all);
        let mut first = sides(good(), good());
        let enough = ScanSettings { enough: 0.7, ..ALL };
        assert_eq!(scan(&mut first, enough).len(), 1);
        assert_eq!(first.readings, 1);
        let mut few = sides(good(), good());
        let two = ScanSettings {
            most_readings: 2,
            ..ALL
        };
        scan(&mut few, two);
        assert_eq!(few.readings, 2);
    }
}
