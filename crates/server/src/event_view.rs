//! Events as the API gives them.

use jiff::Timestamp;
use keepwatch_core::events::{Event, EventId, EventKind, MediaRef, Observation, Region};
use serde::Serialize;
use utoipa::ToSchema;

/// Something that a camera saw, or that happened to it.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    /// A UUID, the same for all states of the event.
    #[schema(value_type = String, format = Uuid)]
    id: EventId,
    /// Grows with each state of each event.
    number: u64,
    camera: String,
    #[schema(value_type = KindView)]
    kind: EventKind,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// None while it lasts.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// The person, the plate, or the class; of motion and the like none.
    label: Option<String>,
    /// How sure it is, 0 to 1.
    score: Option<f32>,
    observations: Vec<ObservationView>,
    /// Whether there is a picture.
    snapshot: bool,
    clip: Option<ClipView>,
    reason: Option<String>,
    /// What the program that reported it says beyond this.
    #[schema(value_type = Option<Object>)]
    details: Option<serde_json::Value>,
}

/// What happened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Kind)]
#[allow(
    dead_code,
    reason = "it stands for `EventKind` in the description of the API"
)]
pub(crate) enum KindView {
    Motion,
    Object,
    FaceMatch,
    FaceUnknown,
    PlateRead,
    CameraOffline,
    CameraOnline,
    Tamper,
    RecordingGap,
}

/// What one frame showed of an event.
#[derive(Serialize, ToSchema)]
#[schema(as = Observation)]
pub(crate) struct ObservationView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    label: String,
    score: f32,
    region: Option<RegionView>,
    track: Option<u64>,
}

/// A rectangle in a picture, in fractions of its width and height from the upper left corner.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = Region)]
pub(crate) struct RegionView {
    x: f32,
    y: f32,
    w: f32,
    h: f32,
}

/// A recording.
#[derive(Serialize, ToSchema)]
#[schema(as = Clip)]
pub(crate) struct ClipView {
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    duration_ms: u64,
    /// Whether it was written to its end.
    complete: bool,
}

impl From<Region> for RegionView {
    fn from(Region { x, y, w, h }: Region) -> Self {
        Self { x, y, w, h }
    }
}

impl From<Observation> for ObservationView {
    fn from(seen: Observation) -> Self {
        Self {
            at: seen.at,
            label: seen.label,
            score: seen.score,
            region: seen.region.map(RegionView::from),
            track: seen.track,
        }
    }
}

impl From<MediaRef> for ClipView {
    fn from(media: MediaRef) -> Self {
        Self {
            started_at: media.started_at,
            duration_ms: media.duration_ms,
            complete: media.complete,
        }
    }
}

impl From<(u64, Event)> for EventView {
    fn from((number, event): (u64, Event)) -> Self {
        // Of motion the label says no more than the kind.
        let best = event
            .observations
            .iter()
            .max_by(|a, b| a.score.total_cmp(&b.score));
        let named = !matches!(event.kind, EventKind::Motion | EventKind::Tamper);
        Self {
            id: event.id,
            number,
            kind: event.kind,
            started_at: event.started_at,
            ended_at: event.ended_at,
            label: best
                .filter(|_| named)
                .map(|seen| seen.label.clone())
                .filter(|label| !label.is_empty()),
            score: best.map(|seen| seen.score),
            snapshot: event.snapshot.is_some(),
            camera: event.camera,
            observations: event
                .observations
                .into_iter()
                .map(ObservationView::from)
                .collect(),
            clip: event.clip.map(ClipView::from),
            reason: event.reason,
            details: event.details.map(|details| *details),
        }
    }
}
