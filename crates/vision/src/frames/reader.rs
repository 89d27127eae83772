//! The thread that makes pictures of what a camera sends.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use keepwatch_core::jiff::{SignedDuration, Timestamp};

use super::{FrameOptions, Image};
use crate::analysis::BLIND_FACTOR;
use crate::backoff::Backoff;
use crate::camera::KEY_FRAME_DEADLINE;
use crate::decoder::{Decoder, Frame, Threads};
use crate::error::{Error, Result, with_causes};
use crate::packet::{Packet, StreamInfo};
use crate::pixels::{Pixels, Pool};
use crate::settings::CameraSettings;
use crate::source::{Ending, FrameSource, Next, RawPacket, Session};
use crate::status::{Shared, State};
use crate::timeline::{Arrivals, Timeline};

/// How often it looks up from waiting.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How much earlier than it is due a picture may come: times are rounded.
const EARLY: Duration = Duration::from_millis(1);

/// Where pictures go.
pub(super) struct Outlet {
    pub say: Sender<Image>,
    /// The other end, to take out what has waited longest.
    pub oldest: Receiver<Image>,
    /// Whether it waits for room.
    pub patient: bool,
}

/// Why reading is over.
enum Over {
    /// It was told to end.
    Told,
    Ended(Ending),
}

impl From<Error> for Over {
    fn from(error: Error) -> Self {
        let problem = with_causes(&error);
        Over::Ended(Ending::Failed { problem })
    }
}

pub(super) struct Reader {
    source: Box<dyn FrameSource>,
    read_timeout: Duration,
    options: FrameOptions,
    outlet: Outlet,
    stop: Receiver<()>,
    status: Shared,
    backoff: Backoff,
    timeline: Timeline,
    arrivals: Arrivals,
    stream: Option<StreamInfo>,
    decoder: Option<Decoder>,
    pool: Pool,
    /// Packets before the next key frame cannot be decoded.
    waits_for_key: bool,
    /// Wall time of the timeline's zero, as of the last packet.
    zero: Timestamp,
    /// Where the first picture is on the timeline.
    first: Option<Duration>,
    next_due: Duration,
    /// When the last picture came out of the decoder.
    last_picture: Instant,
}

impl Reader {
    pub fn new(
        source: Box<dyn FrameSource>,
        settings: &CameraSettings,
        options: FrameOptions,
        outlet: Outlet,
        stop: Receiver<()>,
        status: Shared,
    ) -> Self {
        Self {
            arrivals: Arrivals::of(source.ends()),
            source,
            read_timeout: settings.read_timeout,
            options,
            outlet,
            stop,
            status,
            backoff: Backoff::new(settings.retry_first, settings.retry_longest),
            timeline: Timeline::default(),
            stream: None,
            decoder: None,
            pool: Pool::default(),
            waits_for_key: true,
            zero: Timestamp::UNIX_EPOCH,
            first: None,
            next_due: Duration::ZERO,
            last_picture: Instant::now(),
        }
    }

    /// Reads until there is nothing more to be had. Why, it says before its pictures end, unless it
    /// was told to stop.
    pub fn run(mut self, session: Box<dyn Session>, say: &OnceLock<Ending>) {
        let over = self.sessions(session);
        let problem = match &over {
            Over::Told | Over::Ended(Ending::Finished) => None,
            Over::Ended(ending) => Some(ending.to_string()),
        };
        self.status
            .update(|status| status.state = State::Ended { problem });
        if let Over::Ended(ending) = over {
            let _ = say.set(ending);
        }
    }

