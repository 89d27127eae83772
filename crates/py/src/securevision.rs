//! What `keepwatch.compat.securevision` rests on: its events in an encrypted store, and with cameras
//! its tracker.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use keepwatch_core::Error as CoreError;
use keepwatch_core::events::{
    Event, EventFilter, EventId, EventKind, EventStore as _, Observation, PurgePlan,
    RetentionPolicy,
};
use pyo3::prelude::*;
use serde_json::Value;

use crate::errors::{Raise, Result};
use crate::events::EventStore;
use crate::work::{self, Stop};

/// The kinds of events that SecureVision knows.
const KINDS: [EventKind; 2] = [EventKind::FaceMatch, EventKind::PlateRead];
/// What marks the details of its events, with the version of their shape.
const DETAILS: &str = "securevision";

/// An event on its way into the store.
#[derive(FromPyObject)]
pub struct Report {
    kind: String,
    camera: String,
    ts_ms: i64,
    label: String,
    score: f64,
    track: Option<u64>,
    /// JSON.
    details: String,
    /// What the id is made of besides the time, if it must be the same each time.
    seed: Option<[u8; 10]>,
}

impl Report {
    fn event(self) -> Result<Event> {
        let at = Timestamp::from_millisecond(self.ts_ms)
            .map_err(|error| Raise::value("ts_ms", error.to_string()))?;
        let mut id = *EventId::new(at)?.as_bytes();
        if let Some(seed) = self.seed {
            // Version and variant of the UUID stay.
            id[6] = (id[6] & 0xf0) | (seed[0] & 0x0f);
            id[7] = seed[1];
            id[8] = (id[8] & 0xc0) | (seed[2] & 0x3f);
            id[9..].copy_from_slice(&seed[3..]);
        }
        let details = serde_json::from_str(&self.details)
            .map_err(|error| Raise::value("details", error.to_string()))?;
        Ok(Event {
            id: EventId::from_bytes(id),
            camera: self.camera,
            kind: self.kind.parse()?,
            started_at: at,
            ended_at: Some(at),
            observations: vec![Observation {
                at,
                label: self.label,
                score: self.score.clamp(0.0, 1.0) as f32,
                region: None,
                track: self.track,
            }],
            snapshot: None,
            clip: None,
            reason: None,
            details: Some(details),
        })
    }
}

