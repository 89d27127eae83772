//! Objects, plates among them, by networks of the YOLOv8 family (G. Jocher et al., 2023), whose
//! heads need no anchors; also those of later ones that drop overlapping boxes themselves.

use super::input::{Letterbox, Normalization, Planes, Size};
use super::runner::Runner;
use super::{Detection, Detector, MAX_CANDIDATES, Overlap, reaches, suppress};
use crate::error::{Error, Result};
use crate::geometry::Box2;
use crate::infer::{Model, Session};
use crate::picture::View;

const NORMALIZATION: Normalization = Normalization {
    planes: Planes::Rgb,
    mean: [0.0; 3],
    scale: [1.0 / 255.0; 3],
};

/// The most classes of a network.
const MAX_CLASSES: usize = 4096;

/// How a head arranges its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// YOLOv8, v9, v11: a row for each of centre x, centre y, width, height, and the score of each
    /// class; a column for each box.
    Rows {
        /// How many classes there are.
        classes: usize,
    },
    /// YOLOv10 and later: for each box its left, top, right and bottom edge, score and class, without
    /// boxes that overlap.
    Boxes,
}

/// Finds what the head of a `width` x `height` picture tells of with a score of at least
/// `threshold`, in pixels of that picture. Of [`Head::Rows`], boxes overlap and are not sorted.
///
/// # Errors
/// [`Error::Inference`] when there are more or fewer numbers than boxes have.
pub fn decode(
    head: Head,
    numbers: &[f32],
    width: usize,
    height: usize,
    threshold: f32,
    found: &mut Vec<Detection>,
) -> Result<()> {
    found.clear();
    let each = match head {
        Head::Rows { classes } => classes + 4,
        Head::Boxes => 6,
    };
    if numbers.is_empty() || !numbers.len().is_multiple_of(each) {
        return Err(Error::Inference {
            problem: format!("{} numbers are no boxes of {each} numbers", numbers.len()),
        });
    }
    let boxes = numbers.len() / each;
    for index in 0..boxes {
        let (bounds, score, class) = match head {
            Head::Rows { .. } => {
                let at = |row: usize| numbers[row * boxes + index];
                let mut best = (0, f32::NEG_INFINITY);
                for row in 4..each {
                    // What is no number is not larger.
                    if at(row) > best.1 {
                        best = (row - 4, at(row));
                    }
                }
                let (w, h) = (at(2), at(3));
                let bounds = Box2 {
                    x: at(0) - w / 2.0,
                    y: at(1) - h / 2.0,
                    w,
                    h,
                };
                (bounds, best.1, best.0 as u32)
            }
            Head::Boxes => {
                let at = &numbers[index * 6..][..6];
                let bounds = Box2 {
                    x: at[0],
                    y: at[1],
                    w: at[2] - at[0],
                    h: at[3] - at[1],
                };
                // A conversion of what is no class gives the nearest that is one.
                (bounds, at[4], at[5] as u32)
            }
        };
        if !reaches(score, threshold) || found.len() == MAX_CANDIDATES {
            continue;
        }
        let visible = bounds.within(width, height);
        if let Some(visible) = visible.filter(|visible| visible.area() * 64.0 >= bounds.area()) {
            found.push(Detection {
                bounds: visible,
                score: score.min(1.0),
                class,
                landmarks: None,
            });
        }
    }
    Ok(())
}

/// How a [`Yolo`] decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YoloSettings {
    /// The least score, 0 to 1.
    pub score: f32,
    /// Of boxes of one class that overlap by more (IoU), the surest is kept.
    pub overlap: f32,
    /// The longest side that a network without a fixed size works at, in pixels.
    pub longest: usize,
}

impl Default for YoloSettings {
    fn default() -> Self {
        Self {
            score: 0.25,
            overlap: 0.45,
            longest: 640,
        }
    }
}

/// The network, ready to find objects.
pub struct Yolo {
    runner: Runner,
    settings: YoloSettings,
}

impl Yolo {
    /// Whether a network has the output of a YOLO.
    pub fn fits(session: &dyn Session) -> bool {
        match session.outputs() {
            [output] if output.shape.len() == 3 => {
                let fixed = |index: usize| output.shape[index];
                let likely = |each: Option<usize>, boxes: Option<usize>| {
                    each.zip(boxes)
                        .is_none_or(|(each, boxes)| head(each, boxes).is_some())
                };
                likely(fixed(1), fixed(2))
            }
            _ => false,
        }
    }

    /// How many classes a network has, if its output's shape tells.
    pub fn classes(session: &dyn Session) -> Option<usize> {
        let [output] = session.outputs() else {
            return None;
        };
        let &[_, Some(rows), boxes] = output.shape.as_slice() else {
            return None;
        };
        // A network of no fixed size does not say how many boxes it gives.
        match head(rows, boxes.unwrap_or(usize::MAX)) {
            Some(Head::Rows { classes }) => Some(classes),
            _ => None,
        }
    }

