//! One camera: sessions with it, one after the other, and what becomes of its packets.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use keepwatch_core::events::{Event, EventId, EventKind, MediaStore};
use keepwatch_core::jiff::Timestamp;

use crate::analysis::{Analysis, Best, Input, Output, Wish};
use crate::analyzer::Analyzer;
use crate::backoff::Backoff;
use crate::error::{Result, with_causes};
use crate::gauges::Queues;
use crate::ledger::{Ledger, point};
use crate::live::{Live, OnAir};
use crate::packet::{Packet, StreamInfo};
use crate::recognition::Running as Recognition;
use crate::recorder::{Order, Recorder};
use crate::recordings::Recordings;
use crate::settings::{CameraSettings, Decode};
use crate::source::{Ending, FrameSource, Next, RawPacket, Session, monotonic};
use crate::status::{LastEvent, Shared, State};
use crate::timeline::{Arrivals, Timeline};

/// How long a session has to last for the camera to count as well.
const HEALTHY: Duration = Duration::from_secs(30);

/// How long a camera may send pictures without a key frame among them.
pub(crate) const KEY_FRAME_DEADLINE: Duration = Duration::from_secs(60);

/// How often a session looks up from waiting for packets.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What all cameras of a watch have in common.
pub(crate) struct Common<'a> {
    pub media: &'a MediaStore,
    pub ledger: &'a Ledger,
    pub analyzers: &'a [Arc<dyn Analyzer>],
    pub recognition: Option<&'a Recognition>,
}

/// What others see of a camera while it runs.
#[derive(Clone)]
pub(crate) struct Panel {
    pub status: Shared,
    pub live: Arc<Live>,
    pub queues: Arc<Queues>,
}

/// What a camera's thread works with.
pub(crate) struct Camera {
    name: String,
    settings: CameraSettings,
    source: Box<dyn FrameSource>,
    ledger: Ledger,
    status: Shared,
    live: OnAir,
    queues: Arc<Queues>,
    /// Nothing is ever sent; it is closed to stop.
    stop: Receiver<()>,
    analysis: Analysis,
    recordings: Recordings,
    timeline: Timeline,
    backoff: Backoff,
    offline: Option<Event>,
    /// The last stream that the analysis was told of.
    stream: Option<StreamInfo>,
    fps: Rate,
    /// When the last packet was shown, by the wall clock.
    last_wall: Option<Timestamp>,
    arrivals: Arrivals,
}

impl Camera {
    pub fn new(
        name: String,
        settings: CameraSettings,
        source: Box<dyn FrameSource>,
        common: &Common<'_>,
        panel: Panel,
        stop: Receiver<()>,
    ) -> Result<Self> {
        let ledger = common.ledger.clone();
        // Nothing of a file is lost however slow the analysis is, unless it plays in real time.
        let patient = source.ends() && !settings.realtime;
        let analysis = Analysis::start(name.clone(), settings.clone(), common, &panel, patient)?;
        let recorder = Recorder::start(
            name.clone(),
            common.media.clone(),
            settings.privacy_masks.clone(),
            ledger.clone(),
            patient,
        )?;
        let Panel {
            status,
            live,
            queues,
        } = panel;
        Ok(Self {
            recordings: Recordings::new(name.clone(), &settings, recorder, ledger.clone()),
            backoff: Backoff::new(settings.retry_first, settings.retry_longest),
            timeline: Timeline::default(),
            offline: None,
            stream: None,
            fps: Rate::default(),
            last_wall: None,
            arrivals: Arrivals::of(source.ends()),
            name,
            settings,
            source,
            ledger,
            status,
            live: OnAir(live),
            queues,
            stop,
            analysis,
        })
    }

    /// Watches until it is told to stop or the source is over for good.
    pub fn run(mut self) {
        let problem = loop {
            self.status.update(|status| {
                if !matches!(status.state, State::Offline { .. }) {
                    status.state = State::Connecting;
                }
            });
            let (ending, lasted) = match self.source.open() {
                Ok(mut session) => self.session(session.as_mut()),
                Err(error) => {
                    let problem = with_causes(&error);
                    if self.source.ends() {
                        break Some(problem);
                    }
                    (Some(Ending::Failed { problem }), Duration::ZERO)
                }
            };
            let Some(ending) = ending else {
                break None;
            };
            self.over(&ending);
            if self.source.ends() {
                break (ending != Ending::Finished).then(|| ending.to_string());
            }
            if lasted >= HEALTHY {
                self.backoff.reset();
            }
            self.went_offline(&ending);
            if self.wait(&ending) {
                break None;
            }
            self.status.update(|status| status.reconnects += 1);
        };
        if let Some(offline) = self.offline.take() {
            self.ledger
                .end(offline.id, Timestamp::now(), Vec::new(), None);
        }
        self.flush();
        self.status.update(|status| {
            status.state = State::Ended { problem };
            status.recording = 0;
        });
    }

