//! What a crash left behind.

use jiff::SignedDuration;

use super::model::{
    EventFilter, EventId, EventKind, MediaKind, MediaRef, Segment, check_camera_name,
};
use super::sqlite::Store;
use super::store::EventStore;
use crate::error::Result;

/// What was put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoverReport {
    /// Unfinished recordings and pictures that belong to something again.
    pub recordings: usize,
    /// Unfinished files that belonged to nothing, or held nothing.
    pub removed: usize,
    /// Events that had not ended.
    pub closed: usize,
}

impl Store {
    /// Puts in order what the last process that watched left behind when it was killed.
    ///
    /// Only to be called when no other process watches with this store.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn recover(&self) -> Result<RecoverReport> {
        let mut report = RecoverReport::default();
        let media = self.media();
        for unfinished in media.unfinished()? {
            let Some(file) = media.adopt(&unfinished)? else {
                report.removed += 1;
                continue;
            };
            match (kind_of(&file), self.get(unfinished.id)?) {
                (MediaKind::Snapshot, Some(mut event)) => {
                    event.snapshot = Some(file);
                    self.put(&[event])?;
                }
                (MediaKind::Snapshot, None) => {
                    media.remove(&file)?;
                    report.removed += 1;
                    continue;
                }
                (_, Some(mut event)) => {
                    event.clip = Some(file);
                    self.put(&[event])?;
                }
                // Continuous recording, or what is left of an event that was never stored.
                (_, None) => self.put_segment(&segment(unfinished.id, file)?)?,
            }
            report.recordings += 1;
        }
        report.closed = self.close_open_events()?;
        Ok(report)
    }

    fn close_open_events(&self) -> Result<usize> {
        let open = self.list(&EventFilter {
            open: true,
            oldest_first: true,
            ..EventFilter::default()
        })?;
        let mut closed = Vec::new();
        for mut event in open {
            let clip_end = event.clip.as_ref().and_then(|clip| {
                let length = SignedDuration::from_millis(clip.duration_ms as i64);
                clip.started_at.checked_add(length).ok()
            });
            let last_seen = event.observations.iter().map(|seen| seen.at).max();
            let ended = clip_end.or(last_seen).unwrap_or(event.started_at);
            event.ended_at = Some(ended.max(event.started_at));
            if event.kind != EventKind::CameraOffline {
                event.reason = Some("watching was cut off".to_owned());
            }
            closed.push(event);
        }
        if !closed.is_empty() {
            self.put(&closed)?;
        }
        Ok(closed.len())
    }
}

fn segment(id: EventId, media: MediaRef) -> Result<Segment> {
    let camera = media.path.split('/').nth(3).unwrap_or_default().to_owned();
    check_camera_name(&camera)?;
    let length = SignedDuration::from_millis(media.duration_ms as i64);
    let ended_at = media.started_at.checked_add(length);
    Ok(Segment {
        id,
        camera,
        ended_at: ended_at.unwrap_or(media.started_at),
        media,
    })
}

fn kind_of(file: &MediaRef) -> MediaKind {
    match file.path.contains(".jpg.") {
        true => MediaKind::Snapshot,
        false => MediaKind::Clip,
    }
}
