//! Pictures of events, with what is nobody's business blackened.

use std::ops::Range;

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};
use keepwatch_core::events::Region;

use crate::error::{Error, Result};
use crate::geometry::spans;
use mosaic::Mosaic;

mod mosaic;

/// Where the colours of a picture are.
#[derive(Clone, Copy, Debug)]
enum Chroma<'a> {
    /// Two planes.
    Planar([(&'a [u8], usize); 2]),
    /// One plane of pairs.
    Pairs(&'a [u8], usize),
}

/// A 4:2:0 picture of 8-bit values, lent.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    luma: (&'a [u8], usize),
    chroma: Chroma<'a>,
    width: u16,
    height: u16,
    full_range: bool,
}

impl<'a> Picture<'a> {
    /// Planes Y, U and V with the lengths of their rows in bytes. `full_range` is whether black is
    /// 0; otherwise it is 16 (ITU-R BT.601).
    ///
    /// # Errors
    /// [`Error::Picture`] when a plane is too small.
    pub fn i420(
        planes: [&'a [u8]; 3],
        strides: [usize; 3],
        width: u32,
        height: u32,
        full_range: bool,
    ) -> Result<Self> {
        let [(y, y_stride), u, v] = [0, 1, 2].map(|i| (planes[i], strides[i]));
        let picture = Self::new(
            (y, y_stride),
            Chroma::Planar([u, v]),
            width,
            height,
            full_range,
        )?;
        let (half_width, half_height) = (width.div_ceil(2) as usize, height.div_ceil(2) as usize);
        for (plane, stride) in [u, v] {
            check_plane(plane, stride, half_width, half_height)?;
        }
        Ok(picture)
    }

    /// A plane Y and one of pairs of U and V.
    ///
    /// # Errors
    /// [`Error::Picture`] when a plane is too small.
    pub fn nv12(
        planes: [&'a [u8]; 2],
        strides: [usize; 2],
        width: u32,
        height: u32,
        full_range: bool,
    ) -> Result<Self> {
        let pairs = Chroma::Pairs(planes[1], strides[1]);
        let picture = Self::new((planes[0], strides[0]), pairs, width, height, full_range)?;
        let (half_width, half_height) = (width.div_ceil(2) as usize, height.div_ceil(2) as usize);
        check_plane(planes[1], strides[1], 2 * half_width, half_height)?;
        Ok(picture)
    }

    fn new(
        luma: (&'a [u8], usize),
        chroma: Chroma<'a>,
        width: u32,
        height: u32,
        full_range: bool,
    ) -> Result<Self> {
        check_plane(luma.0, luma.1, width as usize, height as usize)?;
        let side = |side: u32| u16::try_from(side).map_err(|_| Error::Picture);
        Ok(Self {
            luma,
            chroma,
            width: side(width)?,
            height: side(height)?,
            full_range,
        })
    }
}

fn check_plane(plane: &[u8], stride: usize, width: usize, height: usize) -> Result<()> {
    let needed = height
        .checked_sub(1)
        .and_then(|rows| rows.checked_mul(stride)?.checked_add(width));
    match width > 0 && stride >= width && needed.is_some_and(|needed| plane.len() >= needed) {
        true => Ok(()),
        false => Err(Error::Picture),
    }
}

/// The picture as JPEG, of quality 1 to 100, with the polygons black.
///
/// Colours are taken as they are: the difference of BT.709 to the matrix of JPEG is not made up for.
///
/// # Errors
/// [`Error::Jpeg`] when it cannot be compressed.
pub fn encode_jpeg(picture: &Picture<'_>, masks: &[Vec<[f32; 2]>], quality: u8) -> Result<Vec<u8>> {
    encode(Masked { picture, masks }, quality)
}

/// The same, with regions made unrecognisable: each is grown by a fifth of its size on every side, and
/// only the mean colours of five by five cells are left of it.
///
/// # Errors
/// [`Error::Jpeg`] when it cannot be compressed.
pub fn encode_blurred_jpeg(
    picture: &Picture<'_>,
    masks: &[Vec<[f32; 2]>],
    regions: &[Region],
    quality: u8,
) -> Result<Vec<u8>> {
    let masked = Masked { picture, masks };
    let mosaics = regions
        .iter()
        .filter_map(|region| Mosaic::of(&masked, region));
    let mosaics = mosaics.collect();
    encode(Blurred { masked, mosaics }, quality)
}

/// The same, made smaller if it is wider than `max_width` pixels: each pixel is the mean of those
/// that it covers, after these were blackened.
///
/// # Errors
/// [`Error::Jpeg`] when it cannot be compressed.
pub fn encode_small_jpeg(
    picture: &Picture<'_>,
    masks: &[Vec<[f32; 2]>],
    quality: u8,
    max_width: u16,
) -> Result<Vec<u8>> {
    let masked = Masked { picture, masks };
    let (width, height) = small_size(picture, max_width);
    if width == picture.width {
        return encode(masked, quality);
    }
    encode(Scaled::new(masked, width, height), quality)
}

/// The width and height of what [`encode_small_jpeg`] makes.
pub(crate) fn small_size(picture: &Picture<'_>, max_width: u16) -> (u16, u16) {
    let width = picture.width.min(max_width.max(1));
    if width == picture.width {
        return (width, picture.height);
    }
    let scaled = u32::from(picture.height) * u32::from(width) / u32::from(picture.width);
    let height = u16::try_from(scaled).map_or(u16::MAX, |height| height.max(1));
    (width, height)
}

fn encode(image: impl ImageBuffer, quality: u8) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode_image(image).map_err(Error::Jpeg)?;
    Ok(out)
}

struct Masked<'a> {
    picture: &'a Picture<'a>,
    masks: &'a [Vec<[f32; 2]>],
}

impl ImageBuffer for Masked<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.picture.width
    }

    fn height(&self) -> u16 {
        self.picture.height
    }

    fn fill_buffers(&self, row: u16, buffers: &mut [Vec<u8>; 4]) {
        let (row, width) = (usize::from(row), usize::from(self.picture.width));
        let starts = [0, 1, 2].map(|i: usize| buffers[i].len());
        let (plane, stride) = self.picture.luma;
        let luma = &plane[row * stride..][..width];
        let full_range = self.picture.full_range;
        match full_range {
            true => buffers[0].extend_from_slice(luma),
            false => buffers[0].extend(luma.iter().map(|&y| LUMA[usize::from(y)])),
        }
        let colour = |value: u8| match full_range {
            true => value,
            false => COLOUR[usize::from(value)],
        };
        let half = width.div_ceil(2);
        for (i, buffer) in buffers[1..3].iter_mut().enumerate() {
            // One more than there are, where the width is odd.
            buffer.reserve(2 * half);
            match self.picture.chroma {
                Chroma::Planar(planes) => {
                    let (plane, stride) = planes[i];
                    let values = &plane[row / 2 * stride..][..half];
                    buffer.extend(values.iter().flat_map(|value| [colour(*value); 2]));
                }
                Chroma::Pairs(plane, stride) => {
                    let pairs = plane[row / 2 * stride..][..2 * half].chunks_exact(2);
                    buffer.extend(pairs.flat_map(|pair| [colour(pair[i]); 2]));
                }
            }
            buffer.truncate(starts[i + 1] + width);
        }
        for mask in self.masks {
            for (from, to) in spans(mask, row, width, self.picture.height.into()) {
                for (i, black) in [0, 128, 128].into_iter().enumerate() {
                    buffers[i][starts[i] + from..starts[i] + to].fill(black);
                }
            }
        }
    }
}

/// A masked picture with parts made unrecognisable.
struct Blurred<'a> {
    masked: Masked<'a>,
    mosaics: Vec<Mosaic>,
}

