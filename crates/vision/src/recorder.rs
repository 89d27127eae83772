//! Writing clips, segments and pictures, on a thread of its own for each camera.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use keepwatch_core::events::{
    EventId, MediaKind, MediaRef, MediaStore, MediaWriter, Region, Segment,
};
use keepwatch_core::jiff::{SignedDuration, Timestamp};

use crate::decoder::Frame;
use crate::error::{Error, Result, with_causes};
use crate::ledger::Ledger;
use crate::mp4::Fmp4Writer;
use crate::packet::{Packet, StreamInfo};
use crate::snapshot;

/// Orders that may wait.
const QUEUE: usize = 4096;

/// Bytes that may wait: what a camera sends while the disk is away for some seconds.
const MAX_WAITING: usize = 32 << 20;

/// The quality of snapshots, of 100.
const QUALITY: u8 = 85;

/// What the recorder is to do.
pub(crate) enum Order {
    /// Begin a clip or segment.
    Open {
        id: EventId,
        kind: MediaKind,
        info: StreamInfo,
        started_at: Timestamp,
    },
    /// Add to it.
    Write { id: EventId, packet: Packet },
    /// End it.
    Close { id: EventId },
    /// Keep a picture.
    Snapshot {
        id: EventId,
        frame: Frame,
        at: Timestamp,
        /// Parts that are made unrecognisable.
        blur: Vec<Region>,
    },
}

/// The disk is too slow: the order was not taken.
#[derive(Debug)]
pub(crate) struct Full;

/// Takes orders, and never blocks the camera.
pub(crate) struct Recorder {
    orders: Option<Sender<Order>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    /// Whether the one who orders would rather wait than lose something.
    patient: bool,
}

impl Recorder {
    /// Starts the thread.
    pub fn start(
        camera: String,
        media: MediaStore,
        masks: Vec<Vec<[f32; 2]>>,
        ledger: Ledger,
        patient: bool,
    ) -> Result<Self> {
        let (orders, taken) = bounded(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut writer = Writer {
            camera,
            media,
            masks,
            ledger,
            open: HashMap::new(),
            waiting: waiting.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || writer.run(&taken))
            .map_err(Error::thread)?;
        Ok(Self {
            orders: Some(orders),
            waiting,
            thread: Some(thread),
            patient,
        })
    }

    /// What waits to be written, in bytes; 0 for who would rather wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Hands an order over.
    pub fn send(&self, order: Order) -> Result<(), Full> {
        let orders = self.orders.as_ref().expect("it is open until dropped");
        let len = match &order {
            Order::Write { packet, .. } => packet.len(),
            _ => 0,
        };
        if self.patient {
            return orders.send(order).map_err(|_| Full);
        }
        if self.waiting.load(Ordering::Relaxed) + len > MAX_WAITING {
            return Err(Full);
        }
        self.waiting.fetch_add(len, Ordering::Relaxed);
        orders.try_send(order).map_err(|error| {
            self.waiting.fetch_sub(len, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) | TrySendError::Disconnected(_) => Full,
            }
        })
    }
}

impl Drop for Recorder {
    /// What was ordered is done first.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recorder has panicked");
        }
    }
}

/// A recording that is being written.
struct Open {
    kind: MediaKind,
    started_at: Timestamp,
    out: Fmp4Writer<MediaWriter>,
}

struct Writer {
    camera: String,
    media: MediaStore,
    masks: Vec<Vec<[f32; 2]>>,
    ledger: Ledger,
    open: HashMap<EventId, Open>,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    fn run(&mut self, orders: &Receiver<Order>) {
        for order in orders {
            match order {
                Order::Open {
                    id,
                    kind,
                    info,
                    started_at,
                } => match self.begin(id, kind, &info, started_at) {
                    Ok(open) => {
                        self.open.insert(id, open);
                    }
                    Err(error) => self.failed(started_at, &error),
                },
                Order::Write { id, packet } => {
                    let len = packet.len();
                    self.write(id, &packet);
                    let _ = self.waiting.fetch_update(
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                        |waiting| Some(waiting.saturating_sub(len)),
                    );
                }
                Order::Close { id } => self.close(id),
                Order::Snapshot {
                    id,
                    frame,
                    at,
                    blur,
                } => match self.snapshot(id, &frame, at, &blur) {
                    Ok(media) => self.ledger.media(id, MediaKind::Snapshot, media),
                    Err(error) => {
                        tracing::warn!(error = %with_causes(&error), "cannot keep a snapshot");
                    }
                },
            }
        }
        let ids: Vec<EventId> = self.open.keys().copied().collect();
        for id in ids {
            self.close(id);
        }
    }

    fn begin(
        &self,
        id: EventId,
        kind: MediaKind,
        info: &StreamInfo,
        started_at: Timestamp,
    ) -> Result<Open> {
        let out = self.media.create(kind, &self.camera, started_at, id)?;
        Ok(Open {
            kind,
            started_at,
            out: Fmp4Writer::new(out, info, started_at)?,
        })
    }

    fn write(&mut self, id: EventId, packet: &Packet) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        if let Err(error) = open.out.push(packet) {
            let started_at = open.started_at;
            self.open.remove(&id);
            self.failed(started_at, &error);
        }
    }

    fn close(&mut self, id: EventId) {
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        let (kind, started_at) = (open.kind, open.started_at);
        match finish(open) {
            Ok(media) if kind == MediaKind::Segment => {
                let length = SignedDuration::from_millis(media.duration_ms as i64);
                self.ledger.segment(Segment {
                    id,
                    camera: self.camera.clone(),
                    ended_at: started_at.checked_add(length).unwrap_or(started_at),
                    media,
                });
            }
            Ok(media) => self.ledger.media(id, kind, media),
            Err(error) => self.failed(started_at, &error),
        }
    }

    fn snapshot(
        &self,
        id: EventId,
        frame: &Frame,
        at: Timestamp,
        blur: &[Region],
    ) -> Result<MediaRef> {
        let jpeg = frame.with_picture(|picture| {
            snapshot::encode_blurred_jpeg(picture, &self.masks, blur, QUALITY)
        })??;
        let mut out = self
            .media
            .create(MediaKind::Snapshot, &self.camera, at, id)?;
        out.write_all(&jpeg).map_err(|source| Error::System {
            operation: "write a picture",
            source,
        })?;
        Ok(out.finish(0)?)
    }

    fn failed(&self, since: Timestamp, error: &Error) {
        let reason = format!("the recording failed: {}", with_causes(error));
        tracing::error!(camera = self.camera, reason);
        self.ledger
            .gap(&self.camera, since, Timestamp::now(), reason);
    }
}

fn finish(open: Open) -> Result<MediaRef> {
    let (out, summary) = open.out.finish()?;
    Ok(out.finish(summary.duration.as_millis() as u64)?)
}
