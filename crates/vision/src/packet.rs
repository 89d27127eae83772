//! Encoded video as it goes through Keepwatch.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keepwatch_core::jiff::Timestamp;
use serde::Serialize;

/// How video is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Codec {
    /// ITU-T H.264, access units of NAL units with a length of four bytes before each.
    H264,
    /// ITU-T H.265, in the same form.
    H265,
    /// Pictures in JPEG, each a key frame.
    Mjpeg,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H.264",
            Codec::H265 => "H.265",
            Codec::Mjpeg => "JPEG",
        })
    }
}

/// What is the same for all packets of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// The codec.
    pub codec: Codec,
    /// The width of the picture in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// What a decoder needs first: the contents of `avcC` or `hvcC` (ISO/IEC 14496-15); nothing for
    /// JPEG.
    pub codec_data: Arc<[u8]>,
    /// Frames a second as a fraction, if the stream says so.
    pub frame_rate: Option<(u32, u32)>,
}

impl StreamInfo {
    /// Whether what decodes the other decodes this as well. Only their frame rates may differ: a film
    /// whose frames are not all shown for the same time has another one in each of its fragments.
    pub fn is_like(&self, other: &Self) -> bool {
        let rated = Self {
            frame_rate: other.frame_rate,
            ..self.clone()
        };
        rated == *other
    }
}

/// Encoded bytes, shared and not copied.
#[derive(Clone)]
pub struct PacketData(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl PacketData {
    /// Bytes in whatever holds them.
    pub fn new(data: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(data))
    }
}

impl AsRef<[u8]> for PacketData {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for PacketData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketData({} bytes)", self.as_ref().len())
    }
}

/// One access unit or picture, in decoding order.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The encoded bytes.
    pub data: PacketData,
    /// When it is shown, on the camera's timeline.
    pub pts: Duration,
    /// When it is decoded, at `pts` or earlier, and later than every packet before.
    pub dts: Duration,
    /// How long it is shown, if the source says so.
    pub duration: Option<Duration>,
    /// Whether it can be decoded without any other.
    pub key: bool,
    /// When it is shown, by the wall clock.
    pub wall: Timestamp,
}

impl Packet {
    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "no packet is empty")]
    pub fn len(&self) -> usize {
        self.data.as_ref().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_frame_rate_is_no_other_stream() {
        let info = StreamInfo {
            codec: Codec::H264,
            width: 640,
            height: 360,
            codec_data: [1, 2, 3].into(),
            frame_rate: Some((25, 1)),
        };
        let rated = |frame_rate| StreamInfo {
            frame_rate,
            ..info.clone()
        };
        assert!(rated(None).is_like(&info) && rated(Some((24, 1))).is_like(&info));
        for other in [
            StreamInfo {
                width: 641,
                ..info.clone()
            },
            StreamInfo {
                codec: Codec::H265,
                ..info.clone()
            },
            StreamInfo {
                codec_data: [1, 2, 4].into(),
                ..info.clone()
            },
        ] {
            assert!(!other.is_like(&info), "{other:?}");
        }
    }
}
