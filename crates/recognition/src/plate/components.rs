//! Connected pixels that are darker or lighter than what surrounds them.
//!
//! Each pixel is compared with the mean of a square around it (D. Bradley and G. Roth, "Adaptive
//! thresholding using the integral image", 2007), which makes it dark, light or neither. Runs of
//! equal pixels are joined from row to row by union-find, in one pass over the picture.

use crate::picture::{Channels, View};

/// Which side of its surroundings something is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Dark,
    Light,
}

/// How much a pixel must differ from the mean of the square around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threshold {
    /// Half the side of the square. At most [`Threshold::MAX_RADIUS`].
    pub radius: usize,
    /// The share of the mean, in 256ths.
    pub share: u32,
    /// Grey levels, whatever the mean.
    pub least: u32,
}

impl Threshold {
    /// So that the sums stay within 32 bits.
    pub(crate) const MAX_RADIUS: usize = 60;
}

/// Pixels that hang together, corners included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Component {
    pub ink: Ink,
    /// The first column and row, and those after the last.
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
    /// Pixels.
    pub area: u32,
    /// Runs of pixels in rows: `area / runs` is about the width of a pen's stroke.
    pub runs: u32,
}

impl Component {
    pub(crate) fn width(&self) -> f32 {
        (self.right - self.left) as f32
    }

    pub(crate) fn height(&self) -> f32 {
        (self.bottom - self.top) as f32
    }

    pub(crate) fn center_x(&self) -> f32 {
        (self.left + self.right) as f32 / 2.0
    }

    pub(crate) fn center_y(&self) -> f32 {
        (self.top + self.bottom) as f32 / 2.0
    }

    /// The share of its box that is its own.
    pub(crate) fn fill(&self) -> f32 {
        self.area as f32 / (self.width() * self.height())
    }

    fn join(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.area += other.area;
        self.runs += other.runs;
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    left: u32,
    right: u32,
    kind: u8,
    label: u32,
}

const NEITHER: u8 = 0;
const DARK: u8 = 1;
const LIGHT: u8 = 2;

/// Finds components, in memory that it keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct ComponentFinder {
    /// Sums down the square, per column; then across, from the left.
    columns: Vec<u32>,
    prefix: Vec<u32>,
    kinds: Vec<u8>,
    above: Vec<Run>,
    runs: Vec<Run>,
    parents: Vec<u32>,
    parts: Vec<Component>,
}

impl ComponentFinder {
    /// Adds those of a grey picture that `keep` accepts to `found`.
    pub(crate) fn find(
        &mut self,
        picture: View<'_>,
        threshold: Threshold,
        keep: impl Fn(&Component) -> bool,
        found: &mut Vec<Component>,
    ) {
        assert_eq!(picture.channels(), Channels::Gray);
        assert!(threshold.radius <= Threshold::MAX_RADIUS);
        let (width, height, radius) = (picture.width(), picture.height(), threshold.radius);
        self.columns.clear();
        self.columns.resize(width, 0);
        self.prefix.clear();
        self.prefix.resize(width + 1, 0);
        self.kinds.resize(width, NEITHER);
        self.above.clear();
        self.parents.clear();
        self.parts.clear();
        for y in 0..radius.min(height) {
            add(&mut self.columns, picture.row(y));
        }
        for y in 0..height {
            if y + radius < height {
                add(&mut self.columns, picture.row(y + radius));
            }
            if y > radius {
                let gone = picture.row(y - radius - 1);
                for (sum, &value) in self.columns.iter_mut().zip(gone) {
                    *sum -= u32::from(value);
                }
            }
            let rows = (y + radius + 1).min(height) - y.saturating_sub(radius);
            self.classify(picture.row(y), rows as u32, threshold);
            self.connect(y as u32);
        }
        for (label, part) in self.parts.iter().enumerate() {
            if self.parents[label] == label as u32 && keep(part) {
                found.push(*part);
            }
        }
    }

