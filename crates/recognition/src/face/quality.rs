//! Whether a face is good enough to tell whose it is.

use std::fmt;

use crate::detect::Detection;
use crate::geometry::Point;
use crate::picture::View;

/// How good a face is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// How sure the detector is, 0 to 1.
    pub score: f32,
    /// The shorter side of its box in pixels.
    pub size: f32,
    /// How sharp it is: the variance of the Laplacian of its brightness (J. Pech-Pacheco et al.,
    /// "Diatom autofocusing in brightfield microscopy", 2000), aligned.
    pub sharpness: f32,
    /// How far it is turned to a side: 0 for one seen from the front, 1 when the nose is as far
    /// aside as an eye.
    pub turn: f32,
}

impl Quality {
    /// That of a face and its aligned picture. None for a face without landmarks.
    pub fn of(face: &Detection, aligned: View<'_>) -> Option<Self> {
        Some(Self {
            score: face.score,
            size: face.bounds.w.min(face.bounds.h),
            sharpness: sharpness(aligned),
            turn: turn(face.landmarks.as_ref()?),
        })
    }
}

/// How far the nose is from the middle between the eyes, along the line from eye to eye, over half
/// of that line.
fn turn([right, left, nose, ..]: &[Point; 5]) -> f32 {
    let (dx, dy) = (left.x - right.x, left.y - right.y);
    let length = dx * dx + dy * dy;
    let along = (nose.x - right.x) * dx + (nose.y - right.y) * dy;
    if length > 0.0 {
        (2.0 * along / length - 1.0).abs()
    } else {
        f32::INFINITY
    }
}

fn sharpness(picture: View<'_>) -> f32 {
    let gray = picture.gray();
    let (width, height) = (gray.width(), gray.height());
    let (mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
    for y in 1..height.saturating_sub(1) {
        let (above, row, below) = (gray.row(y - 1), gray.row(y), gray.row(y + 1));
        for x in 1..width.saturating_sub(1) {
            let around = [above[x], below[x], row[x - 1], row[x + 1]];
            let around: i32 = around.into_iter().map(i32::from).sum();
            let value = f64::from(around - 4 * i32::from(row[x]));
            sum += value;
            squares += value * value;
            count += 1.0;
        }
    }
    let mean = sum / count;
    (squares / count - mean * mean) as f32
}

/// What a face must be like to be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityGate {
    /// The least score of the detector, 0 to 1.
    pub min_score: f32,
    /// The least size in pixels.
    pub min_size: f32,
    /// The least sharpness.
    pub min_sharpness: f32,
    /// The most that it is turned.
    pub max_turn: f32,
}

impl Default for QualityGate {
    /// For faces in the pictures of cameras.
    fn default() -> Self {
        Self {
            min_score: 0.7,
            min_size: 40.0,
            min_sharpness: 15.0,
            max_turn: 0.9,
        }
    }
}

impl QualityGate {
    /// For photographs that somebody is enrolled with: what is bad there is bad for ever.
    pub fn enrolment() -> Self {
        Self {
            min_score: 0.8,
            min_size: 60.0,
            min_sharpness: 25.0,
            max_turn: 0.6,
        }
    }

    /// Whether a face is good enough.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn check(&self, quality: &Quality) -> Result<(), Refusal> {
        let fails = |value: f32, least: f32| value.is_nan() || value < least;
        if fails(quality.score, self.min_score) {
            Err(Refusal::Unsure)
        } else if fails(quality.size, self.min_size) {
            Err(Refusal::Small)
        } else if fails(quality.sharpness, self.min_sharpness) {
            Err(Refusal::Blurred)
        } else if fails(-quality.turn, -self.max_turn) {
            Err(Refusal::Turned)
        } else {
            Ok(())
        }
    }
}

/// What is wrong with a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The detector is not sure that it is one.
    Unsure,
    /// It has too few pixels.
    Small,
    /// It is blurred.
    Blurred,
    /// It is turned too far to a side.
    Turned,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsure => "it is not sure to be a face",
            Self::Small => "it is too small",
            Self::Blurred => "it is blurred",
            Self::Turned => "it is turned too far to a side",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Box2;
    use crate::picture::{Channels, Picture};

    fn landmarks(nose: f32) -> [Point; 5] {
        [
            (30.0, 50.0),
            (70.0, 50.0),
            (nose, 70.0),
            (35.0, 90.0),
            (65.0, 90.0),
        ]
        .map(|(x, y)| Point { x, y })
    }

    #[test]
    fn turning_the_head_moves_the_nose_towards_an_eye() {
        assert_eq!(turn(&landmarks(50.0)), 0.0);
        assert_eq!(turn(&landmarks(60.0)), 0.5);
        assert_eq!(turn(&landmarks(30.0)), 1.0);
        assert!(turn(&[Point::default(); 5]) > 1.0);
    }

    #[test]
    fn edges_are_sharp_and_flat_or_smooth_is_not() {
        let picture = |value: fn(usize) -> u8| {
            let pixels = (0..64 * 64).map(|i| value(i % 64)).collect();
            Picture::new(pixels, 64, 64, Channels::Gray).expect("it fits")
        };
        assert_eq!(sharpness(picture(|_| 90).view()), 0.0);
        assert_eq!(sharpness(picture(|x| x as u8 * 3).view()), 0.0);
        assert!(sharpness(picture(|x| (x / 4 % 2 * 200) as u8).view()) > 1000.0);
    }

    #[test]
    fn each_gate_says_what_is_wrong() {
        let good = Quality {
            score: 0.9,
            size: 100.0,
            sharpness: 100.0,
            turn: 0.1,
        };
        let gate = QualityGate::default();
        assert_eq!(gate.check(&good), Ok(()));
        for (bad, refusal) in [
            (Quality { score: 0.1, ..good }, Refusal::Unsure),
            (
                Quality {
                    score: f32::NAN,
                    ..good
                },
                Refusal::Unsure,
            ),
            (Quality { size: 10.0, ..good }, Refusal::Small),
            (
                Quality {
                    sharpness: 1.0,
                    ..good
                },
                Refusal::Blurred,
            ),
            (Quality { turn: 0.95, ..good }, Refusal::Turned),
            (
                Quality {
                    turn: f32::INFINITY,
                    ..good
                },
                Refusal::Turned,
            ),
        ] {
            assert_eq!(gate.check(&bad), Err(refusal));
        }
        let face = Detection {
            bounds: Box2 {
                x: 0.0,
                y: 0.0,
                w: 80.0,
                h: 100.0,
            },
            score: 0.9,
            class: 0,
            landmarks: Some(landmarks(50.0)),
        };
        let flat = Picture::new(vec![9; 16], 4, 4, Channels::Gray).expect("it fits");
        let quality = Quality::of(&face, flat.view()).expect("it has landmarks");
        assert_eq!((quality.size, quality.sharpness), (80.0, 0.0));
    }
}
