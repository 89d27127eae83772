//! The boxes of an MP4 file.

use std::time::Duration;

use keepwatch_core::jiff::Timestamp;

use super::{TIMESCALE, ticks};
use crate::packet::{Codec, Packet, StreamInfo};

/// Seconds from the epoch of MP4, 1904, to that of Unix.
const EPOCH: i64 = 2_082_844_800;

/// The only track.
const TRACK: u32 = 1;

/// The unity matrix of a header: the picture is shown as it is.
const MATRIX: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

/// Flags of a sample that depends on no other, and of one that does (8.8.3.1).
const KEY: u32 = 0x0200_0000;
const DELTA: u32 = 0x0101_0000;

/// What a file begins with: `ftyp` and a `moov` without samples.
///
/// `started_at` is the time of the first frame, which the headers carry to the second.
pub fn init_segment(info: &StreamInfo, started_at: Timestamp) -> Vec<u8> {
    let mut out = Boxes::default();
    out.open(b"ftyp", |out| {
        out.bytes(b"iso6").u32(0);
        for brand in [b"iso6", b"iso5", b"mp41"] {
            out.bytes(brand);
        }
    });
    let created = (started_at.as_second() + EPOCH).max(0) as u64;
    out.open(b"moov", |out| {
        out.full(b"mvhd", 1, 0, |out| {
            out.u64(created).u64(created).u32(TIMESCALE).u64(0);
            out.u32(0x0001_0000).u16(0x0100).zeros(10);
            out.u32s(&MATRIX).zeros(24).u32(TRACK + 1);
        });
        out.open(b"trak", |out| track(out, info, created));
        out.open(b"mvex", |out| {
            out.full(b"trex", 0, 0, |out| {
                out.u32(TRACK).u32(1).u32(0).u32(0).u32(DELTA);
            });
        });
    });
    out.0
}

fn track(out: &mut Boxes, info: &StreamInfo, created: u64) {
    // Enabled, in the movie, in the preview.
    out.full(b"tkhd", 1, 7, |out| {
        out.u64(created).u64(created).u32(TRACK).u32(0).u64(0);
        out.zeros(8).u16(0).u16(0).u16(0).u16(0).u32s(&MATRIX);
        out.u32(info.width << 16).u32(info.height << 16);
    });
    out.open(b"mdia", |out| {
        out.full(b"mdhd", 1, 0, |out| {
            // The language "und", three letters of five bits.
            out.u64(created).u64(created).u32(TIMESCALE).u64(0);
            out.u16(0x55c4).u16(0);
        });
        out.full(b"hdlr", 0, 0, |out| {
            out.u32(0).bytes(b"vide").zeros(12).bytes(b"video\0");
        });
        out.open(b"minf", |out| {
            out.full(b"vmhd", 0, 1, |out| {
                out.zeros(8);
            });
            out.open(b"dinf", |out| {
                out.full(b"dref", 0, 0, |out| {
                    out.u32(1).full(b"url ", 0, 1, |_| {});
                });
            });
            out.open(b"stbl", |out| {
                out.full(b"stsd", 0, 0, |out| {
                    out.u32(1);
                    sample_entry(out, info);
                });
                for name in [b"stts", b"stsc", b"stco"] {
                    out.full(name, 0, 0, |out| {
                        out.u32(0);
                    });
                }
                out.full(b"stsz", 0, 0, |out| {
                    out.u32(0).u32(0);
                });
            });
        });
    });
}

fn sample_entry(out: &mut Boxes, info: &StreamInfo) {
    let name = match info.codec {
        Codec::H264 => b"avc1",
        Codec::H265 => b"hvc1",
        Codec::Mjpeg => b"mp4v",
    };
    out.open(name, |out| {
        out.zeros(6).u16(1).zeros(16);
        out.u16(info.width as u16).u16(info.height as u16);
        out.u32(0x0048_0000).u32(0x0048_0000).u32(0).u16(1);
        out.zeros(32).u16(24).u16(0xffff);
        match info.codec {
            Codec::H264 => out.open(b"avcC", |out| {
                out.bytes(&info.codec_data);
            }),
            Codec::H265 => out.open(b"hvcC", |out| {
                out.bytes(&info.codec_data);
            }),
            Codec::Mjpeg => out.full(b"esds", 0, 0, elementary_stream),
        };
    });
}

