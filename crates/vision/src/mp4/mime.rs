//! What a stream is called where players ask.

use std::fmt::Write as _;

use crate::packet::{Codec, StreamInfo};

/// The media type of what [`init_segment`](super::init_segment) and [`fragment`](super::fragment)
/// make of a stream, as browsers' Media Source Extensions want it: `video/mp4; codecs="avc1.64001f"`
/// (RFC 6381, section 3.3; ISO/IEC 14496-15, annex E).
///
/// None for codec data that are too short, and for JPEG, for which it is no use.
pub fn mime_type(info: &StreamInfo) -> Option<String> {
    let codec = match info.codec {
        Codec::H264 => avc(&info.codec_data),
        Codec::H265 => hevc(&info.codec_data),
        Codec::Mjpeg => None,
    }?;
    Some(format!("video/mp4; codecs=\"{codec}\""))
}

/// Profile, constraints and level, as `avcC` has them.
fn avc(avc_c: &[u8]) -> Option<String> {
    let &[1, profile, constraints, level, ..] = avc_c else {
        return None;
    };
    Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
}

/// Profile, the profiles it is compatible with, tier and level, constraints, as `hvcC` has them.
fn hevc(hvc_c: &[u8]) -> Option<String> {
    let (&[1, profile, c0, c1, c2, c3, ref rest @ ..], level) = (hvc_c.get(..12)?, *hvc_c.get(12)?)
    else {
        return None;
    };
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    // The bit of profile 0 is written last.
    let compatible = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    let mut out = format!(
        "hvc1.{space}{}.{compatible:X}.{tier}{level}",
        profile & 0x1f
    );
    let used = rest.iter().rposition(|byte| *byte != 0);
    for byte in &rest[..used.map_or(0, |last| last + 1)] {
        let _ = write!(out, ".{byte:X}");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(codec: Codec, codec_data: &[u8]) -> Option<String> {
        mime_type(&StreamInfo {
            codec,
            width: 640,
            height: 360,
            codec_data: codec_data.into(),
            frame_rate: None,
        })
    }

    #[test]
    fn profiles_and_levels_are_named() {
        let high = named(Codec::H264, &[1, 0x64, 0, 0x1f, 0xff]);
        assert_eq!(high.as_deref(), Some("video/mp4; codecs=\"avc1.64001f\""));
        let baseline = named(Codec::H264, &[1, 0x42, 0xc0, 0x0a]);
        assert_eq!(
            baseline.as_deref(),
            Some("video/mp4; codecs=\"avc1.42c00a\"")
        );
    }

    #[test]
    fn profiles_tiers_and_constraints_of_h265_are_named() {
        let main = [1, 0x01, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93];
        assert_eq!(
            named(Codec::H265, &main).as_deref(),
            Some("video/mp4; codecs=\"hvc1.1.6.L93.B0\"")
        );
        let other = [1, 0x64, 0x82, 0, 0, 0, 0xb0, 0x23, 0, 0, 0, 0, 120];
        assert_eq!(
            named(Codec::H265, &other).as_deref(),
            Some("video/mp4; codecs=\"hvc1.A4.41.H120.B0.23\"")
        );
    }

    #[test]
    fn what_is_too_short_or_no_video_has_no_name() {
        assert_eq!(named(Codec::H264, &[1, 0x64, 0]), None);
        assert_eq!(named(Codec::H264, &[0, 0x64, 0, 0x1f]), None);
        assert_eq!(named(Codec::H265, &[1; 12]), None);
        assert_eq!(named(Codec::Mjpeg, &[]), None);
    }

    proptest! {
        #[test]
        fn names_are_quoted_words_whatever_the_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for codec in [Codec::H264, Codec::H265] {
                if let Some(name) = named(codec, &bytes) {
                    let codec = name.strip_prefix("video/mp4; codecs=\"");
                    let codec = codec.and_then(|rest| rest.strip_suffix('"'));
                    let codec = codec.expect("it has this form");
                    prop_assert!(codec.len() <= 40, "{}", codec);
                    prop_assert!(codec.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'));
                }
            }
        }
    }
}
