//! Pictures of other sizes and shapes.

use crate::geometry::{Point, Quad};
use crate::picture::{Picture, View};

/// Which parts of the source a pixel of the target covers along one axis.
#[derive(Clone, Debug, Default)]
struct Axis {
    from: usize,
    to: usize,
    /// Where a pixel's weights begin, and the first source pixel they are for.
    spans: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

impl Axis {
    fn prepare(&mut self, from: usize, to: usize) {
        if (self.from, self.to) == (from, to) {
            return;
        }
        (self.from, self.to) = (from, to);
        self.spans.clear();
        self.weights.clear();
        let scale = from as f64 / to as f64;
        for pixel in 0..to {
            let (begin, end) = (
                pixel as f64 * scale,
                ((pixel + 1) as f64 * scale).min(from as f64),
            );
            let first = begin as usize;
            let last = (end.ceil() as usize).clamp(first + 1, from);
            self.spans.push((self.weights.len(), first));
            for source in first..last {
                let covered = end.min((source + 1) as f64) - begin.max(source as f64);
                self.weights.push((covered / (end - begin)) as f32);
            }
        }
        self.spans.push((self.weights.len(), from));
    }

    fn of(&self, pixel: usize) -> (usize, &[f32]) {
        let (begin, first) = self.spans[pixel];
        (first, &self.weights[begin..self.spans[pixel + 1].0])
    }
}

/// Makes pictures smaller by averaging over what each new pixel covers (as OpenCV's `INTER_AREA`).
///
/// It keeps what it has worked out, and its memory, for the next picture of the same size.
#[derive(Clone, Debug, Default)]
pub struct Shrinker {
    across: Axis,
    down: Axis,
    sum: Vec<f32>,
}

impl Shrinker {
    /// Writes the picture with `width` x `height` pixels to the top left of `out`; the rest of it
    /// stays as it is.
    ///
    /// # Panics
    /// If it would become larger on a side, or does not fit `out`, or has other channels.
    pub fn shrink(&mut self, source: View<'_>, width: usize, height: usize, out: &mut Picture) {
        assert!((1..=source.width()).contains(&width) && width <= out.width());
        assert!((1..=source.height()).contains(&height) && height <= out.height());
        assert_eq!(source.channels(), out.channels());
        let channels = source.channels().count();
        let bytes = width * channels;
        if (width, height) == (source.width(), source.height()) {
            for y in 0..height {
                out.row_mut(y)[..bytes].copy_from_slice(source.row(y));
            }
            return;
        }
        self.across.prepare(source.width(), width);
        self.down.prepare(source.height(), height);
        let row_len = source.width() * channels;
        for y in 0..height {
            // Down first: that is the same for all values of a row, and so most of the work is done
            // many values at a time.
            let (first, weights) = self.down.of(y);
            self.sum.clear();
            self.sum.resize(row_len, 0.0);
            for (source_y, &weight) in (first..).zip(weights) {
                let row = &source.row(source_y)[..row_len];
                for (sum, value) in self.sum.iter_mut().zip(row) {
                    *sum += f32::from(*value) * weight;
                }
            }
            let out = &mut out.row_mut(y)[..bytes];
            match channels {
                1 => self.across.average::<1>(&self.sum, out),
                _ => self.across.average::<3>(&self.sum, out),
            }
        }
    }
}

impl Axis {
    fn average<const CHANNELS: usize>(&self, row: &[f32], out: &mut [u8]) {
        for (pixel, out) in out.chunks_exact_mut(CHANNELS).enumerate() {
            let (first, weights) = self.of(pixel);
            let mut sum = [0.5; CHANNELS];
            let pixels = row[first * CHANNELS..].chunks_exact(CHANNELS);
            for (values, &weight) in pixels.zip(weights) {
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += value * weight;
                }
            }
            for (out, sum) in out.iter_mut().zip(sum) {
                *out = sum as u8;
            }
        }
    }
}

