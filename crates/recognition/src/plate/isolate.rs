//! Leaves nothing of a plate but its characters.
//!
//! Readers of text take frames, flags, stickers, bolts and the name of a state for characters. So
//! the line of characters is found again, larger than in the whole picture; what hangs together
//! and has the height of the line is copied, dark on white and evenly lit, and the rest is not.

use std::ops::Range;

use super::components::{Component, ComponentFinder, Ink, Threshold};
use super::lines::{Line, LineFinder};
use super::preprocess::Preprocessor;
use super::rectify::Rectifier;
use crate::geometry::{Point, Quad};
use crate::picture::{Channels, Picture, View};
use crate::resample::{Homography, Outside, warp};

/// How high a plate is looked at to find its line, in pixels.
const PLATE_HEIGHT: usize = 112;
/// How high its characters are afterwards.
const CHARACTER_HEIGHT: f32 = 40.0;
/// What is kept above and below them, in their heights.
const ABOVE: f32 = 0.35;
/// What is kept beside the line, in heights: a character that was not seen at first.
const BESIDE: f32 = 1.1;
/// The largest gap between two characters, in heights.
const MAX_GAP: f32 = 1.3;
/// How far upright strokes may lean, as a share of their height.
const LEANS: [f32; 9] = [-0.32, -0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24, 0.32];

/// The widest that gaps are drawn, in heights: Tesseract would see several words.
const WIDEST_GAP: f32 = 0.35;
/// What is drawn around a character, and around all, in pixels.
const PAD: u32 = 2;
const BORDER: u32 = 10;
/// How much is cut off above, and below, before characters are looked for, in heights.
/// Characters that touch a frame come off it.
const TRIMS: [(f32, f32); 4] = [
    (0.0, 0.0),
    (ABOVE - 0.1, ABOVE - 0.1),
    (ABOVE - 0.06, ABOVE - 0.06),
    (ABOVE - 0.1, ABOVE + 0.04),
];
/// How many characters more must be found in what was trimmed: frames cut to the height of
/// characters look like some.
const TRIM_COST: f32 = 1.6;
/// The share of edges that a row of the line of characters has, by those that many rows have.
const IN_BAND: f32 = 0.55;

/// How characters are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Their height, in pixels.
    pub height: f32,
    /// Their mean width, by their height: readers know the usual shapes better than narrow ones.
    pub width: f32,
}

/// From faint ink, which a low threshold finds, to blurred ink, which a high one keeps apart.
fn thresholds(radius: usize) -> [Threshold; 4] {
    [8, 20, 40, 70].map(|share| Threshold {
        radius,
        share,
        least: 3,
    })
}

/// How the line of characters is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// As in whole pictures.
    Components,
    /// By the rows that have many edges, however the characters hang together. Dark ink only.
    Band,
}

/// Isolates characters. It keeps its memory for the next plate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Isolator {
    rectifier: Rectifier,
    cut: Picture,
    drawn: Picture,
    finder: ComponentFinder,
    components: Vec<Component>,
    line_finder: LineFinder,
    lines: Vec<Line>,
    characters: Vec<Component>,
    best: Vec<Component>,
    columns: Vec<f32>,
    rows: Vec<f32>,
    sorted: Vec<f32>,
}

impl Isolator {
    /// Looks for the characters of the plate at `quad`, to be drawn. Gives their number, or none if
    /// there are not enough in a line.
    pub(crate) fn isolate(
        &mut self,
        picture: View<'_>,
        quad: &Quad,
        by: By,
        preprocessor: &mut Preprocessor,
    ) -> Option<usize> {
        let around = quad.grown(1.15, 1.3);
        let map = self
            .rectifier
            .cut(picture, &around, PLATE_HEIGHT, &mut self.cut)?;
        let line = match by {
            By::Components => self.find_line()?,
            By::Band => self.find_band()?,
        };
        let height = ((1.0 + 2.0 * ABOVE) * CHARACTER_HEIGHT).round() as usize;
        let upright = line_quad(&line, &map, 0.0);
        self.rectifier
            .cut(picture, &upright, height, &mut self.cut)?;
        let lean = self.lean();
        if lean != 0.0 {
            let leaning = line_quad(&line, &map, lean);
            self.rectifier
                .cut(picture, &leaning, height, &mut self.cut)?;
        }
        preprocessor.filter(&mut self.cut);
        self.find_characters(line.ink);
        if self.best.len() < 2 {
            return None;
        }
        Some(self.best.len())
    }

