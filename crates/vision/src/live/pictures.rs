//! Decoded pictures as JPEG, for who asks for one and for who takes one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use keepwatch_core::jiff::Timestamp;

use super::LiveItem;
use super::sink::Sink;
use crate::decoder::{Decoder, Frame};
use crate::error::{Error, Result, with_causes};
use crate::packet::{Packet, StreamInfo};
use crate::snapshot::{encode_small_jpeg, small_size};

/// The quality of pictures, of 100: they are looked at for a moment.
const QUALITY: u8 = 75;

/// The most pictures a second that can be asked for.
const MAX_FPS: f32 = 60.0;

/// A picture as JPEG, in which what privacy masks hide is black.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The file.
    pub jpeg: Bytes,
    /// When it was taken, by the wall clock.
    pub at: Timestamp,
    /// When it was taken, on the camera's timeline, as that of [`Fragment`](super::Fragment).
    pub pts: Duration,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
}

/// Which pictures are wanted, one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureOptions {
    /// Wider ones are made smaller.
    pub max_width: u16,
    /// At most so many a second, by the time of the pictures: more than 0, and at most 60.
    pub fps: f32,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self {
            max_width: 1280,
            fps: 5.0,
        }
    }
}

/// The latest picture of one camera, and those who look at its pictures.
///
/// It is in the decoder's own memory and encoded only when somebody wants it: for one picture on the
/// thread that asks, for several on a thread that lasts as long as anybody looks. A picture that comes
/// while one is encoded takes the place of the one that waits.
pub(crate) struct Pictures {
    camera: String,
    masks: Vec<Vec<[f32; 2]>>,
    state: Mutex<State>,
    /// Another picture is there, or somebody less looks.
    changed: Condvar,
    /// How many look, to be asked for with each packet.
    viewers: AtomicUsize,
}

#[derive(Default)]
struct State {
    latest: Option<Shown>,
    viewers: Vec<Viewer>,
    next_id: u64,
    worker: Option<JoinHandle<()>>,
    /// Whether the worker looks for work.
    working: bool,
    ended: bool,
}

/// A picture, decoded or not yet.
#[derive(Clone)]
struct Shown {
    what: What,
    at: Timestamp,
    pts: Duration,
}

#[derive(Clone)]
enum What {
    Frame(Frame),
    /// A key frame of a camera that is not decoded otherwise.
    Packet(StreamInfo, Packet),
}

struct Viewer {
    id: u64,
    sink: Sink,
    max_width: u16,
    interval: Duration,
    due: Duration,
}

impl Pictures {
    pub fn new(camera: &str, masks: Vec<Vec<[f32; 2]>>) -> Self {
        Self {
            camera: camera.to_owned(),
            masks,
            state: Mutex::default(),
            changed: Condvar::new(),
            viewers: AtomicUsize::new(0),
        }
    }

    /// Whether anybody takes one picture after the other: then all are decoded.
    pub fn are_wanted(&self) -> bool {
        self.viewers() > 0
    }

    /// How many take one picture after the other.
    pub fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    /// A decoded picture.
    pub fn show(&self, frame: &Frame, at: Timestamp) {
        self.set(Shown {
            what: What::Frame(frame.clone()),
            at,
            pts: frame.pts,
        });
    }

    /// A key frame that nobody decodes otherwise.
    pub fn show_packet(&self, info: &StreamInfo, packet: &Packet) {
        self.set(Shown {
            what: What::Packet(info.clone(), packet.clone()),
            at: packet.wall,
            pts: packet.pts,
        });
    }

    fn set(&self, shown: Shown) {
        let mut state = self.lock();
        // Catching up decodes again what was seen before.
        let is_newer = |latest: &Shown| shown.pts > latest.pts;
        if state.latest.as_ref().is_none_or(is_newer) {
            // What it replaces goes back to the decoder, which is no matter for the lock.
            let before = state.latest.replace(shown);
            drop(state);
            drop(before);
            self.changed.notify_one();
        }
    }

    /// The latest picture, if there is one.
    pub fn latest(&self, max_width: u16) -> Result<Option<Picture>> {
        let Some(shown) = self.lock().latest.clone() else {
            return Ok(None);
        };
        let frame = self.decoded(&shown)?;
        self.encoded(&frame, shown.at, max_width).map(Some)
    }

