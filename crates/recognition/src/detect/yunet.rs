//! Faces with five landmarks by YuNet (W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face
//! Detector", Machine Intelligence Research 20, 2023), decoded as OpenCV's `FaceDetectorYN` does.

use super::input::{Letterbox, Normalization, Planes, Size};
use super::runner::Runner;
use super::{Detection, Detector, MAX_CANDIDATES, Overlap, reaches, suppress};
use crate::error::{Error, Result};
use crate::geometry::{Box2, Point};
use crate::infer::{Model, Session};
use crate::picture::View;

/// Pixels of the network's picture from one cell to the next, of each of its grids.
pub const STRIDES: [usize; 3] = [8, 16, 32];

const NORMALIZATION: Normalization = Normalization {
    planes: Planes::Bgr,
    mean: [0.0; 3],
    scale: [1.0; 3],
};

/// What the network says of one grid, row by row: of each cell two scores, four numbers of a box,
/// ten of the landmarks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grid<'a> {
    /// How sure that it is a face.
    pub class: &'a [f32],
    /// How sure that it is something.
    pub object: &'a [f32],
    /// Its centre from the cell, in cells, and the logarithm of its size in cells.
    pub bounds: &'a [f32],
    /// The landmarks from the cell, in cells.
    pub landmarks: &'a [f32],
}

/// Finds the faces that the three grids of a `width` x `height` picture tell of, with a score of at
/// least `threshold`, in pixels of that picture. They are not sorted, and overlap.
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
        let cells = columns * rows;
        let fits = |numbers: &[f32], each: usize| numbers.len() == cells * each;
        if !(fits(grid.class, 1)
            && fits(grid.object, 1)
            && fits(grid.bounds, 4)
            && fits(grid.landmarks, 10))
        {
            return Err(Error::Inference {
                problem: format!("YuNet gave no grid of {columns} x {rows} cells"),
            });
        }
        let scores = grid.class.iter().zip(grid.object);
        for (cell, (class, object)) in scores.enumerate() {
            let score = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
            if !reaches(score, threshold) || found.len() == MAX_CANDIDATES {
                continue;
            }
            let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
            let stride = stride as f32;
            let bounds = &grid.bounds[cell * 4..][..4];
            let (w, h) = (bounds[2].exp() * stride, bounds[3].exp() * stride);
            let landmarks = &grid.landmarks[cell * 10..][..10];
            let landmark = |index: usize| Point {
                x: (landmarks[2 * index] + column) * stride,
                y: (landmarks[2 * index + 1] + row) * stride,
            };
            let bounds = Box2 {
                x: (column + bounds[0]) * stride - w / 2.0,
                y: (row + bounds[1]) * stride - h / 2.0,
                w,
                h,
            };
            let detection = Detection {
                bounds,
                score,
                class: 0,
                landmarks: Some(std::array::from_fn(landmark)),
            };
            // Larger than the picture and beside it is nothing that can be seen.
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

/// How a [`YuNet`] decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YuNetSettings {
    /// The least score, 0 to 1.
    pub score: f32,
    /// Of faces that overlap by more (IoU), the surest is kept.
    pub overlap: f32,
    /// The longest side that a network without a fixed size works at, in pixels.
    pub longest: usize,
}

impl Default for YuNetSettings {
    fn default() -> Self {
        Self {
            score: 0.6,
            overlap: 0.3,
            longest: 640,
        }
    }
}

/// The network, ready to find faces.
pub struct YuNet {
    runner: Runner,
    settings: YuNetSettings,
    /// Where each grid's numbers are among the outputs: class, object, bounds, landmarks.
    order: [[usize; 4]; 3],
}

impl YuNet {
    /// Whether a network has the outputs of YuNet.
    pub fn fits(session: &dyn Session) -> bool {
        order(session).is_some()
    }

    /// Takes a network that was loaded of `model`.
    ///
    /// # Errors
    /// [`Error::Model`] when it has other inputs or outputs.
    pub fn new(session: Box<dyn Session>, model: &Model, settings: YuNetSettings) -> Result<Self> {
        let size = Size::of(session.input(), settings.longest).filter(|size| match size {
            Size::Fixed(width, height) => width % 32 == 0 && height % 32 == 0,
            Size::UpTo(_) => true,
        });
        let (Some(order), Some(size)) = (order(&*session), size) else {
            return Err(model.unfit(
                "it is no YuNet: that takes pictures of 3 planes with sides that are multiples of \
                 32, and gives cls_8, obj_8, bbox_8, kps_8 and the same of 16 and 32",
            ));
        };
        Ok(Self {
            runner: Runner::new(session, size, Letterbox::Corner, NORMALIZATION),
            settings,
            order,
        })
    }
}

fn order(session: &dyn Session) -> Option<[[usize; 4]; 3]> {
    let place = |name: &str, stride: usize| {
        let name = format!("{name}_{stride}");
        let mut outputs = session.outputs().iter();
        outputs.position(|output| output.name == name)
    };
    let mut order = [[0; 4]; 3];
    for (order, stride) in order.iter_mut().zip(STRIDES) {
        for (place_of, name) in order.iter_mut().zip(["cls", "obj", "bbox", "kps"]) {
            *place_of = place(name, stride)?;
        }
    }
    Some(order)
}

impl Detector for YuNet {
    fn detect(&mut self, pictures: &[View<'_>], found: &mut Vec<Vec<Detection>>) -> Result<()> {
        let (settings, order) = (self.settings, self.order);
        self.runner.detect(pictures, found, |outputs, found| {
            let mut grids = [Grid::default(); 3];
            for (grid, [class, object, bounds, landmarks]) in grids.iter_mut().zip(order) {
                *grid = Grid {
                    class: outputs.of(class)?,
                    object: outputs.of(object)?,
                    bounds: outputs.of(bounds)?,
                    landmarks: outputs.of(landmarks)?,
                };
            }
            decode(&grids, outputs.width, outputs.height, settings.score, found)?;
            suppress(found, settings.overlap, Overlap::WholePixels);
            Ok(())
        })
    }
}