/// A projective map of the plane: a 3 x 3 matrix by rows, of which the last element is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography([f64; 9]);

impl Homography {
    /// The map that takes each point (x, y) to (a x + b y + c, d x + e y + f).
    pub fn affine([a, b, c, d, e, f]: [f64; 6]) -> Self {
        Self([a, b, c, d, e, f, 0.0, 0.0, 1.0])
    }

    /// The one that takes the corners of a `width` x `height` picture to those of `quad`.
    ///
    /// None when the quadrangle has no inside: three corners on a line, or numbers that are none.
    /// (P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, section 2.2.3.)
    pub fn from_rectangle(width: f64, height: f64, quad: &Quad) -> Option<Self> {
        let [p0, p1, p2, p3] = quad.0.map(|p| (f64::from(p.x), f64::from(p.y)));
        let (dx1, dx2, sx) = (p1.0 - p2.0, p3.0 - p2.0, p0.0 - p1.0 + p2.0 - p3.0);
        let (dy1, dy2, sy) = (p1.1 - p2.1, p3.1 - p2.1, p0.1 - p1.1 + p2.1 - p3.1);
        let area = dx1 * dy2 - dx2 * dy1;
        let (g, h) = ((sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area);
        let map = [
            (p1.0 - p0.0 + g * p1.0) / width,
            (p3.0 - p0.0 + h * p3.0) / height,
            p0.0,
            (p1.1 - p0.1 + g * p1.1) / width,
            (p3.1 - p0.1 + h * p3.1) / height,
            p0.1,
            g / width,
            h / height,
            1.0,
        ];
        let sound = area.abs() > 1e-9 && map.iter().all(|value| value.is_finite());
        sound.then_some(Self(map))
    }

    /// Where a point goes. Not finite for points that go to infinity.
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let m = &self.0;
        let w = m[6] * x + m[7] * y + m[8];
        (
            (m[0] * x + m[1] * y + m[2]) / w,
            (m[3] * x + m[4] * y + m[5]) / w,
        )
    }
}

/// What lies beyond the edge of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Nothing.
    Black,
    /// The nearest pixel of it.
    Edge,
}

/// Fills `out` with what `map` finds in the source for each of its pixels, in continuous
/// coordinates: (0, 0) is the corner of the first pixel, (0.5, 0.5) its centre. Between centres,
/// values are interpolated on both axes.
///
/// # Panics
/// If the pictures have different channels.
pub fn warp(source: View<'_>, map: &Homography, outside: Outside, out: &mut Picture) {
    assert_eq!(source.channels(), out.channels());
    let channels = source.channels().count();
    for y in 0..out.height() {
        let row = out.row_mut(y);
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let (sx, sy) = map.apply(x as f64 + 0.5, y as f64 + 0.5);
            sample(source, sx - 0.5, sy - 0.5, outside, pixel);
        }
    }
}

/// The value at a place in units of pixels, of which the first one's centre is (0, 0).
fn sample(source: View<'_>, x: f64, y: f64, outside: Outside, pixel: &mut [u8]) {
    let far = |v: f64, len: usize| !(v > -1.0 && v < len as f64);
    if (far(x, source.width()) || far(y, source.height()))
        && (outside == Outside::Black || !(x.is_finite() && y.is_finite()))
    {
        pixel.fill(0);
        return;
    }
    let (last_x, last_y) = (source.width() as i64 - 1, source.height() as i64 - 1);
    let (x, y) = (
        x.clamp(-1.0, last_x as f64 + 1.0),
        y.clamp(-1.0, last_y as f64 + 1.0),
    );
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = ((x - left) as f32, (y - top) as f32);
    let (left, top) = (left as i64, top as i64);
    let channels = pixel.len();
    for (channel, out) in pixel.iter_mut().enumerate() {
        let at = |x: i64, y: i64| -> f32 {
            let inside = (0..=last_x).contains(&x) && (0..=last_y).contains(&y);
            if !inside && outside == Outside::Black {
                return 0.0;
            }
            let (x, y) = (x.clamp(0, last_x) as usize, y.clamp(0, last_y) as usize);
            f32::from(source.row(y)[x * channels + channel])
        };
        let top_value = at(left, top) * (1.0 - fx) + at(left + 1, top) * fx;
        let bottom = at(left, top + 1) * (1.0 - fx) + at(left + 1, top + 1) * fx;
        *out = (top_value * (1.0 - fy) + bottom * fy + 0.5) as u8;
    }
}

