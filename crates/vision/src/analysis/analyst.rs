//! What happens to each packet: it is decoded or not, and its picture looked at.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use keepwatch_core::events::{Event, EventId, EventKind, Observation};
use keepwatch_core::jiff::{SignedDuration, Timestamp};

use super::{BLIND_FACTOR, Best, Input, Output, Wish};
use crate::analyzer::{Analyzer, Seen};
use crate::camera::{Common, Panel};
use crate::decoder::{Decoder, Frame};
use crate::error::{Result, with_causes};
use crate::gate::{Gate, Verdict};
use crate::ledger::{Ledger, point};
use crate::live::{Live, Overlay, OverlayTrack};
use crate::motion::{
    GateChange, Luma, MotionDetector, MotionFrame, MotionGate, MovingRegion, Tamper,
    downscale_into, fit,
};
use crate::objects::Objects;
use crate::packet::{Packet, StreamInfo};
use crate::recognition::{Recognizing, Running as Recognition};
use crate::settings::CameraSettings;
use crate::status::{LastEvent, Shared};
use crate::tracking::{Detection, TrackState, Tracker, TrackerSettings};

/// Observations that an event keeps.
const MAX_OBSERVATIONS: usize = 32;

/// A motion event that lasts.
struct Running {
    id: EventId,
    from: Duration,
    observations: Vec<Observation>,
}

/// What the thread of the analysis works with.
pub(super) struct Analyst {
    camera: String,
    settings: CameraSettings,
    ledger: Ledger,
    status: Shared,
    live: Arc<Live>,
    say: Sender<Output>,
    gate: Gate,
    decoder: Option<Decoder>,
    info: Option<StreamInfo>,
    detector: Option<(MotionDetector, [usize; 2])>,
    scaled: Vec<u8>,
    motion: MotionGate,
    tracker: Tracker,
    /// What each analyser finds.
    objects: Vec<Objects>,
    recognizing: Option<Recognizing>,
    running: Option<Running>,
    best: Option<Best>,
    next_due: Duration,
    last_pts: Duration,
    /// Since when packets were decoded and gave no picture.
    blind_since: Option<Duration>,
    /// Wall time of the timeline's zero, as of the last packet.
    zero: Timestamp,
}

impl Analyst {
    /// For one camera; what it says goes there.
    pub fn new(
        camera: String,
        settings: CameraSettings,
        common: &Common<'_>,
        panel: &Panel,
        say: Sender<Output>,
    ) -> Self {
        let (ledger, status) = (common.ledger.clone(), panel.status.clone());
        let tracker = Tracker::new(TrackerSettings::default());
        let objects = |analyzer: &Arc<dyn Analyzer>| {
            Objects::new(
                analyzer.clone(),
                camera.clone(),
                ledger.clone(),
                status.clone(),
                tracker.beside(TrackerSettings::default()),
            )
        };
        Self {
            objects: common.analyzers.iter().map(objects).collect(),
            recognizing: None,
            gate: Gate::new(settings.decode),
            motion: MotionGate::new(&settings.motion),
            tracker,
            camera,
            settings,
            ledger,
            status,
            live: panel.live.clone(),
            say,
            decoder: None,
            info: None,
            detector: None,
            scaled: Vec::new(),
            running: None,
            best: None,
            next_due: Duration::ZERO,
            last_pts: Duration::ZERO,
            blind_since: None,
            zero: Timestamp::UNIX_EPOCH,
        }
    }

    /// Looks for faces and plates, too.
    pub fn recognize(&mut self, recognition: &Recognition, patient: bool) -> Result<()> {
        self.recognizing = Recognizing::new(
            recognition,
            &self.camera,
            &self.settings,
            self.ledger.clone(),
            self.status.clone(),
            patient,
            &self.tracker,
        )?;
        Ok(())
    }

