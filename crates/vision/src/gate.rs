//! Which packets are decoded.

use std::collections::VecDeque;
use std::time::Duration;

use crate::packet::Packet;
use crate::settings::Decode;

/// How long everything is decoded after something that looked like motion, to see whether it was.
const LOOK: Duration = Duration::from_millis(1500);

/// A packet this many times as large as is usual looks like motion.
const SPIKE: usize = 4;

/// With each time that it was none, it has to be twice as large, up to so many times.
const MAX_SPIKE: usize = 32;

/// After so long the threshold comes down again by half.
const FORGET: Duration = Duration::from_secs(60);

/// Smaller ones never do: what a still picture costs varies.
const MIN_SPIKE: usize = 2048;

/// Key frames further apart than this leave too much unseen.
const BLIND: Duration = Duration::from_millis(2500);

/// How many sizes make the usual one.
const SIZES: usize = 32;

/// The longest group of pictures that is kept to start decoding in its middle.
const MAX_GROUP: usize = 600;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Skip,
    /// Decode it by itself: it is a key frame, and what follows will be skipped.
    Alone,
    /// Decode it after the one before.
    Follow,
    /// Decode the packets of [`Gate::group`], of which it is the last.
    CatchUp,
}

/// Decides which packets are decoded.
///
/// `adaptive` decodes key frames while nothing moves. It decodes everything while the analysis says
/// that something does, and for a moment when packets are suddenly larger than usual: an encoder
/// has to spend bits on what changes. It starts within the group of pictures, of which the packets
/// are kept, and not at the next key frame, which may be seconds away. Where key frames are so rare
/// that something could pass between two of them, it decodes everything.
#[derive(Debug)]
pub struct Gate {
    policy: Decode,
    group: Vec<Packet>,
    /// Whether the decoder has all of the group so far.
    following: bool,
    /// Somebody wants to see everything.
    watched: bool,
    /// Nothing can be decoded before the next key frame.
    broken: bool,
    look_until: Duration,
    /// Whether a large packet is being looked at, and nothing moved yet.
    looking: bool,
    /// How many times as large as usual a packet has to be, and since when it is so.
    spike: (usize, Duration),
    last_key: Option<Duration>,
    /// Whether the last two key frames were far apart.
    rare_keys: bool,
    sizes: VecDeque<usize>,
}

impl Gate {
    /// A gate that waits for a key frame.
    pub fn new(policy: Decode) -> Self {
        Self {
            policy,
            group: Vec::new(),
            following: false,
            watched: false,
            broken: true,
            look_until: Duration::ZERO,
            looking: false,
            spike: (SPIKE, Duration::ZERO),
            last_key: None,
            rare_keys: false,
            sizes: VecDeque::with_capacity(SIZES),
        }
    }

    /// Packets are missing: nothing can be decoded before the next key frame.
    pub fn lost(&mut self) {
        self.group.clear();
        self.following = false;
        self.broken = true;
        self.last_key = None;
        self.rare_keys = false;
    }

    /// Whether somebody wants to see everything, whatever is looked for.
    pub fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Decides about the next packet. `moving` is whether the analysis sees something move.
    pub fn take(&mut self, packet: &Packet, moving: bool) -> Verdict {
        if packet.key {
            let since = self.last_key.map(|key| packet.pts.saturating_sub(key));
            self.rare_keys = since.is_some_and(|since| since > BLIND);
            self.last_key = Some(packet.pts);
            self.group.clear();
            self.broken = false;
        }
        if self.broken {
            return Verdict::Skip;
        }
        if self.policy == Decode::Adaptive {
            if self.group.len() < MAX_GROUP {
                self.group.push(packet.clone());
            }
            self.learn(packet.pts, moving);
            if self.is_spike(packet) {
                self.look_until = packet.pts + LOOK;
                self.looking = true;
            }
        }
        let everything = match self.policy {
            Decode::All => true,
            Decode::Keyframes => self.watched,
            Decode::None => false,
            Decode::Adaptive => {
                let blind = self.last_key.is_some_and(|key| packet.pts > key + BLIND);
                moving || self.watched || blind || self.rare_keys || packet.pts < self.look_until
            }
        };
        if !everything {
            self.following = false;
            return match packet.key && self.policy != Decode::None {
                true => Verdict::Alone,
                false => Verdict::Skip,
            };
        }
        if packet.key || self.following {
            self.following = true;
            return Verdict::Follow;
        }
        // Without its packets a group cannot be begun in its middle.
        if self.group.is_empty() || self.group.len() == MAX_GROUP {
            return Verdict::Skip;
        }
        self.following = true;
        Verdict::CatchUp
    }

    /// The packets from the last key frame on.
    pub fn group(&self) -> &[Packet] {
        &self.group
    }

    /// What large packets mean depends on the encoder: some vary without any motion.
    fn learn(&mut self, now: Duration, moving: bool) {
        let (spike, since) = self.spike;
        if moving {
            self.looking = false;
            self.spike = (SPIKE, now);
        } else if self.looking && now >= self.look_until {
            self.looking = false;
            self.spike = ((spike * 2).min(MAX_SPIKE), now);
        } else if now.saturating_sub(since) > FORGET {
            self.spike = ((spike / 2).max(SPIKE), now);
        }
    }

    fn is_spike(&mut self, packet: &Packet) -> bool {
        if packet.key {
            return false;
        }
        let mut sorted: Vec<usize> = self.sizes.iter().copied().collect();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied();
        if self.sizes.len() == SIZES {
            self.sizes.pop_front();
        }
        self.sizes.push_back(packet.len());
        usual.is_some_and(|usual| {
            sorted.len() >= SIZES / 2 && packet.len() > (usual * self.spike.0).max(MIN_SPIKE)
        })
    }
}

