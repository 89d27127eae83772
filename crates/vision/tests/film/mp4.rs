//! Recordings of real video: GStreamer takes it out of its file, and plays what was written.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use keepwatch_core::jiff::Timestamp;
use keepwatch_vision::mp4::{Fmp4Writer, Summary, fragment, init_segment, scan};
use keepwatch_vision::{Codec, Packet, PacketData, StreamInfo};

/// The parser and the form of packets of a codec.
fn parser(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264parse ! video/x-h264,stream-format=avc,alignment=au",
        Codec::H265 => "h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
        _ => "jpegparse ! image/jpeg",
    }
}

fn decoder(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264parse ! avdec_h264",
        Codec::H265 => "h265parse ! avdec_h265",
        _ => "jpegdec",
    }
}

/// Runs a pipeline to its end and calls for each sample of the sink named `sink`.
fn run(text: &str, mut each: impl FnMut(&gst::Sample)) {
    gst::init().expect("GStreamer is there");
    let pipeline = gst::parse::launch(text).expect("the elements are there");
    let pipeline: gst::Pipeline = pipeline.downcast().expect("it is a pipeline");
    let sink = pipeline.by_name("sink");
    pipeline.set_state(gst::State::Playing).expect("it plays");
    if let Some(sink) = sink {
        let sink: gst_app::AppSink = sink.downcast().expect("it is an appsink");
        while let Ok(sample) = sink.pull_sample() {
            each(&sample);
        }
    }
    let bus = pipeline.bus().expect("it has a bus");
    let end = bus.timed_pop_filtered(
        gst::ClockTime::NONE,
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    let end = end.expect("it ends");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{text}: {end:?}");
    pipeline.set_state(gst::State::Null).expect("it stops");
}

fn time(time: Option<gst::ClockTime>) -> Duration {
    Duration::from_nanos(time.expect("it has a time").nseconds())
}

fn info(codec: Codec, caps: &gst::CapsRef) -> StreamInfo {
    let structure = caps.structure(0).expect("it has one");
    let side = |name| structure.get::<i32>(name).expect("it has a size") as u32;
    let data = structure.get::<gst::Buffer>("codec_data").ok();
    StreamInfo {
        codec,
        width: side("width"),
        height: side("height"),
        codec_data: data
            .map_or_else(Vec::new, |data| {
                data.map_readable().expect("it can be read").to_vec()
            })
            .into(),
        frame_rate: None,
    }
}

/// The packets of a file, in decoding order.
fn packets(file: &Path, codec: Codec) -> (StreamInfo, Vec<Packet>) {
    let text = format!(
        "filesrc location={} ! qtdemux name=d d.video_0 ! {} ! appsink name=sink sync=false",
        file.display(),
        parser(codec)
    );
    let (mut found, mut packets) = (None, Vec::new());
    run(&text, |sample| {
        found.get_or_insert_with(|| info(codec, sample.caps().expect("it has caps")));
        let buffer = sample.buffer_owned().expect("it has a buffer");
        let (pts, dts) = (time(buffer.pts()), time(buffer.dts_or_pts()));
        packets.push(Packet {
            pts,
            dts,
            duration: buffer.duration().map(|length| time(Some(length))),
            key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            wall: Timestamp::UNIX_EPOCH,
            data: PacketData::new(
                buffer
                    .into_mapped_buffer_readable()
                    .expect("it can be read"),
            ),
        });
    });
    (found.expect("it has packets"), packets)
}

/// When each decoded frame of a file is shown, and a checksum of what can be seen of it.
fn frames(file: &Path, codec: Codec) -> Vec<(Duration, u64)> {
    let text = format!(
        "filesrc location={} ! qtdemux name=d d.video_0 ! {} ! appsink name=sink sync=false",
        file.display(),
        decoder(codec)
    );
    let mut frames = Vec::new();
    run(&text, |sample| {
        let info = gst_video::VideoInfo::from_caps(sample.caps().expect("it has caps"));
        let (info, buffer) = (info.expect("it is video"), sample.buffer().expect("one"));
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
            .expect("it can be read");
        let mut hasher = DefaultHasher::new();
        for plane in 0..frame.n_planes() {
            let width = frame.comp_width(plane) as usize;
            let rows = frame.plane_data(plane).expect("a plane");
            let rows = rows.chunks(frame.plane_stride()[plane as usize] as usize);
            for row in rows.take(frame.comp_height(plane) as usize) {
                row[..width].hash(&mut hasher);
            }
        }
        frames.push((time(buffer.pts()), hasher.finish()));
    });
    frames
}

fn write(info: &StreamInfo, packets: &[Packet]) -> (Vec<u8>, Summary) {
    let mut writer = Fmp4Writer::new(Vec::new(), info, Timestamp::UNIX_EPOCH).expect("it begins");
    for packet in packets {
        writer.push(packet).expect("it is written");
    }
    writer.finish().expect("it ends")
}

fn save(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("it is written");
    file
}

/// Checksums, and times counted from the first, to the tick.
fn from_zero(frames: &[(Duration, u64)]) -> Vec<(u64, u64)> {
    let zero = frames.first().expect("there are frames").0;
    let ticks = |time: Duration| ((time - zero).as_secs_f64() * 90_000.0).round() as u64;
    frames
        .iter()
        .map(|(time, sum)| (ticks(*time), *sum))
        .collect()
}

fn assert_same(written: &[(Duration, u64)], original: &[(Duration, u64)]) {
    let (written, original) = (from_zero(written), from_zero(original));
    assert_eq!(written.len(), original.len());
    for (at, (a, b)) in written.iter().zip(&original).enumerate() {
        assert_eq!(a.1, b.1, "the picture of frame {at}");
        assert!(
            a.0.abs_diff(b.0) <= 1,
            "the time of frame {at}: {} and {}",
            a.0,
            b.0
        );
    }
}

/// Records a file and plays the recording: every frame must be what it was, when it was.
fn records_and_plays(original: &Path, codec: Codec, count: usize) -> Vec<Packet> {
    let (info, packets) = packets(original, codec);
    assert_eq!(packets.len(), count);
    let (bytes, summary) = write(&info, &packets);
    assert_eq!(summary.frames, count as u64);
    assert_eq!(summary.bytes, bytes.len() as u64);
    let scanned = scan(bytes.as_slice()).expect("it is read");
    assert_eq!((scanned.frames, scanned.cut), (count as u64, false));
    assert_eq!(scanned.whole_bytes, summary.bytes);
    let recording = save(&bytes);
    assert_same(&frames(recording.path(), codec), &frames(original, codec));
    ffmpeg_agrees(recording.path(), count);
    packets
}

/// Where FFmpeg is installed, it must play the file without a complaint.
fn ffmpeg_agrees(file: &Path, count: usize) {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .arg(file)
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && said.is_empty(),
            "{program}: {said}"
        );
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    #[rustfmt::skip]
    let counted = run("ffprobe", &[
        "-v", "error", "-count_frames", "-select_streams", "v", "-of", "csv=p=0",
        "-show_entries", "stream=nb_read_frames",
    ]);
    if let Some(counted) = counted {
        assert_eq!(counted.trim_end_matches(','), count.to_string());
    }
}