    /// The line that is likeliest the plate's.
    fn find_line(&mut self) -> Option<Line> {
        self.lines.clear();
        let height = self.cut.height() as f32;
        for threshold in thresholds(PLATE_HEIGHT / 4) {
            self.components.clear();
            let keep = |c: &Component| {
                let shape = c.width() / c.height();
                (0.2 * height..0.85 * height).contains(&c.height())
                    && (0.08..1.3).contains(&shape)
                    && c.fill() > 0.15
            };
            self.finder
                .find(self.cut.view(), threshold, keep, &mut self.components);
            self.line_finder
                .find(&mut self.components, 3, &mut self.lines);
        }
        let (width, middle) = (self.cut.width() as f32, height / 2.0);
        let rank = |line: &Line| {
            let center = (line.left.1 + line.right.1) / 2.0;
            let off = (center - middle).abs() / height;
            let length = (line.right.0 - line.left.0) / width;
            line.score * (1.0 - off) * (0.3 + length.min(0.7)) * (line.height / height).sqrt()
        };
        let best = |a: &&Line, b: &&Line| rank(a).total_cmp(&rank(b));
        self.lines.iter().max_by(best).copied()
    }

    /// The highest band of rows with many upright edges: characters that touch a frame or each
    /// other are no components of their own.
    fn find_band(&mut self) -> Option<Line> {
        let (width, height) = (self.cut.width(), self.cut.height());
        let middle = width as f32 / 2.0;
        let mut best = (0.0, 0.0);
        for slope in -8..=8 {
            let slope = slope as f32 * 0.03;
            self.edges(slope);
            let sharp: f32 = self.rows.windows(2).map(|p| (p[1] - p[0]).powi(2)).sum();
            if sharp > best.1 {
                best = (slope, sharp);
            }
        }
        let slope = best.0;
        self.edges(slope);
        self.sorted.clone_from(&self.rows);
        self.sorted.sort_unstable_by(f32::total_cmp);
        // The edge of a frame may have more edges than all rows of characters.
        let high = self.sorted[height * 85 / 100];
        let mut band = (0, 0);
        let mut start = None;
        for y in 0..=height {
            let inside = y < height && self.rows[y] > IN_BAND * high;
            match (inside, start) {
                (true, None) => start = Some(y),
                (false, Some(from)) => {
                    if y - from > band.1 - band.0 {
                        band = (from, y);
                    }
                    start = None;
                }
                _ => {}
            }
        }
        let (top, bottom) = (band.0 as f32, band.1 as f32);
        if !(0.2..0.9).contains(&((bottom - top) / height as f32)) {
            return None;
        }
        let at = |x: f32| (x, (top + bottom) / 2.0 + slope * (x - middle));
        Some(Line {
            ink: Ink::Dark,
            left: at(0.0),
            right: at(width as f32),
            height: bottom - top,
            count: 0,
            score: 0.0,
        })
    }

    /// The sum of differences between neighbours, for each row that falls by `slope`.
    fn edges(&mut self, slope: f32) {
        let (width, height) = (self.cut.width(), self.cut.height());
        let middle = width as f32 / 2.0;
        self.rows.clear();
        self.rows.resize(height, 0.0);
        for x in 1..width - 1 {
            let shift = (slope * (x as f32 - middle)).round() as isize;
            for y in 0..height {
                let at = y as isize + shift;
                if at < 0 || at >= height as isize {
                    continue;
                }
                let row = self.cut.row(at as usize);
                self.rows[y] += f32::from(row[x + 1].abs_diff(row[x - 1]));
            }
        }
    }

    /// How far the strokes lean: straightened by that, columns differ most from the next.
    fn lean(&mut self) -> f32 {
        let (width, height) = (self.cut.width(), self.cut.height());
        let middle = height as f32 / 2.0;
        let mut best = (0.0, 0.0);
        for lean in LEANS {
            self.columns.clear();
            self.columns.resize(width, 0.0);
            for y in 0..height {
                let shift = ((y as f32 + 0.5 - middle) * lean).round() as isize;
                let row = self.cut.row(y);
                for (x, column) in self.columns.iter_mut().enumerate() {
                    let x = x.saturating_add_signed(shift).min(width - 1);
                    *column += f32::from(row[x]);
                }
            }
            let sharp: f32 = self
                .columns
                .windows(2)
                .map(|pair| (pair[1] - pair[0]).powi(2))
                .sum();
            if sharp > best.1 {
                best = (lean, sharp);
            }
        }
        best.0
    }

