//! Real video, decoded by GStreamer alone.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use keepwatch_vision::motion::Luma;

/// Calls for the brightness of each frame of `video/<name>.mp4`, in order; of key frames only if
/// asked.
pub fn decode(name: &str, keyframes: bool, mut each: impl FnMut(Luma<'_>, Duration)) {
    gst::init().expect("GStreamer is there");
    let path = keepwatch_testkit::testdata().join(format!("video/{name}.mp4"));
    let gate = match keyframes {
        true => "identity drop-buffer-flags=delta-unit !",
        false => "",
    };
    let text = format!(
        "filesrc location={} ! qtdemux ! h264parse ! {gate} avdec_h264 max-threads=1 ! \
         video/x-raw,format=I420 ! appsink name=sink sync=false",
        path.display()
    );
    let pipeline = gst::parse::launch(&text).expect("the elements are there");
    let pipeline: gst::Pipeline = pipeline.downcast().expect("it is a pipeline");
    let sink = pipeline.by_name("sink").expect("it is named");
    let sink: gst_app::AppSink = sink.downcast().expect("it is an appsink");
    pipeline.set_state(gst::State::Playing).expect("it plays");
    while let Ok(sample) = sink.pull_sample() {
        let caps = sample.caps().expect("it has caps");
        let info = gst_video::VideoInfo::from_caps(caps).expect("it is video");
        let buffer = sample.buffer().expect("it has a buffer");
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
            .expect("it can be read");
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let stride = frame.plane_stride()[0] as usize;
        let luma = Luma::new(frame.plane_data(0).expect("a plane"), width, height, stride)
            .expect("it is large enough");
        let pts = buffer.pts().expect("it has a time");
        each(luma, Duration::from_nanos(pts.nseconds()));
    }
    pipeline.set_state(gst::State::Null).expect("it stops");
}

/// Plays a file to its end: how many frames it shows.
pub fn play(path: &std::path::Path) -> usize {
    gst::init().expect("GStreamer is there");
    let text = format!(
        "filesrc location={} ! qtdemux ! decodebin ! appsink name=sink sync=false",
        path.display()
    );
    let pipeline = gst::parse::launch(&text).expect("the elements are there");
    let pipeline: gst::Pipeline = pipeline.downcast().expect("it is a pipeline");
    let sink = pipeline.by_name("sink").expect("it is named");
    let sink: gst_app::AppSink = sink.downcast().expect("it is an appsink");
    pipeline.set_state(gst::State::Playing).expect("it plays");
    let mut frames = 0;
    while sink.pull_sample().is_ok() {
        frames += 1;
    }
    let bus = pipeline.bus().expect("it has a bus");
    let error = bus.pop_filtered(&[gst::MessageType::Error]);
    assert!(error.is_none(), "{error:?}");
    pipeline.set_state(gst::State::Null).expect("it stops");
    frames
}
