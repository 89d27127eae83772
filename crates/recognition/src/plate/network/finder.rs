//! Finding plates, with their corners.

use super::cells::{Cell, FoundPlate, Map, Merger, decode};
use super::sample::sample;
use crate::error::{Error, Result};
use crate::geometry::{Box2, Quad};
use crate::infer::{Engine, Model, Session, Tensor};
use crate::picture::{Channels, Picture, View};
use crate::plate::localize::Candidate;
use crate::plate::scan::PlateFinder;
use crate::resample::Shrinker;

static NETWORK: &[u8] = include_bytes!("../../../models/plate_finder.onnx");

/// The size that a whole picture is looked at in; and again in half of it, where plates are found
/// that are wider than half of the picture.
const SIZE: [usize; 2] = [640, 384];
/// The size that the surroundings of a candidate are looked at in …
const CLOSE: [usize; 2] = [192, 96];
/// … in which it is so wide.
const CLOSE_PLATE: f32 = 96.0;
/// Pixels from one cell to the next, in each of the two maps.
const STRIDES: [usize; 2] = [8, 32];
/// Of a candidate's surroundings, what overlaps it by more than this is it.
const SAME: f32 = 0.3;

/// The least score of a plate, 0 to 1.
const THRESHOLD: f32 = 0.2;
/// The most plates of a picture.
const MOST: usize = 8;

/// Finds plates with the network that is part of the program, on one thread at a time.
pub struct NetworkFinder {
    session: Box<dyn Session>,
    shrinker: Shrinker,
    gray: Picture,
    small: Picture,
    enlarged: Vec<f32>,
    input: Tensor,
    whole: Tensor,
    outputs: Vec<Tensor>,
    cells: Vec<Cell>,
    merger: Merger,
    far: Vec<FoundPlate>,
    near: Vec<FoundPlate>,
}

impl NetworkFinder {
    /// Makes it ready.
    ///
    /// # Errors
    /// [`Error::Model`] when the engine cannot compute it.
    pub fn new(engine: &Engine) -> Result<Self> {
        let model = Model::new("plate_finder", NETWORK);
        Ok(Self {
            session: engine.load(&model)?,
            shrinker: Shrinker::default(),
            gray: Picture::default(),
            small: Picture::default(),
            enlarged: Vec::new(),
            input: Tensor::default(),
            whole: Tensor::default(),
            outputs: Vec::new(),
            cells: Vec::new(),
            merger: Merger::default(),
            far: Vec::new(),
            near: Vec::new(),
        })
    }

    /// Puts the whole picture at the top left of the network's, as large as it fits; the rest is
    /// mid-grey. Gives how many pixels of the picture one of the network's is.
    fn letterbox(&mut self) -> (f32, f32) {
        let [width, height] = SIZE;
        let gray = self.gray.view();
        let scale = (width as f64 / gray.width() as f64).min(height as f64 / gray.height() as f64);
        let side = |side: usize, most: usize| {
            ((side as f64 * scale).round_ties_even() as usize).clamp(1, most)
        };
        let (w, h) = (side(gray.width(), width), side(gray.height(), height));
        self.input.reset(&[1, 1, height, width]);
        let input = self.input.data_mut();
        input.fill(0.0);
        if w <= gray.width() && h <= gray.height() {
            self.small.reset(w, h, Channels::Gray);
            self.shrinker.shrink(gray, w, h, &mut self.small);
            for y in 0..h {
                let row = &mut input[y * width..][..w];
                for (number, value) in row.iter_mut().zip(self.small.row(y)) {
                    *number = normalized(f32::from(*value));
                }
            }
        } else {
            let all = Box2 {
                x: 0.0,
                y: 0.0,
                w: gray.width() as f32,
                h: gray.height() as f32,
            };
            self.enlarged.resize(w * h, 0.0);
            sample(gray, &all.quad(), w, h, &mut self.enlarged);
            for (y, values) in self.enlarged.chunks_exact(w).enumerate() {
                let row = &mut input[y * width..][..w];
                for (number, value) in row.iter_mut().zip(values) {
                    *number = normalized(*value);
                }
            }
        }
        (
            gray.width() as f32 / w as f32,
            gray.height() as f32 / h as f32,
        )
    }

