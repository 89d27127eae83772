//! Faces as directions: those of one person point the same way.

use std::str::FromStr;

use super::align::ALIGNED;
use crate::detect::{Normalization, Planes, to_planes};
use crate::error::{Error, Result};
use crate::infer::{Digest, Model, Session, Tensor};
use crate::picture::{Channels, Picture, View};

/// How long an embedding may be.
pub(super) const DIMENSIONS: std::ops::RangeInclusive<usize> = 16..=4096;

/// A face in numbers; as a vector, of length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Scales numbers to length 1. None for those that point nowhere: too few or too many, all 0, or
    /// one is no number.
    pub fn new(mut numbers: Vec<f32>) -> Option<Self> {
        let length = numbers.iter().map(|v| v * v).sum::<f32>().sqrt();
        let sound = DIMENSIONS.contains(&numbers.len()) && length.is_finite() && length > 1e-6;
        sound.then(|| {
            numbers.iter_mut().for_each(|v| *v /= length);
            Self(numbers)
        })
    }

    /// Takes numbers that were of length 1 when they were kept. None if they are not.
    pub(super) fn kept(numbers: Vec<f32>) -> Option<Self> {
        let length = numbers.iter().map(|v| v * v).sum::<f32>();
        // What is no number is not near to 1.
        ((length - 1.0).abs() < 1e-3).then_some(Self(numbers))
    }

    /// Its numbers.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

/// How alike two embeddings of one network are: the cosine of the angle between them, -1 to 1.
pub fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.0.iter().zip(&b.0).map(|(a, b)| a * b).sum()
}

/// Turns aligned faces into embeddings, on one thread at a time.
pub trait Embedder: Send {
    /// How many numbers an embedding has.
    fn dimensions(&self) -> usize;

    /// What is embedded by another model cannot be compared.
    fn model(&self) -> Digest;

    /// Embeds pictures of [`ALIGNED`] x [`ALIGNED`] pixels, one after the other. None stands for a
    /// face that the network makes nothing of.
    ///
    /// # Errors
    /// [`Error::Inference`] when the network cannot be computed, or a picture has another size.
    fn embed(&mut self, faces: &[View<'_>]) -> Result<Vec<Option<Embedding>>>;
}

/// What a network was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbedderNormalization {
    /// Values from -1 to 1, as ArcFace and what follows it.
    #[default]
    ArcFace,
    /// The mean and spread of ImageNet, as torchvision.
    ImageNet,
}

impl FromStr for EmbedderNormalization {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "arcface" => Ok(Self::ArcFace),
            "imagenet" => Ok(Self::ImageNet),
            _ => Err(Error::Setting {
                name: "normalization",
                problem: format!("{text:?} is none of arcface, imagenet"),
            }),
        }
    }
}

impl EmbedderNormalization {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::ArcFace => "arcface",
            Self::ImageNet => "imagenet",
        }
    }

    fn numbers(self) -> Normalization {
        let (mean, scale) = match self {
            Self::ArcFace => ([127.5; 3], [1.0 / 127.5; 3]),
            Self::ImageNet => (
                [0.485, 0.456, 0.406].map(|mean: f32| mean * 255.0),
                [0.229, 0.224, 0.225].map(|spread: f32| 1.0 / (spread * 255.0)),
            ),
        };
        Normalization {
            planes: Planes::Rgb,
            mean,
            scale,
        }
    }
}

/// A network of ArcFace's kind: one aligned face in red, green and blue to one embedding.
pub struct ArcFace {
    session: Box<dyn Session>,
    normalization: Normalization,
    digest: Digest,
    dimensions: usize,
    input: Tensor,
    outputs: Vec<Tensor>,
}

impl ArcFace {
    /// Whether a network has the input and output of such a one.
    pub fn fits(session: &dyn Session) -> bool {
        dimensions(session).is_some()
    }

