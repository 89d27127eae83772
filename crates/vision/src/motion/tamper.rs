//! A camera that is covered or sprayed: the picture loses its structure.

use std::fmt;
use std::time::Duration;

/// Below this share of its usual structure, a picture is none any more.
const LOST: f32 = 0.15;

/// It is restored above this share.
const RESTORED: f32 = 0.5;

/// How long it has to stay so.
const PATIENCE: Duration = Duration::from_secs(3);

/// Pictures with less structure than this, in mean difference of neighbours, cannot lose it.
const MIN_STRUCTURE: f32 = 1.5;

/// How slowly the usual structure is learnt, in seconds.
const MEMORY: f32 = 60.0;

/// A change of a camera's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// The picture has lost its structure: the lens is covered, sprayed or out of focus.
    Covered,
    /// It has it back.
    Uncovered,
}

impl fmt::Display for Tamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tamper::Covered => "the picture has lost its structure: covered or out of focus?",
            Tamper::Uncovered => "the picture has its structure back",
        })
    }
}

/// Watches the structure of pictures.
#[derive(Debug, Default)]
pub(super) struct Watchman {
    usual: Option<f32>,
    covered: bool,
    /// Since when the other state seems to hold.
    doubt: Option<Duration>,
}

impl Watchman {
    /// Takes the mean absolute difference of neighbouring pixels in the frame of `pts`, `elapsed`
    /// after the one before.
    pub fn take(&mut self, structure: f32, pts: Duration, elapsed: Duration) -> Option<Tamper> {
        let usual = *self.usual.get_or_insert(structure);
        let share = structure / usual.max(MIN_STRUCTURE);
        let seems_covered = match self.covered {
            false => share < LOST && usual >= MIN_STRUCTURE,
            true => share < RESTORED,
        };
        if seems_covered == self.covered {
            self.doubt = None;
            if !self.covered {
                let rate = (elapsed.as_secs_f32() / MEMORY).min(0.1);
                self.usual = Some(usual + (structure - usual) * rate);
            }
            return None;
        }
        let since = *self.doubt.get_or_insert(pts);
        if pts.saturating_sub(since) < PATIENCE {
            return None;
        }
        self.covered = seems_covered;
        self.doubt = None;
        Some(match seems_covered {
            true => Tamper::Covered,
            false => Tamper::Uncovered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_covered_lens_is_noticed_once_and_its_uncovering_too() {
        let mut watchman = Watchman::default();
        let step = Duration::from_millis(100);
        let mut said = Vec::new();
        for i in 0..400_u32 {
            let structure = if (100..200).contains(&i) { 0.3 } else { 6.0 };
            if let Some(tamper) = watchman.take(structure, step * i, step) {
                said.push((i, tamper));
            }
        }
        assert_eq!(said, [(130, Tamper::Covered), (230, Tamper::Uncovered)]);
    }

    #[test]
    fn a_moment_and_a_plain_scene_are_no_matter() {
        let step = Duration::from_millis(100);
        let mut watchman = Watchman::default();
        for i in 0..400_u32 {
            let structure = if i % 50 < 20 { 0.3 } else { 6.0 };
            assert_eq!(watchman.take(structure, step * i, step), None);
        }
        let mut plain = Watchman::default();
        for i in 0..400_u32 {
            assert_eq!(
                plain.take(if i < 100 { 1.0 } else { 0.0 }, step * i, step),
                None
            );
        }
    }
}