/// Descriptors of a stream of JPEG pictures (ISO/IEC 14496-1, section 7.2.6).
fn elementary_stream(out: &mut Boxes) {
    const JPEG: u8 = 0x6c;
    const VISUAL_STREAM: u8 = 0x11;
    out.bytes(&[3, 21]).u16(TRACK as u16).bytes(&[0]);
    out.bytes(&[4, 13, JPEG, VISUAL_STREAM]).zeros(11);
    out.bytes(&[6, 1, 2]);
}

/// A fragment of packets, the first of which is a key frame: `moof` and `mdat`.
///
/// Times are counted from `zero`, the decoding time of the file's first packet. `end` is when the
/// last packet's successor is decoded.
pub fn fragment(sequence: u32, packets: &[Packet], zero: Duration, end: Duration) -> Vec<u8> {
    let payload: usize = packets.iter().map(Packet::len).sum();
    let mut out = Boxes(Vec::with_capacity(payload + 128 + 16 * packets.len()));
    let time = |time: Duration| ticks(time.saturating_sub(zero));
    let base = packets.first().map_or(0, |first| time(first.dts));
    let mut offset_at = 0;
    out.open(b"moof", |out| {
        out.full(b"mfhd", 0, 0, |out| {
            out.u32(sequence);
        });
        out.open(b"traf", |out| {
            // Offsets count from the beginning of this box.
            out.full(b"tfhd", 0, 0x02_0000, |out| {
                out.u32(TRACK);
            });
            out.full(b"tfdt", 1, 0, |out| {
                out.u64(base);
            });
            // The offset of the data; duration, size, flags and composition offset of each sample.
            out.full(b"trun", 1, 0x00_0f01, |out| {
                out.u32(packets.len() as u32);
                offset_at = out.0.len();
                out.u32(0);
                for (i, packet) in packets.iter().enumerate() {
                    let next = packets.get(i + 1).map_or(end, |next| next.dts);
                    let dts = time(packet.dts);
                    // A pause of half a day and more is shown shorter; what comes after it says
                    // itself when it is.
                    let duration = time(next).saturating_sub(dts).min(u32::MAX.into());
                    out.u32(duration as u32);
                    out.u32(packet.len() as u32);
                    out.u32(if packet.key { KEY } else { DELTA });
                    let offset = time(packet.pts).saturating_sub(dts).min(i32::MAX as u64);
                    out.u32(offset as u32);
                }
            });
        });
    });
    let data_at = out.0.len() as u32 + 8;
    out.0[offset_at..offset_at + 4].copy_from_slice(&data_at.to_be_bytes());
    out.open(b"mdat", |out| {
        for packet in packets {
            out.bytes(packet.data.as_ref());
        }
    });
    out.0
}

/// Where fragments begin, as (decoding time in ticks, offset in bytes): `mfra`, a file's end.
pub(super) fn random_access(fragments: &[(u64, u64)]) -> Vec<u8> {
    let mut out = Boxes::default();
    out.open(b"mfra", |out| {
        out.full(b"tfra", 1, 0, |out| {
            out.u32(TRACK).u32(0).u32(fragments.len() as u32);
            for (time, offset) in fragments {
                out.u64(*time).u64(*offset).bytes(&[1, 1, 1]);
            }
        });
        out.full(b"mfro", 0, 0, |out| {
            out.u32(0);
        });
    });
    let (len, at) = (out.0.len() as u32, out.0.len() - 4);
    out.0[at..].copy_from_slice(&len.to_be_bytes());
    out.0
}

/// Boxes one within the other, each with its length before it.
#[derive(Default)]
struct Boxes(Vec<u8>);

impl Boxes {
    fn open(&mut self, name: &[u8; 4], f: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.u32(0).bytes(name);
        f(self);
        let len = (self.0.len() - at) as u32;
        self.0[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }

    fn full(&mut self, name: &[u8; 4], version: u8, flags: u32, f: impl FnOnce(&mut Self)) {
        self.open(name, |out| {
            out.u32(u32::from(version) << 24 | flags);
            f(out);
        });
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    fn u32s(&mut self, values: &[u32]) -> &mut Self {
        for value in values {
            self.u32(*value);
        }
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }
}