    /// Leaves the characters of the straightened line in `best`, from left to right.
    fn find_characters(&mut self, ink: Ink) {
        self.best.clear();
        let mut most = 0.0;
        let (width, middle) = (self.cut.width() as f32, self.cut.height() as f32 / 2.0);
        for (trim, threshold) in TRIMS.into_iter().flat_map(|trim| {
            thresholds((CHARACTER_HEIGHT * 0.6) as usize).map(|threshold| (trim, threshold))
        }) {
            let first = (trim.0 * CHARACTER_HEIGHT) as usize;
            let rows = self.cut.height() - first - (trim.1 * CHARACTER_HEIGHT) as usize;
            let part = self.cut.view().part(0, first, self.cut.width(), rows);
            self.components.clear();
            let keep = |c: &Component| {
                let (w, h) = (c.width() / CHARACTER_HEIGHT, c.height() / CHARACTER_HEIGHT);
                // What reaches from edge to edge is a frame.
                let through = c.top == 0 && c.bottom as usize == rows;
                c.ink == ink
                    && !(trim.0 > 0.0 && through)
                    && (0.7..1.3).contains(&h)
                    && (0.08..2.6).contains(&w)
                    && (c.center_y() + first as f32 - middle).abs() < 0.22 * CHARACTER_HEIGHT
                    && c.fill() > 0.12
            };
            self.finder
                .find(part, threshold, keep, &mut self.components);
            for c in &mut self.components {
                c.top += first as u32;
                c.bottom += first as u32;
            }
            self.components.sort_unstable_by_key(|c| (c.left, c.top));
            self.characters.clear();
            self.characters
                .extend_from_slice(connected(&self.components, width / 2.0));
            self.sorted.clear();
            self.sorted
                .extend(self.characters.iter().map(Component::height));
            self.sorted.sort_unstable_by(f32::total_cmp);
            let Some(&median) = self.sorted.get(self.sorted.len() / 2) else {
                continue;
            };
            self.characters
                .retain(|c| (0.85..1.18).contains(&(c.height() / median)));
            let sum: f32 = self
                .characters
                .iter()
                .map(|c| {
                    let shape = c.width() / c.height();
                    let even = 1.0 - 3.0 * (c.height() / median - 1.0).abs();
                    even * if shape < 1.0 { 1.0 } else { 0.5 }
                })
                .sum();
            // Trimmed, what is cut off of frames may look like a character.
            let sum = sum - if trim.0 == 0.0 { 0.0 } else { TRIM_COST };
            if sum > most {
                most = sum;
                std::mem::swap(&mut self.best, &mut self.characters);
            }
        }
    }

    /// Fills `out` with the characters that were found, dark on white and side by side.
    pub(crate) fn draw(&mut self, shape: Shape, out: &mut Picture) {
        self.lay_out();
        let shapes = || {
            self.best
                .iter()
                .map(|c| c.width() / c.height())
                .filter(|w| *w < 1.0)
        };
        let mean = shapes().sum::<f32>() / shapes().count().max(1) as f32;
        let down = shape.height / CHARACTER_HEIGHT;
        let across = down * (shape.width / mean).clamp(0.8, 1.8);
        let scaled = |len: usize, by: f32| ((len as f32 * by).round() as usize).max(1);
        out.reset(
            scaled(self.drawn.width(), across),
            scaled(self.drawn.height(), down),
            Channels::Gray,
        );
        let (across, down) = (f64::from(across), f64::from(down));
        let map = Homography::affine([1.0 / across, 0.0, 0.0, 0.0, 1.0 / down, 0.0]);
        warp(self.drawn.view(), &map, Outside::Edge, out);
    }