/// An event as it is given to Python: number, kind, camera, time in milliseconds, details as JSON.
type Row = (u64, &'static str, String, i64, Option<String>);

fn row(number: u64, event: &Event) -> Row {
    let details = event.details.as_deref().map(Value::to_string);
    let at = event.started_at.as_millisecond();
    (number, event.kind.name(), event.camera.clone(), at, details)
}

/// Adds those that are not there, all or none, and gives their numbers.
#[pyfunction]
pub fn securevision_put(
    py: Python<'_>,
    store: &Bound<'_, EventStore>,
    reports: Vec<Report>,
) -> Result<Vec<Option<u64>>> {
    let store = store.get().open_store(py)?;
    let events: Vec<Event> = reports
        .into_iter()
        .map(Report::event)
        .collect::<Result<_>>()?;
    Ok(work::run(py, &Stop::default(), || store.put_new(&events))??)
}

/// The event that has a number.
#[pyfunction]
pub fn securevision_get(
    py: Python<'_>,
    store: &Bound<'_, EventStore>,
    number: u64,
) -> Result<Option<Row>> {
    let store = store.get().open_store(py)?;
    let event = work::run(py, &Stop::default(), || store.get_numbered(number))??;
    Ok(event.map(|event| row(number, &event)))
}

/// Face matches and plates, or those of one of the kinds, newest first.
#[pyfunction]
pub fn securevision_list(
    py: Python<'_>,
    store: &Bound<'_, EventStore>,
    kind: Option<&str>,
    since_ms: Option<i64>,
    limit: Option<usize>,
) -> Result<Vec<Row>> {
    let store = store.get().open_store(py)?;
    let since = since_ms.map(Timestamp::from_millisecond).transpose();
    let filter = EventFilter {
        kinds: match kind {
            Some(kind) => vec![kind.parse()?],
            None => KINDS.to_vec(),
        },
        since: since.map_err(|error| Raise::value("since_ms", error.to_string()))?,
        limit,
        ..EventFilter::default()
    };
    let events = work::run(py, &Stop::default(), || store.list_numbered(&filter))??;
    let rows = events.iter();
    Ok(rows.map(|(number, event)| row(*number, event)).collect())
}

/// Removes SecureVision's events that happened and were stored before a time.
#[pyfunction]
pub fn securevision_cleanup(
    py: Python<'_>,
    store: &Bound<'_, EventStore>,
    before_us: i64,
    why: &str,
) -> Result<u64> {
    let store = store.get().open_store(py)?;
    let before = Timestamp::from_microsecond(before_us)
        .map_err(|error| Raise::value("retention_days", error.to_string()))?;
    let policy = RetentionPolicy {
        events_max_age: Some(SignedDuration::ZERO),
        filter: EventFilter {
            kinds: KINDS.to_vec(),
            ..EventFilter::default()
        },
        ..RetentionPolicy::default()
    };
    let stop = Stop::default();
    let clean = || -> Result<u64, CoreError> {
        let mut plan = PurgePlan::default();
        for id in store.plan_purge(&policy, before)?.events {
            if stop.load(Ordering::Relaxed) {
                return Err(CoreError::Interrupted);
            }
            let event = store.get(id)?;
            if event.is_some_and(|event| stored_us(&event).is_some_and(|us| us < before_us)) {
                plan.events.push(id);
            }
        }
        Ok(store.purge(&plan, DETAILS, why)?.events)
    };
    Ok(work::run(py, &stop, clean)??)
}

/// When an event of SecureVision was stored, in microseconds; none for events of others.
fn stored_us(event: &Event) -> Option<i64> {
    let details = event.details.as_deref()?;
    details.get(DETAILS)?;
    details.get("created_us")?.as_i64()
}

#[cfg(feature = "vision")]
pub use tracking::{SecureVisionTracker, securevision_iou};

#[cfg(feature = "vision")]
mod tracking {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use keepwatch_core::events::Region;
    use keepwatch_vision::geometry::iou;
    use keepwatch_vision::tracking::{Detection, TrackState, Tracker, TrackerSettings};
    use pyo3::prelude::*;

    use crate::errors::{Raise, Result};

    /// How far apart frames are, in seconds. Nothing is expected to go on as it did for more than one
    /// second: so far apart, things are expected where they were, as SecureVision does.
    const FRAME: u64 = 1_000_000;

    /// Left, top, width, height, in pixels.
    type Place = (f64, f64, f64, f64);

    fn region((x, y, w, h): Place) -> Region {
        Region {
            x: x as f32,
            y: y as f32,
            w: w as f32,
            h: h as f32,
        }
    }

    /// The overlap of two rectangles.
    #[pyfunction]
    pub fn securevision_iou(a: Place, b: Place) -> f64 {
        iou(&region(a), &region(b)).into()
    }

    /// The tracker, with frames for time.
    #[pyclass(frozen, module = "keepwatch._keepwatch")]
    pub struct SecureVisionTracker {
        state: Mutex<(Tracker, u64)>,
    }

    #[pymethods]
    impl SecureVisionTracker {
        #[new]
        fn new(iou_threshold: f64, max_age: u64) -> Result<Self> {
            if !(0.0..=1.0).contains(&iou_threshold) {
                return Err(Raise::value("iou_threshold", "it is from 0 to 1"));
            }
            if !(1..=1_000_000).contains(&max_age) {
                return Err(Raise::value("max_age", "it is from 1 to 1 000 000"));
            }
            // More than the threshold matches, and not the threshold itself.
            let mut min_iou = iou_threshold as f32;
            if f64::from(min_iou) <= iou_threshold {
                min_iou = min_iou.next_up();
            }
            let settings = TrackerSettings {
                min_iou,
                // Half a frame less: that many misses are too many, and one fewer is not.
                max_age: Duration::from_secs(max_age * FRAME - FRAME / 2),
                max_tracks: 1 << 16,
                ..TrackerSettings::default()
            };
            Ok(Self {
                state: Mutex::new((Tracker::new(settings), 0)),
            })
        }

        /// Takes the detections of the next frame. Gives each track's id, whether it is lost, and
        /// which of the detections was it.
        fn update(&self, detections: Vec<(Place, f64)>) -> Vec<(u64, bool, Option<usize>)> {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (tracker, frames) = &mut *state;
            *frames += 1;
            let detections: Vec<Detection> = detections
                .into_iter()
                .map(|(place, score)| Detection {
                    region: region(place),
                    score: score as f32,
                    label: 0,
                })
                .collect();
            let updates = tracker.update(Duration::from_secs(*frames * FRAME), &detections);
            updates
                .iter()
                .map(|update| {
                    (
                        update.id,
                        update.state == TrackState::Lost,
                        update.detection,
                    )
                })
                .collect()
        }
    }
}