    /// One session after the other.
    fn sessions(&mut self, session: Box<dyn Session>) -> Over {
        let mut session = Ok(session);
        // Since when nothing was shown.
        let mut gone: Option<Instant> = None;
        loop {
            let before = self.status.update(|status| status.frames);
            let over = match session {
                Ok(mut session) => self.session(session.as_mut()),
                Err(error) => Over::from(error),
            };
            let Over::Ended(ending) = over else {
                return over;
            };
            if self.status.update(|status| status.frames) > before {
                self.backoff.reset();
                gone = None;
            }
            if self.source.ends() || self.first.is_none() {
                return Over::Ended(ending);
            }
            let tried = gone.get_or_insert_with(Instant::now).elapsed();
            let left = match self.options.reconnect {
                Some(limit) => limit.saturating_sub(tried),
                None => Duration::MAX,
            };
            if left.is_zero() {
                return Over::Ended(ending);
            }
            self.went_offline(&ending);
            let wait = self.backoff.after(&ending).min(left);
            if self.stop.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                return Over::Told;
            }
            self.status.update(|status| status.reconnects += 1);
            session = self.source.open();
        }
    }

    fn went_offline(&mut self, ending: &Ending) {
        let reason = ending.to_string();
        tracing::warn!(url = self.status.get().url, reason, "camera offline");
        self.status.update(|status| {
            if !matches!(status.state, State::Offline { .. }) {
                let since = Timestamp::now();
                status.state = State::Offline { since, reason };
            }
        });
    }

    fn session(&mut self, session: &mut dyn Session) -> Over {
        self.timeline.reconnect();
        self.lost();
        self.last_picture = Instant::now();
        let mut last_packet = None;
        let began = Instant::now();
        loop {
            let done = match session.next(LOOK_UP) {
                Next::Stream(info) => self.stream(info),
                Next::Packet(raw) => {
                    last_packet = Some(Instant::now());
                    self.packet(raw)
                }
                Next::Dropped(count) => {
                    self.status.update(|status| status.dropped += count);
                    self.lost();
                    Ok(())
                }
                Next::Nothing => {
                    let silent = last_packet.unwrap_or(began).elapsed() >= self.read_timeout;
                    let streaming = last_packet.is_some();
                    match silent && !self.source.ends() {
                        true => Err(Over::Ended(Ending::Silent { streaming })),
                        false => Ok(()),
                    }
                }
                Next::Ended(ending) => self.drain().and(Err(Over::Ended(self.explain(ending)))),
            };
            if let Err(over) = done.and_then(|()| told(&self.stop)) {
                return over;
            }
        }
    }

    /// What comes to its end without having shown anything is no video.
    fn explain(&self, ending: Ending) -> Ending {
        match ending == Ending::Finished && self.first.is_none() {
            true => Ending::Garbage,
            false => ending,
        }
    }

    fn stream(&mut self, info: StreamInfo) -> Result<(), Over> {
        if self.stream.as_ref() == Some(&info) {
            return Ok(());
        }
        self.drain()?;
        // Nobody waits for the frames of a file, and everybody for those of a camera.
        let threads = match self.source.ends() {
            true => Threads::Frames,
            false => Threads::Slices,
        };
        self.decoder = Some(Decoder::with_threads(&info, threads)?);
        self.status.update(|status| {
            status.codec = Some(info.codec);
            (status.width, status.height) = (info.width, info.height);
        });
        self.stream = Some(info);
        self.waits_for_key = true;
        Ok(())
    }

    /// Packets are missing: nothing can be decoded before the next key frame.
    fn lost(&mut self) {
        self.waits_for_key = true;
        if let Some(decoder) = &mut self.decoder {
            decoder.reset();
        }
    }

    fn packet(&mut self, raw: RawPacket) -> Result<(), Over> {
        let arrival = self.arrivals.of_packet(&raw);
        let placed = self.timeline.place(raw.pts, raw.dts, arrival);
        let pts = SignedDuration::try_from(placed.pts).unwrap_or_default();
        self.zero = placed.wall.checked_sub(pts).unwrap_or(placed.wall);
        if raw.key && self.waits_for_key {
            self.waits_for_key = false;
            self.last_picture = Instant::now();
        }
        self.status.update(|status| {
            status.bytes += raw.data.as_ref().len() as u64;
            status.clock_jumps += u64::from(placed.jumped);
        });
        let packet = Packet {
            data: raw.data,
            pts: placed.pts,
            dts: placed.dts,
            duration: raw.duration,
            key: raw.key,
            wall: placed.wall,
        };
        let frames = match &mut self.decoder {
            Some(decoder) if !self.waits_for_key => decoder.decode(&packet),
            _ => Vec::new(),
        };
        if !frames.is_empty() {
            self.last_picture = Instant::now();
        }
        self.watch_out()?;
        self.show(&frames)
    }

    /// Ends the session when packets come and come, and no picture comes out of them.
    fn watch_out(&self) -> Result<(), Over> {
        let (limit, ending) = match self.waits_for_key {
            true => (KEY_FRAME_DEADLINE, Ending::NoKeyFrame),
            false => (self.read_timeout * BLIND_FACTOR, Ending::Garbage),
        };
        match self.last_picture.elapsed() >= limit && !self.source.ends() {
            true => Err(Over::Ended(ending)),
            false => Ok(()),
        }
    }

    /// Shows what the decoder still holds.
    fn drain(&mut self) -> Result<(), Over> {
        let frames = match &mut self.decoder {
            Some(decoder) => decoder.drain(),
            None => Vec::new(),
        };
        self.show(&frames)
    }

    fn show(&mut self, frames: &[Frame]) -> Result<(), Over> {
        for frame in frames {
            let first = *self.first.get_or_insert(frame.pts);
            let pts = frame.pts.saturating_sub(first);
            self.status.update(|status| {
                status.frames += 1;
                status.decoded += 1;
                status.state = State::Live;
            });
            if let Some(fps) = self.options.max_fps {
                if pts + EARLY < self.next_due {
                    continue;
                }
                self.next_due = (self.next_due + Duration::from_secs_f64(1.0 / fps)).max(pts);
            }
            let since_zero = SignedDuration::try_from(frame.pts).unwrap_or_default();
            let image = Image {
                pixels: Pixels::pooled(frame, self.options.color, &self.pool)?,
                pts,
                wall: self.zero.checked_add(since_zero).unwrap_or(self.zero),
            };
            let dropped = self.outlet.give(image, &self.stop)?;
            self.status.update(|status| status.dropped += dropped);
        }
        Ok(())
    }
}

fn told(stop: &Receiver<()>) -> Result<(), Over> {
    match stop.try_recv() {
        Err(TryRecvError::Disconnected) => Err(Over::Told),
        _ => Ok(()),
    }
}

impl Outlet {
    /// Gives how many older ones had to make room.
    fn give(&self, mut image: Image, stop: &Receiver<()>) -> Result<u64, Over> {
        let mut dropped = 0;
        loop {
            if self.patient {
                image = match self.say.send_timeout(image, LOOK_UP) {
                    Err(SendTimeoutError::Timeout(image)) => image,
                    _ => return Ok(dropped),
                };
                told(stop)?;
            } else {
                image = match self.say.try_send(image) {
                    Err(TrySendError::Full(image)) => image,
                    _ => return Ok(dropped),
                };
                dropped += u64::from(self.oldest.try_recv().is_ok());
            }
        }
    }
}