fn video(name: &str) -> PathBuf {
    keepwatch_testkit::testdata().join("video").join(name)
}

/// A moving test picture in a file that GStreamer made.
fn made(encoder: &str, muxer: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = format!(
        "videotestsrc num-buffers=80 pattern=ball ! \
         video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! {encoder} ! {muxer} ! \
         filesink location={}",
        file.path().display()
    );
    run(&text, |_| {});
    file
}

#[test]
fn h264_plays_as_it_was() {
    records_and_plays(&video("car-detection.mp4"), Codec::H264, 377);
}

#[test]
fn h264_with_frames_out_of_order_plays_as_it_was() {
    let packets = records_and_plays(&video("one-by-one-person-detection.mp4"), Codec::H264, 1394);
    let reordered = packets.windows(2).any(|pair| pair[1].pts < pair[0].pts);
    assert!(
        reordered,
        "the video has no B-frames, and the test proves nothing"
    );
}

#[test]
fn h265_with_frames_out_of_order_plays_as_it_was() {
    let file = made("x265enc key-int-max=30 ! h265parse", "mp4mux");
    let packets = records_and_plays(file.path(), Codec::H265, 80);
    let reordered = packets.windows(2).any(|pair| pair[1].pts < pair[0].pts);
    assert!(
        reordered,
        "the video has no B-frames, and the test proves nothing"
    );
}

#[test]
fn jpeg_plays_as_it_was() {
    let file = made("jpegenc", "qtmux");
    records_and_plays(file.path(), Codec::Mjpeg, 80);
}

#[test]
fn what_a_crash_leaves_plays_up_to_its_last_whole_fragment() {
    let (info, packets) = packets(&video("one-by-one-person-detection.mp4"), Codec::H264);
    let (bytes, _) = write(&info, &packets[..300]);
    for share in [3, 5, 7, 9] {
        let cut = &bytes[..bytes.len() * share / 10];
        let scanned = scan(cut).expect("it is read");
        assert!(scanned.cut && scanned.frames > 0);
        let left = save(&cut[..scanned.whole_bytes as usize]);
        assert_eq!(
            frames(left.path(), Codec::H264).len() as u64,
            scanned.frames
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_whole_up_to_a_fragment() {
    let (info, packets) = packets(&video("car-detection.mp4"), Codec::H264);
    let (bytes, summary) = write(&info, &packets[..60]);
    let mut last = scan(&[][..]).expect("it is read");
    let mut seen = Vec::new();
    for len in (0..bytes.len()).step_by(97) {
        let scanned = scan(&bytes[..len]).expect("it is read");
        assert!(scanned.whole_bytes <= len as u64);
        assert_eq!(scanned.cut, scanned.whole_bytes != len as u64);
        assert!(scanned.frames >= last.frames && scanned.fragments >= last.fragments);
        let whole = &bytes[..scanned.whole_bytes as usize];
        let again = scan(whole).expect("it is read");
        assert_eq!((again.frames, again.cut), (scanned.frames, false));
        seen.push(scanned.fragments);
        last = scanned;
    }
    seen.dedup();
    assert!(
        seen.len() > 3,
        "each fragment appears in its turn: {seen:?}"
    );
    let whole = scan(bytes.as_slice()).expect("it is read");
    assert_eq!((whole.frames, whole.duration), (60, summary.duration));
}

#[test]
fn a_player_that_comes_late_needs_the_beginning_and_one_fragment() {
    let (info, packets) = packets(&video("car-detection.mp4"), Codec::H264);
    let keys: Vec<usize> = (0..packets.len()).filter(|at| packets[*at].key).collect();
    let (first, next) = (keys[1], keys[2]);
    let group = &packets[first..next];
    let mut live = init_segment(&info, Timestamp::UNIX_EPOCH);
    live.extend(fragment(9, group, packets[0].dts, packets[next].dts));
    let played = frames(save(&live).path(), Codec::H264);
    let whole = frames(&video("car-detection.mp4"), Codec::H264);
    assert_same(&played, &whole[first..next]);
}
