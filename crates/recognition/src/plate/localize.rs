//! Finds plates without a network: by what a line of characters looks like.
//!
//! At each of several sizes of the picture, connected pixels that are darker or lighter than their
//! surroundings and have the size of a character are grouped into lines. The plate is what lies
//! around a line.

use super::components::{Component, ComponentFinder, Ink, Threshold};
use super::lines::{Line, LineFinder};
use crate::error::{Error, Result};
use crate::geometry::{Box2, Point, Quad};
use crate::picture::{Channels, Picture, View};
use crate::resample::Shrinker;

/// Where a plate may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The plate's corners in pixels of the picture; they may lie outside of it.
    pub quad: Quad,
    /// How much it looks like a line of characters, from 0 to 1.
    pub score: f32,
}

/// What is taken for a plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalizerSettings {
    /// The part of the picture that is looked at: its corner and size as shares of the picture's.
    pub region: Box2,
    /// Pictures with a longer side than this, in pixels, are made smaller first.
    pub longest_side: usize,
    /// The least width of a plate, in pixels.
    pub min_width: f32,
    /// The least height of a plate, in pixels.
    pub min_height: f32,
    /// The least width of a plate by its height.
    pub min_aspect_ratio: f32,
    /// The largest width of a plate by its height.
    pub max_aspect_ratio: f32,
    /// The fewest characters that are seen apart from each other.
    pub min_characters: usize,
    /// The most candidates of a picture; the best are kept.
    pub most: usize,
}

impl Default for LocalizerSettings {
    fn default() -> Self {
        Self {
            region: Box2 {
                x: 0.0,
                y: 0.0,
                w: 1.0,
                h: 1.0,
            },
            longest_side: 1920,
            min_width: 40.0,
            min_height: 10.0,
            min_aspect_ratio: 1.2,
            max_aspect_ratio: 8.5,
            min_characters: 3,
            most: 10,
        }
    }
}

/// The heights of characters that are looked for at each size, in pixels. Twice the lower is less
/// than the upper, so that no height falls between two sizes.
const CHARACTER: std::ops::Range<f32> = 7.0..36.0;
/// The heights of plates as a whole that are looked for at each size, in pixels.
const PAPER: std::ops::Range<f32> = 12.0..90.0;
/// How a pixel differs that belongs to a character.
const THRESHOLD: Threshold = Threshold {
    radius: 12,
    share: 16,
    least: 4,
};
/// How much wider and higher plates are than the line of characters: in the middle between
/// European plates (1.1 and 1.45) and those of the USA (1.15 and 2.2).
const PLATE_BY_LINE: (f32, f32) = (1.15, 1.7);

/// How much less a line counts that stands on no paper.
const OFF_PAPER: f32 = 0.7;

/// Finds plates. It keeps its memory for the next picture.
#[derive(Clone, Debug)]
pub struct Localizer {
    settings: LocalizerSettings,
    shrinker: Shrinker,
    levels: [Picture; LEVELS],
    finder: ComponentFinder,
    components: Vec<Component>,
    line_finder: LineFinder,
    lines: Vec<Line>,
    found: Vec<Found>,
    papers: Vec<Paper>,
    candidates: Vec<Candidate>,
}

/// A line in the picture.
#[derive(Clone, Copy, Debug)]
struct Found {
    ink: Ink,
    /// Around its characters.
    bounds: Box2,
    candidate: Candidate,
}

/// What may be the even ground of a plate, with characters cut out of it.
#[derive(Clone, Copy, Debug)]
struct Paper {
    ink: Ink,
    bounds: Box2,
    score: f32,
}

impl Paper {
    /// Whether a line stands on it, and fills it as characters fill plates.
    fn carries(&self, found: &Found) -> bool {
        let (paper, line) = (&self.bounds, &found.bounds);
        self.ink != found.ink
            && shared(paper, line) > 0.8
            && (1.0..5.0).contains(&(paper.h / line.h))
            && (0.85..2.5).contains(&(paper.w / line.w))
    }
}

/// Sizes at which a picture is looked at, each half of the one before.
const LEVELS: usize = 3;

