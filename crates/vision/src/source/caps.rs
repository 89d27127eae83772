//! Between GStreamer's caps and [`StreamInfo`].

use gstreamer as gst;

use crate::packet::{Codec, StreamInfo};

/// The forms of encoded video that packets are kept in: those that MP4 has.
pub(super) fn wanted() -> gst::Caps {
    let mut caps = gst::Caps::new_empty();
    let all = caps.make_mut();
    all.append(h264());
    all.append(h265());
    all.append(gst::Caps::builder("image/jpeg").build());
    caps
}

pub(super) fn h264() -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .build()
}

pub(super) fn h265() -> gst::Caps {
    gst::Caps::builder("video/x-h265")
        .field("stream-format", "hvc1")
        .field("alignment", "au")
        .build()
}

/// What the caps of a parsed stream say; none if they lack something.
pub(super) fn stream_info(caps: &gst::CapsRef) -> Option<StreamInfo> {
    let structure = caps.structure(0)?;
    let codec = match structure.name().as_str() {
        "video/x-h264" => Codec::H264,
        "video/x-h265" => Codec::H265,
        "image/jpeg" => Codec::Mjpeg,
        _ => return None,
    };
    let size = |name| u32::try_from(structure.get::<i32>(name).ok()?).ok();
    let codec_data = match structure.get::<gst::Buffer>("codec_data") {
        Ok(buffer) => buffer.map_readable().ok()?.as_slice().into(),
        Err(_) if codec == Codec::Mjpeg => [].into(),
        Err(_) => return None,
    };
    let frame_rate = structure.get::<gst::Fraction>("framerate").ok();
    let frame_rate = frame_rate.and_then(|rate| {
        let pair = (u32::try_from(rate.numer()), u32::try_from(rate.denom()));
        match pair {
            (Ok(numerator), Ok(denominator)) if numerator > 0 && denominator > 0 => {
                Some((numerator, denominator))
            }
            _ => None,
        }
    });
    Some(StreamInfo {
        codec,
        width: size("width")?,
        height: size("height")?,
        codec_data,
        frame_rate,
    })
}

/// The other way round, for a decoder.
pub(crate) fn of(info: &StreamInfo) -> gst::Caps {
    let builder = match info.codec {
        Codec::H264 => gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au"),
        Codec::H265 => gst::Caps::builder("video/x-h265")
            .field("stream-format", "hvc1")
            .field("alignment", "au"),
        Codec::Mjpeg => gst::Caps::builder("image/jpeg"),
    };
    let builder = builder
        .field("width", info.width as i32)
        .field("height", info.height as i32)
        .field("parsed", true);
    match info.codec {
        Codec::Mjpeg => builder.build(),
        _ => builder
            .field(
                "codec_data",
                gst::Buffer::from_slice(info.codec_data.clone()),
            )
            .build(),
    }
}
