//! Decoding, on the thread that asks for it or on several.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use crate::error::{Error, Result};
use crate::gst::{element, init};
use crate::motion::Luma;
use crate::packet::{Codec, Packet, StreamInfo};
use crate::pixels::convert;
use crate::snapshot::Picture;
use crate::source::caps_of;

/// A decoded picture, still in the decoder's own memory.
#[derive(Clone)]
pub struct Frame {
    buffer: gst::Buffer,
    info: gst_video::VideoInfo,
    /// When it is shown, on the camera's timeline.
    pub pts: Duration,
}

impl Frame {
    /// Lends its brightness, rows of 8-bit values.
    ///
    /// # Errors
    /// [`Error::Picture`] when it has no such plane.
    pub fn with_luma<T>(&self, f: impl FnOnce(Luma<'_>) -> T) -> Result<T> {
        let frame = self.map()?;
        let stride = frame.plane_stride()[0] as usize;
        let data = frame.plane_data(0).map_err(|_| Error::Picture)?;
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let luma = Luma::new(data, width, height, stride).ok_or(Error::Picture)?;
        Ok(f(luma))
    }

    /// Lends the whole picture, as 4:2:0 whatever the camera sends.
    ///
    /// # Errors
    /// [`Error::Picture`] when its form is not understood.
    pub fn with_picture<T>(&self, f: impl FnOnce(&Picture<'_>) -> T) -> Result<T> {
        let frame = self.map()?;
        let planes = frame.planes_data();
        let stride = |plane: usize| frame.plane_stride()[plane] as usize;
        let full_range = self.info.colorimetry().range() == gst_video::VideoColorRange::Range0_255;
        let (width, height) = (frame.width(), frame.height());
        let picture = match (self.info.format(), planes) {
            (gst_video::VideoFormat::I420, [y, u, v, ..]) => Picture::i420(
                [y, u, v],
                [stride(0), stride(1), stride(2)],
                width,
                height,
                full_range,
            ),
            (gst_video::VideoFormat::Nv12, [y, uv, ..]) => {
                Picture::nv12([y, uv], [stride(0), stride(1)], width, height, full_range)
            }
            _ => return self.as_i420()?.with_picture(f),
        };
        Ok(f(&picture?))
    }

    fn as_i420(&self) -> Result<Self> {
        let frame = gst_video::VideoFrame::from_buffer_readable(self.buffer.clone(), &self.info)
            .map_err(|_| Error::Picture)?;
        let (buffer, info) = convert(&frame, gst_video::VideoFormat::I420)?;
        Ok(Self {
            buffer,
            info,
            pts: self.pts,
        })
    }

    /// Its width and height in pixels.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.info.width() as usize, self.info.height() as usize]
    }

    /// A picture of one brightness, without colour.
    #[cfg(test)]
    pub(crate) fn gray(width: u32, height: u32, luma: u8, pts: Duration) -> Self {
        init().expect("GStreamer is there");
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
            .build()
            .expect("it is a form");
        let mut bytes = vec![128; info.size()];
        bytes[..info.offset()[1]].fill(luma);
        Self {
            buffer: gst::Buffer::from_slice(bytes),
            info,
            pts,
        }
    }

    /// A picture in which no two places are alike.
    #[cfg(test)]
    pub(crate) fn noise(
        format: gst_video::VideoFormat,
        width: u32,
        height: u32,
        pts: Duration,
    ) -> Self {
        init().expect("GStreamer is there");
        // As those that come out of a decoder have one.
        let info = gst_video::VideoInfo::builder(format, width, height)
            .fps(gst::Fraction::new(25, 1))
            .build()
            .expect("it is a form");
        let bytes = (0..info.size() as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
        Self {
            buffer: gst::Buffer::from_slice(bytes.collect::<Vec<u8>>()),
            info,
            pts,
        }
    }

    /// Its buffer, and how that is to be read.
    pub(crate) fn parts(&self) -> (&gst::Buffer, &gst_video::VideoInfo) {
        (&self.buffer, &self.info)
    }

    pub(crate) fn map(&self) -> Result<gst_video::VideoFrameRef<&gst::BufferRef>> {
        gst_video::VideoFrameRef::from_buffer_ref_readable(&self.buffer, &self.info)
            .map_err(|_| Error::Picture)
    }
}

/// What came out of the decoder and was not taken yet.
#[derive(Default)]
struct Output {
    info: Option<gst_video::VideoInfo>,
    frames: Vec<Frame>,
}

/// On how many threads a decoder works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// On the caller's alone, without a queue before or behind it: what a packet shows is there when
    /// [`Decoder::decode`] returns, unless frames are reordered. A camera costs one core at most.
    #[default]
    One,
    /// On all cores, where the camera cuts its pictures into slices; nothing comes later for it.
    Slices,
    /// On all cores, several frames at once: the fastest, and each frame comes as many calls later.
    Frames,
}

/// A decoder of one stream.
pub struct Decoder {
    element: gst::Element,
    input: gst::Pad,
    /// Linked pads do not keep each other alive.
    _sink: gst::Pad,
    output: Arc<Mutex<Output>>,
    caps: gst::Caps,
}

/// One thread more than there are cores: while somebody takes a frame, no core waits. More than 16
/// bring libav nothing.
fn busy_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| (cores.get() + 1).min(16))
}

