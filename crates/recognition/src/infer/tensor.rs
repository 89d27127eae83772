//! Numbers in rows and columns.

use crate::error::{Error, Result};

/// Numbers of any number of dimensions, the last of which varies fastest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Tensor {
    /// Takes numbers of a shape.
    ///
    /// # Errors
    /// [`Error::Inference`] when there are more or fewer than the shape takes.
    pub fn new(shape: &[usize], data: Vec<f32>) -> Result<Self> {
        let len = shape
            .iter()
            .try_fold(1usize, |len, side| len.checked_mul(*side));
        if len != Some(data.len()) {
            return Err(Error::Inference {
                problem: format!("{} numbers are no tensor of {shape:?}", data.len()),
            });
        }
        Ok(Self {
            shape: shape.to_vec(),
            data,
        })
    }

    /// Makes it one of this shape with any content, in the memory that it has.
    pub fn reset(&mut self, shape: &[usize]) {
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        self.data.resize(shape.iter().product(), 0.0);
    }

    /// The lengths of its dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its numbers.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Its numbers.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Becomes a copy of these numbers, which fit the shape.
    pub(super) fn copy_from(&mut self, shape: &[usize], data: &[f32]) {
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        self.data.clear();
        self.data.extend_from_slice(data);
    }
}
