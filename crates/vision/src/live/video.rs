//! Encoded video as it comes, for players that take fragments.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use keepwatch_core::jiff::Timestamp;

use super::sink::Sink;
use super::{Fragment, Handed, LiveItem};
use crate::mp4::{fragment, init_segment, mime_type};
use crate::packet::{Codec, Packet, StreamInfo};

/// The most that is kept of a group of pictures for who comes in the middle of it. A longer one is
/// not kept at all: its beginning is what a decoder needs.
const GROUP_BYTES: usize = 16 << 20;
const GROUP_PACKETS: usize = 2048;

/// From how many distances of frames their duration is taken.
const STEPS: usize = 16;

/// Frames further apart say nothing about how long the next one is shown.
const LONGEST_STEP: Duration = Duration::from_secs(5);

/// The duration of a frame that nothing tells the duration of.
const FRAME: Duration = Duration::from_millis(40);

/// Those who look at the encoded video of one camera, and its current group of pictures.
///
/// The packets of the group are those that the ring of the recordings holds as well, if it holds any:
/// they are shared and not copied.
pub(crate) struct Video {
    camera: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stream: Option<Stream>,
    group: Vec<Packet>,
    group_bytes: usize,
    /// The group so far in one piece, for all who come before the next packet.
    whole: Option<Fragment>,
    steps: Steps,
    sequence: u32,
    session: Session,
    viewers: Vec<Viewer>,
    last_wall: Option<Timestamp>,
    dropped: u64,
}

/// How the camera is doing, for who comes later.
#[derive(Default)]
enum Session {
    #[default]
    Unknown,
    Offline(LiveItem),
    Ended,
}

/// What the packets are.
struct Stream {
    codec: Codec,
    frame: Duration,
    item: LiveItem,
}

struct Viewer {
    sink: Sink,
    /// Whether it knows what the stream is.
    told: bool,
    at: At,
}

/// What a viewer gets next.
enum At {
    /// The next key frame.
    Key,
    /// The next frame.
    Next,
    /// The next key frame, and how many frames it missed before.
    Dropped(u64),
}

impl Video {
    pub fn new(camera: &str) -> Self {
        Self {
            camera: camera.to_owned(),
            state: Mutex::default(),
        }
    }

    /// The following packets are of this stream.
    pub fn stream(&self, info: &StreamInfo) {
        let mut state = self.lock();
        state.stream = described(info);
        if state.stream.is_none() {
            let camera = &self.camera;
            tracing::warn!(camera, "the stream cannot be shown as it comes");
        }
        state.forget_group();
        state.steps = Steps::default();
        for viewer in &mut state.viewers {
            viewer.told = false;
            viewer.wait_for_key();
        }
    }

    /// The next packet in decoding order.
    pub fn packet(&self, packet: &Packet) {
        let mut state = self.lock();
        let state = &mut *state;
        state.last_wall = Some(packet.wall);
        if !matches!(state.session, Session::Ended) {
            state.session = Session::Unknown;
        }
        state.keep(packet);
        let Some(stream) = &state.stream else {
            // Who looks on is told why there is nothing to see, now and then, and may leave.
            if packet.key {
                let viewers = &mut state.viewers;
                viewers.retain_mut(|viewer| viewer.sink.tell(unshown()));
            }
            return;
        };
        state.steps.note(packet.dts);
        // Made for the first who wants it.
        let mut made = None;
        let (sequence, steps, dropped) = (&mut state.sequence, &state.steps, &mut state.dropped);
        let mut next = || {
            let make = || {
                let frame = steps.frame(packet, stream.frame);
                encased(stream.codec, std::slice::from_ref(packet), frame, sequence)
            };
            made.get_or_insert_with(make).clone()
        };
        state.viewers.retain_mut(|viewer| {
            let handed = viewer.take(packet.key, 1, &stream.item, &mut next);
            *dropped += u64::from(handed == Handed::Full);
            handed != Handed::Gone
        });
    }

