//! What each pixel usually shows.

/// Usual values of a pixel.
const MODES: usize = 3;

/// Bits after the point of a mean.
pub(super) const FRACTION: u32 = 7;

/// A weight of one.
const ONE: u32 = 1 << 15;

/// Modes are background, strongest first, until they make up this share of the weight: what shows
/// for a tenth of the memory's length becomes background.
const BACKGROUND: u32 = ONE * 9 / 10;

/// How fast the model learns from one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Of weights, as a fraction of [`ONE`].
    weight: u32,
    /// Of means, as a fraction of 2^16.
    mean: i32,
}

impl Rates {
    /// Each from 0 to 1.
    pub fn new(weight: f32, mean: f32) -> Self {
        Self {
            weight: ((weight * ONE as f32) as u32).clamp(1, ONE / 2),
            mean: ((mean * 65536.0) as i32).clamp(64, 32767),
        }
    }
}

/// A pixel: its usual values, the strongest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixel {
    mean: [i16; MODES],
    weight: [u16; MODES],
}

impl Pixel {
    /// A pixel that has shown one value only.
    pub fn new(value: u8) -> Self {
        let mut pixel = Self {
            mean: [i16::MIN; MODES],
            weight: [0; MODES],
        };
        pixel.mean[0] = fixed(value);
        pixel.weight[0] = ONE as u16;
        pixel
    }

    /// What it shows most, in fixed point.
    pub fn usual(&self) -> i16 {
        self.mean[0]
    }

    /// Takes what it shows now. Gives the distance to the background if it is background, within
    /// `threshold`, and none if it is foreground. Both are in fixed point.
    #[inline]
    pub fn take(&mut self, value: i16, threshold: i16, rates: Rates) -> Option<i16> {
        let difference = value.saturating_sub(self.mean[0]);
        let distance = difference.saturating_abs();
        if distance <= threshold {
            self.mean[0] += step(difference, rates.mean);
            // All weight is here, most of the time.
            if self.weight[1] > 0 || u32::from(self.weight[0]) < ONE {
                self.reinforce(0, rates.weight);
            }
            return Some(distance);
        }
        self.take_unusual(value, threshold, rates)
    }

    #[cold]
    fn take_unusual(&mut self, value: i16, threshold: i16, rates: Rates) -> Option<i16> {
        let total: u32 = self.weight.iter().map(|&weight| u32::from(weight)).sum();
        let mut before = u32::from(self.weight[0]);
        for mode in 1..MODES {
            if self.weight[mode] == 0 {
                break;
            }
            let difference = value.saturating_sub(self.mean[mode]);
            let distance = difference.saturating_abs();
            if distance <= threshold {
                let is_background = before * (ONE / 64) < BACKGROUND / 64 * total;
                self.mean[mode] += step(difference, rates.mean);
                self.reinforce(mode, rates.weight);
                return is_background.then_some(distance);
            }
            before += u32::from(self.weight[mode]);
        }
        self.begin(value, rates.weight);
        None
    }

    /// Makes what it shows now the most usual value at once.
    pub fn accept(&mut self, value: i16) {
        self.mean.rotate_right(1);
        self.weight.rotate_right(1);
        self.mean[0] = value;
        // What was usual before stays so: lights are switched on and off.
        self.weight = [(ONE / 2) as u16, (ONE / 2) as u16, 0];
    }

    /// The weakest mode gives way to a new one.
    fn begin(&mut self, value: i16, rate: u32) {
        self.decay(rate);
        let last = MODES - 1;
        let free = (1..MODES)
            .find(|&mode| self.weight[mode] == 0)
            .unwrap_or(last);
        self.mean[free] = value;
        self.weight[free] = rate as u16;
    }

    fn reinforce(&mut self, mode: usize, rate: u32) {
        self.decay(rate);
        let weight = u32::from(self.weight[mode]) + rate;
        self.weight[mode] = weight.min(ONE) as u16;
        if mode > 0 && self.weight[mode] > self.weight[mode - 1] {
            self.mean.swap(mode, mode - 1);
            self.weight.swap(mode, mode - 1);
        }
    }

    fn decay(&mut self, rate: u32) {
        for weight in &mut self.weight {
            let lost = (u32::from(*weight) * rate).div_ceil(ONE);
            *weight -= lost as u16;
        }
    }
}

/// A value in fixed point.
#[inline]
pub(super) fn fixed(value: u8) -> i16 {
    i16::from(value) << FRACTION
}

#[inline]
fn step(difference: i16, rate: i32) -> i16 {
    ((i32::from(difference) * rate + 0x8000) >> 16) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLD: i16 = 20 << FRACTION;

    fn show(pixel: &mut Pixel, value: u8, times: usize) -> Vec<bool> {
        let rates = Rates::new(0.002, 0.02);
        (0..times)
            .map(|_| pixel.take(fixed(value), THRESHOLD, rates).is_some())
            .collect()
    }

    #[test]
    fn what_stays_becomes_background_and_what_was_before_is_still_known() {
        let mut pixel = Pixel::new(100);
        assert!(
            show(&mut pixel, 103, 500)
                .iter()
                .all(|background| *background)
        );
        let still = show(&mut pixel, 200, 200);
        let absorbed = still.iter().position(|background| *background);
        // A tenth of the memory of 500 frames.
        assert!(
            (45..=65).contains(&absorbed.expect("it is absorbed")),
            "{absorbed:?}"
        );
        assert!(
            show(&mut pixel, 100, 50)
                .iter()
                .all(|background| *background)
        );
    }

    #[test]
    fn a_slow_change_is_followed() {
        let mut pixel = Pixel::new(50);
        for value in 50..200 {
            assert!(
                show(&mut pixel, value, 20)
                    .iter()
                    .all(|background| *background)
            );
        }
    }

    #[test]
    fn passing_things_leave_no_trace() {
        let mut pixel = Pixel::new(100);
        for value in [0, 255, 30, 180, 220, 10] {
            assert_eq!(show(&mut pixel, value, 3), [false; 3]);
            assert_eq!(show(&mut pixel, 100, 30), [true; 30]);
        }
    }

    #[test]
    fn weights_never_exceed_one() {
        let mut pixel = Pixel::new(100);
        for i in 0..10_000_u32 {
            let value = (i.wrapping_mul(2_654_435_761) >> 24) as u8;
            pixel.take(fixed(value), THRESHOLD, Rates::new(0.5, 0.5));
            let total: u32 = pixel.weight.iter().map(|&weight| u32::from(weight)).sum();
            assert!(total <= ONE, "{pixel:?}");
        }
    }
}