impl ImageBuffer for Blurred<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        self.masked.get_jpeg_color_type()
    }

    fn width(&self) -> u16 {
        self.masked.width()
    }

    fn height(&self) -> u16 {
        self.masked.height()
    }

    fn fill_buffers(&self, row: u16, buffers: &mut [Vec<u8>; 4]) {
        let starts = [0, 1, 2].map(|i: usize| buffers[i].len());
        self.masked.fill_buffers(row, buffers);
        for mosaic in &self.mosaics {
            mosaic.cover(row.into(), starts, buffers);
        }
    }
}

/// A masked picture made smaller.
struct Scaled<'a> {
    masked: Masked<'a>,
    height: u16,
    /// Those of the large picture that each of the small one covers.
    columns: Vec<Range<usize>>,
}

impl<'a> Scaled<'a> {
    fn new(masked: Masked<'a>, width: u16, height: u16) -> Self {
        let all = masked.width();
        let columns = (0..width).map(|column| {
            let Range { start, end } = covered(column, width, all);
            start.into()..end.into()
        });
        Self {
            columns: columns.collect(),
            masked,
            height,
        }
    }
}

impl ImageBuffer for Scaled<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        self.masked.get_jpeg_color_type()
    }

    fn width(&self) -> u16 {
        self.columns.len() as u16
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, row: u16, buffers: &mut [Vec<u8>; 4]) {
        let rows = covered(row, self.height, self.masked.height());
        let mut sums = [0, 1, 2].map(|_| vec![0_u32; self.masked.width().into()]);
        let mut line: [Vec<u8>; 4] = Default::default();
        for row in rows.clone() {
            line.iter_mut().for_each(Vec::clear);
            self.masked.fill_buffers(row, &mut line);
            for (sums, values) in sums.iter_mut().zip(&line) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += u32::from(*value);
                }
            }
        }
        // Divisions take longer than anything else here: there are as many divisors as columns have
        // widths, which is two.
        let widest = self.columns.iter().map(Range::len).max().unwrap_or(0);
        let pixels = |width: usize| (rows.len() * width).max(1) as u64;
        let inverse: Vec<u64> = (0..=widest)
            .map(|width| inverse_of(pixels(width)))
            .collect();
        for (buffer, sums) in buffers.iter_mut().zip(&sums) {
            buffer.extend(self.columns.iter().map(|columns| {
                let sum: u32 = sums[columns.clone()].iter().sum();
                let width = columns.len();
                mean(sum, pixels(width), inverse[width])
            }));
        }
    }
}

