//! From pictures to what a network says of each, for all detectors.

use super::Detection;
use super::input::{Filler, Letterbox, Normalization, Place, Size};
use crate::error::{Error, Result};
use crate::infer::{Session, Tensor};
use crate::picture::View;

/// A network, and the memory that it works in.
pub struct Runner {
    session: Box<dyn Session>,
    size: Size,
    letterbox: Letterbox,
    normalization: Normalization,
    filler: Filler,
    input: Tensor,
    outputs: Vec<Tensor>,
    places: Vec<Place>,
}

/// What a network says of one picture.
pub struct Outputs<'a> {
    tensors: &'a [Tensor],
    count: usize,
    index: usize,
    /// The size of the network's picture.
    pub width: usize,
    /// The size of the network's picture.
    pub height: usize,
}

impl<'a> Outputs<'a> {
    /// The numbers of one output.
    ///
    /// # Errors
    /// [`Error::Inference`] when there is no such output, or its numbers cannot be shared out among
    /// the pictures.
    pub fn of(&self, output: usize) -> Result<&'a [f32]> {
        let numbers = self
            .tensors
            .get(output)
            .map(Tensor::data)
            .unwrap_or_default();
        if numbers.is_empty() || !numbers.len().is_multiple_of(self.count) {
            return Err(Error::Inference {
                problem: format!(
                    "{} numbers are no output for {} pictures",
                    numbers.len(),
                    self.count
                ),
            });
        }
        let each = numbers.len() / self.count;
        Ok(&numbers[each * self.index..][..each])
    }

    /// The lengths of an output's dimensions, without that of the pictures; none if there is no such
    /// output.
    pub fn shape(&self, output: usize) -> &'a [usize] {
        let shape = self.tensors.get(output).map(Tensor::shape);
        shape.and_then(|shape| shape.get(1..)).unwrap_or_default()
    }
}

impl Runner {
    pub fn new(
        session: Box<dyn Session>,
        size: Size,
        letterbox: Letterbox,
        normalization: Normalization,
    ) -> Self {
        Self {
            session,
            size,
            letterbox,
            normalization,
            filler: Filler::default(),
            input: Tensor::default(),
            outputs: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Computes the pictures, and lets `decode` find what there is in each, in pixels of the
    /// network's picture; it is put where it is in the picture.
    ///
    /// Pictures that the network takes in one size are computed together if it can.
    pub fn detect(
        &mut self,
        pictures: &[View<'_>],
        found: &mut Vec<Vec<Detection>>,
        mut decode: impl FnMut(&Outputs<'_>, &mut Vec<Detection>) -> Result<()>,
    ) -> Result<()> {
        found.resize_with(pictures.len(), Vec::new);
        let together = self.session.input().shape.first() == Some(&None);
        let mut begin = 0;
        while begin < pictures.len() {
            let size = Filler::size(self.size, pictures[begin]);
            let alike =
                |picture: &&View<'_>| together && Filler::size(self.size, **picture) == size;
            let count = pictures[begin..].iter().take_while(alike).count().max(1);
            let [width, height] = size;
            self.run(&pictures[begin..][..count], size)?;
            for index in 0..count {
                let found = &mut found[begin + index];
                let outputs = Outputs {
                    tensors: &self.outputs,
                    count,
                    index,
                    width,
                    height,
                };
                decode(&outputs, found)?;
                let Place { factor, x, y } = self.places[index];
                let offset = |start: usize| -(start as f32) * factor;
                for detection in found.iter_mut() {
                    *detection = detection.placed(factor, offset(x), offset(y));
                }
            }
            begin += count;
        }
        Ok(())
    }

    fn run(&mut self, pictures: &[View<'_>], [width, height]: [usize; 2]) -> Result<()> {
        self.input.reset(&[pictures.len(), 3, height, width]);
        self.places.clear();
        let slots = self.input.data_mut().chunks_exact_mut(3 * width * height);
        for (picture, slot) in pictures.iter().zip(slots) {
            let filler = &mut self.filler;
            let (size, letterbox) = (self.size, self.letterbox);
            let place = filler.fill(*picture, size, letterbox, &self.normalization, slot);
            self.places.push(place);
        }
        self.session.run(&self.input, &mut self.outputs)
    }
}