    /// Copies the characters to `drawn`.
    fn lay_out(&mut self) {
        let top = self.best.iter().map(|c| c.top).min().unwrap_or(0);
        let bottom = self.best.iter().map(|c| c.bottom).max().unwrap_or(0);
        let (cut_width, cut_height) = (self.cut.width() as u32, self.cut.height() as u32);
        let top = top.saturating_sub(PAD);
        let bottom = (bottom + PAD).min(cut_height);
        let widest = (WIDEST_GAP * CHARACTER_HEIGHT) as u32;
        let gap = |a: &Component, b: &Component| b.left.saturating_sub(a.right);
        let gaps: u32 = self
            .best
            .windows(2)
            .map(|pair| gap(&pair[0], &pair[1]).min(widest))
            .sum();
        let widths: u32 = self.best.iter().map(|c| c.right - c.left).sum();
        self.drawn.reset(
            (widths + gaps + 2 * BORDER) as usize,
            (bottom - top + 2 * BORDER) as usize,
            Channels::Gray,
        );
        self.drawn.fill(255);
        let mut x = BORDER;
        for (index, c) in self.best.iter().enumerate() {
            // Half of a gap belongs to each neighbour.
            let before = index
                .checked_sub(1)
                .map(|before| gap(&self.best[before], c));
            let after = self.best.get(index + 1).map(|after| gap(c, after));
            let pad = |gap: Option<u32>| gap.map_or(PAD, |gap| PAD.min(gap.min(widest) / 2));
            x += before.map_or(0, |gap| gap.min(widest));
            let left = c.left.saturating_sub(pad(before));
            let right = (c.right + pad(after)).min(cut_width);
            let rows = c.top.saturating_sub(PAD)..(c.bottom + PAD).min(cut_height);
            let (dark, light) = range(&self.cut, left..right, rows.clone());
            for y in rows {
                let source = &self.cut.row(y as usize)[left as usize..right as usize];
                let start = (x - (c.left - left)) as usize;
                let row = self.drawn.row_mut((y - top + BORDER) as usize);
                for (target, &value) in row[start..].iter_mut().zip(source) {
                    let value = (f32::from(value) - dark) / (light - dark).max(1.0);
                    let value = match c.ink {
                        Ink::Dark => value,
                        Ink::Light => 1.0 - value,
                    };
                    *target = (value.clamp(0.0, 1.0) * 255.0) as u8;
                }
            }
            x += c.right - c.left;
        }
    }
}

/// The brightness of which a tenth of the pixels is darker, and a fifth lighter.
fn range(picture: &Picture, columns: Range<u32>, rows: Range<u32>) -> (f32, f32) {
    let mut counts = [0_u32; 256];
    for y in rows.clone() {
        for &value in &picture.row(y as usize)[columns.start as usize..columns.end as usize] {
            counts[usize::from(value)] += 1;
        }
    }
    let all = (columns.len() * rows.len()) as u32;
    let below = |tenths: u32| {
        let mut sum = 0;
        let at = counts.iter().position(|count| {
            sum += count;
            sum * 10 > all * tenths
        });
        at.unwrap_or(255) as f32
    };
    (below(1), below(8))
}

/// Those without too large a gap between them, around `middle`.
fn connected(components: &[Component], middle: f32) -> &[Component] {
    let center = components
        .iter()
        .enumerate()
        .min_by(|a, b| {
            let off = |c: &Component| (c.center_x() - middle).abs();
            off(a.1).total_cmp(&off(b.1))
        })
        .map_or(0, |(index, _)| index);
    let near = |pair: &[Component]| {
        (pair[1].left as f32 - pair[0].right as f32) <= MAX_GAP * CHARACTER_HEIGHT
    };
    let mut from = center;
    while from > 0 && near(&components[from - 1..=from]) {
        from -= 1;
    }
    let mut to = center;
    while to + 1 < components.len() && near(&components[to..=to + 1]) {
        to += 1;
    }
    components.get(from..=to).unwrap_or(&[])
}

/// Around a line of a cut-out, in the picture that it was cut out of.
fn line_quad(line: &Line, map: &Homography, lean: f32) -> Quad {
    let half = line.height * (0.5 + ABOVE);
    let (run, rise) = (line.right.0 - line.left.0, line.right.1 - line.left.1);
    let more = BESIDE * line.height / run.hypot(rise);
    let ends = [
        (line.left.0 - more * run, line.left.1 - more * rise),
        (line.right.0 + more * run, line.right.1 + more * rise),
    ];
    let at = |(x, y): (f32, f32), down: f32| {
        let (x, y) = map.apply(
            f64::from(x + down * half * lean),
            f64::from(y + down * half),
        );
        Point {
            x: x as f32,
            y: y as f32,
        }
    };
    Quad([
        at(ends[0], -1.0),
        at(ends[1], -1.0),
        at(ends[1], 1.0),
        at(ends[0], 1.0),
    ])
}

#[cfg(test)]
mod tests;