/// The rows or columns of the large picture that one of the small picture covers, one at least.
fn covered(at: u16, small: u16, large: u16) -> Range<u16> {
    let edge = |at: u32| (at * u32::from(large) / u32::from(small)) as u16;
    let from = edge(at.into());
    from..edge(u32::from(at) + 1).max(from + 1)
}

/// So many bits make the means of up to 65,000 pixels exact.
const INVERSE_BITS: u32 = 40;

fn inverse_of(pixels: u64) -> u64 {
    (1 << INVERSE_BITS) / pixels + 1
}

/// The rounded mean of so many pixels.
fn mean(sum: u32, pixels: u64, inverse: u64) -> u8 {
    (((u64::from(sum) + pixels / 2) * inverse) >> INVERSE_BITS) as u8
}

/// From the limited range of video to the full one of JPEG.
static LUMA: [u8; 256] = expanded(16, 219, 0);
static COLOUR: [u8; 256] = expanded(128, 224, 128);

const fn expanded(zero: i32, range: i32, new_zero: i32) -> [u8; 256] {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        let full = (value - zero) * 255 / range + new_zero;
        table[value as usize] = if full < 0 {
            0
        } else if full > 255 {
            255
        } else {
            full as u8
        };
        value += 1;
    }
    table
}

#[cfg(test)]
mod tests;