    /// One session. Gives why it ended, unless it was told to stop, and how long packets came.
    fn session(&mut self, session: &mut dyn Session) -> (Option<Ending>, Duration) {
        self.timeline.reconnect();
        let mut last_packet = monotonic();
        let mut first_packet = None;
        let mut last_key = None;
        let end = |ending, first: Option<Duration>| {
            let lasted = first.map_or(Duration::ZERO, |first| monotonic().saturating_sub(first));
            (ending, lasted)
        };
        loop {
            if self.stopped() {
                return end(None, first_packet);
            }
            let waiting = self.recordings.waiting_bytes();
            self.queues.note(self.analysis.waiting(), waiting);
            if !self.obey() && !self.source.ends() {
                return end(Some(Ending::Garbage), first_packet);
            }
            let now = monotonic();
            let deadline = last_packet + self.settings.read_timeout;
            let wait = deadline
                .saturating_sub(now)
                .clamp(Duration::from_millis(1), LOOK_UP);
            match session.next(wait) {
                Next::Stream(info) => self.stream(info),
                Next::Packet(raw) => {
                    last_packet = monotonic();
                    let first = *first_packet.get_or_insert(last_packet);
                    if raw.key {
                        last_key = Some(last_packet);
                    }
                    if last_packet.saturating_sub(last_key.unwrap_or(first)) > KEY_FRAME_DEADLINE {
                        return end(Some(Ending::NoKeyFrame), first_packet);
                    }
                    if self.offline.is_some() && raw.key {
                        self.came_online();
                    }
                    self.packet(raw);
                }
                Next::Dropped(count) => self.dropped(count),
                Next::Nothing => {
                    if monotonic() >= deadline && !self.source.ends() {
                        let streaming = first_packet.is_some();
                        return end(Some(Ending::Silent { streaming }), first_packet);
                    }
                }
                Next::Ended(ending) => return end(Some(ending), first_packet),
            }
        }
    }

    fn stream(&mut self, info: StreamInfo) {
        self.status.update(|status| {
            status.codec = Some(info.codec);
            (status.width, status.height) = (info.width, info.height);
        });
        if self.stream.as_ref() != Some(&info) {
            self.live.video.stream(&info);
            self.recordings.stream(info.clone());
            if self.settings.decode != Decode::None {
                self.analysis.send(Input::Stream(info.clone()));
            }
            self.stream = Some(info);
        }
    }

    fn packet(&mut self, raw: RawPacket) {
        let arrival = self.arrivals.of_packet(&raw);
        let placed = self.timeline.place(raw.pts, raw.dts, arrival);
        let packet = Packet {
            data: raw.data,
            pts: placed.pts,
            dts: placed.dts,
            duration: raw.duration,
            key: raw.key,
            wall: placed.wall,
        };
        // Who looks on comes first: it takes no time when nobody does.
        self.live.video.packet(&packet);
        self.last_wall = Some(placed.wall);
        let fps = self.fps.tick(arrival.monotonic);
        let dropped = match self.settings.decode {
            Decode::None => {
                if let Some(info) = self.stream.as_ref().filter(|_| packet.key) {
                    self.live.pictures.show_packet(info, &packet);
                    self.live.overlays.tell_nothing(&packet);
                }
                0
            }
            _ => self.analysis.packet(packet.clone()),
        };
        self.recordings.packet(packet);
        let (recording, ring) = (self.recordings.open(), self.recordings.ring_bytes());
        self.status.update(|status| {
            if status.state != State::Live && self.offline.is_none() {
                status.state = State::Live;
            }
            status.frames += 1;
            status.bytes += self.recordings.last_len() as u64;
            status.dropped += dropped;
            status.clock_jumps += u64::from(placed.jumped);
            status.recording = recording;
            status.pre_roll_bytes = ring;
            if let Some(fps) = fps {
                status.fps_in = fps;
            }
        });
    }

    fn dropped(&mut self, count: u64) {
        self.status.update(|status| status.dropped += count);
        self.analysis.send(Input::Lost);
        self.live.video.lost(count);
        self.recordings.lost("packets could not be taken in time");
    }

