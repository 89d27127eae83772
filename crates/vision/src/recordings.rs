//! Which packets go into which recording.

use std::time::Duration;

use keepwatch_core::events::{EventId, MediaKind};
use keepwatch_core::jiff::Timestamp;

use crate::error::with_causes;
use crate::ledger::Ledger;
use crate::packet::{Packet, StreamInfo};
use crate::recorder::{Order, Recorder};
use crate::ring::Ring;
use crate::settings::{CameraSettings, Record};

/// How far the analysis may be behind: the ring reaches back so much further than the pre-roll.
const ANALYSIS_LAG: Duration = Duration::from_secs(3);

/// The most that the ring takes: ten seconds at 25 Mbit/s.
const RING_BYTES: usize = 32 << 20;

/// The length of segments of continuous recording.
const SEGMENT: Duration = Duration::from_secs(60);

/// A recording that takes packets.
struct Open {
    id: EventId,
    kind: MediaKind,
    /// The time of its first frame, once it has one.
    from: Option<Duration>,
    /// Frames shown from here on are not in it any more.
    until: Option<Duration>,
    /// Something could not be handed over: it gets nothing further.
    lost: bool,
}

/// The recordings of one camera, and the last seconds for the next one.
pub(crate) struct Recordings {
    camera: String,
    record: Record,
    pre_roll: Duration,
    post_roll: Duration,
    recorder: Recorder,
    ledger: Ledger,
    info: Option<StreamInfo>,
    ring: Ring,
    open: Vec<Open>,
    /// A clip that waits for its first key frame.
    waiting: Option<EventId>,
    /// Since when something is missing, and why.
    gap: Option<(Timestamp, &'static str)>,
    last_wall: Option<Timestamp>,
    last_len: usize,
}

impl Recordings {
    pub fn new(
        camera: String,
        settings: &CameraSettings,
        recorder: Recorder,
        ledger: Ledger,
    ) -> Self {
        Self {
            camera,
            record: settings.record,
            pre_roll: settings.pre_roll,
            post_roll: settings.post_roll,
            recorder,
            ledger,
            info: None,
            ring: Ring::new(settings.pre_roll + ANALYSIS_LAG, RING_BYTES),
            open: Vec::new(),
            waiting: None,
            gap: None,
            last_wall: None,
            last_len: 0,
        }
    }

    /// How many recordings are being written.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// What the ring holds, in bytes.
    pub fn ring_bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// What waits to be written, in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.recorder.waiting_bytes()
    }

    /// The length of the last packet in bytes.
    pub fn last_len(&self) -> usize {
        self.last_len
    }

    /// The following packets are of this stream; a recording has one only.
    pub fn stream(&mut self, info: StreamInfo) {
        self.close_all();
        self.ring.clear();
        self.info = Some(info);
    }

    /// Takes the next packet.
    pub fn packet(&mut self, packet: Packet) {
        (self.last_wall, self.last_len) = (Some(packet.wall), packet.len());
        if self.record == Record::Off {
            return;
        }
        if packet.key {
            self.key_frame(&packet);
        }
        for open in &mut self.open {
            if open.until.is_some_and(|until| packet.pts >= until) {
                continue;
            }
            if open.from.is_none() || open.lost {
                continue;
            }
            let order = Order::Write {
                id: open.id,
                packet: packet.clone(),
            };
            if self.recorder.send(order).is_err() {
                open.lost = true;
                self.gap = self.gap.or(Some((packet.wall, "the disk is too slow")));
            }
        }
        self.close_ended(packet.pts);
        self.ring.push(packet);
    }

    /// Begins a clip for an event that began at `from`.
    pub fn begin(&mut self, id: EventId, from: Duration, pre_roll: bool) {
        if self.record == Record::Off {
            return;
        }
        let from = match pre_roll {
            true => from.saturating_sub(self.pre_roll),
            false => from,
        };
        let packets: Vec<Packet> = self.ring.since(from).cloned().collect();
        let Some(first) = packets.first() else {
            self.waiting = Some(id);
            return;
        };
        self.start(id, MediaKind::Clip, first.pts, first.wall);
        for packet in packets {
            self.order(Order::Write { id, packet });
        }
    }

    /// The event ended at `at`; its clip goes on for the post-roll.
    pub fn end(&mut self, id: EventId, at: Duration) {
        if self.waiting == Some(id) {
            self.waiting = None;
        }
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.until = Some(at + self.post_roll);
        }
    }

    /// Packets are missing: recordings end, since a player could not go on.
    pub fn lost(&mut self, reason: &'static str) {
        if !self.open.is_empty() {
            self.gap = self.gap.or(self.last_wall.map(|wall| (wall, reason)));
        }
        self.close_all();
        self.ring.clear();
    }

    /// The session with the camera is over.
    pub fn session_ended(&mut self) {
        if self.record == Record::Continuous {
            let gap = self.last_wall.map(|wall| (wall, "the camera was offline"));
            self.gap = self.gap.or(gap);
        }
        self.close_all();
        self.ring.clear();
    }

    /// Ends everything.
    pub fn close_all(&mut self) {
        self.waiting = None;
        for open in std::mem::take(&mut self.open) {
            self.close(&open);
        }
    }

    /// Hands an order to the recorder.
    pub fn order(&mut self, order: Order) {
        if self.recorder.send(order).is_err() {
            let now = self.last_wall.unwrap_or_else(Timestamp::now);
            self.gap = self.gap.or(Some((now, "the disk is too slow")));
        }
    }

    fn key_frame(&mut self, packet: &Packet) {
        if let Some((from, reason)) = self.gap.take() {
            self.ledger
                .gap(&self.camera, from, packet.wall, reason.to_owned());
        }
        // What lost something begins anew with this frame, under another name for a segment.
        let full = |open: &Open| {
            let from = open.from.unwrap_or(packet.pts);
            open.kind == MediaKind::Segment && packet.pts.saturating_sub(from) >= SEGMENT
        };
        let over = |open: &Open| full(open) || open.lost;
        let (closing, going_on) = std::mem::take(&mut self.open).into_iter().partition(over);
        self.open = going_on;
        let closing: Vec<Open> = closing;
        for open in &closing {
            self.close(open);
        }
        let segment = |open: &Open| open.kind == MediaKind::Segment;
        if self.record == Record::Continuous && !self.open.iter().any(segment) {
            match EventId::new(packet.wall) {
                Ok(id) => self.start(id, MediaKind::Segment, packet.pts, packet.wall),
                Err(error) => tracing::error!(error = %with_causes(&error), "no segment"),
            }
        }
        if let Some(id) = self.waiting.take() {
            self.start(id, MediaKind::Clip, packet.pts, packet.wall);
        }
    }

    fn start(&mut self, id: EventId, kind: MediaKind, from: Duration, started_at: Timestamp) {
        let Some(info) = self.info.clone() else {
            return;
        };
        self.order(Order::Open {
            id,
            kind,
            info,
            started_at,
        });
        self.open.push(Open {
            id,
            kind,
            from: Some(from),
            until: None,
            lost: false,
        });
    }

    fn close_ended(&mut self, now: Duration) {
        let ended = |open: &Open| open.until.is_some_and(|until| now >= until);
        let (closing, going_on) = std::mem::take(&mut self.open).into_iter().partition(ended);
        self.open = going_on;
        let closing: Vec<Open> = closing;
        for open in &closing {
            self.close(open);
        }
    }

    fn close(&mut self, open: &Open) {
        self.order(Order::Close { id: open.id });
    }
}