    /// Makes the network's picture half as large.
    fn halve(&mut self) {
        let [width, height] = SIZE.map(|side| side / 2);
        std::mem::swap(&mut self.input, &mut self.whole);
        let whole = self.whole.data();
        self.input.reset(&[1, 1, height, width]);
        for (y, row) in self.input.data_mut().chunks_exact_mut(width).enumerate() {
            let (upper, lower) = whole[y * 4 * width..][..4 * width].split_at(2 * width);
            let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            for (number, (upper, lower)) in row.iter_mut().zip(pairs) {
                *number = (upper[0] + upper[1] + lower[0] + lower[1]) / 4.0;
            }
        }
    }

    /// Computes the network's picture, and adds the cells that say there is a plate.
    fn run(&mut self, which: usize, scale: (f32, f32)) -> Result<()> {
        self.session.run(&self.input, &mut self.outputs)?;
        let shape = self.input.shape();
        let (height, width) = (shape[2], shape[3]);
        for (index, stride) in STRIDES.into_iter().enumerate() {
            let output = self.outputs.get(index).ok_or_else(|| Error::Inference {
                problem: "the finder of plates gave no map".to_owned(),
            })?;
            let map = Map {
                numbers: output.data(),
                rows: height / stride,
                columns: width / stride,
                stride: stride as f32,
            };
            decode(&map, which + index, THRESHOLD, scale, &mut self.cells)?;
        }
        Ok(())
    }

    /// Looks at the surroundings of a plate from near, where its corners come out better: in the
    /// whole picture it may be a few pixels wide.
    fn look_closer(&mut self, plate: &FoundPlate) -> Result<FoundPlate> {
        let [width, height] = CLOSE;
        let [a, b, c, d] = plate.quad.0;
        let upper = (b.x - a.x).hypot(b.y - a.y);
        let lower = (c.x - d.x).hypot(c.y - d.y);
        let zoom = f32::midpoint(upper, lower).max(8.0) / CLOSE_PLATE;
        let middle = |v: fn(&crate::Point) -> f32| plate.quad.0.iter().map(v).sum::<f32>() / 4.0;
        let (w, h) = (width as f32 * zoom, height as f32 * zoom);
        let around = Box2 {
            x: middle(|p| p.x) - w / 2.0,
            y: middle(|p| p.y) - h / 2.0,
            w,
            h,
        };
        self.input.reset(&[1, 1, height, width]);
        let values = self.input.data_mut();
        if !sample(self.gray.view(), &around.quad(), width, height, values) {
            return Ok(*plate);
        }
        values
            .iter_mut()
            .for_each(|value| *value = normalized(*value));
        self.cells.clear();
        self.run(0, (zoom, zoom))?;
        self.merger.merge(&mut self.cells, 3, &mut self.near);
        let bounds = plate.quad.bounds();
        let mut best: Option<FoundPlate> = None;
        for near in &self.near {
            let quad = Quad(near.quad.0.map(|p| crate::Point {
                x: p.x + around.x,
                y: p.y + around.y,
            }));
            let better = best.is_none_or(|best| near.score > best.score);
            if better && quad.bounds().iou(&bounds) > SAME {
                let score = near.score;
                best = Some(FoundPlate { quad, score });
            }
        }
        Ok(best.map_or(*plate, |best| FoundPlate {
            score: best.score.max(plate.score),
            ..best
        }))
    }
}

/// Black is -1 and white is 1.
fn normalized(value: f32) -> f32 {
    value / 127.5 - 1.0
}

impl PlateFinder for NetworkFinder {
    fn find(&mut self, picture: View<'_>, out: &mut Vec<Candidate>) -> Result<()> {
        out.clear();
        picture.gray_into(&mut self.gray);
        self.cells.clear();
        let (across, down) = self.letterbox();
        self.run(0, (across, down))?;
        self.halve();
        self.run(STRIDES.len(), (across * 2.0, down * 2.0))?;
        let mut far = std::mem::take(&mut self.far);
        self.merger.merge(&mut self.cells, MOST, &mut far);
        for plate in &mut far {
            *plate = self.look_closer(plate)?;
        }
        far.sort_by(|a, b| b.score.total_cmp(&a.score));
        for plate in &far {
            let bounds = plate.quad.bounds();
            // Two candidates may have turned out to be the same plate.
            let new = out
                .iter()
                .all(|other| other.quad.bounds().iou(&bounds) <= SAME);
            if new && bounds.within(picture.width(), picture.height()).is_some() {
                out.push(Candidate {
                    quad: plate.quad,
                    score: plate.score,
                });
            }
        }
        self.far = far;
        Ok(())
    }
}