    /// Does what the analysis wishes. Gives whether it can make something of the packets.
    fn obey(&mut self) -> bool {
        let mut decodable = true;
        while let Ok(output) = self.analysis.output.try_recv() {
            match output {
                Output::Wish(Wish::Begin { id, from, pre_roll }) => {
                    self.recordings.begin(id, from, pre_roll);
                }
                Output::Wish(Wish::End { id, at }) => self.recordings.end(id, at),
                Output::Snapshot(best) => {
                    let Best {
                        id,
                        frame,
                        at,
                        blur,
                        ..
                    } = best;
                    self.recordings.order(Order::Snapshot {
                        id,
                        frame,
                        at,
                        blur,
                    });
                }
                Output::Undecodable => decodable = false,
            }
        }
        decodable
    }

    /// Waits until the analysis is done with everything, and does what it wishes.
    fn flush(&mut self) {
        let (done, is_done) = bounded(1);
        self.analysis.send(Input::Over {
            reason: "watching ended",
        });
        self.analysis.send(Input::Flush(done));
        // It may wait for nobody: its wishes have room without bound.
        let _ = is_done.recv();
        self.obey();
        self.recordings.close_all();
    }

    /// The session is over.
    fn over(&mut self, ending: &Ending) {
        self.live.video.session_ended();
        let reason = match ending {
            Ending::Finished => "the file ended",
            _ => "the camera went offline",
        };
        let (done, is_done) = bounded(1);
        self.analysis.send(Input::Over { reason });
        self.analysis.send(Input::Flush(done));
        let _ = is_done.recv();
        self.obey();
        self.recordings.session_ended();
    }

    fn went_offline(&mut self, ending: &Ending) {
        let reason = ending.to_string();
        tracing::warn!(camera = self.name, reason, "camera offline");
        self.live.offline(&reason);
        let since = self.last_wall.unwrap_or_else(Timestamp::now);
        let since = match &self.offline {
            Some(event) => event.started_at,
            None => since,
        };
        self.status.update(|status| {
            status.state = State::Offline {
                since,
                reason: reason.clone(),
            };
            status.fps_in = 0.0;
        });
        match &mut self.offline {
            // The reason may change while it lasts; one event is enough.
            Some(event) if event.reason.as_deref() == Some(&reason) => {}
            Some(event) => {
                event.reason = Some(reason);
                self.ledger.event(event.clone());
            }
            None => match point(&self.name, EventKind::CameraOffline, since, None, reason) {
                Ok(event) => {
                    self.note(event.id, event.kind, since);
                    self.ledger.event(event.clone());
                    self.offline = Some(event);
                }
                Err(error) => tracing::error!(error = %with_causes(&error), "an event is lost"),
            },
        }
    }

    fn came_online(&mut self) {
        let Some(offline) = self.offline.take() else {
            return;
        };
        let now = Timestamp::now();
        tracing::info!(camera = self.name, "camera online");
        self.ledger.end(offline.id, now, Vec::new(), None);
        let seconds = now.duration_since(offline.started_at).as_secs();
        let reason = format!("after {seconds} s");
        match point(&self.name, EventKind::CameraOnline, now, Some(now), reason) {
            Ok(event) => {
                self.note(event.id, event.kind, now);
                self.ledger.event(event);
            }
            Err(error) => tracing::error!(error = %with_causes(&error), "an event is lost"),
        }
    }

    fn note(&self, id: EventId, kind: EventKind, at: Timestamp) {
        self.status
            .update(|status| status.last_event = Some(LastEvent { id, kind, at }));
    }

    /// Waits for the next attempt; gives whether it was told to stop.
    fn wait(&mut self, ending: &Ending) -> bool {
        let wait = self.backoff.after(ending);
        self.stop.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }

    fn stopped(&self) -> bool {
        matches!(
            self.stop.try_recv(),
            Err(crossbeam_channel::TryRecvError::Disconnected)
        )
    }
}

/// Frames a second, counted over whole seconds.
#[derive(Default)]
struct Rate {
    since: Option<Duration>,
    count: u32,
}

impl Rate {
    /// One more at `now`; gives the rate when a second is full.
    fn tick(&mut self, now: Duration) -> Option<f32> {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_sub(since);
        self.count += 1;
        if elapsed < Duration::from_secs(1) {
            return None;
        }
        let rate = (self.count - 1) as f32 / elapsed.as_secs_f32();
        self.since = Some(now);
        self.count = 1;
        Some(rate)
    }
}