    fn classify(&mut self, row: &[u8], rows: u32, threshold: Threshold) {
        let (width, radius) = (row.len(), threshold.radius);
        let mut sum = 0;
        for (prefix, column) in self.prefix[1..].iter_mut().zip(&self.columns) {
            sum += column;
            *prefix = sum;
        }
        let inner = radius.min(width)..width.saturating_sub(radius).max(radius.min(width));
        for x in (0..inner.start).chain(inner.end..width) {
            let (from, to) = (x.saturating_sub(radius), (x + radius + 1).min(width));
            let sum = self.prefix[to] - self.prefix[from];
            self.kinds[x] = kind(row[x], sum, rows * (to - from) as u32, threshold);
        }
        // The same without a look at the edges, so that it is computed many at a time.
        let area = rows * (2 * radius as u32 + 1);
        if inner.is_empty() {
            return;
        }
        let kinds = &mut self.kinds[inner.clone()];
        let sums = self.prefix[2 * radius + 1..].iter().zip(&self.prefix);
        for ((out, &value), (to, from)) in kinds.iter_mut().zip(&row[inner]).zip(sums) {
            *out = kind(value, to - from, area, threshold);
        }
    }

    fn connect(&mut self, y: u32) {
        self.runs.clear();
        let width = self.kinds.len();
        let (mut x, mut above) = (0, 0);
        while x < width {
            let kind = self.kinds[x];
            let start = x;
            x += self.kinds[x..].iter().take_while(|k| **k == kind).count();
            if kind == NEITHER {
                continue;
            }
            let (left, right) = (start as u32, x as u32);
            let mut part = Component {
                ink: if kind == DARK { Ink::Dark } else { Ink::Light },
                left,
                top: y,
                right,
                bottom: y + 1,
                area: right - left,
                runs: 1,
            };
            while above < self.above.len() && self.above[above].right < left {
                above += 1;
            }
            let mut label = None;
            let mut next = above;
            while next < self.above.len() && self.above[next].left <= right {
                let run = self.above[next];
                if run.kind == kind {
                    let root = find_root(&mut self.parents, run.label);
                    label = Some(match label {
                        None => root,
                        Some(label) if label == root => root,
                        Some(label) => {
                            let (kept, gone) = (root.min(label), root.max(label));
                            self.parents[gone as usize] = kept;
                            let gone = self.parts[gone as usize];
                            self.parts[kept as usize].join(&gone);
                            kept
                        }
                    });
                }
                next += 1;
            }
            let label = label.unwrap_or_else(|| {
                self.parents.push(self.parents.len() as u32);
                self.parts.push(part);
                part.area = 0;
                part.runs = 0;
                self.parents.len() as u32 - 1
            });
            self.parts[label as usize].join(&part);
            self.runs.push(Run {
                left,
                right,
                kind,
                label,
            });
        }
        std::mem::swap(&mut self.above, &mut self.runs);
    }
}

fn add(columns: &mut [u32], row: &[u8]) {
    for (sum, &value) in columns.iter_mut().zip(row) {
        *sum += u32::from(value);
    }
}

#[inline(always)]
fn kind(value: u8, sum: u32, area: u32, threshold: Threshold) -> u8 {
    let (value, mean) = (u32::from(value) * area, sum);
    let margin = ((mean >> 8) * threshold.share).max(threshold.least * area);
    u8::from(value + margin < mean) * DARK + u8::from(value > mean + margin) * LIGHT
}

