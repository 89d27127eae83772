//! Faces with five landmarks by SCRFD (J. Guo et al., "Sample and Computation Redistribution for
//! Efficient Face Detection", ICLR 2022), as InsightFace exports it.

use super::input::{Letterbox, Normalization, Planes, Size};
use super::runner::Runner;
use super::{Detection, Detector, MAX_CANDIDATES, Overlap, reaches, suppress};
use crate::error::{Error, Result};
use crate::geometry::{Box2, Point};
use crate::infer::{Model, Session};
use crate::picture::View;

const STRIDES: [usize; 3] = [8, 16, 32];
/// Boxes that each cell may give.
const ANCHORS: usize = 2;

const NORMALIZATION: Normalization = Normalization {
    planes: Planes::Rgb,
    mean: [127.5; 3],
    scale: [1.0 / 128.0; 3],
};

/// What the network says of one grid, row by row, two boxes a cell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grid<'a> {
    /// How sure, 0 to 1.
    pub scores: &'a [f32],
    /// How far the box reaches to the left, up, right and down of the cell's corner, in cells.
    pub bounds: &'a [f32],
    /// Where the landmarks are from the cell's corner, in cells; empty for a network without them.
    pub landmarks: &'a [f32],
}

/// Finds the faces that the three grids of a `width` x `height` picture tell of, as
/// [`yunet::decode`](super::yunet::decode) does.
///
/// # Errors
/// [`Error::Inference`] when there are more or fewer numbers than the grids have cells.
pub fn decode(
    grids: &[Grid<'_>; 3],
    width: usize,
    height: usize,
    threshold: f32,
    found: &mut Vec<Detection>,
) -> Result<()> {
    found.clear();
    for (grid, stride) in grids.iter().zip(STRIDES) {
        let (columns, rows) = (width / stride, height / stride);
        let boxes = columns * rows * ANCHORS;
        let landmarks_fit = grid.landmarks.is_empty() || grid.landmarks.len() == boxes * 10;
        if grid.scores.len() != boxes || grid.bounds.len() != boxes * 4 || !landmarks_fit {
            return Err(Error::Inference {
                problem: format!("SCRFD gave no grid of {columns} x {rows} cells with two boxes"),
            });
        }
        for (index, &score) in grid.scores.iter().enumerate() {
            if !reaches(score, threshold) || found.len() == MAX_CANDIDATES {
                continue;
            }
            let cell = index / ANCHORS;
            let (x, y) = ((cell % columns) as f32, (cell / columns) as f32);
            let stride = stride as f32;
            let reach = &grid.bounds[index * 4..][..4];
            let (left, top) = ((x - reach[0]) * stride, (y - reach[1]) * stride);
            let bounds = Box2 {
                x: left,
                y: top,
                w: (x + reach[2]) * stride - left,
                h: (y + reach[3]) * stride - top,
            };
            let landmarks = (!grid.landmarks.is_empty()).then(|| {
                let numbers = &grid.landmarks[index * 10..][..10];
                // Left and right are those of the picture here: the same eye comes first.
                std::array::from_fn(|index| Point {
                    x: (x + numbers[2 * index]) * stride,
                    y: (y + numbers[2 * index + 1]) * stride,
                })
            });
            let detection = Detection {
                bounds,
                score: score.min(1.0),
                class: 0,
                landmarks,
            };
            let plausible = bounds.within(width, height).is_some_and(|visible| {
                visible.area() * 64.0 >= bounds.area() && detection.is_sound()
            });
            if plausible {
                found.push(detection);
            }
        }
    }
    Ok(())
}

/// How a [`Scrfd`] decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScrfdSettings {
    /// The least score, 0 to 1.
    pub score: f32,
    /// Of faces that overlap by more (IoU), the surest is kept.
    pub overlap: f32,
    /// The longest side that a network without a fixed size works at, in pixels.
    pub longest: usize,
}

impl Default for ScrfdSettings {
    fn default() -> Self {
        Self {
            score: 0.5,
            overlap: 0.4,
            longest: 640,
        }
    }
}

/// The network, ready to find faces.
pub struct Scrfd {
    runner: Runner,
    settings: ScrfdSettings,
    has_landmarks: bool,
}

