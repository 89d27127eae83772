//! Pictures to keep, in the forms that programs compute with.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use keepwatch_recognition::{Channels, Picture};
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvPlanarImage, YuvRange, YuvStandardMatrix};

use crate::decoder::Frame;
use crate::error::{Error, Result};
use crate::recognition::Part;

/// What is kept of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Its brightness, as it is encoded: of most cameras, black is 16 and white is 235.
    #[default]
    Luma,
    /// Red, green and blue, of the full range.
    Rgb,
}

/// The pixels of a picture, which nobody changes any more.
///
/// Rows of 8-bit values, from the top; of each pixel one value of brightness, or red, green and
/// blue.
#[derive(Debug)]
pub struct Pixels {
    data: Data,
    width: usize,
    height: usize,
    stride: usize,
    color: Color,
}

#[derive(Debug)]
enum Data {
    /// The memory of the decoder, or of a converter.
    Mapped(Box<gst_video::VideoFrame<gst_video::video_frame::Readable>>),
    Own(Owned),
}

/// How much memory a pool keeps: as many pictures as are under way when each is let go at once.
const KEPT: usize = 6;

/// Memory of pictures that nobody has any more, for the next ones: to get megabytes from the system
/// for each, and to clear them, takes as long as to fill them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self, len: usize) -> Owned {
        let old = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = old.unwrap_or_default();
        bytes.resize(len, 0);
        Owned {
            bytes,
            pool: self.clone(),
        }
    }
}

/// Memory of a pool.
#[derive(Debug)]
struct Owned {
    bytes: Vec<u8>,
    pool: Pool,
}

impl Drop for Owned {
    fn drop(&mut self) {
        let mut free = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

impl Pixels {
    /// Those of a decoded picture. Brightness is not copied.
    ///
    /// # Errors
    /// [`Error::Picture`] when its form is not understood.
    pub fn of(frame: &Frame, color: Color) -> Result<Self> {
        Self::pooled(frame, color, &Pool::default())
    }

    /// The same, in memory of a pool where it needs any.
    pub(crate) fn pooled(frame: &Frame, color: Color, pool: &Pool) -> Result<Self> {
        let (buffer, info) = frame.parts();
        let frame = gst_video::VideoFrame::from_buffer_readable(buffer.clone(), info)
            .map_err(|_| Error::Picture)?;
        match color {
            Color::Luma if has_luma_plane(info) => Self::mapped(frame, color),
            Color::Luma => converted(&frame, gst_video::VideoFormat::Gray8, color),
            Color::Rgb => match rgb(&frame, pool) {
                Some(pixels) => pixels,
                None => converted(&frame, gst_video::VideoFormat::Rgb, color),
            },
        }
    }

    fn mapped(
        frame: gst_video::VideoFrame<gst_video::video_frame::Readable>,
        color: Color,
    ) -> Result<Self> {
        let pixels = Self {
            width: frame.width() as usize,
            height: frame.height() as usize,
            stride: usize::try_from(frame.plane_stride()[0]).map_err(|_| Error::Picture)?,
            color,
            data: Data::Mapped(Box::new(frame)),
        };
        let needed = (pixels.height.max(1) - 1) * pixels.stride + pixels.row_bytes();
        match pixels.bytes().len() >= needed && pixels.stride >= pixels.row_bytes() {
            true => Ok(pixels),
            false => Err(Error::Picture),
        }
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// From the beginning of one row to that of the next, in bytes.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// What they are.
    pub fn color(&self) -> Color {
        self.color
    }

    /// How many values a pixel has.
    pub fn channels(&self) -> usize {
        match self.color {
            Color::Luma => 1,
            Color::Rgb => 3,
        }
    }

    /// All rows, with what may be between them. They stay where they are in memory as long as this.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Mapped(frame) => frame.plane_data(0).unwrap_or_default(),
            Data::Own(owned) => &owned.bytes,
        }
    }

    /// A row, without what may follow it.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.bytes()[y * self.stride..][..self.row_bytes()]
    }

    fn row_bytes(&self) -> usize {
        self.width * self.channels()
    }
}

/// Whether brightness has a plane of its own, of eight bits.
fn has_luma_plane(info: &gst_video::VideoInfo) -> bool {
    let form = info.format_info();
    !form.is_rgb() && form.depth().first() == Some(&8) && form.pixel_stride().first() == Some(&1)
}

/// The forms that cameras have, several times as fast as GStreamer's converter; none for others.
fn rgb<T>(frame: &gst_video::VideoFrame<T>, pool: &Pool) -> Option<Result<Pixels>> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let all = Part {
        x: 0,
        y: 0,
        w: width,
        h: height,
    };
    let row = 3 * width;
    let mut own = pool.take(row * height);
    let done = part_into(&frame.as_video_frame_ref(), all, &mut own.bytes)?;
    Some(done.map(|()| Pixels {
        data: Data::Own(own),
        width,
        height,
        stride: row,
        color: Color::Rgb,
    }))
}