    /// Somebody takes one picture after the other from here on.
    pub fn add(self: &Arc<Self>, options: PictureOptions, mut sink: Sink) -> Result<()> {
        if !(options.fps > 0.0 && options.fps <= MAX_FPS) {
            return Err(Error::Setting {
                name: "fps",
                problem: format!("it must be more than 0, and at most {MAX_FPS}"),
            });
        }
        let mut state = self.lock();
        if state.ended {
            sink.hand(LiveItem::Ended);
            return Ok(());
        }
        if !state.working {
            let pictures = self.clone();
            let worker = std::thread::Builder::new()
                .name("pictures".to_owned())
                .spawn(move || pictures.work())
                .map_err(Error::thread)?;
            // One that found nobody to work for has ended, or is about to.
            state.worker = Some(worker);
            state.working = true;
        }
        let id = state.next_id;
        state.next_id += 1;
        state.viewers.push(Viewer {
            id,
            sink,
            max_width: options.max_width,
            // The latest picture at once.
            due: Duration::ZERO,
            interval: Duration::from_secs_f32(1.0 / options.fps),
        });
        self.viewers.store(state.viewers.len(), Ordering::Relaxed);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The camera sends nothing that can be used.
    pub fn offline(&self, item: &LiveItem) {
        self.keep(|viewer| viewer.sink.tell(item.clone()));
    }

    /// Nothing comes any more.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let worker = state.worker.take();
        drop(state);
        self.changed.notify_one();
        if let Some(worker) = worker
            && worker.join().is_err()
        {
            tracing::error!("who encodes pictures has panicked");
        }
        self.keep(|viewer| {
            viewer.sink.hand(LiveItem::Ended);
            false
        });
    }

    /// Encodes what is due for as long as anybody looks.
    fn work(&self) {
        while let Some((shown, due)) = self.next_due() {
            if let Err(error) = self.hand_out(&shown, &due) {
                let camera = &self.camera;
                tracing::warn!(camera, error = %with_causes(&error), "a picture");
            }
        }
    }

    /// Waits for a picture that somebody is due. None when nobody looks any more.
    fn next_due(&self) -> Option<(Shown, Vec<Due>)> {
        let mut state = self.lock();
        loop {
            if state.ended || state.viewers.is_empty() {
                state.working = false;
                return None;
            }
            if let Some(shown) = state.latest.clone() {
                let viewers = state.viewers.iter_mut();
                let due: Vec<Due> = viewers
                    .filter_map(|viewer| viewer.take(shown.pts))
                    .collect();
                if !due.is_empty() {
                    return Some((shown, due));
                }
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Encodes a picture once for each width.
    fn hand_out(&self, shown: &Shown, due: &[Due]) -> Result<()> {
        let frame = self.decoded(shown)?;
        let full = u16::try_from(frame.size()[0]).unwrap_or(u16::MAX);
        let mut made: Vec<(u16, Picture)> = Vec::new();
        for Due { id, max_width } in due {
            let width = full.min(*max_width);
            let same = made.iter().find(|(made, _)| *made == width);
            let picture = match same {
                Some((_, picture)) => picture.clone(),
                None => {
                    let picture = self.encoded(&frame, shown.at, width)?;
                    made.push((width, picture.clone()));
                    picture
                }
            };
            let item = LiveItem::Picture(picture);
            self.keep(|viewer| viewer.id != *id || viewer.sink.tell(item.clone()));
        }
        Ok(())
    }

    /// The picture, for a key frame decoded now: once, for whoever else wants it.
    fn decoded(&self, shown: &Shown) -> Result<Frame> {
        let (info, packet) = match &shown.what {
            What::Frame(frame) => return Ok(frame.clone()),
            What::Packet(info, packet) => (info, packet),
        };
        let mut decoder = Decoder::new(info)?;
        let mut frames = decoder.decode(packet);
        frames.extend(decoder.drain());
        let frame = frames.pop().ok_or(Error::Picture)?;
        let mut state = self.lock();
        if let Some(latest) = state.latest.as_mut().filter(|it| it.pts == shown.pts) {
            latest.what = What::Frame(frame.clone());
        }
        Ok(frame)
    }

    fn encoded(&self, frame: &Frame, at: Timestamp, max_width: u16) -> Result<Picture> {
        let jpeg = frame.with_picture(|picture| {
            let (width, height) = small_size(picture, max_width);
            let jpeg = encode_small_jpeg(picture, &self.masks, QUALITY, max_width)?;
            Ok::<_, Error>((jpeg, width, height))
        })?;
        let (jpeg, width, height) = jpeg?;
        Ok(Picture {
            jpeg: jpeg.into(),
            at,
            pts: frame.pts,
            width: width.into(),
            height: height.into(),
        })
    }

    /// Keeps the viewers for which that holds.
    fn keep(&self, is_kept: impl FnMut(&mut Viewer) -> bool) {
        let mut state = self.lock();
        state.viewers.retain_mut(is_kept);
        self.viewers.store(state.viewers.len(), Ordering::Relaxed);
        let nobody = state.viewers.is_empty();
        drop(state);
        if nobody {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is due a picture.
struct Due {
    id: u64,
    max_width: u16,
}

impl Viewer {
    /// Whether a picture of that time is due, which is then taken. On average the rate is met, and
    /// never made up for what was missed.
    fn take(&mut self, pts: Duration) -> Option<Due> {
        let late = pts.checked_sub(self.due)?;
        self.due = match late > self.interval {
            true => pts + self.interval,
            false => self.due + self.interval,
        };
        Some(Due {
            id: self.id,
            max_width: self.max_width,
        })
    }
}

#[cfg(test)]
mod tests;
