//! The filters, as OpenCV's functions of the same names compute them.

use super::{AdaptiveThreshold, Bilateral, Clahe};
use crate::picture::{Channels, Picture, View};

/// A mean of what is near, in place and in brightness (C. Tomasi and R. Manduchi, "Bilateral
/// filtering for gray and color images", 1998).
///
/// # Panics
/// If the picture is not grey.
pub fn bilateral(picture: View<'_>, settings: Bilateral, out: &mut Picture) {
    assert_eq!(picture.channels(), Channels::Gray);
    let (width, height) = (picture.width(), picture.height());
    out.reset(width, height, Channels::Gray);
    let radius = (settings.diameter / 2) as isize;
    let fall = |distance: f32, sigma: f32| (-distance * distance / (2.0 * sigma * sigma)).exp();
    let color: [f32; 256] = std::array::from_fn(|d| fall(d as f32, settings.sigma_color));
    for y in 0..height {
        for x in 0..width {
            let center = picture.row(y)[x];
            let (mut sum, mut weights) = (0.0, 0.0);
            for dy in -radius..=radius {
                let row = picture.row(mirror(y as isize + dy, height));
                for dx in -radius..=radius {
                    if dx * dx + dy * dy > radius * radius {
                        continue;
                    }
                    let value = row[mirror(x as isize + dx, width)];
                    let distance = ((dx * dx + dy * dy) as f32).sqrt();
                    let weight = color[usize::from(value.abs_diff(center))]
                        * fall(distance, settings.sigma_space);
                    sum += weight * f32::from(value);
                    weights += weight;
                }
            }
            out.row_mut(y)[x] = (sum / weights + 0.5) as u8;
        }
    }
}

/// The pixel that is seen beyond the edge, which itself is not repeated.
fn mirror(at: isize, len: usize) -> usize {
    if len == 1 {
        return 0;
    }
    let period = 2 * (len as isize - 1);
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}

/// White where a pixel is lighter than the mean of the square around it less `c`, else black. The
/// mean is weighted by a bell curve; beyond the edge, the nearest pixel is repeated.
///
/// # Panics
/// If the picture is not grey.
pub fn adaptive_threshold(picture: View<'_>, settings: AdaptiveThreshold, out: &mut Picture) {
    assert_eq!(picture.channels(), Channels::Gray);
    let (width, height) = (picture.width(), picture.height());
    out.reset(width, height, Channels::Gray);
    let radius = settings.block_size / 2;
    // OpenCV's choice for a kernel of this size.
    let sigma = 0.3 * ((settings.block_size as f32 - 1.0) * 0.5 - 1.0) + 0.8;
    let bell = |i: usize| {
        let distance = i as f32 - radius as f32;
        (-distance * distance / (2.0 * sigma * sigma)).exp()
    };
    let kernel: Vec<f32> = (0..2 * radius + 1).map(bell).collect();
    let sum: f32 = kernel.iter().sum();
    let at = |i: usize, offset: usize, len: usize| (i + offset).saturating_sub(radius).min(len - 1);
    // Down first, then across.
    let mut down = vec![0.0_f32; width];
    for y in 0..height {
        down.fill(0.0);
        for (offset, weight) in kernel.iter().enumerate() {
            let row = picture.row(at(y, offset, height));
            for (down, value) in down.iter_mut().zip(row) {
                *down += f32::from(*value) * weight;
            }
        }
        for (x, out) in out.row_mut(y).iter_mut().enumerate() {
            let taps = kernel.iter().enumerate();
            let mean: f32 = taps
                .map(|(offset, weight)| down[at(x, offset, width)] * weight)
                .sum();
            let mean = mean / (sum * sum);
            *out = if f32::from(picture.row(y)[x]) > mean - settings.c {
                255
            } else {
                0
            };
        }
    }
}