    /// So many packets are missing here.
    pub fn lost(&self, count: u64) {
        let mut state = self.lock();
        state.forget_group();
        state.steps.last = None;
        for viewer in &mut state.viewers {
            match &mut viewer.at {
                At::Key => {}
                At::Next => viewer.at = At::Dropped(count),
                At::Dropped(frames) => *frames += count,
            }
        }
    }

    /// The session with the camera is over.
    pub fn session_ended(&self) {
        let mut state = self.lock();
        state.forget_group();
        state.steps = Steps::default();
        state.viewers.iter_mut().for_each(Viewer::wait_for_key);
    }

    /// It cannot be reached, or not used.
    pub fn offline(&self, item: &LiveItem) {
        let mut state = self.lock();
        state.session = Session::Offline(item.clone());
        let viewers = &mut state.viewers;
        viewers.retain_mut(|viewer| viewer.sink.tell(item.clone()));
    }

    /// Nothing comes any more.
    pub fn end(&self) {
        let mut state = self.lock();
        state.session = Session::Ended;
        state.forget_group();
        for mut viewer in state.viewers.drain(..) {
            viewer.sink.hand(LiveItem::Ended);
        }
    }

    /// Somebody looks on from here, beginning with what there is of the current group of pictures.
    pub fn add(&self, mut sink: Sink) {
        let mut state = self.lock();
        let state = &mut *state;
        match &state.session {
            Session::Ended => {
                sink.hand(LiveItem::Ended);
                return;
            }
            Session::Offline(item) => {
                if !sink.tell(item.clone()) {
                    return;
                }
            }
            Session::Unknown => {}
        }
        let mut viewer = Viewer {
            sink,
            told: false,
            at: At::Key,
        };
        if let (Some(stream), Some(last)) = (&state.stream, state.group.last()) {
            let frame = state.steps.frame(last, stream.frame);
            let (group, sequence) = (&state.group, &mut state.sequence);
            let kept = &mut state.whole;
            let mut whole = || {
                kept.get_or_insert_with(|| encased(stream.codec, group, frame, sequence))
                    .clone()
            };
            let frames = group.len() as u64;
            if viewer.take(true, frames, &stream.item, &mut whole) == Handed::Gone {
                return;
            }
        }
        state.viewers.push(viewer);
    }

    /// How many look on.
    pub fn viewers(&self) -> usize {
        self.lock().viewers.len()
    }

    /// Frames that were not handed to somebody who was too slow for them, over all who looked on.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// What the group holds, in bytes.
    pub fn group_bytes(&self) -> usize {
        self.lock().group_bytes
    }

    /// When the last packet was shown.
    pub fn last_wall(&self) -> Option<Timestamp> {
        self.lock().last_wall
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, packet: &Packet) {
        self.whole = None;
        if packet.key {
            self.forget_group();
        } else if self.group.is_empty() {
            return;
        }
        self.group_bytes += packet.len();
        self.group.push(packet.clone());
        if self.group_bytes > GROUP_BYTES || self.group.len() > GROUP_PACKETS {
            self.forget_group();
        }
    }

    fn forget_group(&mut self) {
        self.group.clear();
        self.group_bytes = 0;
        self.whole = None;
    }
}

impl Viewer {
    fn wait_for_key(&mut self) {
        if matches!(self.at, At::Next) {
            self.at = At::Key;
        }
    }

    /// Takes the next frames, if they can be decoded, and what has to be said before.
    fn take(
        &mut self,
        key: bool,
        frames: u64,
        stream: &LiveItem,
        next: &mut impl FnMut() -> Fragment,
    ) -> Handed {
        let missed = match self.at {
            At::Next => 0,
            At::Key if key => 0,
            At::Key => return Handed::Taken,
            At::Dropped(missed) if key => missed,
            At::Dropped(missed) => {
                self.at = At::Dropped(missed + frames);
                return Handed::Full;
            }
        };
        let handed = self.hand(missed, stream, next);
        self.at = match handed {
            Handed::Full => At::Dropped(self.missed() + frames),
            Handed::Taken | Handed::Gone => At::Next,
        };
        handed
    }