/// The similarity (turn, scale, shift) that brings `from` nearest to `to`, by least squares
/// (S. Umeyama, "Least-squares estimation of transformation parameters between two point
/// patterns", 1991; in the plane, without reflection, it is a linear problem).
///
/// None when the points of `from` are all one, or a number is none.
pub fn similarity<const N: usize>(from: &[Point; N], to: &[Point; N]) -> Option<Homography> {
    let mean = |points: &[Point; N]| {
        let sum = points.iter().fold((0.0, 0.0), |sum, p| {
            (sum.0 + f64::from(p.x), sum.1 + f64::from(p.y))
        });
        (sum.0 / N as f64, sum.1 / N as f64)
    };
    let (from_mean, to_mean) = (mean(from), mean(to));
    let (mut spread, mut dot, mut cross) = (0.0, 0.0, 0.0);
    for (p, q) in from.iter().zip(to) {
        let (px, py) = (f64::from(p.x) - from_mean.0, f64::from(p.y) - from_mean.1);
        let (qx, qy) = (f64::from(q.x) - to_mean.0, f64::from(q.y) - to_mean.1);
        spread += px * px + py * py;
        dot += px * qx + py * qy;
        cross += px * qy - py * qx;
    }
    let (a, b) = (dot / spread, cross / spread);
    let map = [
        a,
        -b,
        to_mean.0 - a * from_mean.0 + b * from_mean.1,
        b,
        a,
        to_mean.1 - b * from_mean.0 - a * from_mean.1,
    ];
    map.iter()
        .all(|value| value.is_finite())
        .then(|| Homography::affine(map))
}