/// Spreads the brightness of each tile over the whole range, without letting any count too much,
/// and goes over from tile to tile (K. Zuiderveld, "Contrast limited adaptive histogram
/// equalization", 1994).
///
/// # Panics
/// If the picture is not grey.
pub fn clahe(picture: View<'_>, settings: Clahe, out: &mut Picture) {
    assert_eq!(picture.channels(), Channels::Gray);
    let (width, height) = (picture.width(), picture.height());
    out.reset(width, height, Channels::Gray);
    // No more tiles than pixels.
    let (across, down) = (settings.tiles.min(width), settings.tiles.min(height));
    let (tile_width, tile_height) = (width.div_ceil(across), height.div_ceil(down));
    let tables: Vec<[u8; 256]> = (0..across * down)
        .map(|tile| {
            let (left, top) = (tile % across * tile_width, tile / across * tile_height);
            equalize(
                picture,
                (left, top),
                (tile_width, tile_height),
                settings.clip_limit,
            )
        })
        .collect();
    // The two nearest tiles along one axis, and how much the second counts.
    let nearest = |at: usize, tile: usize, count: usize| {
        let place = (at as f32 + 0.5) / tile as f32 - 0.5;
        let first = place.floor();
        let clamp = |i: f32| i.clamp(0.0, count as f32 - 1.0) as usize;
        (clamp(first), clamp(first + 1.0), place - first)
    };
    for y in 0..height {
        let (above, below, fy) = nearest(y, tile_height, down);
        let (row, out) = (picture.row(y), out.row_mut(y));
        for (x, (out, &value)) in out.iter_mut().zip(row).enumerate() {
            let (left, right, fx) = nearest(x, tile_width, across);
            let at = |x: usize, y: usize| f32::from(tables[y * across + x][usize::from(value)]);
            let top = at(left, above) * (1.0 - fx) + at(right, above) * fx;
            let bottom = at(left, below) * (1.0 - fx) + at(right, below) * fx;
            *out = (top * (1.0 - fy) + bottom * fy + 0.5) as u8;
        }
    }
}

/// What becomes of each brightness in one tile. Tiles beyond the edge see what is mirrored there.
fn equalize(
    picture: View<'_>,
    (left, top): (usize, usize),
    (width, height): (usize, usize),
    clip_limit: f32,
) -> [u8; 256] {
    let mut counts = [0_u32; 256];
    for y in top..top + height {
        let row = picture.row(mirror(y as isize, picture.height()));
        for x in left..left + width {
            counts[usize::from(row[mirror(x as isize, picture.width())])] += 1;
        }
    }
    let area = (width * height) as f32;
    let limit = ((clip_limit * area / 256.0) as u32).max(1);
    let excess: u32 = counts.iter().map(|count| count.saturating_sub(limit)).sum();
    // What is cut off is given to all; what does not divide, to some at even distances.
    let (each, rest) = (excess / 256, excess % 256);
    let step = 256_u32.checked_div(rest).unwrap_or(256).max(1);
    for (value, count) in counts.iter_mut().enumerate() {
        let value = value as u32;
        let one_more = value.is_multiple_of(step) && value / step < rest;
        *count = (*count).min(limit) + each + u32::from(one_more);
    }
    let mut sum = 0;
    counts.map(|count| {
        sum += count;
        (sum as f32 * 255.0 / area).round().min(255.0) as u8
    })
}