    /// Takes what it is told until nothing more can come.
    pub fn run(&mut self, input: &Receiver<Input>) {
        for input in input {
            match input {
                Input::Stream(info) => self.stream(info),
                Input::Packet(packet) => self.packet(&packet),
                Input::Lost => self.lost(),
                Input::Over { reason } => {
                    self.end_all(Some(reason));
                    self.lost();
                    if let Some((detector, _)) = &mut self.detector {
                        detector.reset();
                    }
                    self.motion.reset();
                    self.overlay(self.last_pts, &[]);
                    self.next_due = Duration::ZERO;
                }
                Input::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
        self.end_all(None);
    }

    fn stream(&mut self, info: StreamInfo) {
        if self.info.as_ref() == Some(&info) {
            return;
        }
        if self.info.is_some() {
            self.end_all(Some("the camera changed its stream"));
        }
        self.lost();
        self.decoder = match Decoder::new(&info) {
            Ok(decoder) => Some(decoder),
            Err(error) => {
                tracing::error!(camera = self.camera, error = %with_causes(&error), "no decoder");
                None
            }
        };
        self.detector = None;
        self.info = Some(info);
    }

    fn lost(&mut self) {
        self.blind_since = None;
        self.gate.lost();
        if let Some(decoder) = &mut self.decoder {
            decoder.reset();
        }
    }

    fn packet(&mut self, packet: &Packet) {
        let pts = SignedDuration::try_from(packet.pts).unwrap_or_default();
        self.zero = packet.wall.checked_sub(pts).unwrap_or(packet.wall);
        self.gate.set_watched(self.live.pictures.are_wanted());
        let verdict = self
            .gate
            .take(packet, self.running.is_some() || self.motion.is_open());
        let Some(decoder) = &mut self.decoder else {
            return;
        };
        let mut decoded = 1;
        let frames = match verdict {
            Verdict::Skip => return,
            Verdict::Follow => decoder.decode(packet),
            Verdict::Alone => {
                let mut frames = decoder.decode(packet);
                if frames.is_empty() {
                    frames = decoder.drain();
                }
                frames
            }
            Verdict::CatchUp => {
                decoder.reset();
                let group = self.gate.group();
                decoded = group.len() as u64;
                group
                    .iter()
                    .flat_map(|packet| decoder.decode(packet))
                    .collect()
            }
        };
        self.status.update(|status| status.decoded += decoded);
        self.watch_out(packet.pts, frames.is_empty());
        for frame in frames {
            self.live.pictures.show(&frame, self.wall(frame.pts));
            // Catching up decodes again what was seen before.
            if frame.pts <= self.last_pts && self.last_pts > Duration::ZERO {
                continue;
            }
            let alone = verdict == Verdict::Alone;
            if frame.pts < self.next_due && !alone {
                continue;
            }
            self.next_due = self.due_after(frame.pts);
            self.last_pts = frame.pts;
            if let Err(error) = self.frame(&frame) {
                tracing::warn!(camera = self.camera, error = %with_causes(&error), "a frame");
            }
        }
    }

    /// Says so when no picture came out of the decoder for long.
    fn watch_out(&mut self, pts: Duration, blind: bool) {
        if !blind {
            self.blind_since = None;
            return;
        }
        let since = *self.blind_since.get_or_insert(pts);
        if pts.saturating_sub(since) >= self.settings.read_timeout * BLIND_FACTOR {
            self.blind_since = None;
            let _ = self.say.send(Output::Undecodable);
        }
    }

    /// When the frame after one at `pts` is due: on average the target is met, and never made up
    /// for what was missed.
    fn due_after(&self, pts: Duration) -> Duration {
        let interval = Duration::from_secs_f32(1.0 / self.settings.fps_target);
        (self.next_due + interval).max(pts)
    }

    fn frame(&mut self, frame: &Frame) -> Result<()> {
        let (detector, scaled) = (&mut self.detector, &mut self.scaled);
        let (settings, limit) = (&self.settings.motion, self.settings.analysis_size);
        let seen = frame.with_luma(|luma| {
            let [width, height] = fit(luma.width(), luma.height(), limit);
            if detector
                .as_ref()
                .is_none_or(|(_, size)| *size != [width, height])
            {
                *detector = Some((
                    MotionDetector::new(settings, width, height),
                    [width, height],
                ));
            }
            let (detector, _) = detector.as_mut().expect("it has just been made");
            let seen = match (luma.width(), luma.height()) == (width, height) {
                true => detector.detect(luma, frame.pts),
                false => {
                    downscale_into(luma, scaled, width, height);
                    let small = Luma::new(scaled, width, height, width);
                    detector.detect(small.expect("it was scaled to this size"), frame.pts)
                }
            };
            seen.clone()
        })?;
        self.status.update(|status| status.analysed += 1);
        if let Some(tamper) = seen.tamper {
            self.tampered(tamper, frame.pts);
        }
        self.moved(frame, &seen);
        self.look(frame, &seen);
        self.overlay(frame.pts, &seen.regions);
        Ok(())
    }

    fn look(&mut self, frame: &Frame, motion: &MotionFrame) {
        let seen = Seen {
            camera: &self.camera,
            frame,
            at: self.wall(frame.pts),
            motion,
        };
        let looks = self.objects.iter_mut().map(|objects| objects.look(&seen));
        let mut ended: Vec<Best> = looks.flatten().collect();
        if let Some(recognizing) = &mut self.recognizing {
            ended.extend(recognizing.look(&seen));
        }
        self.picture(ended);
    }

    /// Tells those who look on what is seen now.
    fn overlay(&self, pts: Duration, moving: &[MovingRegion]) {
        if !self.live.overlays.are_wanted() {
            return;
        }
        let mut tracks: Vec<OverlayTrack> = Vec::new();
        for objects in &self.objects {
            tracks.extend(objects.tracks());
        }
        if let Some(recognizing) = &self.recognizing {
            recognizing.tracks(&mut tracks);
        }
        tracks.sort_unstable_by_key(|track| track.track);
        let overlay = Overlay {
            pts,
            wall: self.wall(pts),
            moving: moving.iter().map(|moving| moving.region).collect(),
            tracks,
        };
        self.live.overlays.tell(&overlay.item());
    }

    fn picture(&self, ended: Vec<Best>) {
        for best in ended {
            let _ = self.say.send(Output::Snapshot(best));
        }
    }

    /// Nothing that was seen so far goes on.
    fn end_all(&mut self, reason: Option<&str>) {
        self.end(self.last_pts, reason);
        let ends = self
            .objects
            .iter_mut()
            .map(|objects| objects.end_all(reason));
        let mut ended: Vec<Best> = ends.flatten().collect();
        if let Some(recognizing) = &mut self.recognizing {
            ended.extend(recognizing.end_all(reason));
        }
        self.picture(ended);
    }

    fn moved(&mut self, frame: &Frame, seen: &MotionFrame) {
        let pts = frame.pts;
        match self.motion.update(pts, seen) {
            Some(GateChange::Started { at }) => self.begin(at, true),
            Some(GateChange::Ended { at }) => self.end(at, None),
            None => {}
        }
        let too_long =
            |running: &Running| pts.saturating_sub(running.from) >= self.settings.max_clip;
        if self.running.as_ref().is_some_and(too_long) {
            self.end(pts, Some("it goes on in the next event"));
            self.begin(pts, false);
        }
        self.observe(frame, seen);
    }

    fn observe(&mut self, frame: &Frame, seen: &MotionFrame) {
        let at = self.wall(frame.pts);
        let detections: Vec<Detection> = seen
            .regions
            .iter()
            .map(|moving| Detection {
                region: moving.region,
                score: moving.area,
                label: 0,
            })
            .collect();
        let updates = self.tracker.update(frame.pts, &detections);
        let Some(running) = &mut self.running else {
            return;
        };
        for update in updates {
            let Some(detection) = update.detection.map(|index| &detections[index]) else {
                continue;
            };
            if update.state != TrackState::Confirmed {
                continue;
            }
            let observation = Observation {
                at,
                label: "motion".to_owned(),
                score: detection.score.clamp(0.0, 1.0),
                region: Some(detection.region),
                track: Some(update.id),
            };
            keep_best(&mut running.observations, observation);
        }
        let score = seen.area_total;
        if score > 0.0 && self.best.as_ref().is_none_or(|best| score > best.score) {
            self.best = Some(Best {
                id: running.id,
                frame: frame.clone(),
                at,
                score,
                blur: Vec::new(),
            });
        }
    }

    fn begin(&mut self, from: Duration, pre_roll: bool) {
        let started_at = self.wall(from);
        let id = match EventId::new(started_at) {
            Ok(id) => id,
            Err(error) => {
                tracing::error!(error = %with_causes(&error), "an event cannot be named");
                return;
            }
        };
        self.ledger.event(Event {
            id,
            camera: self.camera.clone(),
            kind: EventKind::Motion,
            started_at,
            ended_at: None,
            observations: Vec::new(),
            snapshot: None,
            clip: None,
            reason: None,
            details: None,
        });
        self.status.update(|status| {
            status.moving = true;
            status.last_event = Some(LastEvent {
                id,
                kind: EventKind::Motion,
                at: started_at,
            });
        });
        self.running = Some(Running {
            id,
            from,
            observations: Vec::new(),
        });
        self.best = None;
        self.wish(Wish::Begin { id, from, pre_roll });
    }

    fn end(&mut self, at: Duration, reason: Option<&str>) {
        let Some(running) = self.running.take() else {
            return;
        };
        let at = at.max(running.from);
        let mut observations = running.observations;
        observations.sort_by_key(|observation| observation.at);
        let reason = reason.map(str::to_owned);
        self.ledger
            .end(running.id, self.wall(at), observations, reason);
        self.status.update(|status| status.moving = false);
        if let Some(best) = self.best.take() {
            let _ = self.say.send(Output::Snapshot(best));
        }
        self.wish(Wish::End { id: running.id, at });
    }

    fn tampered(&self, tamper: Tamper, pts: Duration) {
        let at = self.wall(pts);
        match point(
            &self.camera,
            EventKind::Tamper,
            at,
            Some(at),
            tamper.to_string(),
        ) {
            Ok(event) => self.ledger.event(event),
            Err(error) => tracing::error!(error = %with_causes(&error), "an event is lost"),
        }
    }

    fn wish(&self, wish: Wish) {
        let _ = self.say.send(Output::Wish(wish));
    }

    fn wall(&self, pts: Duration) -> Timestamp {
        let pts = SignedDuration::try_from(pts).unwrap_or_default();
        self.zero.checked_add(pts).unwrap_or(self.zero)
    }
}

/// Keeps the strongest observation of each track, and of the tracks the strongest.
fn keep_best(kept: &mut Vec<Observation>, new: Observation) {
    if let Some(same) = kept.iter_mut().find(|kept| kept.track == new.track) {
        if new.score > same.score {
            *same = new;
        }
        return;
    }
    if kept.len() < MAX_OBSERVATIONS {
        kept.push(new);
        return;
    }
    let weakest = kept.iter_mut().min_by(|a, b| a.score.total_cmp(&b.score));
    if let Some(weakest) = weakest.filter(|weakest| weakest.score < new.score) {
        *weakest = new;
    }
}
