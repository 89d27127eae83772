//! A camera that shakes: a shift of the picture explains what differs.

use super::model::{FRACTION, Pixel};

/// The largest shift that is looked for, in pixels of the model.
const REACH: i32 = 3;

/// Every so many pixels in both directions are looked at.
const STEP: usize = 3;

/// Differences of brightness below this do not count.
const DIFFERENCE: i16 = 14;

/// A shift explains the picture if it leaves no more than this share of the differences.
const LEFT: f32 = 0.4;

/// Whether the picture, shifted, is what is usual.
pub(super) fn is_shaken(now: &[u8], usual: &[Pixel], width: usize) -> bool {
    let height = now.len() / width;
    let reach = REACH as usize;
    if width <= 4 * reach || height <= 4 * reach {
        return false;
    }
    let still = differing(now, usual, width, height, 0, 0);
    let sampled = (width / STEP) * (height / STEP);
    // Few differences are an object's.
    if still * 50 < sampled {
        return false;
    }
    let limit = (still as f32 * LEFT) as usize;
    let shifts = (-REACH..=REACH).flat_map(|dy| (-REACH..=REACH).map(move |dx| (dx, dy)));
    shifts
        .filter(|shift| *shift != (0, 0))
        .any(|(dx, dy)| differing(now, usual, width, height, dx, dy) <= limit)
}

fn differing(now: &[u8], usual: &[Pixel], width: usize, height: usize, dx: i32, dy: i32) -> usize {
    let reach = REACH as usize;
    let mut count = 0;
    for y in (reach..height - reach).step_by(STEP) {
        let shifted = (y as i32 + dy) as usize * width;
        for x in (reach..width - reach).step_by(STEP) {
            let there = i16::from(now[shifted + (x as i32 + dx) as usize]);
            let here = usual[y * width + x].usual() >> FRACTION;
            count += usize::from((there - here).abs() > DIFFERENCE);
        }
    }
    count
}
