//! Entry points for the fuzz targets: each takes bytes that a camera or a network may send, or that
//! a person may have pasted.
//!
//! Beside *no crash* each checks what must hold of what is accepted.

use std::sync::LazyLock;
use std::time::Duration;

use keepwatch_core::jiff::Timestamp;

use crate::mjpeg::MjpegParser;
use crate::mp4::{Scan, fragment, init_segment, mime_type, scan};
use crate::onvif::parse_reply;
use crate::{CameraUrl, Codec, Packet, PacketData, StreamInfo};

/// An address as it is, and one with a password around a mark that nobody may see.
pub fn url(bytes: &[u8]) {
    const MARK: &str = "Zq7wX";
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = shown(text);
    let half = (0..=text.len() / 2)
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let (before, after) = text.split_at(half.unwrap_or(0));
    if text.contains(MARK) {
        return;
    }
    for scheme in ["rtsp://", "http://", "file://", "ftp://", "rtsp:/", ""] {
        let shown = shown(&format!("{scheme}admin:{before}{MARK}{after}@cam:554/live"));
        assert!(!shown.contains(MARK), "{shown}");
    }
}

fn shown(text: &str) -> String {
    match text.parse::<CameraUrl>() {
        Ok(url) => format!("{url} {url:?} {:?}", url.credentials()),
        Err(error) => format!("{error} {error:?} {:?}", error.hint()),
    }
}

/// A stream of pictures: cut into pieces, it holds the same. The first byte says how long these are.
pub fn mjpeg(bytes: &[u8]) {
    let Some((len, stream)) = bytes.split_first() else {
        return;
    };
    for content_type in [None, Some("multipart/x-mixed-replace; boundary=b")] {
        let whole = pictures(content_type, [stream].into_iter());
        let pieces = pictures(content_type, stream.chunks(usize::from(*len).max(1)));
        assert_eq!(whole, pieces);
        assert!(
            whole
                .0
                .iter()
                .all(|picture| picture.starts_with(b"\xff\xd8"))
        );
    }
}

fn pictures<'a>(
    content_type: Option<&str>,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Vec<u8>>, Option<String>) {
    let mut parser = MjpegParser::new(content_type);
    let mut found = Vec::new();
    // Nothing more at the end, for an error that waits behind pictures.
    for piece in pieces.chain([&b""[..]]) {
        match parser.push(piece) {
            Ok(pictures) => found.extend(pictures),
            Err(error) => return (found, Some(error.to_string())),
        }
    }
    (found, None)
}

/// An answer to a search for cameras.
pub fn onvif(bytes: &[u8]) {
    let Ok(reply) = parse_reply(bytes) else {
        return;
    };
    assert!(reply.devices.len() <= 64);
    for device in reply.devices {
        assert!(!device.address.is_empty() && device.scopes.len() <= 64);
        let lists = [&device.xaddrs, &device.types, &device.scopes];
        let single = [&device.name, &device.hardware, &device.location];
        let mut texts = lists
            .into_iter()
            .flatten()
            .chain(single.into_iter().flatten())
            .chain([&device.address]);
        assert!(texts.all(|text| text.len() <= 512 && !text.contains(char::is_control)));
    }
}

/// A file by itself, and what follows a fragment that is whole.
pub fn mp4(bytes: &[u8]) {
    static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let packet = Packet {
            data: PacketData::new([1, 2, 3]),
            pts: Duration::ZERO,
            dts: Duration::ZERO,
            duration: None,
            key: true,
            wall: Timestamp::UNIX_EPOCH,
        };
        fragment(1, &[packet], Duration::ZERO, Duration::from_secs(1))
    });
    let alone = scanned(bytes);
    let after = scanned(&[&VALID, bytes].concat());
    assert_eq!(after.frames, alone.frames + 1);
    assert_eq!(after.whole_bytes, alone.whole_bytes + VALID.len() as u64);
    assert_eq!(after.cut, alone.cut);
}

fn scanned(bytes: &[u8]) -> Scan {
    let found = scan(bytes).expect("reading memory does not fail");
    assert_eq!(found.cut, found.whole_bytes != bytes.len() as u64);
    let whole = scan(&bytes[..found.whole_bytes as usize]).expect("as before");
    assert_eq!(
        whole,
        Scan {
            cut: false,
            ..found
        }
    );
    found
}

/// What a decoder needs first, of either codec: the name that players are told fits into a header,
/// and what comes before the fragments is whole.
pub fn codec_data(bytes: &[u8]) {
    for codec in [Codec::H264, Codec::H265, Codec::Mjpeg] {
        let info = StreamInfo {
            codec,
            width: 640,
            height: 360,
            codec_data: bytes.into(),
            frame_rate: None,
        };
        if let Some(name) = mime_type(&info) {
            assert!(name.len() < 64 && name.is_ascii(), "{name}");
            assert_eq!(name.matches('"').count(), 2, "{name}");
        }
        let init = init_segment(&info, Timestamp::UNIX_EPOCH);
        let scanned = scan(init.as_slice()).expect("reading memory does not fail");
        assert_eq!(scanned.whole_bytes, init.len() as u64);
        assert!(!scanned.cut);
    }
}
