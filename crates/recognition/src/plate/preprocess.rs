//! What is done to a plate's brightness before it is read.
//!
//! The options are SecureVision's, with its defaults: all filters are off. Where it had an
//! `enable_` switch beside the numbers, there is an `Option` here; `enable_grayscale` is always on.

mod filter;

pub use filter::{adaptive_threshold, bilateral, clahe, invert};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::picture::Picture;

/// Smooths areas and keeps edges (`enable_bilateral`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bilateral {
    /// The diameter of the circle that is averaged over, in pixels (`bilateral_d`).
    pub diameter: usize,
    /// Pixels count less the more their brightness differs, by this many grey levels
    /// (`bilateral_sigma_color`).
    pub sigma_color: f32,
    /// And the farther away they are, by this many pixels (`bilateral_sigma_space`).
    pub sigma_space: f32,
}

impl Default for Bilateral {
    fn default() -> Self {
        Self {
            diameter: 9,
            sigma_color: 75.0,
            sigma_space: 75.0,
        }
    }
}

/// Makes black and white of it, by the mean around each pixel (`enable_adaptive_threshold`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveThreshold {
    /// The side of the square that is averaged over, an odd number of pixels
    /// (`adaptive_block_size`).
    pub block_size: usize,
    /// White is what is lighter than the mean less this (`adaptive_c`).
    pub c: f32,
}

impl Default for AdaptiveThreshold {
    fn default() -> Self {
        Self {
            block_size: 11,
            c: 2.0,
        }
    }
}

/// Evens out contrast, tile by tile (`enable_clahe`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clahe {
    /// How much more often than on average a brightness may count (`clahe_clip_limit`).
    pub clip_limit: f32,
    /// Tiles in each direction; SecureVision calls their number `clahe_tile_size`.
    pub tiles: usize,
}

impl Default for Clahe {
    fn default() -> Self {
        Self {
            clip_limit: 2.0,
            tiles: 8,
        }
    }
}

/// What is done to plates, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreprocessSettings {
    /// What is kept around a plate that is read with all that is on it, in pixels of the picture.
    pub crop_margin_px: f32,
    /// The height that such a plate has at least, in pixels: smaller ones are made larger.
    pub min_height: usize,
    /// Whether areas are smoothed.
    pub bilateral: Option<Bilateral>,
    /// Whether contrast is evened out.
    pub clahe: Option<Clahe>,
    /// Whether it is made black and white.
    pub adaptive_threshold: Option<AdaptiveThreshold>,
    /// Whether dark and light are swapped where a plate is read with all that is on it. Readers want
    /// dark characters. Isolated ones are always dark.
    pub invert: bool,
    /// Whether all but the characters is cleared away. Plates on which no characters are told apart
    /// are read with all that is on them, as all are without it.
    pub isolate: bool,
}

impl Default for PreprocessSettings {
    fn default() -> Self {
        Self {
            crop_margin_px: 8.0,
            min_height: 60,
            bilateral: None,
            clahe: None,
            adaptive_threshold: None,
            invert: false,
            isolate: true,
        }
    }
}

impl PreprocessSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first that cannot be.
    pub fn check(&self) -> Result<()> {
        let wrong = |name, problem: &str| {
            Err(Error::Setting {
                name,
                problem: problem.to_owned(),
            })
        };
        if !(0.0..=1000.0).contains(&self.crop_margin_px) {
            return wrong("crop_margin_px", "give from 0 to 1000 pixels");
        }
        if !(8..=400).contains(&self.min_height) {
            return wrong("min_height", "give from 8 to 400 pixels");
        }
        if let Some(Bilateral {
            diameter,
            sigma_color,
            sigma_space,
        }) = self.bilateral
        {
            if !(1..=31).contains(&diameter) {
                return wrong("bilateral.diameter", "give from 1 to 31 pixels");
            }
            let positive = |sigma: f32| sigma > 0.0 && sigma.is_finite();
            if !positive(sigma_color) {
                return wrong("bilateral.sigma_color", "give a number above 0");
            }
            if !positive(sigma_space) {
                return wrong("bilateral.sigma_space", "give a number above 0");
            }
        }
        if let Some(AdaptiveThreshold { block_size, c }) = self.adaptive_threshold {
            if !(3..=255).contains(&block_size) || block_size % 2 == 0 {
                return wrong(
                    "adaptive_threshold.block_size",
                    "give an odd number from 3 to 255",
                );
            }
            if !c.is_finite() {
                return wrong("adaptive_threshold.c", "it is no number");
            }
        }
        if let Some(Clahe { clip_limit, tiles }) = self.clahe {
            if !(clip_limit > 0.0 && clip_limit.is_finite()) {
                return wrong("clahe.clip_limit", "give a number above 0");
            }
            if !(1..=64).contains(&tiles) {
                return wrong("clahe.tiles", "give from 1 to 64 tiles");
            }
        }
        Ok(())
    }
}