/// Swaps dark and light.
pub fn invert(picture: &mut Picture) {
    for value in picture.data_mut() {
        *value = 255 - *value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gray(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Picture {
        let bytes = (0..width * height).map(|i| value(i % width, i / width));
        Picture::new(bytes.collect(), width, height, Channels::Gray).expect("it fits")
    }

    #[test]
    fn bilateral_weighs_by_place_and_brightness() {
        // Three pixels in a row; the middle one sees both others, mirrored ends see it twice.
        let source = gray(3, 1, |x, _| [0, 10, 40][x]);
        let settings = Bilateral {
            diameter: 3,
            sigma_color: 20.0,
            sigma_space: 2.0,
        };
        let mut out = Picture::default();
        bilateral(source.view(), settings, &mut out);
        let fall = |d: f32, sigma: f32| (-d * d / (2.0 * sigma * sigma)).exp();
        let near = fall(1.0, 2.0);
        // Above and below, each pixel sees itself.
        let own = 1.0 + 2.0 * near;
        let (a, b) = (near * fall(10.0, 20.0), near * fall(30.0, 20.0));
        let expected = [
            2.0 * a * 10.0 / (own + 2.0 * a),
            (own * 10.0 + b * 40.0) / (own + a + b),
            (own * 40.0 + 2.0 * b * 10.0) / (own + 2.0 * b),
        ];
        assert_eq!(out.data(), expected.map(|v: f32| (v + 0.5) as u8));
    }

    #[test]
    fn bilateral_keeps_edges_and_removes_noise() {
        let source = gray(40, 20, |x, y| {
            let noise = ((x * 7 + y * 13) % 5) as u8;
            if x < 20 { 30 + noise } else { 220 + noise }
        });
        let settings = Bilateral {
            sigma_color: 20.0,
            ..Bilateral::default()
        };
        let mut out = Picture::default();
        bilateral(source.view(), settings, &mut out);
        for y in 0..20 {
            for x in 0..40 {
                let expected = if x < 20 { 32 } else { 222 };
                assert!(out.row(y)[x].abs_diff(expected) <= 1, "{x} {y}");
            }
        }
    }

    #[test]
    fn adaptive_threshold_compares_with_the_weighted_mean() {
        // Weights of a block of 3 with sigma 0.8 are 0.2389, 0.5221, 0.2389.
        let source = gray(4, 1, |x, _| [100, 100, 104, 60][x]);
        // Means: 100, 0.761 * 100 + 0.239 * 104 = 101.0, 92.5, 70.5.
        let mut out = Picture::default();
        let mut with = |c| {
            let settings = AdaptiveThreshold { block_size: 3, c };
            adaptive_threshold(source.view(), settings, &mut out);
            out.data().to_vec()
        };
        assert_eq!(with(0.5), [255, 0, 255, 0]);
        assert_eq!(with(2.0), [255, 255, 255, 0]);
        assert_eq!(with(11.0), [255; 4]);
    }

    #[test]
    fn uneven_light_does_not_hide_ink() {
        let source = gray(120, 20, |x, y| {
            let paper = 60 + x;
            let ink = x % 12 < 3 && (5..15).contains(&y);
            (if ink { paper / 2 } else { paper }) as u8
        });
        let mut out = Picture::default();
        adaptive_threshold(source.view(), AdaptiveThreshold::default(), &mut out);
        for x in 0..120 {
            assert_eq!(out.row(10)[x] == 0, x % 12 < 3, "{x}");
        }
    }

    #[test]
    fn clahe_of_one_tile_without_a_limit_is_plain_equalization() {
        // Each of 0, 10, 20, 30 is a quarter: the table gives 64, 128, 191 and 255.
        let source = gray(16, 16, |x, _| (x % 4 * 10) as u8);
        let settings = Clahe {
            clip_limit: 256.0,
            tiles: 1,
        };
        let mut out = Picture::default();
        clahe(source.view(), settings, &mut out);
        assert_eq!(out.row(0)[..4], [64, 128, 191, 255]);
    }

    #[test]
    fn clahe_limits_what_one_brightness_counts() {
        // All of one brightness: 256 pixels, of which 1 is kept there, and 255 are given away.
        let source = gray(16, 16, |_, _| 100);
        let settings = Clahe {
            clip_limit: 1.0,
            tiles: 1,
        };
        let mut out = Picture::default();
        clahe(source.view(), settings, &mut out);
        // 101 values up to it, with one each, and the one that was kept.
        assert!(out.data().iter().all(|value| *value == 102));
    }

    #[test]
    fn clahe_brings_out_what_is_dark() {
        let source = gray(64, 64, |x, y| 20 + u8::from((x / 4 + y / 4) % 2 == 0) * 8);
        let settings = Clahe {
            clip_limit: 40.0,
            ..Clahe::default()
        };
        let mut out = Picture::default();
        clahe(source.view(), settings, &mut out);
        let range = |picture: &Picture| {
            let values = || picture.data().iter();
            values().max().expect("pixels") - values().min().expect("pixels")
        };
        assert!(range(&out) > 2 * range(&source));
    }

    #[test]
    fn inverted_twice_is_the_same() {
        let mut picture = gray(5, 4, |x, y| (x * 40 + y) as u8);
        let before = picture.clone();
        invert(&mut picture);
        assert_eq!(picture.row(1)[2], 255 - 81);
        invert(&mut picture);
        assert_eq!(picture, before);
    }

    proptest! {
        #[test]
        fn pictures_of_any_size_are_filtered(
            width in 1_usize..24,
            height in 1_usize..24,
            seed in any::<u8>(),
        ) {
            let source = gray(width, height, |x, y| {
                (x * 31 + y * 17) as u8 ^ seed
            });
            let mut out = Picture::default();
            bilateral(source.view(), Bilateral::default(), &mut out);
            let low = source.data().iter().min().expect("pixels");
            let high = source.data().iter().max().expect("pixels");
            prop_assert!(out.data().iter().all(|v| (low..=high).contains(&v)));
            clahe(source.view(), Clahe::default(), &mut out);
            prop_assert_eq!((out.width(), out.height()), (width, height));
            adaptive_threshold(source.view(), AdaptiveThreshold::default(), &mut out);
            prop_assert!(out.data().iter().all(|v| *v == 0 || *v == 255));
        }
    }
}
