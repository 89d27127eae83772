//! Which packets are decoded.

use std::collections::VecDeque;
use std::time::Duration;

use crate::packet::Packet;
use crate::settings::Decode;

/// How long everything is decoded after something that looked like motion, to see whether it was.
const LOOK: Duration = Duration::from_millis(1500);

/// A packet this many times as large as is usual looks like motion.
const SPIKE: usize = 4;

/// Smaller ones never do: what a still picture costs varies.
const MIN_SPIKE: usize = 2048;

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
/// are kept, and not at the next key frame, which may be seconds away.
#[derive(Debug)]
pub struct Gate {
    policy: Decode,
    group: Vec<Packet>,
    /// Whether the decoder has all of the group so far.
    following: bool,
    /// Nothing can be decoded before the next key frame.
    broken: bool,
    look_until: Duration,
    sizes: VecDeque<usize>,
}

impl Gate {
    /// A gate that waits for a key frame.
    pub fn new(policy: Decode) -> Self {
        Self {
            policy,
            group: Vec::new(),
            following: false,
            broken: true,
            look_until: Duration::ZERO,
            sizes: VecDeque::with_capacity(SIZES),
        }
    }

    /// Packets are missing: nothing can be decoded before the next key frame.
    pub fn lost(&mut self) {
        self.group.clear();
        self.following = false;
        self.broken = true;
    }

    /// Decides about the next packet. `moving` is whether the analysis sees something move.
    pub fn take(&mut self, packet: &Packet, moving: bool) -> Verdict {
        if packet.key {
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
            if self.is_spike(packet) {
                self.look_until = packet.pts + LOOK;
            }
        }
        let everything = match self.policy {
            Decode::All => true,
            Decode::Keyframes => false,
            Decode::Adaptive => moving || packet.pts < self.look_until,
        };
        if !everything {
            self.following = false;
            return match packet.key {
                true => Verdict::Alone,
                false => Verdict::Skip,
            };
        }
        if packet.key || self.following {
            self.following = true;
            return Verdict::Follow;
        }
        if self.group.len() == MAX_GROUP {
            return Verdict::Skip;
        }
        self.following = true;
        Verdict::CatchUp
    }

    /// The packets from the last key frame on.
    pub fn group(&self) -> &[Packet] {
        &self.group
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
            sorted.len() >= SIZES / 2 && packet.len() > (usual * SPIKE).max(MIN_SPIKE)
        })
    }
}