impl Homography {
    /// The way back. None when there is none.
    pub fn inverse(&self) -> Option<Self> {
        let m = &self.0;
        let minor = |a: usize, b: usize, c: usize, d: usize| m[a] * m[d] - m[b] * m[c];
        let adjugate = [
            minor(4, 5, 7, 8),
            minor(2, 1, 8, 7),
            minor(1, 2, 4, 5),
            minor(5, 3, 8, 6),
            minor(0, 2, 6, 8),
            minor(2, 0, 5, 3),
            minor(3, 4, 6, 7),
            minor(1, 0, 7, 6),
            minor(0, 1, 3, 4),
        ];
        let last = adjugate[8];
        let inverse = adjugate.map(|value| value / last);
        let determinant = m[0] * adjugate[0] + m[1] * adjugate[3] + m[2] * adjugate[6];
        let sound = determinant.abs() > 1e-12 && inverse.iter().all(|value| value.is_finite());
        sound.then_some(Self(inverse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Box2;
    use crate::picture::Channels;

    fn gray(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Picture {
        let bytes = (0..width * height).map(|i| value(i % width, i / width));
        Picture::new(bytes.collect(), width, height, Channels::Gray).expect("it fits")
    }

    #[test]
    fn a_shrunk_pixel_is_the_mean_of_what_it_covers() {
        let source = gray(4, 4, |x, y| (x * 10 + y * 40) as u8);
        let mut out = gray(3, 3, |_, _| 7);
        Shrinker::default().shrink(source.view(), 2, 2, &mut out);
        assert_eq!(out.data(), [25, 45, 7, 105, 125, 7, 7, 7, 7]);
        // 3 to 2: each covers one and a half.
        let source = gray(3, 1, |x, _| [0, 90, 180][x]);
        let mut out = gray(2, 1, |_, _| 0);
        Shrinker::default().shrink(source.view(), 2, 1, &mut out);
        assert_eq!(out.data(), [30, 150]);
    }

    #[test]
    fn one_shrinker_does_pictures_of_several_sizes() {
        let mut shrinker = Shrinker::default();
        for (width, height) in [(64, 48), (61, 31), (64, 48)] {
            let source = gray(width, height, |x, y| (x * 3 + y) as u8);
            let mut once = gray(20, 20, |_, _| 0);
            Shrinker::default().shrink(source.view(), 17, 13, &mut once);
            let mut again = gray(20, 20, |_, _| 0);
            shrinker.shrink(source.view(), 17, 13, &mut again);
            assert_eq!(once, again);
        }
    }

    #[test]
    fn a_map_takes_corners_to_corners_and_back() {
        let corner = |x, y| Point { x, y };
        let quad = Quad([
            corner(10.0, 12.0),
            corner(50.0, 8.0),
            corner(54.0, 30.0),
            corner(9.0, 28.0),
        ]);
        let map = Homography::from_rectangle(100.0, 20.0, &quad).expect("it has an inside");
        let back = map.inverse().expect("it has a way back");
        let rectangle = [(0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0)];
        for ((x, y), corner) in rectangle.into_iter().zip(quad.0) {
            let (to_x, to_y) = map.apply(x, y);
            assert!((to_x - f64::from(corner.x)).abs() < 1e-6);
            assert!((to_y - f64::from(corner.y)).abs() < 1e-6);
            let (from_x, from_y) = back.apply(to_x, to_y);
            assert!((from_x - x).abs() < 1e-6 && (from_y - y).abs() < 1e-6);
        }
        let line = Quad([corner(0.0, 0.0); 4]);
        assert_eq!(Homography::from_rectangle(10.0, 10.0, &line), None);
        let none = Quad([corner(f32::NAN, 0.0); 4]);
        assert_eq!(Homography::from_rectangle(10.0, 10.0, &none), None);
    }

    #[test]
    fn a_straight_map_copies() {
        let source = gray(8, 6, |x, y| (x * 20 + y) as u8);
        let box2 = Box2 {
            x: 2.0,
            y: 1.0,
            w: 4.0,
            h: 3.0,
        };
        let map = Homography::from_rectangle(4.0, 3.0, &box2.quad()).expect("it has an inside");
        let mut out = gray(4, 3, |_, _| 0);
        warp(source.view(), &map, Outside::Black, &mut out);
        assert_eq!(out, source.view().part(2, 1, 4, 3).to_picture());
    }

    #[test]
    fn beyond_the_edge_is_black_or_the_edge() {
        let source = gray(2, 1, |_, _| 100);
        let map = Homography::affine([1.0, 0.0, -2.0, 0.0, 1.0, 0.0]);
        let mut out = gray(6, 1, |_, _| 1);
        warp(source.view(), &map, Outside::Black, &mut out);
        assert_eq!(out.data(), [0, 0, 100, 100, 0, 0]);
        warp(source.view(), &map, Outside::Edge, &mut out);
        assert_eq!(out.data(), [100; 6]);
    }

    #[test]
    fn the_nearest_similarity_is_the_exact_one_if_there_is_one() {
        let points = [(0.0, 0.0), (10.0, 0.0), (3.0, 7.0)].map(|(x, y)| Point { x, y });
        // A turn of 90 degrees, twice as large, shifted.
        let turned = points.map(|p| Point {
            x: 5.0 - 2.0 * p.y,
            y: 1.0 + 2.0 * p.x,
        });
        let map = similarity(&points, &turned).expect("the points differ");
        for (p, q) in points.iter().zip(&turned) {
            let (x, y) = map.apply(f64::from(p.x), f64::from(p.y));
            assert!((x - f64::from(q.x)).abs() < 1e-5 && (y - f64::from(q.y)).abs() < 1e-5);
        }
        assert_eq!(similarity(&[points[0]; 3], &turned), None);
    }
}
