//! What an event is.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The longest name of a camera in bytes.
pub const MAX_CAMERA_NAME: usize = 64;

/// Where a UUID in text has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// The name of an event: a UUID of version 7 (RFC 9562, section 5.7), so that ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// A new id for something that happened at `at`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(at: Timestamp) -> Result<Self> {
        let mut bytes: [u8; 16] = keepwatch_crypto::random_bytes()?;
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Ok(Self(bytes))
    }

    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex::encode(self.0);
        let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
        write!(f, "{a}-{b}-{c}-{}-{}", &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::Invalid {
            what: "event id",
            problem: format!("{text:?} is no UUID"),
        };
        let bytes = text.as_bytes();
        let has_dashes = || DASHES.iter().all(|at| bytes[*at] == b'-');
        if bytes.len() != 36 || !has_dashes() {
            return Err(bad());
        }
        let mut digits = [0; 32];
        let parts = bytes.split(|byte| *byte == b'-').flatten();
        // One dash too many leaves a zero behind, which is no digit.
        digits
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = *from);
        let mut bytes = [0; 16];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| bad())?;
        Ok(Self(bytes))
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = EventId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UUID")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EventId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// Something moved.
    Motion,
    /// A detector found something of a class that was asked for.
    Object,
    /// The face of an enrolled person.
    FaceMatch,
    /// A face of nobody who is enrolled.
    FaceUnknown,
    /// A licence plate.
    PlateRead,
    /// A camera sends nothing that can be used any more.
    CameraOffline,
    /// A camera is back.
    CameraOnline,
    /// The picture was covered, turned away or blinded.
    Tamper,
    /// Some of what a camera sent was not recorded.
    RecordingGap,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [EventKind; 9] = [
        EventKind::Motion,
        EventKind::Object,
        EventKind::FaceMatch,
        EventKind::FaceUnknown,
        EventKind::PlateRead,
        EventKind::CameraOffline,
        EventKind::CameraOnline,
        EventKind::Tamper,
        EventKind::RecordingGap,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Motion => "motion",
            EventKind::Object => "object",
            EventKind::FaceMatch => "face_match",
            EventKind::FaceUnknown => "face_unknown",
            EventKind::PlateRead => "plate_read",
            EventKind::CameraOffline => "camera_offline",
            EventKind::CameraOnline => "camera_online",
            EventKind::Tamper => "tamper",
            EventKind::RecordingGap => "recording_gap",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EventKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = EventKind::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| Error::Invalid {
            what: "event kind",
            problem: format!(
                "{text:?} is none of {}",
                EventKind::ALL.map(EventKind::name).join(", ")
            ),
        })
    }
}

/// A rectangle in a picture, in fractions of its width and height; the origin is the top left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The left edge, 0 to 1.
    pub x: f32,
    /// The upper edge, 0 to 1.
    pub y: f32,
    /// The width, 0 to 1.
    pub w: f32,
    /// The height, 0 to 1.
    pub h: f32,
}

/// What one frame showed of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When the frame was taken.
    pub at: Timestamp,
    /// What it is: `motion`, the class of an object, a person, the text of a plate.
    pub label: String,
    /// How sure, or how much of the picture moves; 0 to 1.
    pub score: f32,
    /// Where in the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The track that it belongs to, unique within a camera's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<u64>,
}

/// What a media file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A JPEG picture.
    Snapshot,
    /// Fragmented MP4 of one event.
    Clip,
    /// Fragmented MP4 of a stretch of continuous recording.
    Segment,
}

/// A sealed file that belongs to an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRef {
    /// Where it is: a path below the store, of names separated by `/`.
    pub path: String,
    /// Its length in bytes, sealed.
    pub bytes: u64,
    /// BLAKE3 of the sealed file.
    #[serde(with = "hex::serde")]
    pub blake3: [u8; 32],
    /// Whether it was written to its end. What a crash cut off can be read up to there.
    pub complete: bool,
    /// The time of its first frame.
    pub started_at: Timestamp,
    /// How long it plays, in milliseconds; 0 for a picture.
    pub duration_ms: u64,
}

/// Something that a camera saw, or that happened to it.
///
/// It is stored when it begins and again with each later state; the last one stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The camera's name.
    pub camera: String,
    /// What happened.
    pub kind: EventKind,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it lasts.
    pub ended_at: Option<Timestamp>,
    /// What was seen, oldest first; the strongest ones if there were many.
    #[serde(default)]
    pub observations: Vec<Observation>,
    /// The best picture.
    pub snapshot: Option<MediaRef>,
    /// The recording.
    pub clip: Option<MediaRef>,
    /// In words: why a camera is offline, what a gap lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the program that reported it says beyond this; few do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<serde_json::Value>>,
}

/// A stretch of continuous recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its id.
    pub id: EventId,
    /// The camera's name.
    pub camera: String,
    /// When its last frame ends.
    pub ended_at: Timestamp,
    /// The file.
    pub media: MediaRef,
}

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// Of these cameras; of all if empty.
    pub cameras: Vec<String>,
    /// Of these kinds; of all if empty.
    pub kinds: Vec<EventKind>,
    /// With an observation of one of these labels, compared as [`fold_label`] folds them; all if
    /// empty.
    ///
    /// [`fold_label`]: super::fold_label
    pub labels: Vec<String>,
    /// With an observation whose label begins so, folded as well; an empty one is as good as none.
    /// Only its first 24 folded characters count.
    pub label_prefix: Option<String>,
    /// That began at this time or later.
    pub since: Option<Timestamp>,
    /// That began before this time.
    pub until: Option<Timestamp>,
    /// That come after this one in the order of the list, for the next page.
    pub after: Option<EventId>,
    /// Oldest first; otherwise newest first.
    pub oldest_first: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_in_text_and_nothing_else_is() {
        let text = "01a22352-4f2e-7d7d-925c-9077902515fd";
        let id: EventId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(text.to_uppercase().parse::<EventId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<EventId>(&json).unwrap(), id);
        for wrong in [
            "",
            "01a223524f2e7d7d925c9077902515fd",
            "01a22352-4f2e-7d7d-925c-9077902515f",
            "01a22352-4f2e-7d7d-925c-9077902515fd0",
            "01a22352-4f2e-7d7d-925c-9077-02515fd",
            "01a223524-f2e-7d7d-925c-9077902515fd",
            "01a22352-4f2e-7d7d-925c-9077902515fg",
            "01a22352-4f2e-7d7d-925c-90779025\u{e9}5fd",
            "{1a22352-4f2e-7d7d-925c-9077902515f}",
        ] {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
            let json = serde_json::to_string(wrong).unwrap();
            assert!(serde_json::from_str::<EventId>(&json).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<EventId>("7").is_err());
    }
}
