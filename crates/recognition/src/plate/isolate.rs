//! Leaves nothing of a plate but its characters.
//!
//! Readers of text take frames, flags, stickers, bolts and the name of a state for characters. So
//! the line of characters is found again, larger than in the whole picture; what hangs together
//! and has the height of the line is copied, dark on white and evenly lit, and the rest is not.

use super::components::{Component, ComponentFinder, Ink, Threshold};
use super::lines::{Line, LineFinder};
use super::rectify::Rectifier;
use crate::geometry::{Point, Quad};
use crate::picture::{Channels, Picture, View};
use crate::resample::Homography;

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

fn thresholds(radius: usize) -> [Threshold; 4] {
    [8, 20, 40, 70].map(|share| Threshold {
        radius,
        share,
        least: 3,
    })
}

/// Isolates characters. It keeps its memory for the next plate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Isolator {
    rectifier: Rectifier,
    cut: Picture,
    finder: ComponentFinder,
    components: Vec<Component>,
    line_finder: LineFinder,
    lines: Vec<Line>,
    characters: Vec<Component>,
    best: Vec<Component>,
    columns: Vec<f32>,
}

impl Isolator {
    /// Fills `out` with the characters of the plate at `quad`, dark on white. Gives their number,
    /// or none if there are no three of them in a line.
    pub(crate) fn isolate(
        &mut self,
        picture: View<'_>,
        quad: &Quad,
        out: &mut Picture,
    ) -> Option<usize> {
        let around = quad.grown(1.15, 1.3);
        let map = self
            .rectifier
            .cut(picture, &around, PLATE_HEIGHT, &mut self.cut)?;
        let line = self.find_line()?;
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
        self.find_characters(line.ink);
        if self.best.len() < 2 {
            return None;
        }
        self.draw(out);
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
        for threshold in thresholds((CHARACTER_HEIGHT * 0.6) as usize) {
            self.components.clear();
            let keep = |c: &Component| {
                let (w, h) = (c.width() / CHARACTER_HEIGHT, c.height() / CHARACTER_HEIGHT);
                c.ink == ink
                    && (0.7..1.3).contains(&h)
                    && (0.08..2.6).contains(&w)
                    && (c.center_y() - middle).abs() < 0.22 * CHARACTER_HEIGHT
                    && c.fill() > 0.12
            };
            self.finder
                .find(self.cut.view(), threshold, keep, &mut self.components);
            self.components.sort_unstable_by_key(|c| (c.left, c.top));
            self.characters.clear();
            self.characters.extend_from_slice(connected(&self.components, width / 2.0));
            let mut heights: Vec<f32> = self.characters.iter().map(Component::height).collect();
            heights.sort_by(f32::total_cmp);
            let Some(&median) = heights.get(heights.len() / 2) else {
                continue;
            };
            self.characters
                .retain(|c| (0.85..1.18).contains(&(c.height() / median)));
            let sum: f32 = self.characters.iter().map(|c| {
                let shape = c.width() / c.height();
                let even = 1.0 - 3.0 * (c.height() / median - 1.0).abs();
                even * if shape < 1.0 { 1.0 } else { 0.5 }
            }).sum();
            if sum > most {
                most = sum;
                std::mem::swap(&mut self.best, &mut self.characters);
            }
        }
    }

    /// Puts the characters side by side.
    fn draw(&self, out: &mut Picture) {
        const BORDER: usize = 10;
        const PAD: u32 = 2;
        let (cut_width, cut_height) = (self.cut.width() as u32, self.cut.height() as u32);
        let top = self.best.iter().map(|c| c.top).min().unwrap_or(0).saturating_sub(PAD);
        let bottom = (self.best.iter().map(|c| c.bottom).max().unwrap_or(0) + PAD).min(cut_height);
        let gap = |a: &Component, b: &Component| {
            (b.left.saturating_sub(a.right) as usize).min((0.35 * CHARACTER_HEIGHT) as usize)
        };
        let gaps: usize = self.best.windows(2).map(|p| gap(&p[0], &p[1])).sum();
        let widths: usize = self.best.iter().map(|c| (c.right - c.left) as usize).sum();
        out.reset(
            widths + gaps + 2 * BORDER,
            (bottom - top) as usize + 2 * BORDER,
            Channels::Gray,
        );
        out.fill(255);
        let mut x = BORDER;
        for (index, c) in self.best.iter().enumerate() {
            if index > 0 {
                x += gap(&self.best[index - 1], c);
            }
            let rows = c.top.saturating_sub(PAD)..(c.bottom + PAD).min(cut_height);
            // Half of a gap belongs to each neighbour.
            let before = index.checked_sub(1).map_or(PAD, |i| c.left.saturating_sub(self.best[i].right) / 2);
            let after = self.best.get(index + 1).map_or(PAD, |n| n.left.saturating_sub(c.right) / 2);
            let left = c.left.saturating_sub(before.min(PAD));
            let right = (c.right + after.min(PAD)).min(cut_width);
            let (dark, light) = self.range(left, right, rows.clone());
            for y in rows {
                let source = &self.cut.row(y as usize)[left as usize..right as usize];
                let start = x - (c.left - left) as usize;
                let target = &mut out.row_mut((y - top) as usize + BORDER)[start..][..source.len()];
                for (target, &value) in target.iter_mut().zip(source) {
                    let value = (f32::from(value) - dark) / (light - dark).max(1.0);
                    let value = if c.ink == Ink::Light { 1.0 - value } else { value };
                    *target = (value.clamp(0.0, 1.0) * 255.0) as u8;
                }
            }
            x += (c.right - c.left) as usize;
        }
    }

    /// The brightness of which a tenth of the pixels is darker, and a tenth lighter.
    fn range(&self, left: u32, right: u32, rows: std::ops::Range<u32>) -> (f32, f32) {
        let mut counts = [0_u32; 256];
        let mut all = 0;
        for y in rows {
            for &value in &self.cut.row(y as usize)[left as usize..right as usize] {
                counts[usize::from(value)] += 1;
                all += 1;
            }
        }
        let below = |share: u32| {
            let mut sum = 0;
            let at = counts.iter().position(|count| {
                sum += count;
                sum * 10 > all * share
            });
            at.unwrap_or(255) as f32
        };
        (below(1), below(8))
    }
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
