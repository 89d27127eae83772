//! Networks that find things in pictures.
//!
//! What such a network gives is decoded by functions of numbers alone: [`yunet::decode`],
//! [`scrfd::decode`], [`yolo::decode`]. Whatever the numbers are (no numbers, infinities, absurd
//! sizes), at least a 64th of what comes out lies in the picture.

mod input;
mod nms;
mod runner;
pub mod scrfd;
pub mod yolo;
pub mod yunet;

pub(crate) use input::{Normalization, Planes, to_planes};
pub use nms::{Overlap, suppress};
pub use scrfd::Scrfd;
pub use yolo::Yolo;
pub use yunet::YuNet;

use crate::error::Result;
use crate::geometry::{Box2, Point};
use crate::picture::View;

/// The most things that are decoded of one picture, before overlapping ones are dropped.
pub const MAX_CANDIDATES: usize = 5000;

/// Something that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Where, in pixels of the picture.
    pub bounds: Box2,
    /// How sure, 0 to 1.
    pub score: f32,
    /// Of which class, as the network numbers them; faces are of class 0.
    pub class: u32,
    /// Of a face: the person's right eye, left eye, nose tip, right and left corner of the mouth.
    pub landmarks: Option<[Point; 5]>,
}

impl Detection {
    /// The same, of a picture that is larger by a factor and begins at an offset.
    #[must_use]
    pub fn placed(mut self, factor: f32, x: f32, y: f32) -> Self {
        let point = |p: &mut Point| {
            p.x = p.x * factor + x;
            p.y = p.y * factor + y;
        };
        let mut corner = Point {
            x: self.bounds.x,
            y: self.bounds.y,
        };
        point(&mut corner);
        self.bounds = Box2 {
            x: corner.x,
            y: corner.y,
            w: self.bounds.w * factor,
            h: self.bounds.h * factor,
        };
        if let Some(landmarks) = &mut self.landmarks {
            landmarks.iter_mut().for_each(point);
        }
        self
    }

    fn is_sound(&self) -> bool {
        let landmarks = self.landmarks.iter().flatten();
        let finite = |p: &Point| p.x.is_finite() && p.y.is_finite();
        self.score.is_finite() && landmarks.into_iter().all(finite)
    }
}

/// Finds things in pictures, on one thread at a time.
pub trait Detector: Send {
    /// Finds what is in each of the pictures; `found` gets a list for each, the surest first.
    ///
    /// Pictures are worked on together where the network can do that.
    ///
    /// # Errors
    /// [`Error::Inference`](crate::Error::Inference) when the network cannot be computed, or gives
    /// something else than it should.
    fn detect(&mut self, pictures: &[View<'_>], found: &mut Vec<Vec<Detection>>) -> Result<()>;
}

/// Whether a score is at least this; what is no number is not.
pub(crate) fn reaches(score: f32, threshold: f32) -> bool {
    score
        .partial_cmp(&threshold)
        .is_some_and(|order| order.is_ge())
}