impl Localizer {
    /// One with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a region outside of the picture, ranges that are empty, and numbers
    /// that are none.
    pub fn new(settings: LocalizerSettings) -> Result<Self> {
        let region = settings.region;
        let inside = region.x >= 0.0
            && region.y >= 0.0
            && region.w > 0.0
            && region.h > 0.0
            && region.x + region.w <= 1.0 + 1e-6
            && region.y + region.h <= 1.0 + 1e-6;
        let wrong = |name, problem: &str| {
            Err(Error::Setting {
                name,
                problem: problem.to_owned(),
            })
        };
        if !inside {
            return wrong(
                "region",
                "it is no part of the picture; give x, y, width and height as shares from 0 to 1",
            );
        }
        if !(settings.min_aspect_ratio > 0.0
            && settings.min_aspect_ratio < settings.max_aspect_ratio)
        {
            return wrong("min_aspect_ratio", "it is not below max_aspect_ratio");
        }
        if settings.longest_side < 64 {
            return wrong(
                "longest_side",
                "no plate can be read in fewer than 64 pixels",
            );
        }
        if settings.min_characters < 2 {
            return wrong(
                "min_characters",
                "one character makes no line; give at least 2",
            );
        }
        Ok(Self {
            settings,
            shrinker: Shrinker::default(),
            levels: Default::default(),
            finder: ComponentFinder::default(),
            components: Vec::new(),
            line_finder: LineFinder::default(),
            lines: Vec::new(),
            found: Vec::new(),
            papers: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &LocalizerSettings {
        &self.settings
    }

    /// Replaces what is in `out` by what may be a plate, the likeliest first.
    ///
    /// It takes time in proportion to the number of pixels: about 30 ms for 1920 x 1080.
    pub fn find(&mut self, picture: View<'_>, out: &mut Vec<Candidate>) {
        out.clear();
        self.found.clear();
        self.papers.clear();
        let (part, offset) = self.region(picture);
        let scale = self.prepare(part);
        for level in 0..LEVELS {
            if level > 0 {
                let [finer, coarser] = self.levels[level - 1..=level]
                    .get_disjoint_mut([0, 1])
                    .expect("two levels");
                if finer.width() < 64 || finer.height() < 32 {
                    break;
                }
                halve(finer, coarser);
            }
            let scale = scale * (1 << level) as f32;
            self.components.clear();
            self.finder.find(
                self.levels[level].view(),
                THRESHOLD,
                |component| is_character(component) || is_paper(component),
                &mut self.components,
            );
            let papers = self.components.iter().filter(|c| is_paper(c));
            self.papers.extend(papers.map(|c| Paper {
                ink: c.ink,
                bounds: whole(c, scale, offset),
                score: paper_score(c),
            }));
            self.components.retain(is_character);
            self.lines.clear();
            self.line_finder.find(
                &mut self.components,
                self.settings.min_characters,
                &mut self.lines,
            );
            let found = self.lines.iter().map(|line| Found {
                ink: line.ink,
                bounds: corners(line, scale, offset).bounds(),
                candidate: Candidate {
                    quad: corners(line, scale, offset).grown(PLATE_BY_LINE.0, PLATE_BY_LINE.1),
                    score: line.score,
                },
            });
            self.found.extend(found);
        }
        self.weigh();
        self.suppress(out);
    }

    /// Makes candidates of lines, which count more on paper than elsewhere, and of papers.
    fn weigh(&mut self) {
        let settings = &self.settings;
        self.candidates.clear();
        let lines = self.found.iter().map(|found| {
            let on_paper = self.papers.iter().any(|paper| paper.carries(found));
            let Candidate { quad, score } = found.candidate;
            let score = if on_paper {
                0.5 + 0.5 * score
            } else {
                OFF_PAPER * score
            };
            Candidate { quad, score }
        });
        let papers = self.papers.iter().map(|paper| Candidate {
            quad: paper.bounds.quad(),
            score: paper.score,
        });
        let all = lines.chain(papers);
        self.candidates
            .extend(all.filter(|candidate| is_plate(&candidate.quad, settings)));
    }

    /// The part that is looked at, and where it begins.
    fn region<'a>(&self, picture: View<'a>) -> (View<'a>, Point) {
        let region = self.settings.region;
        let along = |from: f32, share: f32, len: usize| {
            let begin = ((from * len as f32).round() as usize).min(len - 1);
            let end = (((from + share) * len as f32).round() as usize).clamp(begin + 1, len);
            (begin, end - begin)
        };
        let (x, width) = along(region.x, region.w, picture.width());
        let (y, height) = along(region.y, region.h, picture.height());
        let offset = Point {
            x: x as f32,
            y: y as f32,
        };
        (picture.part(x, y, width, height), offset)
    }

    /// Fills the finest level, and says how much smaller it is.
    fn prepare(&mut self, part: View<'_>) -> f32 {
        let [finest, other, ..] = &mut self.levels;
        let longest = part.width().max(part.height());
        if longest <= self.settings.longest_side {
            part.gray_into(finest);
            return 1.0;
        }
        let scale = longest as f32 / self.settings.longest_side as f32;
        let small = |len: usize| ((len as f32 / scale).round() as usize).max(1);
        let (width, height) = (small(part.width()), small(part.height()));
        finest.reset(width, height, Channels::Gray);
        if part.channels() == Channels::Gray {
            self.shrinker.shrink(part, width, height, finest);
        } else {
            part.gray_into(other);
            self.shrinker.shrink(other.view(), width, height, finest);
        }
        scale
    }

    /// Keeps the best of those that share most of a place.
    fn suppress(&mut self, out: &mut Vec<Candidate>) {
        self.candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        for candidate in &self.candidates {
            if out.len() == self.settings.most {
                break;
            }
            let bounds = candidate.quad.bounds();
            if !out
                .iter()
                .any(|kept| overlaps(&kept.quad.bounds(), &bounds))
            {
                out.push(*candidate);
            }
        }
    }
}

/// Whether two are the same plate.
fn overlaps(a: &Box2, b: &Box2) -> bool {
    a.iou(b) > 0.3 || shared(a, b) > 0.7 && a.area().min(b.area()) > 0.15 * a.area().max(b.area())
}

/// The share of the smaller box that is in both.
fn shared(a: &Box2, b: &Box2) -> f32 {
    let across = (a.x + a.w).min(b.x + b.w) - a.x.max(b.x);
    let down = (a.y + a.h).min(b.y + b.h) - a.y.max(b.y);
    across.max(0.0) * down.max(0.0) / a.area().min(b.area())
}

fn is_character(component: &Component) -> bool {
    let shape = component.width() / component.height();
    CHARACTER.contains(&component.height())
        && (0.1..1.3).contains(&shape)
        && component.fill() > 0.15
        && (shape > 0.35 || component.fill() > 0.4)
}

/// Whether it may be what the characters stand on, cut by them into several runs in each row.
fn is_paper(component: &Component) -> bool {
    let shape = component.width() / component.height();
    PAPER.contains(&component.height())
        && (1.3..7.0).contains(&shape)
        && (0.3..0.95).contains(&component.fill())
        && (3.5..14.0).contains(&(component.runs as f32 / component.height()))
}

fn paper_score(paper: &Component) -> f32 {
    let runs = paper.runs as f32 / paper.height();
    let shape = paper.width() / paper.height();
    0.45 * (runs / 6.0).min(1.0) * (9.0 / runs).min(1.0) * (shape / 1.8).min(1.0)
}

fn whole(paper: &Component, scale: f32, offset: Point) -> Box2 {
    Box2 {
        x: paper.left as f32 * scale + offset.x,
        y: paper.top as f32 * scale + offset.y,
        w: paper.width() * scale,
        h: paper.height() * scale,
    }
}

fn is_plate(quad: &Quad, settings: &LocalizerSettings) -> bool {
    let Box2 { w, h, .. } = quad.bounds();
    let (width, height) = sides(quad);
    let aspect = width / height;
    w >= settings.min_width
        && h >= settings.min_height
        && (settings.min_aspect_ratio..=settings.max_aspect_ratio).contains(&aspect)
}

fn sides(quad: &Quad) -> (f32, f32) {
    let [a, b, _, d] = quad.0;
    let length = |p: Point, q: Point| (q.x - p.x).hypot(q.y - p.y);
    (length(a, b), length(a, d))
}

/// A line's corners, in pixels of the picture.
fn corners(line: &Line, scale: f32, offset: Point) -> Quad {
    let at = |(x, y): (f32, f32), up: f32| Point {
        x: x * scale + offset.x,
        y: (y + up * line.height / 2.0) * scale + offset.y,
    };
    Quad([
        at(line.left, -1.0),
        at(line.right, -1.0),
        at(line.right, 1.0),
        at(line.left, 1.0),
    ])
}

/// The mean of each four pixels.
fn halve(fine: &Picture, coarse: &mut Picture) {
    let (width, height) = (fine.width() / 2, fine.height() / 2);
    coarse.reset(width, height, Channels::Gray);
    for y in 0..height {
        let (above, below) = (fine.row(2 * y), fine.row(2 * y + 1));
        let pairs = above.chunks_exact(2).zip(below.chunks_exact(2));
        for (out, (a, b)) in coarse.row_mut(y).iter_mut().zip(pairs) {
            let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
            *out = ((sum + 2) >> 2) as u8;
        }
    }
}

#[cfg(test)]
mod tests;