    /// Takes a network that was loaded of `model`.
    ///
    /// # Errors
    /// [`Error::Model`] when it has another input or output.
    pub fn new(
        session: Box<dyn Session>,
        model: &Model,
        normalization: EmbedderNormalization,
    ) -> Result<Self> {
        let dimensions = dimensions(&*session).ok_or_else(|| {
            model.unfit(format!(
                "it is no embedder of faces: that takes pictures of 3 planes of {ALIGNED} x \
                 {ALIGNED}, and gives one row of {} to {} numbers",
                DIMENSIONS.start(),
                DIMENSIONS.end()
            ))
        })?;
        Ok(Self {
            session,
            normalization: normalization.numbers(),
            digest: model.digest(),
            dimensions,
            input: Tensor::default(),
            outputs: Vec::new(),
        })
    }

    fn run(&mut self, faces: &[View<'_>], embeddings: &mut Vec<Option<Embedding>>) -> Result<()> {
        self.input.reset(&[faces.len(), 3, ALIGNED, ALIGNED]);
        let slots = self.input.data_mut();
        for (face, slot) in faces
            .iter()
            .zip(slots.chunks_exact_mut(3 * ALIGNED * ALIGNED))
        {
            if (face.width(), face.height()) != (ALIGNED, ALIGNED) {
                return Err(Error::Inference {
                    problem: format!(
                        "a face has {} x {} pixels, and not {ALIGNED} x {ALIGNED}",
                        face.width(),
                        face.height()
                    ),
                });
            }
            let rgb = to_rgb(*face);
            to_planes(rgb.data(), &self.normalization, slot);
        }
        self.session.run(&self.input, &mut self.outputs)?;
        let numbers = self.outputs.first().map(Tensor::data).unwrap_or_default();
        if numbers.len() != faces.len() * self.dimensions {
            return Err(Error::Inference {
                problem: format!(
                    "{} numbers are no {} embeddings of {}",
                    numbers.len(),
                    faces.len(),
                    self.dimensions
                ),
            });
        }
        let rows = numbers.chunks_exact(self.dimensions);
        embeddings.extend(rows.map(|row| Embedding::new(row.to_vec())));
        Ok(())
    }
}

fn dimensions(session: &dyn Session) -> Option<usize> {
    let side = |side: Option<usize>| side.is_none_or(|side| side == ALIGNED);
    let takes_faces = match session.input().shape[..] {
        [_, channels, height, width] => {
            channels.is_none_or(|channels| channels == 3) && side(height) && side(width)
        }
        _ => false,
    };
    match session.outputs() {
        [output] if takes_faces && output.shape.len() == 2 => {
            output.shape[1].filter(|dimensions| DIMENSIONS.contains(dimensions))
        }
        _ => None,
    }
}

fn to_rgb(face: View<'_>) -> Picture {
    let mut rgb = face.to_picture();
    if face.channels() == Channels::Gray {
        let gray = rgb;
        rgb = Picture::default();
        rgb.reset(ALIGNED, ALIGNED, Channels::Rgb);
        for (out, value) in rgb.data_mut().chunks_exact_mut(3).zip(gray.data()) {
            out.fill(*value);
        }
    }
    rgb
}

impl Embedder for ArcFace {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn model(&self) -> Digest {
        self.digest
    }

    fn embed(&mut self, faces: &[View<'_>]) -> Result<Vec<Option<Embedding>>> {
        let mut embeddings = Vec::with_capacity(faces.len());
        let together = self.session.input().shape.first() == Some(&None);
        let most = if together { faces.len().max(1) } else { 1 };
        for faces in faces.chunks(most) {
            self.run(faces, &mut embeddings)?;
        }
        Ok(embeddings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_have_length_one_or_are_none() {
        let embedding = Embedding::new(vec![2.0; 16]).expect("it points somewhere");
        assert!(embedding.values().iter().all(|v| (v - 0.25).abs() < 1e-6));
        assert!((cosine(&embedding, &embedding) - 1.0).abs() < 1e-6);
        for bad in [0.0, f32::NAN, f32::INFINITY, 1e-30] {
            assert_eq!(Embedding::new(vec![bad; 16]), None, "{bad}");
        }
        assert_eq!(Embedding::new(vec![1.0; 15]), None);
        assert_eq!(Embedding::new(vec![1.0; 4097]), None);
    }
}
