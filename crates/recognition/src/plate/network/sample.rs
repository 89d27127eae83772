//! What lies in a quadrangle, as numbers.

use crate::geometry::{Point, Quad};
use crate::picture::View;
use crate::resample::Homography;

/// The most samples of a pixel along an axis.
const MAX_SAMPLES: f32 = 8.0;

/// Fills `out` with what lies in `quad`, as `width` x `height` values from 0 to 255. Each is the mean
/// of samples that are spread evenly over its area, as many as make them no more than a pixel apart;
/// a sample is interpolated between the four pixels around it. Outside of the picture the nearest
/// pixel counts.
///
/// Gives false, and nothing, for a quadrangle without an inside.
pub fn sample(gray: View<'_>, quad: &Quad, width: usize, height: usize, out: &mut [f32]) -> bool {
    let [a, b, c, d] = quad.0;
    let length = |p: Point, q: Point| (q.x - p.x).hypot(q.y - p.y);
    let samples =
        |side: f32, pixels: usize| (side / pixels as f32).ceil().clamp(1.0, MAX_SAMPLES) as usize;
    let across = samples(length(a, b).max(length(d, c)), width);
    let down = samples(length(a, d).max(length(b, c)), height);
    let (fine_width, fine_height) = ((width * across) as f64, (height * down) as f64);
    let Some(map) = Homography::from_rectangle(fine_width, fine_height, quad) else {
        return false;
    };
    let rows = out.chunks_exact_mut(width).take(height);
    let share = 1.0 / (across * down) as f32;
    for (y, row) in rows.enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            let mut sum = 0.0;
            for fine_y in y * down..(y + 1) * down {
                for fine_x in x * across..(x + 1) * across {
                    let (at_x, at_y) = map.apply(fine_x as f64 + 0.5, fine_y as f64 + 0.5);
                    sum += interpolated(gray, at_x as f32 - 0.5, at_y as f32 - 0.5);
                }
            }
            *value = sum * share;
        }
    }
    true
}

/// The value at a place in units of pixels, of which the first one's centre is (0, 0).
fn interpolated(gray: View<'_>, x: f32, y: f32) -> f32 {
    let (last_x, last_y) = (gray.width() - 1, gray.height() - 1);
    // What is no number becomes 0.
    let x = x.max(0.0).min(last_x as f32);
    let y = y.max(0.0).min(last_y as f32);
    let (left, top) = (x as usize, y as usize);
    let (fx, fy) = (x - left as f32, y - top as f32);
    let (right, bottom) = ((left + 1).min(last_x), (top + 1).min(last_y));
    let (upper, lower) = (gray.row(top), gray.row(bottom));
    let mix = |a: u8, b: u8, t: f32| {
        let (a, b) = (f32::from(a), f32::from(b));
        a + (b - a) * t
    };
    let (upper, lower) = (
        mix(upper[left], upper[right], fx),
        mix(lower[left], lower[right], fx),
    );
    upper + (lower - upper) * fy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Box2;
    use crate::picture::{Channels, Picture};

    fn ramp() -> Picture {
        let pixels = (0..64 * 32).map(|i| ((i % 64) * 4) as u8).collect();
        Picture::new(pixels, 64, 32, Channels::Gray).expect("it fits")
    }

    #[test]
    fn pixels_are_copied_averaged_and_interpolated() {
        let picture = ramp();
        let quad = |x: f32, w: f32| {
            Box2 {
                x,
                y: 4.0,
                w,
                h: 8.0,
            }
            .quad()
        };
        let mut out = vec![0.0; 32];
        assert!(sample(picture.view(), &quad(8.0, 4.0), 4, 8, &mut out));
        assert_eq!(out[..4], [32.0, 36.0, 40.0, 44.0]);
        assert!(sample(picture.view(), &quad(8.0, 16.0), 4, 8, &mut out));
        assert_eq!(out[..4], [38.0, 54.0, 70.0, 86.0]);
        assert!(sample(picture.view(), &quad(8.0, 2.0), 4, 8, &mut out));
        assert_eq!(out[..4], [31.0, 33.0, 35.0, 37.0]);
    }

    #[test]
    fn outside_is_the_nearest_pixel_and_no_inside_is_nothing() {
        let picture = ramp();
        let far = Box2 {
            x: 200.0,
            y: -90.0,
            w: 8.0,
            h: 8.0,
        };
        let mut out = vec![0.0; 16];
        assert!(sample(picture.view(), &far.quad(), 4, 4, &mut out));
        assert_eq!(out, [252.0; 16]);
        let line = Quad([Point { x: 1.0, y: 1.0 }; 4]);
        assert!(!sample(picture.view(), &line, 4, 4, &mut out));
    }
}
