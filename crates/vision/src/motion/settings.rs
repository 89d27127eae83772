//! What counts as motion.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::geometry::{Points, check_polygon};
use crate::settings::duration_text;

/// A part of the picture that is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// A polygon of points from 0 to 1.
    pub points: Points,
    /// The least size of what moves in it, as a fraction of the picture; as for the whole if none.
    #[serde(default)]
    pub min_area: Option<f32>,
}

/// What counts as motion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MotionSettings {
    /// How small a difference of brightness counts: 0 only the strongest, 1 the faintest.
    pub sensitivity: f32,
    /// The least size of what moves, as a fraction of the picture.
    pub min_area: f32,
    /// How long something has to move.
    #[serde(with = "duration_text")]
    pub min_duration: Duration,
    /// Motion has ended when nothing has moved for this long.
    #[serde(with = "duration_text")]
    pub quiet: Duration,
    /// Where motion counts; everywhere if there is none.
    pub zones: Vec<Zone>,
    /// Where it never does.
    pub masks: Vec<Points>,
}

impl Default for MotionSettings {
    fn default() -> Self {
        Self {
            sensitivity: 0.5,
            min_area: 0.005,
            min_duration: Duration::from_millis(75),
            quiet: Duration::from_secs(2),
            zones: Vec::new(),
            masks: Vec::new(),
        }
    }
}

impl MotionSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first of them.
    pub fn validate(&self) -> Result<()> {
        let bad = |name: &'static str, problem: &str| {
            let problem = problem.to_owned();
            Err(Error::Setting { name, problem })
        };
        let is_area = |area: f32| (0.0001..=1.0).contains(&area);
        if !(0.0..=1.0).contains(&self.sensitivity) {
            return bad("motion.sensitivity", "it must be 0 to 1");
        }
        let areas = self.zones.iter().filter_map(|zone| zone.min_area);
        if !areas.chain([self.min_area]).all(is_area) {
            return bad("motion.min_area", "it must be 0.0001 to 1");
        }
        if self.min_duration > Duration::from_secs(60) {
            return bad("motion.min_duration", "it must be at most 1 min");
        }
        if self.quiet > Duration::from_secs(600) {
            return bad("motion.quiet", "it must be at most 10 min");
        }
        if self.zones.len() > 32 || self.masks.len() > 32 {
            return bad("motion", "there may be 32 zones and 32 masks");
        }
        for zone in &self.zones {
            check_polygon("motion.zones", &zone.points)?;
        }
        for mask in &self.masks {
            check_polygon("motion.masks", mask)?;
        }
        Ok(())
    }
}