fn find_root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        let up = parents[parents[label as usize] as usize];
        parents[label as usize] = up;
        label = up;
    }
    label
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::picture::Picture;

    const THRESHOLD: Threshold = Threshold {
        radius: 6,
        share: 16,
        least: 4,
    };

    fn picture(rows: &[&str]) -> Picture {
        let bytes = rows.iter().flat_map(|row| {
            row.bytes().map(|b| match b {
                b'#' => 20,
                b'o' => 250,
                _ => 128,
            })
        });
        Picture::new(bytes.collect(), rows[0].len(), rows.len(), Channels::Gray).expect("it fits")
    }

    fn find(picture: &Picture, threshold: Threshold) -> Vec<Component> {
        let mut found = Vec::new();
        ComponentFinder::default().find(picture.view(), threshold, |_| true, &mut found);
        found
    }

    #[test]
    fn what_hangs_together_is_one() {
        let picture = picture(&[
            "................",
            ".#...#...oo.....",
            ".#...#...oo...#.",
            ".#####.......#..",
            "............#...",
            "................",
        ]);
        let mut found = find(
            &picture,
            Threshold {
                share: 100,
                ..THRESHOLD
            },
        );
        found.sort_by_key(|c| c.left);
        let boxes: Vec<_> = found
            .iter()
            .map(|c| (c.ink, c.left, c.top, c.right, c.bottom, c.area, c.runs))
            .collect();
        assert_eq!(
            boxes,
            [
                // Two arms that meet further down.
                (Ink::Dark, 1, 1, 6, 4, 9, 5),
                (Ink::Light, 9, 1, 11, 3, 4, 2),
                // Corners touch.
                (Ink::Dark, 12, 2, 15, 5, 3, 3),
            ]
        );
    }

    #[test]
    fn what_differs_too_little_is_neither() {
        let mut flat = Picture::default();
        flat.reset(30, 20, Channels::Gray);
        flat.fill(100);
        flat.row_mut(10)[10..14].fill(95);
        assert_eq!(find(&flat, THRESHOLD), []);
        flat.row_mut(10)[10..14].fill(80);
        assert_eq!(find(&flat, THRESHOLD).len(), 1);
    }

    /// Each pixel by itself, and neighbours filled one after the other.
    fn slowly(picture: &Picture, threshold: Threshold) -> Vec<(u32, u32, u32, u32, u32)> {
        let (width, height) = (picture.width(), picture.height());
        let near = |at: usize, len: usize, radius: usize| {
            at.saturating_sub(radius)..(at + radius + 1).min(len)
        };
        let kind_at = |x: usize, y: usize| {
            let (rows, columns) = (
                near(y, height, threshold.radius),
                near(x, width, threshold.radius),
            );
            let area = (rows.len() * columns.len()) as u32;
            let sum = rows
                .flat_map(|y| columns.clone().map(move |x| (x, y)))
                .map(|(x, y)| u32::from(picture.row(y)[x]))
                .sum();
            kind(picture.row(y)[x], sum, area, threshold)
        };
        let mut seen = vec![false; width * height];
        let mut boxes = Vec::new();
        for start in 0..width * height {
            let of = kind_at(start % width, start / width);
            if of == NEITHER || seen[start] {
                continue;
            }
            seen[start] = true;
            let mut open = vec![start];
            let mut found = (u32::MAX, u32::MAX, 0, 0, 0);
            while let Some(at) = open.pop() {
                let (x, y) = (at % width, at / width);
                found = (
                    found.0.min(x as u32),
                    found.1.min(y as u32),
                    found.2.max(x as u32 + 1),
                    found.3.max(y as u32 + 1),
                    found.4 + 1,
                );
                for y in near(y, height, 1) {
                    for x in near(x, width, 1) {
                        if !seen[y * width + x] && kind_at(x, y) == of {
                            seen[y * width + x] = true;
                            open.push(y * width + x);
                        }
                    }
                }
            }
            boxes.push(found);
        }
        boxes.sort_unstable();
        boxes
    }

    proptest! {
        #[test]
        fn one_pass_finds_what_a_flood_finds(
            width in 1_usize..30,
            height in 1_usize..20,
            radius in 0_usize..8,
            bytes in proptest::collection::vec(prop_oneof![Just(20_u8), Just(128), Just(240)], 600),
        ) {
            let picture = Picture::new(bytes[..width * height].to_vec(), width, height, Channels::Gray)
                .expect("it fits");
            let threshold = Threshold { radius, ..THRESHOLD };
            let mut found: Vec<_> = find(&picture, threshold)
                .iter()
                .map(|c| (c.left, c.top, c.right, c.bottom, c.area))
                .collect();
            found.sort_unstable();
            prop_assert_eq!(found, slowly(&picture, threshold));
        }
    }
}