/// A part of a picture in one of the forms that cameras have, as RGB without gaps; none for other
/// forms.
fn part_into(
    frame: &gst_video::VideoFrameRef<&gst::BufferRef>,
    part: Part,
    out: &mut [u8],
) -> Option<Result<()>> {
    let colorimetry = frame.info().colorimetry();
    let matrix = match colorimetry.matrix() {
        gst_video::VideoColorMatrix::Bt601 => YuvStandardMatrix::Bt601,
        gst_video::VideoColorMatrix::Bt709 => YuvStandardMatrix::Bt709,
        gst_video::VideoColorMatrix::Bt2020 => YuvStandardMatrix::Bt2020,
        _ => return None,
    };
    let range = match colorimetry.range() {
        gst_video::VideoColorRange::Range0_255 => YuvRange::Full,
        _ => YuvRange::Limited,
    };
    let stride = |plane: usize| u32::try_from(frame.plane_stride()[plane]).ok();
    let plane = |plane: u32, x: usize, y: usize| {
        let stride = usize::try_from(frame.plane_stride()[plane as usize]).ok()?;
        frame.plane_data(plane).ok()?.get(y * stride + x..)
    };
    let Part { x, y, w, h } = part;
    let (width, height) = (u32::try_from(w).ok()?, u32::try_from(h).ok()?);
    let row = 3 * width;
    let done = match frame.format() {
        gst_video::VideoFormat::I420 => yuv::yuv420_to_rgb(
            &YuvPlanarImage {
                y_plane: plane(0, x, y)?,
                y_stride: stride(0)?,
                u_plane: plane(1, x / 2, y / 2)?,
                u_stride: stride(1)?,
                v_plane: plane(2, x / 2, y / 2)?,
                v_stride: stride(2)?,
                width,
                height,
            },
            out,
            row,
            range,
            matrix,
        ),
        gst_video::VideoFormat::Nv12 => yuv::yuv_nv12_to_rgb(
            &YuvBiPlanarImage {
                y_plane: plane(0, x, y)?,
                y_stride: stride(0)?,
                uv_plane: plane(1, x, y / 2)?,
                uv_stride: stride(1)?,
                width,
                height,
            },
            out,
            row,
            range,
            matrix,
            YuvConversionMode::Balanced,
        ),
        _ => return None,
    };
    Some(done.map_err(|_| Error::Picture))
}

/// Reads parts of pictures, and converts no more than these where it can.
#[derive(Default)]
pub(crate) struct PartReader {
    /// All of a picture in another form.
    whole: Option<Pixels>,
    /// Whole rows of a picture.
    rows: Picture,
}

impl PartReader {
    /// The parts that follow are of another picture.
    pub fn begin(&mut self) {
        self.whole = None;
    }

    /// A part, whose left and upper edges are even, as RGB.
    pub fn read(&mut self, frame: &Frame, part: Part, out: &mut Picture) -> Result<()> {
        out.reset(part.w, part.h, Channels::Rgb);
        let mapped = frame.map()?;
        let [_, height] = frame.size();
        let is_nv12 = mapped.format() == gst_video::VideoFormat::Nv12;
        if is_nv12 && part.x > 0 && part.y + part.h == height {
            // Colours are taken in whole rows only, and the last one would not be whole.
            let left = Part {
                x: 0,
                w: part.x + part.w,
                ..part
            };
            self.rows.reset(left.w, left.h, Channels::Rgb);
            if let Some(done) = part_into(&mapped, left, self.rows.data_mut()) {
                for y in 0..part.h {
                    let row = &self.rows.row(y)[3 * part.x..];
                    out.row_mut(y).copy_from_slice(row);
                }
                return done;
            }
        }
        if let Some(done) = part_into(&mapped, part, out.data_mut()) {
            return done;
        }
        let whole = match self.whole.take() {
            Some(whole) => whole,
            None => Pixels::of(frame, Color::Rgb)?,
        };
        let whole = self.whole.insert(whole);
        for y in 0..part.h {
            let row = &whole.row(part.y + y)[3 * part.x..][..3 * part.w];
            out.row_mut(y).copy_from_slice(row);
        }
        Ok(())
    }
}

/// What GStreamer makes of any other form.
fn converted<T>(
    frame: &gst_video::VideoFrame<T>,
    form: gst_video::VideoFormat,
    color: Color,
) -> Result<Pixels> {
    let (buffer, info) = convert(frame, form)?;
    let frame =
        gst_video::VideoFrame::from_buffer_readable(buffer, &info).map_err(|_| Error::Picture)?;
    Pixels::mapped(frame, color)
}

/// A picture in another form.
pub(crate) fn convert<T>(
    frame: &gst_video::VideoFrame<T>,
    form: gst_video::VideoFormat,
) -> Result<(gst::Buffer, gst_video::VideoInfo)> {
    // The converter refuses to change either of these.
    let to = gst_video::VideoInfo::builder(form, frame.width(), frame.height())
        .fps(frame.info().fps())
        .interlace_mode(frame.info().interlace_mode())
        .build()
        .map_err(|_| Error::Picture)?;
    let converter =
        gst_video::VideoConverter::new(frame.info(), &to, None).map_err(|_| Error::Picture)?;
    let buffer = gst::Buffer::with_size(to.size()).map_err(|_| Error::Picture)?;
    let mut out =
        gst_video::VideoFrame::from_buffer_writable(buffer, &to).map_err(|_| Error::Picture)?;
    converter.frame(frame, &mut out);
    Ok((out.into_buffer(), to))
}

#[cfg(test)]
mod tests;
