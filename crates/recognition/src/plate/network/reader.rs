//! Reading plates.

use super::ctc::{CLASSES, read_steps};
use super::sample::sample;
use crate::error::{Error, Result};
use crate::geometry::Quad;
use crate::infer::{Engine, Model, Session, Tensor};
use crate::picture::{Channels, Picture, View};
use crate::plate::ocr::{PlateReader, Reading};

static NETWORK: &[u8] = include_bytes!("../../../models/plate_reader.onnx");

/// The size of a plate as the network takes it.
const WIDTH: usize = 144;
/// The same, down.
const HEIGHT: usize = 48;
/// How much is added around a plate, as shares of its width and height on each side: it is read in
/// all of these cuts, for a character at the edge may be read in one and not in another.
const MARGINS: [(f32, f32); 5] = [
    (0.04, 0.08),
    (0.0, 0.0),
    (0.02, 0.18),
    (0.08, 0.05),
    (0.1, 0.2),
];
/// What the first cut is less sure of is no plate, and is not read again.
const HOPELESS: f32 = 0.2;

/// Reads plates with the network that is part of the program, on one thread at a time.
pub struct NetworkReader {
    session: Box<dyn Session>,
    gray: Picture,
    input: Tensor,
    outputs: Vec<Tensor>,
}

impl NetworkReader {
    /// Makes it ready.
    ///
    /// # Errors
    /// [`Error::Model`] when the engine cannot compute it.
    pub fn new(engine: &Engine) -> Result<Self> {
        let model = Model::new("plate_reader", NETWORK);
        Ok(Self {
            session: engine.load(&model)?,
            gray: Picture::default(),
            input: Tensor::default(),
            outputs: Vec::new(),
        })
    }

    /// Reads a plate with each of the margins.
    fn read_with(
        &mut self,
        gray: View<'_>,
        quad: &Quad,
        margins: &[(f32, f32)],
        readings: &mut Vec<Reading>,
    ) -> Result<()> {
        self.input.reset(&[margins.len(), 1, HEIGHT, WIDTH]);
        let slots = self.input.data_mut().chunks_exact_mut(WIDTH * HEIGHT);
        for ((across, down), slot) in margins.iter().zip(slots) {
            let quad = quad.grown(1.0 + 2.0 * across, 1.0 + 2.0 * down);
            if !sample(gray, &quad, WIDTH, HEIGHT, slot) {
                slot.fill(0.0);
            }
            normalize(slot);
        }
        self.session.run(&self.input, &mut self.outputs)?;
        let numbers = self.outputs.first().map(Tensor::data).unwrap_or_default();
        let each = numbers.len() / margins.len();
        if each == 0 || !numbers.len().is_multiple_of(margins.len() * CLASSES.len()) {
            return Err(Error::Inference {
                problem: format!("the reader of plates gave {} numbers", numbers.len()),
            });
        }
        for steps in numbers.chunks_exact(each) {
            readings.push(read_steps(steps)?);
        }
        Ok(())
    }
}

/// To mean 0 and deviation 1, within bounds: what counts is the difference of plate and characters,
/// not the light.
fn normalize(values: &mut [f32]) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
    let deviation = variance.sqrt().max(2.0);
    for value in values {
        *value = ((*value - mean) / deviation).clamp(-3.0, 3.0);
    }
}

/// The text that most readings agree on, weighted by how sure they are, squared. It is as sure as
/// the surest of them, times the root of its share of the weight.
fn agreed(readings: &[Reading]) -> Option<Reading> {
    let weight = |reading: &Reading| reading.confidence * reading.confidence;
    let of_text = |text: &str| -> f32 {
        let same = readings.iter().filter(|reading| reading.text == text);
        same.map(weight).sum()
    };
    let all: f32 = readings.iter().map(weight).sum();
    let best = readings.iter().max_by(|a, b| {
        let (weight_a, weight_b) = (of_text(&a.text), of_text(&b.text));
        let by_weight = weight_a.total_cmp(&weight_b);
        by_weight.then(a.confidence.total_cmp(&b.confidence))
    })?;
    let share = (of_text(&best.text) / all.max(1e-6)).sqrt();
    Some(Reading {
        confidence: best.confidence * share,
        ..best.clone()
    })
}

impl PlateReader for NetworkReader {
    fn read(&mut self, picture: View<'_>, quad: &Quad) -> Result<Reading> {
        let mut gray = std::mem::take(&mut self.gray);
        let view = match picture.channels() {
            Channels::Gray => picture,
            Channels::Rgb => {
                picture.gray_into(&mut gray);
                gray.view()
            }
        };
        let mut readings = Vec::with_capacity(MARGINS.len());
        let mut read = || -> Result<()> {
            self.read_with(view, quad, &MARGINS[..1], &mut readings)?;
            if readings[0].confidence >= HOPELESS {
                self.read_with(view, quad, &MARGINS[1..], &mut readings)?;
            }
            Ok(())
        };
        let result = read();
        self.gray = gray;
        result?;
        Ok(agreed(&readings).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_and_contrast_do_not_matter() {
        let mut dark = vec![10.0, 20.0, 10.0, 20.0];
        let mut light = vec![155.0, 255.0, 155.0, 255.0];
        normalize(&mut dark);
        normalize(&mut light);
        assert_eq!(dark, [-1.0, 1.0, -1.0, 1.0]);
        assert_eq!(dark, light);
        let mut flat = vec![7.0; 4];
        normalize(&mut flat);
        assert_eq!(flat, [0.0; 4]);
    }

    fn reading(text: &str, sure: f32) -> Reading {
        Reading::new(text.chars().map(|c| vec![(c, sure)]).collect())
    }

    #[test]
    fn most_readings_win_and_one_that_is_very_sure_does_not() {
        let readings = [reading("AB", 0.9), reading("A8", 0.7), reading("A8", 0.7)];
        let agreed = agreed(&readings).expect("there are some");
        assert_eq!(agreed.text, "A8");
        assert!(agreed.confidence < 0.7 && agreed.confidence > 0.4);
        assert_eq!(super::agreed(&[]), None);
        let none = [Reading::default(), Reading::default()];
        assert_eq!(super::agreed(&none).expect("there are some").text, "");
    }
}