#[cfg(test)]
mod tests {
    use keepwatch_core::jiff::Timestamp;

    use super::*;
    use crate::packet::PacketData;

    /// 25 frames a second.
    fn packet(number: u64, key: bool, len: usize) -> Packet {
        let at = Duration::from_millis(40 * number);
        Packet {
            data: PacketData::new(vec![0; len]),
            pts: at,
            dts: at,
            duration: None,
            key,
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    /// The verdicts of a stream with a key frame in every `group`.
    fn verdicts(
        gate: &mut Gate,
        frames: std::ops::Range<u64>,
        group: u64,
        size: impl Fn(u64) -> usize,
        moving: bool,
    ) -> Vec<Verdict> {
        frames
            .map(|number| {
                let key = number % group == 0;
                gate.take(&packet(number, key, size(number)), moving)
            })
            .collect()
    }

    fn decoded(verdicts: &[Verdict]) -> Vec<usize> {
        let decoded = verdicts.iter().enumerate();
        let decoded = decoded.filter(|(_, verdict)| **verdict != Verdict::Skip);
        decoded.map(|(at, _)| at).collect()
    }

    #[test]
    fn an_idle_camera_decodes_its_key_frames() {
        for policy in [Decode::Adaptive, Decode::Keyframes] {
            let mut gate = Gate::new(policy);
            let verdicts = verdicts(&mut gate, 0..200, 50, |_| 900, false);
            assert_eq!(decoded(&verdicts), [0, 50, 100, 150]);
            assert_eq!(verdicts[50], Verdict::Alone);
        }
    }

    #[test]
    fn everything_is_decoded_from_within_a_group_once_something_moves() {
        let mut gate = Gate::new(Decode::Adaptive);
        verdicts(&mut gate, 0..120, 50, |_| 900, false);
        let moving = verdicts(&mut gate, 120..130, 50, |_| 900, true);
        assert_eq!(moving[0], Verdict::CatchUp);
        assert_eq!(moving[1..], [Verdict::Follow; 9]);
        let idle = verdicts(&mut gate, 130..151, 50, |_| 900, false);
        assert_eq!(decoded(&idle), [20]);
    }

    #[test]
    fn a_packet_that_is_larger_than_usual_is_looked_at() {
        let mut gate = Gate::new(Decode::Adaptive);
        verdicts(&mut gate, 0..120, 50, |_| 900, false);
        let size = |number| if number == 122 { 8000 } else { 900 };
        let looked = verdicts(&mut gate, 120..220, 50, size, false);
        assert_eq!(looked[2], Verdict::CatchUp);
        assert_eq!(gate.group()[0].pts, Duration::from_millis(40 * 200));
        // A second and a half, then key frames again.
        assert_eq!(decoded(&looked), [(2..40).collect(), vec![80]].concat());
    }

    #[test]
    fn an_encoder_that_varies_is_looked_at_ever_less_until_something_moves() {
        let mut gate = Gate::new(Decode::Adaptive);
        verdicts(&mut gate, 0..120, 50, |_| 900, false);
        let size = |number| if number % 50 == 20 { 8000 } else { 900 };
        let looks = |gate: &mut Gate, frames, moving| {
            let verdicts = verdicts(gate, frames, 50, size, moving);
            let catch_ups = verdicts.iter();
            catch_ups
                .filter(|verdict| **verdict == Verdict::CatchUp)
                .count()
        };
        // At 4 and 8 times the usual size it is looked at, and not at 16.
        assert_eq!(looks(&mut gate, 120..420, false), 2);
        looks(&mut gate, 420..425, true);
        assert_eq!(looks(&mut gate, 425..720, false), 2);
        // It is forgotten in time.
        assert_eq!(looks(&mut gate, 720..1720, false), 0);
        assert!(looks(&mut gate, 1720..4720, false) > 0);
    }

    #[test]
    fn everything_is_decoded_while_somebody_looks_on() {
        for (policy, at_once) in [(Decode::Adaptive, true), (Decode::Keyframes, false)] {
            let mut gate = Gate::new(policy);
            verdicts(&mut gate, 0..110, 50, |_| 900, false);
            gate.set_watched(true);
            let watched = verdicts(&mut gate, 110..160, 50, |_| 900, false);
            // Only who keeps the packets of a group can begin in its middle.
            let from = if at_once { 0 } else { 40 };
            assert_eq!(decoded(&watched), (from..50).collect::<Vec<_>>());
            gate.set_watched(false);
            let idle = verdicts(&mut gate, 160..210, 50, |_| 900, false);
            assert_eq!(decoded(&idle), [40]);
        }
    }

    #[test]
    fn rare_key_frames_leave_nothing_unseen() {
        let mut gate = Gate::new(Decode::Adaptive);
        let first = verdicts(&mut gate, 0..250, 250, |_| 900, false);
        assert_eq!(first[63], Verdict::CatchUp);
        assert_eq!(decoded(&first), [vec![0], (63..250).collect()].concat());
        let second = verdicts(&mut gate, 250..500, 250, |_| 900, false);
        assert_eq!(second, [Verdict::Follow; 250]);
    }

    #[test]
    fn nothing_is_decoded_between_a_loss_and_the_next_key_frame() {
        for policy in [Decode::Adaptive, Decode::All] {
            let mut gate = Gate::new(policy);
            verdicts(&mut gate, 0..60, 50, |_| 900, true);
            gate.lost();
            let after = verdicts(&mut gate, 61..103, 50, |_| 900, true);
            assert_eq!(decoded(&after), [39, 40, 41]);
        }
    }
}
