//! Components of about the same height, side by side: what a line of characters looks like.

use super::components::{Component, Ink};

/// Characters side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub ink: Ink,
    /// Where its middle line begins and ends.
    pub left: (f32, f32),
    pub right: (f32, f32),
    /// Of its characters, at right angles to it.
    pub height: f32,
    /// How many.
    pub count: usize,
    /// From 0 to 1.
    pub score: f32,
}

/// How far a line may rise or fall in its length.
const MAX_SLOPE: f32 = 0.45;
/// The largest gap between two characters, in heights. There is room for a sticker or a bolt.
const MAX_GAP: f32 = 1.3;
/// Neighbours that a line is begun with: the next may be dirt.
const SEEDS: usize = 4;

/// Finds lines, in memory that it keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineFinder {
    members: Vec<usize>,
}

impl LineFinder {
    /// Sorts the components, and adds their lines of at least `least` to `lines`, with those that
    /// are parts of others.
    pub(crate) fn find(
        &mut self,
        components: &mut [Component],
        least: usize,
        lines: &mut Vec<Line>,
    ) {
        components.sort_unstable_by_key(|c| (c.left, c.top, c.right, c.bottom));
        for first in 0..components.len() {
            let mut seeds = 0;
            for second in first + 1..components.len() {
                let (a, b) = (&components[first], &components[second]);
                if b.left as f32 > a.right as f32 + MAX_GAP * a.height() || seeds == SEEDS {
                    break;
                }
                if fits_pair(a, b) {
                    seeds += 1;
                    if let Some(line) = self.grow(components, first, second, least) {
                        lines.push(line);
                    }
                }
            }
        }
    }

    fn grow(
        &mut self,
        components: &[Component],
        first: usize,
        second: usize,
        least: usize,
    ) -> Option<Line> {
        self.members.clear();
        self.members.extend([first, second]);
        let mut fit = Fit::default();
        fit.add(&components[first]);
        fit.add(&components[second]);
        let mut last = &components[second];
        for (index, next) in components.iter().enumerate().skip(second + 1) {
            let height = fit.height();
            if next.left as f32 > last.right as f32 + MAX_GAP * height {
                break;
            }
            let fits = next.ink == last.ink
                && overlap(last, next) < 0.3
                && (0.8..1.25).contains(&(next.height() / height))
                && (next.center_y() - fit.at(next.center_x())).abs() < 0.16 * height;
            if fits {
                fit.add(next);
                self.members.push(index);
                last = next;
            }
        }
        let count = self.members.len();
        if count < least {
            return None;
        }
        let slope = fit.slope();
        if slope.abs() > MAX_SLOPE {
            return None;
        }
        let (left, right) = (components[first].left as f32, last.right as f32);
        Some(Line {
            ink: last.ink,
            left: (left, fit.at(left)),
            right: (right, fit.at(right)),
            height: fit.height(),
            count,
            score: self.score(components, &fit),
        })
    }

    /// Characters are alike in height and stroke, stand on a line, and there are several.
    fn score(&self, components: &[Component], fit: &Fit) -> f32 {
        let count = self.members.len() as f32;
        let height = fit.height();
        let members = || self.members.iter().map(|&index| &components[index]);
        let mean = |value: &dyn Fn(&Component) -> f32| members().map(value).sum::<f32>() / count;
        let stroke = |c: &Component| c.area as f32 / c.runs as f32 / height;
        let strokes = mean(&stroke);
        let spread = |value: &dyn Fn(&Component) -> f32| mean(value).sqrt();
        let uneven = spread(&|c| (c.height() / height - 1.0).powi(2));
        let off = spread(&|c| ((c.center_y() - fit.at(c.center_x())) / height).powi(2));
        let stroke_uneven = spread(&|c| (stroke(c) / strokes - 1.0).powi(2));
        let enough = (count / 7.0).min(1.0) * (8.0 / count).min(1.0);
        enough * (1.0 - 3.0 * uneven - 4.0 * off - 0.5 * stroke_uneven).max(0.05)
    }
}

/// Whether two can be neighbours in a line.
fn fits_pair(a: &Component, b: &Component) -> bool {
    let (dx, dy) = (b.center_x() - a.center_x(), b.center_y() - a.center_y());
    a.ink == b.ink
        && (0.75..1.34).contains(&(b.height() / a.height()))
        && dx > 0.0
        && dy.abs() <= MAX_SLOPE * dx
        && overlap(a, b) < 0.3
}

