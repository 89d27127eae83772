//! Films of a test's own pictures.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// Writes a film in H.264 as an MP4 file: `picture` gives each frame, red, green and blue of each
/// pixel by rows.
///
/// # Panics
/// When GStreamer lacks the encoder, a frame has another size, or the file cannot be written.
pub fn write_film(
    path: &Path,
    [width, height]: [usize; 2],
    fps: u32,
    frames: u32,
    picture: impl Fn(u32) -> Vec<u8> + Send,
) {
    let all = (0..frames).map(|number| {
        let pixels = picture(number);
        assert_eq!(pixels.len(), width * height * 3, "frame {number}");
        pixels
    });
    let caps = format!("video/x-raw,format=RGB,width={width},height={height},framerate={fps}/1");
    write(path, &caps, fps, all).unwrap_or_else(|problem| panic!("cannot write a film: {problem}"));
}

fn write(
    path: &Path,
    caps: &str,
    fps: u32,
    frames: impl Iterator<Item = Vec<u8>>,
) -> Result<(), Box<dyn std::error::Error>> {
    gst::init()?;
    // High 4:4:4 is not what cameras send.
    let text = format!(
        "appsrc name=source format=time block=true max-bytes=20000000 caps={caps} ! videoconvert ! \
         video/x-raw,format=I420 ! x264enc speed-preset=veryfast bframes=0 key-int-max={fps} \
         pass=quant quantizer=20 ! h264parse ! mp4mux ! filesink name=sink"
    );
    let pipeline = gst::parse::launch(&text)?.downcast::<gst::Pipeline>();
    let pipeline = pipeline.map_err(|_| "it is no pipeline")?;
    let sink = pipeline.by_name("sink").ok_or("no sink")?;
    sink.set_property("location", path.to_str().ok_or("the path is no text")?);
    let source = pipeline.by_name("source").ok_or("no source")?;
    let source = source.downcast::<gst_app::AppSrc>();
    let source = source.map_err(|_| "it is no appsrc")?;
    pipeline.set_state(gst::State::Playing)?;
    let length = gst::ClockTime::SECOND / u64::from(fps);
    for (number, pixels) in (0..).zip(frames) {
        let mut buffer = gst::Buffer::from_mut_slice(pixels);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(length * number);
            buffer.set_duration(length);
        }
        source.push_buffer(buffer)?;
    }
    source.end_of_stream()?;
    let bus = pipeline.bus().ok_or("no bus")?;
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let ended = bus.timed_pop_filtered(gst::ClockTime::NONE, &kinds);
    pipeline.set_state(gst::State::Null)?;
    match ended.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => Err(error.error().into()),
        _ => Ok(()),
    }
}
