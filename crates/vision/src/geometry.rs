//! Polygons and rectangles in a picture, in fractions of its width and height.

use keepwatch_core::events::Region;
use keepwatch_recognition::Picture;

use crate::error::{Error, Result};
use crate::recognition::Part;

/// The most points of a polygon.
const MAX_POINTS: usize = 64;

/// Points `[x, y]` from 0 to 1, the origin at the top left; the last is joined with the first.
pub type Points = Vec<[f32; 2]>;

/// Refuses what is no polygon within a picture.
///
/// # Errors
/// [`Error::Setting`] under the given name.
pub fn check_polygon(name: &'static str, points: &[[f32; 2]]) -> Result<()> {
    let bad = |problem: String| Err(Error::Setting { name, problem });
    if !(3..=MAX_POINTS).contains(&points.len()) {
        return bad(format!("a polygon has 3 to {MAX_POINTS} points"));
    }
    if !points
        .iter()
        .flatten()
        .all(|value| (0.0..=1.0).contains(value))
    {
        return bad("the points of a polygon are from 0 to 1".to_owned());
    }
    Ok(())
}

/// The pixels `from..to` of a row that lie in a polygon: those whose centre does, by the even-odd
/// rule.
pub fn spans(points: &[[f32; 2]], row: usize, width: usize, height: usize) -> Vec<(usize, usize)> {
    let y = (row as f32 + 0.5) / height as f32;
    let mut crossings: Vec<f32> = Vec::new();
    for (i, &[x1, y1]) in points.iter().enumerate() {
        let [x2, y2] = points[(i + 1) % points.len()];
        if (y1 <= y) != (y2 <= y) {
            crossings.push(x1 + (y - y1) / (y2 - y1) * (x2 - x1));
        }
    }
    crossings.sort_unstable_by(f32::total_cmp);
    let pixel = |x: f32| ((x * width as f32 - 0.5).ceil().max(0.0) as usize).min(width);
    crossings
        .chunks_exact(2)
        .map(|pair| (pixel(pair[0]), pixel(pair[1])))
        .filter(|(from, to)| from < to)
        .collect()
}

/// The share of two rectangles' union that is in both: 0 if they do not touch, 1 if they are equal.
pub fn iou(a: &Region, b: &Region) -> f32 {
    let overlap =
        |a: f32, a_len: f32, b: f32, b_len: f32| ((a + a_len).min(b + b_len) - a.max(b)).max(0.0);
    let both = overlap(a.x, a.w, b.x, b.w) * overlap(a.y, a.h, b.y, b.h);
    let union = a.w * a.h + b.w * b.h - both;
    if union > 0.0 { both / union } else { 0.0 }
}

/// Blackens what polygons hide in a part of a picture of `[width, height]` pixels.
pub(crate) fn blacken(
    masks: &[Points],
    [width, height]: [usize; 2],
    part: Part,
    pixels: &mut Picture,
) {
    let bytes = pixels.channels().count();
    for y in 0..pixels.height() {
        for mask in masks {
            for (from, to) in spans(mask, part.y + y, width, height) {
                let from = from.clamp(part.x, part.x + part.w) - part.x;
                let to = to.clamp(part.x, part.x + part.w) - part.x;
                pixels.row_mut(y)[bytes * from..bytes * to].fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polygon_covers_the_pixels_whose_centres_it_holds() {
        let square = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]];
        assert_eq!(spans(&square, 0, 8, 8), []);
        assert_eq!(spans(&square, 2, 8, 8), [(2, 6)]);
        assert_eq!(spans(&square, 5, 8, 8), [(2, 6)]);
        assert_eq!(spans(&square, 6, 8, 8), []);
        let all = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        assert_eq!(spans(&all, 7, 8, 8), [(0, 8)]);
        // The notch of a U is outside.
        let u = [
            [0.0, 0.0],
            [0.25, 0.0],
            [0.25, 0.5],
            [0.75, 0.5],
            [0.75, 0.0],
            [1.0, 0.0],
            [1.0, 1.0],
            [0.0, 1.0],
        ];
        assert_eq!(spans(&u, 0, 8, 8), [(0, 2), (6, 8)]);
    }

    #[test]
    fn iou_is_what_both_share() {
        let region = |x, y, w, h| Region { x, y, w, h };
        let a = region(0.0, 0.0, 0.5, 0.5);
        assert!((iou(&a, &a) - 1.0).abs() < 1e-6);
        assert_eq!(iou(&a, &region(0.5, 0.5, 0.5, 0.5)), 0.0);
        assert!((iou(&a, &region(0.25, 0.0, 0.5, 0.5)) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(iou(&region(0.0, 0.0, 0.0, 0.0), &a), 0.0);
    }

    #[test]
    fn polygons_out_of_the_picture_are_refused() {
        assert!(check_polygon("zone", &[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]).is_ok());
        assert!(check_polygon("zone", &[[0.0, 0.0], [1.0, 0.0]]).is_err());
        assert!(check_polygon("zone", &[[0.0, 0.0], [1.1, 0.0], [1.0, 1.0]]).is_err());
        assert!(check_polygon("zone", &[[0.0, 0.0], [f32::NAN, 0.0], [1.0, 1.0]]).is_err());
    }
}
