//! The last seconds of a stream as they came: the pre-roll of clips.

use std::collections::VecDeque;
use std::time::Duration;

use crate::packet::Packet;

/// Packets of one stream, from a key frame on, bounded in time and bytes.
///
/// Packets are dropped in whole groups of pictures, since nothing can be decoded without the key
/// frame before it. What is kept reaches back at least `span`, unless `max_bytes` forbids.
#[derive(Debug)]
pub struct Ring {
    packets: VecDeque<Packet>,
    bytes: usize,
    span: Duration,
    max_bytes: usize,
}

impl Ring {
    /// A ring that reaches back `span` and takes at most `max_bytes`.
    pub fn new(span: Duration, max_bytes: usize) -> Self {
        Self {
            packets: VecDeque::new(),
            bytes: 0,
            span,
            max_bytes,
        }
    }

    /// Adds the next packet in decoding order. Packets before the first key frame are of no use.
    pub fn push(&mut self, packet: Packet) {
        if self.packets.is_empty() && !packet.key {
            return;
        }
        self.bytes += packet.len();
        self.packets.push_back(packet);
        self.trim();
    }

    /// Forgets everything: what comes next cannot be decoded with it.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.bytes = 0;
    }

    /// The packets from the last key frame that is shown at `from` or earlier; from the first there
    /// is if all are later.
    pub fn since(&self, from: Duration) -> impl Iterator<Item = &Packet> {
        let keys = self.packets.iter().enumerate().filter(|(_, p)| p.key);
        let start = keys.take_while(|(_, p)| p.pts <= from).last();
        self.packets.range(start.map_or(0, |(at, _)| at)..)
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn trim(&mut self) {
        loop {
            let second_group = self.packets.iter().skip(1).position(|packet| packet.key);
            let Some(end) = second_group.map(|at| at + 1) else {
                // One group alone that is too large: it could be no pre-roll, so begin anew.
                if self.bytes > self.max_bytes {
                    self.clear();
                }
                return;
            };
            let newest = self.packets.back().expect("it has two groups").pts;
            let old = self.packets[end].pts + self.span <= newest;
            if !old && self.bytes <= self.max_bytes {
                return;
            }
            let gone: usize = self.packets.drain(..end).map(|packet| packet.len()).sum();
            self.bytes -= gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use keepwatch_core::jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::packet::PacketData;

    /// 25 frames a second, a key frame each second, 100 bytes each.
    fn packet(number: u64, key: bool) -> Packet {
        let at = Duration::from_millis(40 * number);
        Packet {
            data: PacketData::new(vec![0; 100]),
            pts: at,
            dts: at,
            duration: None,
            key,
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    fn filled(span_s: u64, max_bytes: usize, frames: u64) -> Ring {
        let mut ring = Ring::new(Duration::from_secs(span_s), max_bytes);
        (0..frames).for_each(|number| ring.push(packet(number, number % 25 == 5)));
        ring
    }

    #[test]
    fn it_reaches_back_to_a_key_frame_at_least_its_span_ago_and_not_two() {
        for frames in 200..300 {
            let ring = filled(3, 1 << 20, frames);
            let newest = Duration::from_millis(40 * (frames - 1));
            let first = ring.packets.front().expect("it is filled");
            let back = newest - first.pts;
            assert!(first.key);
            assert!(
                back >= Duration::from_secs(3) && back < Duration::from_secs(4),
                "{back:?}"
            );
            assert_eq!(ring.bytes(), 100 * ring.packets.len());
        }
    }

    #[test]
    fn a_clip_begins_with_the_key_frame_before_its_time() {
        let ring = filled(8, 1 << 20, 250);
        let first = |ms| {
            let from = Duration::from_millis(ms);
            let first = ring.since(from).next().expect("there is one");
            (first.key, first.pts.as_millis())
        };
        // Key frames at 0.2 s, 1.2 s and so on.
        assert_eq!(first(5000), (true, 4200));
        assert_eq!(first(5200), (true, 5200));
        assert_eq!(first(0), (true, 1200));
        assert_eq!(ring.since(Duration::from_secs(5)).count(), 250 - 105);
    }

    #[test]
    fn a_group_that_does_not_end_is_bounded_too() {
        let mut ring = Ring::new(Duration::from_secs(10), 5000);
        ring.push(packet(0, true));
        (1..1000).for_each(|number| ring.push(packet(number, false)));
        assert!(ring.bytes() <= 5000);
    }

    proptest! {
        #[test]
        fn it_never_takes_more_than_it_may_and_always_begins_with_a_key_frame(
            keys in proptest::collection::vec(proptest::bool::weighted(0.1), 1..300),
            max_bytes in 500_usize..10_000,
        ) {
            let mut ring = Ring::new(Duration::from_secs(4), max_bytes);
            for (number, key) in keys.into_iter().enumerate() {
                ring.push(packet(number as u64, key));
                prop_assert!(ring.bytes() <= max_bytes);
                prop_assert_eq!(ring.bytes(), 100 * ring.packets.len());
                prop_assert!(ring.packets.front().is_none_or(|packet| packet.key));
            }
        }
    }
}