/// Applies the filters. It keeps its memory for the next plate.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    settings: PreprocessSettings,
    other: Picture,
}

impl Preprocessor {
    /// One with these settings.
    ///
    /// # Errors
    /// As [`PreprocessSettings::check`].
    pub fn new(settings: PreprocessSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings,
            other: Picture::default(),
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &PreprocessSettings {
        &self.settings
    }

    /// Smooths, evens out and makes black and white, as the settings say.
    ///
    /// # Panics
    /// If the picture is empty or not grey.
    pub fn filter(&mut self, picture: &mut Picture) {
        let other = &mut self.other;
        if let Some(settings) = self.settings.bilateral {
            bilateral(picture.view(), settings, other);
            std::mem::swap(picture, other);
        }
        if let Some(settings) = self.settings.clahe {
            clahe(picture.view(), settings, other);
            std::mem::swap(picture, other);
        }
        if let Some(settings) = self.settings.adaptive_threshold {
            adaptive_threshold(picture.view(), settings, other);
            std::mem::swap(picture, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Channels;

    #[test]
    fn settings_that_cannot_be_are_refused_by_name() {
        let good = PreprocessSettings::default();
        good.check().expect("the defaults are good");
        let threshold = |block_size| PreprocessSettings {
            adaptive_threshold: Some(AdaptiveThreshold { block_size, c: 2.0 }),
            ..good
        };
        let bilateral = |diameter, sigma_color| PreprocessSettings {
            bilateral: Some(Bilateral {
                diameter,
                sigma_color,
                ..Bilateral::default()
            }),
            ..good
        };
        let clahe = |clip_limit, tiles| PreprocessSettings {
            clahe: Some(Clahe { clip_limit, tiles }),
            ..good
        };
        let cases = [
            (threshold(10), "adaptive_threshold.block_size"),
            (threshold(1), "adaptive_threshold.block_size"),
            (bilateral(0, 1.0), "bilateral.diameter"),
            (bilateral(9, f32::NAN), "bilateral.sigma_color"),
            (clahe(0.0, 8), "clahe.clip_limit"),
            (clahe(2.0, 0), "clahe.tiles"),
            (
                PreprocessSettings {
                    crop_margin_px: -1.0,
                    ..good
                },
                "crop_margin_px",
            ),
            (
                PreprocessSettings {
                    min_height: 0,
                    ..good
                },
                "min_height",
            ),
        ];
        for (settings, name) in cases {
            let error = Preprocessor::new(settings).expect_err(name).to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn filters_that_are_off_change_nothing() {
        let mut picture =
            Picture::new((0..200).collect(), 20, 10, Channels::Gray).expect("it fits");
        let before = picture.clone();
        Preprocessor::new(PreprocessSettings::default())
            .expect("the defaults are good")
            .filter(&mut picture);
        assert_eq!(picture, before);
    }

    #[test]
    fn filters_are_applied_one_after_the_other() {
        // What is smoothed away is not there when black and white are told apart.
        let mut picture = Picture::new(vec![100; 400], 20, 20, Channels::Gray).expect("it fits");
        picture.row_mut(10)[10] = 20;
        let with = |bilateral| {
            let settings = PreprocessSettings {
                bilateral,
                adaptive_threshold: Some(AdaptiveThreshold::default()),
                ..PreprocessSettings::default()
            };
            let mut picture = picture.clone();
            Preprocessor::new(settings)
                .expect("the settings are good")
                .filter(&mut picture);
            picture.data().iter().filter(|v| **v == 0).count()
        };
        assert_eq!(with(None), 1);
        let strong = Bilateral {
            sigma_color: 1000.0,
            ..Bilateral::default()
        };
        assert_eq!(with(Some(strong)), 0);
    }
}
