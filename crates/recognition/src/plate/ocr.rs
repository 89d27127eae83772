//! Reading what stands on a plate.

#[cfg(feature = "tesseract")]
mod hocr;
mod settings;
#[cfg(feature = "tesseract")]
mod tesseract;
#[cfg(feature = "tesseract")]
mod traineddata;

pub use settings::{PageMode, TesseractSettings};
#[cfg(feature = "tesseract")]
pub use tesseract::{DATAPATHS, TesseractReader};

use crate::error::Result;
use crate::geometry::Quad;
use crate::picture::View;

/// What was read on one plate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The likeliest characters: capitals and digits, without blanks or dashes. Empty if nothing was
    /// read.
    pub text: String,
    /// The mean of what each of its characters is sure of, from 0 to 1.
    pub confidence: f32,
    /// For each place, what may stand there and how sure that is, the likeliest first. There is
    /// always one; readers that know of no others give no others. Votes over several pictures take
    /// them all.
    pub characters: Vec<Vec<(char, f32)>>,
}

impl Reading {
    /// One with these characters. Places for which there are none are left out.
    pub fn new(mut characters: Vec<Vec<(char, f32)>>) -> Self {
        characters.retain(|place| !place.is_empty());
        for place in &mut characters {
            place.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
        let best = || characters.iter().map(|place| place[0]);
        Self {
            text: best().map(|(character, _)| character).collect(),
            confidence: match characters.len() {
                0 => 0.0,
                n => best().map(|(_, confidence)| confidence).sum::<f32>() / n as f32,
            },
            characters,
        }
    }
}

/// Reads plates. A reader belongs to one thread and is used again for the next plate.
pub trait PlateReader: Send {
    /// Reads the plate at `quad` of the picture, which may lie partly outside of it.
    ///
    /// A quadrangle with nothing to read in it gives an empty [`Reading`].
    ///
    /// # Errors
    /// When the reader itself fails, whatever the picture.
    fn read(&mut self, picture: View<'_>, quad: &Quad) -> Result<Reading>;
}

impl<R: PlateReader + ?Sized> PlateReader for Box<R> {
    fn read(&mut self, picture: View<'_>, quad: &Quad) -> Result<Reading> {
        (**self).read(picture, quad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_its_likeliest_characters() {
        let reading = Reading::new(vec![
            vec![('O', 0.25), ('0', 0.75)],
            vec![],
            vec![('B', 0.25)],
        ]);
        assert_eq!(reading.text, "0B");
        assert_eq!(reading.confidence, 0.5);
        assert_eq!(reading.characters[0], [('0', 0.75), ('O', 0.25)]);
        assert_eq!(Reading::new(Vec::new()), Reading::default());
    }
}
