//! RTP packets (RFC 3550) with H.264 (RFC 6184) and H.265 (RFC 7798) in them.

use super::footage::{AccessUnit, VideoCodec};

/// The payload type that the session description names.
pub(crate) const PAYLOAD_TYPE: u8 = 96;

/// The most that a packet carries besides its header.
const PAYLOAD: usize = 1400;

/// What makes packets of pictures.
#[derive(Clone, Debug)]
pub(crate) struct Packetiser {
    pub ssrc: u32,
    pub sequence: u16,
}

impl Packetiser {
    /// The packets of one picture, shown at `time` (90 kHz).
    pub fn packets(&mut self, codec: VideoCodec, unit: &AccessUnit, time: u32) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        for nal in unit.nals() {
            match codec {
                _ if nal.len() <= PAYLOAD => payloads.push(nal.to_vec()),
                VideoCodec::H264 => fragment_h264(nal, &mut payloads),
                VideoCodec::H265 => fragment_h265(nal, &mut payloads),
                VideoCodec::Jpeg => unreachable!("pictures are not sent over RTP here"),
            }
        }
        let last = payloads.len() - 1;
        let packets = payloads.into_iter().enumerate();
        packets
            .map(|(number, payload)| self.packet(number == last, time, &payload))
            .collect()
    }

    /// One packet (RFC 3550, section 5.1).
    pub fn packet(&mut self, marker: bool, time: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(12 + payload.len());
        packet.extend([0x80, u8::from(marker) << 7 | PAYLOAD_TYPE]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(time.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}

/// FU-A (RFC 6184, section 5.8).
fn fragment_h264(nal: &[u8], out: &mut Vec<Vec<u8>>) {
    let (indicator, kind) = (nal[0] & 0xe0 | 28, nal[0] & 0x1f);
    fragments(&nal[1..], |header, piece| {
        out.push([&[indicator, header | kind], piece].concat());
    });
}

/// Fragmentation units (RFC 7798, section 4.4.3).
fn fragment_h265(nal: &[u8], out: &mut Vec<Vec<u8>>) {
    let (first, second, kind) = (nal[0] & 0x81 | 49 << 1, nal[1], nal[0] >> 1 & 0x3f);
    fragments(&nal[2..], |header, piece| {
        out.push([&[first, second, header | kind], piece].concat());
    });
}

/// Pieces with the start and end bits that both formats have.
fn fragments(body: &[u8], mut each: impl FnMut(u8, &[u8])) {
    let count = body.len().div_ceil(PAYLOAD - 3);
    for (number, piece) in body.chunks(PAYLOAD - 3).enumerate() {
        let (start, end) = (number == 0, number + 1 == count);
        each(u8::from(start) << 7 | u8::from(end) << 6, piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_units_are_cut_and_marked_at_both_ends() {
        let nal: Vec<u8> = std::iter::once(0x65)
            .chain((0..4000).map(|i| i as u8))
            .collect();
        let unit = AccessUnit {
            bytes: [&[0, 0, 0, 1][..], &nal].concat(),
            key: true,
        };
        let mut packetiser = Packetiser {
            ssrc: 7,
            sequence: u16::MAX,
        };
        let packets = packetiser.packets(VideoCodec::H264, &unit, 90_000);
        let heads: Vec<_> = packets.iter().map(|p| (p[1] >> 7, p[12], p[13])).collect();
        assert_eq!(heads, [(0, 0x7c, 0x85), (0, 0x7c, 0x05), (1, 0x7c, 0x45)]);
        assert_eq!(packets[1][2..4], [0, 0]);
        let body: Vec<u8> = packets.iter().flat_map(|p| p[14..].to_vec()).collect();
        assert_eq!(body, nal[1..]);
    }
}