    /// Takes a network that was loaded of `model`.
    ///
    /// # Errors
    /// [`Error::Model`] when it has other inputs or outputs.
    pub fn new(session: Box<dyn Session>, model: &Model, settings: YoloSettings) -> Result<Self> {
        let size = Size::of(session.input(), settings.longest);
        let (true, Some(size)) = (Self::fits(&*session), size) else {
            return Err(model.unfit(
                "it is no YOLO without anchors: that takes pictures of 3 planes, and gives one \
                 output of 1 x (4 + classes) x boxes, or of 1 x boxes x 6",
            ));
        };
        Ok(Self {
            runner: Runner::new(session, size, Letterbox::Middle, NORMALIZATION),
            settings,
        })
    }
}

/// What the dimensions after the first one say.
fn head(second: usize, third: usize) -> Option<Head> {
    match (second, third) {
        // Four numbers and at least one class, and more boxes than that.
        (rows, boxes) if (5..=MAX_CLASSES + 4).contains(&rows) && boxes > rows => {
            Some(Head::Rows { classes: rows - 4 })
        }
        (boxes, 6) if boxes > 0 => Some(Head::Boxes),
        _ => None,
    }
}

impl Detector for Yolo {
    fn detect(&mut self, pictures: &[View<'_>], found: &mut Vec<Vec<Detection>>) -> Result<()> {
        let settings = self.settings;
        self.runner.detect(pictures, found, |outputs, found| {
            let head = match *outputs.shape(0) {
                [second, third] => head(second, third),
                _ => None,
            };
            let head = head.ok_or_else(|| Error::Inference {
                problem: format!("a YOLO gave {:?}, which are no boxes", outputs.shape(0)),
            })?;
            let (width, height) = (outputs.width, outputs.height);
            decode(head, outputs.of(0)?, width, height, settings.score, found)?;
            suppress(found, settings.overlap, Overlap::Exact);
            Ok(())
        })?;
        // What lies in the grey around a picture is not in it.
        for (picture, found) in pictures.iter().zip(found) {
            found.retain_mut(|detection| {
                let visible = detection.bounds.within(picture.width(), picture.height());
                visible
                    .inspect(|visible| detection.bounds = *visible)
                    .is_some()
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight boxes of two classes, by rows.
    fn rows(index: usize, values: [f32; 6]) -> Vec<f32> {
        let mut numbers = vec![0.0; 6 * 8];
        for (row, value) in values.into_iter().enumerate() {
            numbers[row * 8 + index] = value;
        }
        numbers
    }

    fn found(head: Head, numbers: &[f32]) -> Vec<Detection> {
        let mut found = Vec::new();
        decode(head, numbers, 640, 480, 0.25, &mut found).expect("the numbers fit");
        found
    }

    #[test]
    fn rows_hold_centres_sizes_and_the_scores_of_classes() {
        let numbers = rows(5, [100.0, 80.0, 40.0, 20.0, 0.3, 0.8]);
        let found = found(Head::Rows { classes: 2 }, &numbers);
        let Box2 { x, y, w, h } = found[0].bounds;
        assert_eq!((x, y, w, h), (80.0, 70.0, 40.0, 20.0));
        assert_eq!((found[0].score, found[0].class, found.len()), (0.8, 1, 1));
    }

    #[test]
    fn boxes_hold_edges_a_score_and_a_class() {
        let numbers = [
            10.0, 20.0, 30.0, 50.0, 0.9, 7.0, //
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        ];
        let found = found(Head::Boxes, &numbers);
        let Box2 { x, y, w, h } = found[0].bounds;
        assert_eq!((x, y, w, h), (10.0, 20.0, 20.0, 30.0));
        assert_eq!((found[0].class, found.len()), (7, 1));
    }

    #[test]
    fn what_is_no_number_or_absurd_is_no_box() {
        for values in [
            [f32::NAN, 80.0, 40.0, 20.0, 0.3, 0.8],
            [100.0, 80.0, f32::INFINITY, 20.0, 0.3, 0.8],
            [100.0, 80.0, -40.0, 20.0, 0.3, 0.8],
            [100.0, 80.0, 1e9, 1e9, 0.3, 0.8],
            [9999.0, 80.0, 40.0, 20.0, 0.3, 0.8],
            [100.0, 80.0, 40.0, 20.0, f32::NAN, f32::NAN],
        ] {
            assert_eq!(found(Head::Rows { classes: 2 }, &rows(0, values)), []);
        }
        // One class whose score is no number does not hide the other.
        let values = [100.0, 80.0, 40.0, 20.0, f32::NAN, 0.8];
        assert_eq!(found(Head::Rows { classes: 2 }, &rows(0, values)).len(), 1);
        let edges = [10.0, 20.0, 30.0, 50.0, 0.9, f32::NAN];
        assert_eq!(found(Head::Boxes, &edges)[0].class, 0);
        let mut none = Vec::new();
        assert!(decode(Head::Boxes, &[0.0; 7], 64, 64, 0.5, &mut none).is_err());
        assert!(decode(Head::Boxes, &[], 64, 64, 0.5, &mut none).is_err());
    }

    #[test]
    fn the_shape_tells_the_head() {
        assert_eq!(head(84, 8400), Some(Head::Rows { classes: 80 }));
        assert_eq!(head(5, 8400), Some(Head::Rows { classes: 1 }));
        assert_eq!(head(300, 6), Some(Head::Boxes));
        assert_eq!(head(8400, 84), None);
        assert_eq!(head(4, 8400), None);
    }
}