    fn hand(
        &mut self,
        missed: u64,
        stream: &LiveItem,
        next: &mut impl FnMut() -> Fragment,
    ) -> Handed {
        if missed > 0 {
            match self.sink.hand(LiveItem::Dropped { frames: missed }) {
                Handed::Taken => self.at = At::Key,
                other => return other,
            }
        }
        if !self.told {
            match self.sink.hand(stream.clone()) {
                Handed::Taken => self.told = true,
                other => return other,
            }
        }
        self.sink.hand(LiveItem::Fragment(next()))
    }

    fn missed(&self) -> u64 {
        match self.at {
            At::Dropped(frames) => frames,
            At::Key | At::Next => 0,
        }
    }
}

/// For who looks at a stream that is none for players.
fn unshown() -> LiveItem {
    LiveItem::Offline {
        reason: "the stream cannot be shown as it comes".into(),
    }
}

/// What players are told of a stream. None for what MP4 cannot hold.
fn described(info: &StreamInfo) -> Option<Stream> {
    let (mime, init) = match info.codec {
        Codec::Mjpeg => ("image/jpeg".to_owned(), Bytes::new()),
        Codec::H264 | Codec::H265 => {
            let fits = |side| u16::try_from(side).is_ok();
            if !fits(info.width) || !fits(info.height) {
                return None;
            }
            // The time of a first frame means nothing where there is always one before.
            let init = init_segment(info, Timestamp::UNIX_EPOCH);
            (mime_type(info)?, Bytes::from(init))
        }
    };
    let frame = info.frame_rate.map_or(FRAME, |(numerator, denominator)| {
        Duration::from_secs(denominator.into()) / numerator.max(1)
    });
    Some(Stream {
        codec: info.codec,
        frame: frame.clamp(Duration::from_millis(1), LONGEST_STEP),
        item: LiveItem::Stream {
            mime: mime.into(),
            init,
            width: info.width,
            height: info.height,
        },
    })
}

/// Packets as players take them, the last of which is shown for `frame`. At least one.
fn encased(codec: Codec, packets: &[Packet], frame: Duration, sequence: &mut u32) -> Fragment {
    let first = packets.first().expect("nobody is handed nothing");
    let last = packets.last().expect("there is a first one");
    let bytes = match codec {
        Codec::Mjpeg => Bytes::from_owner(last.data.clone()),
        Codec::H264 | Codec::H265 => {
            *sequence = sequence.wrapping_add(1);
            // Counted from the timeline's beginning, so that all who look on can share it.
            let zero = Duration::ZERO;
            Bytes::from(fragment(*sequence, packets, zero, last.dts + frame))
        }
    };
    Fragment {
        bytes,
        key: first.key,
        frames: packets.len() as u32,
        pts: first.pts,
        wall: first.wall,
    }
}

/// How far frames are apart. A frame is handed on before the next one says how long it was shown: it
/// is given the longest of the last distances, but for a single one that stands out. Too short a
/// duration would be worse than too long a one, since players take a gap of two durations for the
/// beginning of something else (Media Source Extensions, section 3.5.8) and show nothing up to the
/// next key frame.
#[derive(Default)]
struct Steps {
    last: Option<Duration>,
    recent: VecDeque<Duration>,
}

impl Steps {
    fn note(&mut self, dts: Duration) {
        let step = self.last.map(|last| dts.saturating_sub(last));
        self.last = Some(dts);
        if let Some(step) = step.filter(|step| *step <= LONGEST_STEP) {
            if self.recent.len() == STEPS {
                self.recent.pop_front();
            }
            self.recent.push_back(step);
        }
    }

    /// How long the newest packet is shown.
    fn frame(&self, packet: &Packet, usual: Duration) -> Duration {
        let [mut longest, mut second] = [None; 2];
        for step in self.recent.iter().copied().map(Some) {
            if step > longest {
                (longest, second) = (step, longest);
            } else if step > second {
                second = step;
            }
        }
        let said = || packet.duration.unwrap_or(usual).max(usual);
        second.or(longest).unwrap_or_else(said).min(LONGEST_STEP)
    }
}

#[cfg(test)]
mod tests;
