//! Putting in order what a crash left: files without an end, and events that nobody will end.

use std::collections::HashMap;
use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;

use super::database::Hold;
use super::event_store::EventStore;
use super::media::Unfinished;
use super::model::{Event, EventId, MediaKind, MediaRef, Segment};
use super::query::numbered;
use super::store::{Recording, Store};
use crate::error::{Error, Result};

/// Why an event ended when its recorder died.
const CUT_OFF: &str = "recording was cut off";

/// What was put in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecoverReport {
    /// Files that were cut off and kept.
    pub adopted: Vec<MediaRef>,
    /// How many files held nothing and were removed.
    pub removed: u64,
    /// Events that were open and are closed now.
    pub closed: Vec<EventId>,
    /// Whether events were left open because another process is recording.
    pub others_recording: bool,
}

impl Store {
    /// Remembers which events this process has begun, so that nobody closes them meanwhile.
    pub(super) fn note_open(&self, events: &[Event]) -> Result<()> {
        let mut recording = self
            .recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if event.ended_at.is_some() {
                recording.open.remove(&event.id);
                continue;
            }
            if recording.open.is_empty() {
                self.hold(&recording, Hold::Shared)?;
            }
            recording.open.insert(event.id);
        }
        if recording.open.is_empty() {
            self.hold(&recording, Hold::Nothing)?;
        }
        Ok(())
    }

    /// Changes what is held of the lock of those who have begun events; whether it could be had.
    fn hold(&self, recording: &Recording, wanted: Hold) -> Result<bool> {
        let Some(lock) = &recording.lock else {
            return self.hold_on_server(wanted);
        };
        let operation = match wanted {
            Hold::Nothing => FlockOperation::Unlock,
            Hold::Shared => FlockOperation::LockShared,
            Hold::Alone => FlockOperation::NonBlockingLockExclusive,
        };
        match flock(lock, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(Error::io("lock", self.dir())(error.into())),
        }
    }

    /// Keeps the files that a crash cut off, with their events, and ends the events that it left
    /// open. To be called before recording begins.
    ///
    /// While another process records, only events are ended whose files it has left.
    pub fn recover(&self) -> Result<RecoverReport> {
        let mut report = RecoverReport::default();
        let media = self.media();
        let mut clips: HashMap<EventId, Vec<(MediaKind, MediaRef)>> = HashMap::new();
        for unfinished in media.unfinished()? {
            match media.adopt(&unfinished)? {
                None => report.removed += 1,
                Some(found) => {
                    report.adopted.push(found.clone());
                    self.attach(&unfinished, found, &mut clips)?;
                }
            }
        }
        let recording = self
            .recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let alone = self.hold(&recording, Hold::Alone)?;
        report.others_recording = !alone;
        let own = recording.open.clone();
        let mut changed = Vec::new();
        for mut event in self.open_events()? {
            let found = clips.remove(&event.id);
            if own.contains(&event.id) || (!alone && found.is_none()) {
                continue;
            }
            attach_media(&mut event, found.unwrap_or_default());
            event.ended_at = Some(best_end(&event));
            event.reason.get_or_insert_with(|| CUT_OFF.to_owned());
            report.closed.push(event.id);
            changed.push(event);
        }
        // Ended, and its file was not.
        for (id, found) in clips {
            if let Some(mut event) = self.get(id)? {
                attach_media(&mut event, found);
                changed.push(event);
            }
        }
        let after = match own.is_empty() {
            true => Hold::Nothing,
            false => Hold::Shared,
        };
        drop(recording);
        let stored = self.put(&changed);
        let recording = self
            .recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.hold(&recording, after)?;
        stored?;
        Ok(report)
    }

    /// Decides what an adopted file belongs to; segments are stored at once.
    fn attach(
        &self,
        unfinished: &Unfinished,
        found: MediaRef,
        clips: &mut HashMap<EventId, Vec<(MediaKind, MediaRef)>>,
    ) -> Result<()> {
        let orphan = self.get(unfinished.id())?.is_none();
        match unfinished.kind() {
            // A clip without an event is a recording all the same.
            MediaKind::Segment | MediaKind::Clip if orphan => self.put_segment(&Segment {
                id: unfinished.id(),
                camera: unfinished.camera().to_owned(),
                ended_at: end_of(&found),
                media: found,
            }),
            kind => {
                clips
                    .entry(unfinished.id())
                    .or_default()
                    .push((kind, found));
                Ok(())
            }
        }
    }

    /// The events that have not ended.
    pub(super) fn open_events(&self) -> Result<Vec<Event>> {
        let db = self.reader()?;
        let rows = db.query(
            "SELECT r.seq, r.body FROM events e JOIN records r ON r.seq = e.seq
             WHERE e.ended IS NULL ORDER BY e.started",
            &[],
        )?;
        let event = |row| Ok(numbered(&db, row)?.1);
        rows.into_iter().map(event).collect()
    }
}

fn attach_media(event: &mut Event, found: Vec<(MediaKind, MediaRef)>) {
    for (kind, media) in found {
        let place = match kind {
            MediaKind::Snapshot => &mut event.snapshot,
            MediaKind::Clip | MediaKind::Segment => &mut event.clip,
        };
        place.get_or_insert(media);
    }
}

fn end_of(media: &MediaRef) -> Timestamp {
    let duration = i64::try_from(media.duration_ms).unwrap_or(i64::MAX);
    let end = media
        .started_at
        .checked_add(SignedDuration::from_millis(duration));
    end.unwrap_or(Timestamp::MAX)
}

/// The last time at which the event is known to have lasted.
fn best_end(event: &Event) -> Timestamp {
    let observed = event.observations.iter().map(|seen| seen.at);
    let recorded = event.clip.iter().map(end_of);
    let known = observed.chain(recorded).chain([event.started_at]);
    known.max().expect("an event has begun")
}
