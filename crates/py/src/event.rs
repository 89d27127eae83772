//! Events, as Python sees them.

use keepwatch_core::events::{self, MediaRef};
use pyo3::prelude::*;
use pyo3::types::PyModule;

use crate::record::{Time, Tuple, record};

record! {
    /// A rectangle in a picture, in fractions of its width and height; the origin is the top left.
    Region {
        /// The left edge, 0 to 1.
        x: f32,
        /// The upper edge, 0 to 1.
        y: f32,
        /// The width, 0 to 1.
        w: f32,
        /// The height, 0 to 1.
        h: f32,
    }
}

impl Region {
    fn new(region: events::Region) -> Self {
        let events::Region { x, y, w, h } = region;
        Self { x, y, w, h }
    }
}

record! {
    /// What one frame showed of an event.
    Observation {
        /// When the frame was taken.
        at: Time,
        /// What it is: `motion`, the class of an object, a person, the text of a plate.
        label: String,
        /// How sure, or how much of the picture moves; 0 to 1.
        score: f32,
        /// Where in the picture.
        region: Option<Py<Region>>,
        /// The track that it belongs to, unique within a camera's run.
        track: Option<u64>,
    }
}

impl Observation {
    fn new(py: Python<'_>, seen: &events::Observation) -> PyResult<Self> {
        let region = seen.region.map(|region| Py::new(py, Region::new(region)));
        Ok(Self {
            at: Time(seen.at),
            label: seen.label.clone(),
            score: seen.score,
            region: region.transpose()?,
            track: seen.track,
        })
    }
}

record! {
    /// A sealed file that belongs to an event.
    Media {
        /// Where it is: a path below the store.
        path: String,
        /// Its length in bytes, sealed.
        bytes: u64,
        /// BLAKE3 of the sealed file, in hexadecimal digits.
        blake3: String,
        /// Whether it was written to its end. What a crash cut off can be read up to there.
        complete: bool,
        /// The time of its first frame.
        started_at: Time,
        /// How long it plays, in milliseconds; 0 for a picture.
        duration_ms: u64,
    }
}

impl Media {
    fn new(media: &MediaRef) -> Self {
        Self {
            path: media.path.clone(),
            bytes: media.bytes,
            blake3: hex::encode(media.blake3),
            complete: media.complete,
            started_at: Time(media.started_at),
            duration_ms: media.duration_ms,
        }
    }
}

record! {
    /// Something that a camera saw, or that happened to it.
    Event {
        /// Its id.
        id: String,
        /// The camera's name.
        camera: String,
        /// What happened: `motion`, `object`, `camera_offline`, …
        kind: &'static str,
        /// When it began.
        started_at: Time,
        /// When it ended; none while it lasts.
        ended_at: Option<Time>,
        /// What was seen, oldest first; the strongest ones if there were many.
        observations: Tuple,
        /// The best picture.
        snapshot: Option<Py<Media>>,
        /// The recording.
        clip: Option<Py<Media>>,
        /// In words: why a camera is offline, what a gap lacks.
        reason: Option<String>,
        /// What the program that reported it says beyond this, as `json.loads` gives it.
        details: Option<Py<PyAny>>,
    }
}

impl Event {
    /// As Python sees it.
    pub fn new(py: Python<'_>, event: &events::Event) -> PyResult<Self> {
        let observations: Vec<Observation> = event
            .observations
            .iter()
            .map(|seen| Observation::new(py, seen))
            .collect::<PyResult<_>>()?;
        let media = |media: &Option<MediaRef>| {
            let media = media.as_ref().map(|media| Py::new(py, Media::new(media)));
            media.transpose()
        };
        let details = event.details.as_ref().map(|details| {
            let json = PyModule::import(py, "json")?;
            let value = json.call_method1("loads", (details.to_string(),))?;
            Ok::<_, PyErr>(value.unbind())
        });
        Ok(Self {
            id: event.id.to_string(),
            camera: event.camera.clone(),
            kind: event.kind.name(),
            started_at: Time(event.started_at),
            ended_at: event.ended_at.map(Time),
            observations: Tuple::new(py, observations)?,
            snapshot: media(&event.snapshot)?,
            clip: media(&event.clip)?,
            reason: event.reason.clone(),
            details: details.transpose()?,
        })
    }
}