/// How much of the narrower is above or below the other.
fn overlap(a: &Component, b: &Component) -> f32 {
    let shared = a.right.min(b.right) as f32 - a.left.max(b.left) as f32;
    (shared / a.width().min(b.width())).max(0.0)
}

/// The straight line through centres, by least squares, and the mean height.
#[derive(Clone, Copy, Debug, Default)]
struct Fit {
    n: f32,
    x: f32,
    y: f32,
    xx: f32,
    xy: f32,
    heights: f32,
    /// Sums are of differences from here: squares of coordinates would not keep their digits.
    origin: (f32, f32),
}

impl Fit {
    fn add(&mut self, component: &Component) {
        let (x, y) = (component.center_x(), component.center_y());
        if self.n == 0.0 {
            self.origin = (x, y);
        }
        let (x, y) = (x - self.origin.0, y - self.origin.1);
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.heights += component.height();
    }

    fn slope(&self) -> f32 {
        let spread = self.n * self.xx - self.x * self.x;
        if spread > 0.0 {
            (self.n * self.xy - self.x * self.y) / spread
        } else {
            0.0
        }
    }

    fn at(&self, x: f32) -> f32 {
        let slope = self.slope();
        let (x, mean_x) = (x - self.origin.0, self.x / self.n);
        self.origin.1 + self.y / self.n + slope * (x - mean_x)
    }

    fn height(&self) -> f32 {
        self.heights / self.n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn character(ink: Ink, left: u32, top: u32, width: u32, height: u32) -> Component {
        Component {
            ink,
            left,
            top,
            right: left + width,
            bottom: top + height,
            area: width * height / 2,
            runs: height * 2,
        }
    }

    /// The line with the most characters.
    fn find(components: &[Component]) -> Option<Line> {
        let mut components = components.to_vec();
        let mut lines = Vec::new();
        LineFinder::default().find(&mut components, 3, &mut lines);
        lines.into_iter().max_by_key(|line| line.count)
    }

    fn row(ink: Ink, count: u32, rise: u32) -> Vec<Component> {
        let at = |i| character(ink, 20 + i * 15, 100 - i * rise, 10, 20);
        (0..count).map(at).collect()
    }

    #[test]
    fn characters_side_by_side_are_a_line() {
        let line = find(&row(Ink::Dark, 6, 0)).expect("a line");
        assert_eq!((line.count, line.ink), (6, Ink::Dark));
        assert_eq!((line.left, line.right), ((20.0, 110.0), (105.0, 110.0)));
        assert_eq!(line.height, 20.0);
        let rising = find(&row(Ink::Light, 6, 3)).expect("a line");
        let slope = (rising.right.1 - rising.left.1) / (rising.right.0 - rising.left.0);
        assert!((slope + 0.2).abs() < 1e-3, "{slope}");
    }

    #[test]
    fn too_few_or_too_steep_are_none() {
        assert_eq!(find(&row(Ink::Dark, 2, 0)), None);
        assert_eq!(find(&row(Ink::Dark, 6, 9)), None);
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn what_differs_in_height_place_or_ink_does_not_belong() {
        let with = |other: Component| {
            let mut all = row(Ink::Dark, 5, 0);
            all.push(other);
            find(&all).expect("a line").count
        };
        assert_eq!(with(character(Ink::Dark, 95, 100, 10, 20)), 6);
        assert_eq!(with(character(Ink::Light, 95, 100, 10, 20)), 5);
        assert_eq!(with(character(Ink::Dark, 95, 100, 10, 30)), 5);
        assert_eq!(with(character(Ink::Dark, 95, 110, 10, 20)), 5);
        assert_eq!(with(character(Ink::Dark, 140, 100, 10, 20)), 5);
    }

    #[test]
    fn dirt_between_characters_does_not_end_a_line() {
        let mut all = row(Ink::Dark, 6, 0);
        all.push(character(Ink::Dark, 62, 104, 2, 12));
        assert_eq!(find(&all).expect("a line").count, 6);
    }

    #[test]
    fn even_lines_of_many_score_more() {
        let score = |components: &[Component]| find(components).expect("a line").score;
        let even = row(Ink::Dark, 7, 0);
        let mut uneven = even.clone();
        uneven[2].bottom -= 2;
        uneven[4].top += 2;
        assert!(score(&even) > score(&uneven));
        assert!(score(&even) > score(&even[..4]));
        assert!((0.0..=1.0).contains(&score(&even)));
    }
}