impl Decoder {
    /// A decoder for the stream, on the caller's thread.
    ///
    /// # Errors
    /// [`Error::MissingElement`] when no installed plugin decodes it.
    pub fn new(info: &StreamInfo) -> Result<Self> {
        Self::with_threads(info, Threads::One)
    }

    /// A decoder for the stream.
    ///
    /// # Errors
    /// [`Error::MissingElement`] when no installed plugin decodes it.
    pub fn with_threads(info: &StreamInfo, threads: Threads) -> Result<Self> {
        init()?;
        let element = match info.codec {
            Codec::H264 => first_of(&["avdec_h264", "openh264dec"])?,
            Codec::H265 => element("avdec_h265")?,
            Codec::Mjpeg => element("jpegdec")?,
        };
        // The strict mode holds frames back, in case later ones are shown before them: only where
        // nobody waits for them is it worth being sure.
        let (max_threads, kind, compliance) = match threads {
            Threads::One => ("1".to_owned(), "auto", "normal"),
            Threads::Slices => ("0".to_owned(), "slice", "normal"),
            Threads::Frames => (busy_threads().to_string(), "frame+slice", "strict"),
        };
        for (name, value) in [
            ("max-threads", max_threads.as_str()),
            ("thread-type", kind),
            ("std-compliance", compliance),
            ("output-corrupt", "false"),
            ("qos", "false"),
        ] {
            if element.has_property(name) {
                element.set_property_from_str(name, value);
            }
        }
        let output = Arc::new(Mutex::new(Output::default()));
        let input = gst::Pad::builder(gst::PadDirection::Src).build();
        let (for_frames, for_events) = (output.clone(), output.clone());
        let sink = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, buffer| {
                take_frame(&for_frames, buffer);
                Ok(gst::FlowSuccess::Ok)
            })
            .event_function(move |_, _, event| {
                if let gst::EventView::Caps(caps) = event.view() {
                    let info = gst_video::VideoInfo::from_caps(caps.caps()).ok();
                    lock(&for_events).info = info;
                }
                true
            })
            .query_function(|pad, parent, query| match query.view_mut() {
                gst::QueryViewMut::Allocation(allocation) => {
                    // Pictures may be padded: otherwise each is copied into one that is not. (Those
                    // of 1080 lines are copied by avdec_h264 1.22 all the same.)
                    allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
                    true
                }
                _ => gst::Pad::query_default(pad, parent, query),
            })
            .build();
        let failed = || Error::GStreamer {
            problem: "the decoder does not start".to_owned(),
        };
        let pad = |name| element.static_pad(name).ok_or_else(failed);
        input.link(&pad("sink")?).map_err(|_| failed())?;
        pad("src")?.link(&sink).map_err(|_| failed())?;
        for pad in [&sink, &input] {
            pad.set_active(true).map_err(|_| failed())?;
        }
        element
            .set_state(gst::State::Playing)
            .map_err(|_| failed())?;
        let decoder = Self {
            element,
            input,
            _sink: sink,
            output,
            caps: caps_of(info),
        };
        decoder.begin();
        Ok(decoder)
    }

    /// Decodes a packet, and gives what can be shown by now.
    pub fn decode(&mut self, packet: &Packet) -> Vec<Frame> {
        let mut buffer = gst::Buffer::from_slice(packet.data.clone());
        let time = |time: Duration| gst::ClockTime::from_nseconds(time.as_nanos() as u64);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time(packet.pts));
            buffer.set_dts(time(packet.dts));
            if !packet.key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        // A packet that cannot be decoded shows nothing; the next key frame starts anew.
        let _ = self.input.push(buffer);
        self.take()
    }

    /// Gives what was held back, and forgets the stream so far: a key frame has to follow.
    pub fn drain(&mut self) -> Vec<Frame> {
        self.input.push_event(gst::event::Eos::new());
        let frames = self.take();
        self.reset();
        frames
    }

    /// Forgets the stream so far: a key frame has to follow.
    pub fn reset(&mut self) {
        self.input.push_event(gst::event::FlushStart::new());
        self.input.push_event(gst::event::FlushStop::new(true));
        self.begin();
        self.take();
    }

    fn begin(&self) {
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        for event in [
            gst::event::StreamStart::new("camera"),
            gst::event::Caps::new(&self.caps),
            gst::event::Segment::new(&segment),
        ] {
            self.input.push_event(event);
        }
    }

    fn take(&self) -> Vec<Frame> {
        std::mem::take(&mut lock(&self.output).frames)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // It has no thread and no connection that could keep it from stopping.
        let _ = self.element.set_state(gst::State::Null);
        let _ = self.input.set_active(false);
    }
}

fn take_frame(output: &Mutex<Output>, buffer: gst::Buffer) {
    let mut output = lock(output);
    let (Some(info), Some(pts)) = (output.info.clone(), buffer.pts()) else {
        return;
    };
    if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
        return;
    }
    output.frames.push(Frame {
        buffer,
        info,
        pts: Duration::from_nanos(pts.nseconds()),
    });
}

fn first_of(names: &[&'static str]) -> Result<gst::Element> {
    let mut last = None;
    for name in names {
        match element(name) {
            Ok(element) => return Ok(element),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("there is a name"))
}

fn lock(output: &Mutex<Output>) -> std::sync::MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}