/// The outputs go by numbers that differ from export to export; their order is fixed: the scores of
/// the three grids, their boxes, their landmarks.
fn kind(session: &dyn Session) -> Option<bool> {
    let outputs = session.outputs();
    let each = [1, 4, 10];
    let fits = |count: usize| {
        outputs.len() == count * 3
            && outputs.iter().enumerate().all(|(index, output)| {
                // The last dimension may be left open by an export with any picture size.
                let last = output.shape.last().copied().flatten();
                last.is_none_or(|last| last == each[index / 3])
            })
    };
    match (fits(3), fits(2)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

impl Scrfd {
    /// Whether a network has the outputs of SCRFD.
    pub fn fits(session: &dyn Session) -> bool {
        kind(session).is_some()
    }

    /// Takes a network that was loaded of `model`.
    ///
    /// # Errors
    /// [`Error::Model`] when it has other inputs or outputs.
    pub fn new(session: Box<dyn Session>, model: &Model, settings: ScrfdSettings) -> Result<Self> {
        let size = Size::of(session.input(), settings.longest).filter(|size| match size {
            Size::Fixed(width, height) => width % 32 == 0 && height % 32 == 0,
            Size::UpTo(_) => true,
        });
        let (Some(has_landmarks), Some(size)) = (kind(&*session), size) else {
            return Err(model.unfit(
                "it is no SCRFD: that takes pictures of 3 planes with sides that are multiples of \
                 32, and gives scores, boxes and landmarks of three grids",
            ));
        };
        Ok(Self {
            runner: Runner::new(session, size, Letterbox::Corner, NORMALIZATION),
            settings,
            has_landmarks,
        })
    }
}

impl Detector for Scrfd {
    fn detect(&mut self, pictures: &[View<'_>], found: &mut Vec<Vec<Detection>>) -> Result<()> {
        let (settings, has_landmarks) = (self.settings, self.has_landmarks);
        self.runner.detect(pictures, found, |outputs, found| {
            let mut grids = [Grid::default(); 3];
            for (level, grid) in grids.iter_mut().enumerate() {
                grid.scores = outputs.of(level)?;
                grid.bounds = outputs.of(level + 3)?;
                if has_landmarks {
                    grid.landmarks = outputs.of(level + 6)?;
                }
            }
            decode(&grids, outputs.width, outputs.height, settings.score, found)?;
            suppress(found, settings.overlap, Overlap::Exact);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64 x 32 picture: grids of 8 x 4, 4 x 2 and 2 x 1 cells.
    struct Numbers([[Vec<f32>; 3]; 3]);

    impl Numbers {
        fn new() -> Self {
            let grid = |cells: usize| [1, 4, 10].map(|each| vec![0.0; cells * 2 * each]);
            Self([32, 8, 2].map(grid))
        }

        fn set(&mut self, level: usize, index: usize, score: f32, bounds: [f32; 4]) {
            let [scores, boxes, landmarks] = &mut self.0[level];
            scores[index] = score;
            boxes[index * 4..][..4].copy_from_slice(&bounds);
            for (number, value) in landmarks[index * 10..][..10].iter_mut().enumerate() {
                *value = number as f32 / 10.0;
            }
        }

        fn decode(&self, threshold: f32) -> Result<Vec<Detection>> {
            let mut found = Vec::new();
            let grids = self.0.each_ref().map(|[scores, bounds, landmarks]| Grid {
                scores,
                bounds,
                landmarks,
            });
            decode(&grids, 64, 32, threshold, &mut found)?;
            Ok(found)
        }
    }

    #[test]
    fn boxes_reach_from_the_corner_of_their_cell() {
        let mut numbers = Numbers::new();
        // Column 3, row 2 of the first grid, its second box.
        numbers.set(0, (2 * 8 + 3) * 2 + 1, 0.75, [1.0, 0.5, 2.0, 1.0]);
        let found = numbers.decode(0.5).expect("the numbers fit");
        assert_eq!(found.len(), 1);
        let Box2 { x, y, w, h } = found[0].bounds;
        assert_eq!((x, y, w, h), (16.0, 12.0, 24.0, 12.0));
        assert_eq!(found[0].score, 0.75);
        let landmarks = found[0].landmarks.expect("it has some");
        assert_eq!(landmarks[0], Point { x: 24.0, y: 16.8 });
        assert!((landmarks[4].x - 30.4).abs() < 1e-4);
    }

    #[test]
    fn what_is_no_number_or_absurd_is_no_face() {
        for (score, bounds) in [
            (f32::NAN, [1.0; 4]),
            (0.9, [f32::NAN; 4]),
            (0.9, [f32::INFINITY; 4]),
            (0.9, [1e9; 4]),
            (0.9, [-5.0; 4]),
        ] {
            let mut numbers = Numbers::new();
            numbers.set(1, 3, score, bounds);
            assert_eq!(numbers.decode(0.5).expect("the numbers fit"), []);
        }
        let mut numbers = Numbers::new();
        numbers.set(1, 3, 0.9, [1.0; 4]);
        numbers.0[1][2][30] = f32::NAN;
        assert_eq!(numbers.decode(0.5).expect("the numbers fit"), []);
        numbers.0[2][1].pop();
        assert!(numbers.decode(0.5).is_err(), "a number is missing");
    }
}
