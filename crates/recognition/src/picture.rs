//! Pixels in memory.

use crate::error::{Error, Result};

/// What a pixel is made of, 8 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Brightness.
    Gray,
    /// Red, green and blue, in this order.
    Rgb,
}

impl Channels {
    /// Bytes of a pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
        }
    }
}

/// Somebody's pixels: rows from the top, each from the left.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
    channels: Channels,
}

impl<'a> View<'a> {
    /// Pixels of which each row begins `stride` bytes after the one above.
    ///
    /// # Errors
    /// [`Error::Pixels`] when there are too few bytes, or none.
    pub fn new(
        data: &'a [u8],
        width: usize,
        height: usize,
        stride: usize,
        channels: Channels,
    ) -> Result<Self> {
        let row = width.checked_mul(channels.count());
        let needed = row
            .filter(|row| *row > 0 && *row <= stride && height > 0)
            .and_then(|row| stride.checked_mul(height - 1)?.checked_add(row));
        if needed.is_none_or(|needed| needed > data.len()) {
            return Err(Error::Pixels {
                width,
                height,
                stride,
                len: data.len(),
            });
        }
        Ok(Self {
            data,
            width,
            height,
            stride,
            channels,
        })
    }

    /// Pixels in a row, at least one.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows, at least one.
    pub fn height(&self) -> usize {
        self.height
    }

    /// What its pixels are made of.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The bytes of a row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height);
        &self.data[y * self.stride..][..self.width * self.channels.count()]
    }

    /// The part from (`x`, `y`) of this size.
    ///
    /// # Panics
    /// If it is empty or not within the picture.
    #[must_use]
    pub fn part(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        assert!(width > 0 && x + width <= self.width);
        assert!(height > 0 && y + height <= self.height);
        Self {
            data: &self.data[y * self.stride + x * self.channels.count()..],
            width,
            height,
            ..*self
        }
    }

    /// Its brightness, as ITU-R BT.601 weighs colours, into the memory of `gray`.
    pub fn gray_into(&self, gray: &mut Picture) {
        gray.reset(self.width, self.height, Channels::Gray);
        for y in 0..self.height {
            let (row, out) = (self.row(y), gray.row_mut(y));
            match self.channels {
                Channels::Gray => out.copy_from_slice(row),
                Channels::Rgb => {
                    for (out, rgb) in out.iter_mut().zip(row.chunks_exact(3)) {
                        let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
                        *out = ((r * 4899 + g * 9617 + b * 1868 + (1 << 13)) >> 14) as u8;
                    }
                }
            }
        }
    }

    /// Its brightness.
    pub fn gray(&self) -> Picture {
        let mut gray = Picture::default();
        self.gray_into(&mut gray);
        gray
    }

    /// A copy of it.
    pub fn to_picture(&self) -> Picture {
        let mut picture = Picture::default();
        picture.reset(self.width, self.height, self.channels);
        for y in 0..self.height {
            picture.row_mut(y).copy_from_slice(self.row(y));
        }
        picture
    }
}

/// Pixels of one's own, without gaps. The default is empty; [`Picture::reset`] gives it a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    data: Vec<u8>,
    width: usize,
    height: usize,
    channels: Channels,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            width: 0,
            height: 0,
            channels: Channels::Gray,
        }
    }
}

impl Picture {
    /// Takes pixels without gaps between the rows.
    ///
    /// # Errors
    /// [`Error::Pixels`] when there are not exactly as many bytes as the size takes, or none.
    pub fn new(data: Vec<u8>, width: usize, height: usize, channels: Channels) -> Result<Self> {
        let stride = width.saturating_mul(channels.count());
        View::new(&data, width, height, stride, channels)?;
        if data.len() != stride * height {
            return Err(Error::Pixels {
                width,
                height,
                stride,
                len: data.len(),
            });
        }
        Ok(Self {
            data,
            width,
            height,
            channels,
        })
    }

    /// Makes it a picture of this size with any content, in the memory that it has.
    pub fn reset(&mut self, width: usize, height: usize, channels: Channels) {
        self.data.resize(width * height * channels.count(), 0);
        (self.width, self.height, self.channels) = (width, height, channels);
    }

    /// Sets every byte.
    pub fn fill(&mut self, value: u8) {
        self.data.fill(value);
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// What its pixels are made of.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// All bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All bytes.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The bytes of a row.
    pub fn row(&self, y: usize) -> &[u8] {
        let bytes = self.width * self.channels.count();
        &self.data[y * bytes..][..bytes]
    }

    /// The bytes of a row.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let bytes = self.width * self.channels.count();
        &mut self.data[y * bytes..][..bytes]
    }

    /// All of it.
    ///
    /// # Panics
    /// If it is empty.
    pub fn view(&self) -> View<'_> {
        let stride = self.width * self.channels.count();
        View::new(&self.data, self.width, self.height, stride, self.channels)
            .expect("the size of its own pixels")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let bytes = [0; 12];
        for (width, height, stride, channels) in [
            (0, 1, 1, Channels::Gray),
            (1, 0, 1, Channels::Gray),
            (4, 3, 3, Channels::Gray),
            (4, 4, 4, Channels::Gray),
            (2, 3, 6, Channels::Rgb),
            (usize::MAX, 2, usize::MAX, Channels::Rgb),
            (1, usize::MAX, usize::MAX, Channels::Gray),
        ] {
            assert!(View::new(&bytes, width, height, stride, channels).is_err());
        }
        View::new(&bytes, 3, 3, 4, Channels::Gray).expect("the last row needs no gap");
        assert!(Picture::new(vec![0; 13], 3, 4, Channels::Gray).is_err());
        Picture::new(vec![0; 12], 3, 4, Channels::Gray).expect("it fits");
    }

    #[test]
    fn parts_keep_the_rows_apart() {
        let bytes: Vec<u8> = (0..16).collect();
        let view = View::new(&bytes, 4, 4, 4, Channels::Gray).expect("it fits");
        let part = view.part(1, 2, 2, 2);
        assert_eq!((part.row(0), part.row(1)), (&[9, 10][..], &[13, 14][..]));
        assert_eq!(part.to_picture().data(), [9, 10, 13, 14]);
    }

    #[test]
    fn brightness_is_that_of_bt_601() {
        let rgb = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0];
        let view = View::new(&rgb, 5, 1, 15, Channels::Rgb).expect("it fits");
        assert_eq!(view.gray().data(), [76, 150, 29, 255, 0]);
    }
}
