//! Changes of exposure that the whole picture shares.

use super::model::{FRACTION, fixed};

/// Changes are not made up for beyond this factor either way.
const MAX_GAIN: f32 = 2.0;

/// Fewer cells tell nothing.
const MIN_PAIRS: usize = 16;

/// Two brightnesses closer than this fix no line, only an offset.
const MIN_SPAN: f32 = 16.0;

/// What is further off the line than this is an object.
const OUTLIER: f32 = 14.0;

/// How values of this frame would look in the light of the model: a table over all values.
pub(super) struct Light {
    table: [i16; 256],
    scratch: Vec<(f32, f32)>,
}

impl Light {
    pub fn new() -> Self {
        let mut light = Self {
            table: [0; 256],
            scratch: Vec::new(),
        };
        light.set(1.0, 0.0);
        light
    }

    /// Fits gain and offset to pairs of a cell's usual brightness and that of now, both from 0 to
    /// 255. Medians of the darker and the brighter half fix the line, so that no object that covers
    /// less than half of either can bend it much; a second fit leaves out what is far off the first.
    pub fn fit(&mut self, pairs: impl Iterator<Item = (f32, f32)>) {
        self.scratch.clear();
        self.scratch.extend(pairs);
        let (gain, offset) = line(&mut self.scratch);
        self.scratch
            .retain(|(usual, now)| (gain * usual + offset - now).abs() < OUTLIER);
        let (gain, offset) = line(&mut self.scratch);
        self.set(gain, offset);
    }

    /// The table.
    pub fn table(&self) -> &[i16; 256] {
        &self.table
    }

    fn set(&mut self, gain: f32, offset: f32) {
        let unchanged = (gain - 1.0).abs() < 0.005 && offset.abs() < 0.5;
        for (value, out) in self.table.iter_mut().enumerate() {
            *out = match unchanged {
                true => fixed(value as u8),
                false => {
                    let usual = ((value as f32 - offset) / gain).clamp(0.0, 255.0);
                    (usual * (1 << FRACTION) as f32) as i16
                }
            };
        }
    }
}

/// Gain and offset of `now = gain * usual + offset`.
fn line(pairs: &mut [(f32, f32)]) -> (f32, f32) {
    if pairs.len() < MIN_PAIRS {
        return (1.0, 0.0);
    }
    let middle = pairs.len() / 2;
    pairs.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0));
    let (dark, bright) = pairs.split_at_mut(middle);
    let ((dark, dark_change), (bright, bright_change)) = (medians(dark), medians(bright));
    let span = bright - dark;
    if span < MIN_SPAN {
        return (1.0, (dark_change + bright_change) / 2.0);
    }
    let slope = (bright_change - dark_change) / span;
    let gain = (1.0 + slope).clamp(1.0 / MAX_GAIN, MAX_GAIN);
    (gain, dark + dark_change - gain * dark)
}

/// The median brightness, and the median of the changes.
fn medians(pairs: &mut [(f32, f32)]) -> (f32, f32) {
    let middle = pairs.len() / 2;
    let by_usual = pairs.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0));
    let usual = by_usual.1.0;
    let change = |pair: &(f32, f32)| pair.1 - pair.0;
    let by_change = pairs.select_nth_unstable_by(middle, |a, b| change(a).total_cmp(&change(b)));
    (usual, change(by_change.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_exposure_is_undone_in_spite_of_an_object() {
        for (gain, offset) in [(1.0, 0.0), (0.8, 0.0), (1.2, 5.0), (1.0, 12.0), (0.9, -8.0)] {
            let mut light = Light::new();
            let usual = |i: usize| 20.0 + (i * 37 % 180) as f32;
            light.fit((0..400).map(|i| {
                let now = if i % 4 == 0 {
                    3.0
                } else {
                    gain * usual(i) + offset
                };
                (usual(i), now)
            }));
            for usual in [40.0, 100.0, 180.0] {
                let now = (gain * usual + offset) as u8;
                let undone = f32::from(light.table()[usize::from(now)]) / 128.0;
                assert!(
                    (undone - usual).abs() < 3.0,
                    "{gain} {offset}: {undone} {usual}"
                );
            }
        }
    }
}
