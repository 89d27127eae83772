//! What GStreamer makes of what was handed over.

use std::io::Write as _;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

/// A decoded picture: its size, and the brightness of its pixels, row by row.
pub struct Shown {
    pub width: usize,
    pub height: usize,
    pub luma: Vec<u8>,
}

impl Shown {
    /// The mean brightness of a part in fractions of the picture.
    pub fn mean(&self, [x, y, w, h]: [f32; 4]) -> f32 {
        let at = |share: f32, len: usize| (share * len as f32) as usize;
        let rows = at(y, self.height)..at(y + h, self.height);
        let columns = at(x, self.width)..at(x + w, self.width);
        let values = rows.flat_map(|row| {
            let row = &self.luma[row * self.width..][..self.width];
            row[columns.clone()].iter().map(|value| f32::from(*value))
        });
        let values: Vec<f32> = values.collect();
        values.iter().sum::<f32>() / values.len() as f32
    }
}

/// All pictures of an MP4 file.
pub fn of_mp4(bytes: &[u8]) -> Vec<Shown> {
    play(bytes, "qtdemux ! decodebin")
}

/// That of a JPEG file.
pub fn of_jpeg(bytes: &[u8]) -> Shown {
    let mut shown = play(bytes, "jpegdec");
    assert_eq!(shown.len(), 1);
    shown.remove(0)
}

fn play(bytes: &[u8], decoder: &str) -> Vec<Shown> {
    gst::init().expect("GStreamer is there");
    let mut file = tempfile::NamedTempFile::new().expect("there is room");
    file.write_all(bytes).expect("it is written");
    let text = format!(
        "filesrc location={} ! {decoder} ! videoconvert ! video/x-raw,format=GRAY8 ! \
         appsink name=sink sync=false",
        file.path().display()
    );
    let pipeline = gst::parse::launch(&text).expect("the elements are there");
    let pipeline: gst::Pipeline = pipeline.downcast().expect("it is a pipeline");
    let sink = pipeline.by_name("sink").expect("it is named");
    let sink: gst_app::AppSink = sink.downcast().expect("it is an appsink");
    pipeline.set_state(gst::State::Playing).expect("it plays");
    let mut shown = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let caps = sample.caps().expect("it has caps");
        let info = gst_video::VideoInfo::from_caps(caps).expect("it is video");
        let buffer = sample.buffer().expect("it has a buffer");
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
            .expect("it can be read");
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let stride = frame.plane_stride()[0] as usize;
        let plane = frame.plane_data(0).expect("it has one");
        let rows = plane.chunks(stride).take(height);
        shown.push(Shown {
            width,
            height,
            luma: rows.flat_map(|row| &row[..width]).copied().collect(),
        });
    }
    let bus = pipeline.bus().expect("it has a bus");
    let error = bus.pop_filtered(&[gst::MessageType::Error]);
    assert!(error.is_none(), "{error:?}");
    pipeline.set_state(gst::State::Null).expect("it stops");
    shown
}
