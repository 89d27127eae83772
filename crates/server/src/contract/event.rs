//! An event in SecureVision's words: the names of its program, and those of its documents.

use jiff::Timestamp;
use keepwatch_core::events::{Event, EventKind, Observation};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Where details say what one of SecureVision's own programs has reported.
const DETAILS: &str = "securevision";

/// An event as SecureVision has it.
#[derive(Serialize, ToSchema)]
#[schema(as = SecureVisionEvent)]
pub(crate) struct ContractEvent {
    pub id: u64,
    /// `face_match` or `plate_read`.
    r#type: &'static str,
    ts_ms: i64,
    frame_source_id: String,
    /// In UTC, without saying so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    #[schema(value_type = Object)]
    payload: Payload,
}

/// Written as it is, and not made into a tree of values first: that would be half of the work of a
/// page of events.
#[derive(Serialize)]
#[serde(untagged)]
enum Payload {
    /// What one of SecureVision's own programs has reported.
    Own(Value),
    Face(Face),
    Plate(Plate),
}

#[derive(Serialize)]
struct Face {
    person_id: String,
    person_name: String,
    similarity: Value,
    bbox: Option<Pixels>,
    detection_score: Value,
    track_id: Option<u64>,
    /// Keepwatch has none.
    detector_metadata: (),
}

#[derive(Serialize)]
struct Plate {
    text_raw: Value,
    text_clean: String,
    plate_text: String,
    /// In percent, as Tesseract has it.
    ocr_confidence: f64,
    confidence: f64,
    detector_score: f64,
    matched_list: Option<&'static str>,
    list_match: Option<&'static str>,
    /// Nobody tells it; who reads it is to find it.
    region: (),
    preprocessing_used: &'static str,
    bbox: Option<Pixels>,
    track_id: Option<u64>,
    /// Keepwatch has none.
    detector_metadata: (),
}

/// In pixels of the picture.
#[derive(Serialize)]
struct Pixels {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
}

/// Whether somebody may see it all the same is for the caller to say.
pub(super) fn contract_event(number: u64, event: &Event) -> ContractEvent {
    let (source, created_us, payload) = match own(event) {
        Some(own) => own,
        None => (
            event.camera.clone(),
            event.started_at.as_microsecond(),
            payload(event),
        ),
    };
    ContractEvent {
        id: number,
        r#type: event.kind.name(),
        ts_ms: event.started_at.as_millisecond(),
        frame_source_id: source,
        created_at: Some(naive(created_us)),
        payload,
    }
}

/// Source, when it was stored, and payload of what one of SecureVision's own programs has reported.
fn own(event: &Event) -> Option<(String, i64, Payload)> {
    let details = event.details.as_deref()?;
    details.get(DETAILS)?;
    let source = details.get("frame_source_id")?.as_str()?.to_owned();
    let created = details.get("created_us")?.as_i64()?;
    let mut payload = details.get("payload").cloned().unwrap_or_else(|| json!({}));
    if payload.is_null() {
        payload = json!({});
    }
    if let Value::Object(fields) = &mut payload {
        documented_names(event.kind, fields);
    }
    Some((source, created, Payload::Own(payload)))
}

/// The names that SecureVision's documents have for fields of its program.
fn documented_names(kind: EventKind, fields: &mut Map<String, Value>) {
    let same = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned();
    match kind {
        EventKind::FaceMatch => {
            if let Some(name) = same(fields, "person_id") {
                fields.insert("person_name".into(), name);
            }
        }
        _ => {
            if let Some(text) = same(fields, "text_clean") {
                fields.insert("plate_text".into(), text);
            }
            if let Some(percent) = fields.get("ocr_confidence").and_then(Value::as_f64) {
                fields.insert("confidence".into(), (percent / 100.0).into());
            }
            if let Some(list) = same(fields, "matched_list") {
                fields.insert("list_match".into(), list);
            }
            fields.entry("region").or_insert(Value::Null);
        }
    }
}

/// What Keepwatch has seen.
fn payload(event: &Event) -> Payload {
    let best = event
        .observations
        .iter()
        .max_by(|a, b| a.score.total_cmp(&b.score));
    let label = best.map_or("", |seen| &seen.label);
    let score = best.map_or(0.0, |seen| f64::from(seen.score));
    let track_id = best.and_then(|seen| seen.track);
    let details = event.details.as_deref();
    let detail = |name: &str| details.and_then(|details| details.get(name));
    let bbox = best.and_then(|seen| pixels(seen, detail("picture")?));
    match event.kind {
        EventKind::FaceMatch => {
            let quality = detail("quality").and_then(|quality| quality.get("score"));
            let similarity = detail("similarity").cloned();
            Payload::Face(Face {
                person_id: label.to_owned(),
                person_name: label.to_owned(),
                similarity: similarity.unwrap_or_else(|| score.into()),
                bbox,
                detection_score: quality.cloned().unwrap_or_default(),
                track_id,
                detector_metadata: (),
            })
        }
        _ => {
            let list = match detail("verdict").and_then(Value::as_str) {
                Some("allow") => Some("whitelist"),
                Some("deny") => Some("blacklist"),
                _ => None,
            };
            let raw = detail("text_raw").cloned();
            Payload::Plate(Plate {
                text_raw: raw.unwrap_or_else(|| label.into()),
                text_clean: label.to_owned(),
                plate_text: label.to_owned(),
                ocr_confidence: score * 100.0,
                confidence: score,
                detector_score: score,
                matched_list: list,
                list_match: list,
                region: (),
                preprocessing_used: "",
                bbox,
                track_id,
                detector_metadata: (),
            })
        }
    }
}

/// Where it was in a picture of this width and height.
fn pixels(seen: &Observation, size: &Value) -> Option<Pixels> {
    let (width, height) = (size.get(0)?.as_f64()?, size.get(1)?.as_f64()?);
    let region = seen.region?;
    let (x, y) = (f64::from(region.x) * width, f64::from(region.y) * height);
    let (w, h) = (f64::from(region.w) * width, f64::from(region.h) * height);
    Some(Pixels {
        x1: x.round(),
        y1: y.round(),
        x2: (x + w).round(),
        y2: (y + h).round(),
    })
}

/// A time as Python writes one that says nothing of its zone.
fn naive(microseconds: i64) -> String {
    let at = Timestamp::from_microsecond(microseconds).unwrap_or_default();
    let fraction = microseconds.rem_euclid(1_000_000);
    let seconds = at.strftime("%Y-%m-%dT%H:%M:%S");
    match fraction {
        0 => seconds.to_string(),
        fraction => format!("{seconds}.{fraction:06}"),
    }
}

#[cfg(test)]
mod tests {
    use keepwatch_core::events::{EventId, Region};

    use super::*;
    use crate::contract::message;

    fn event(kind: EventKind, label: &str, details: Value) -> Event {
        let at = Timestamp::from_millisecond(1_704_067_200_250).expect("a time");
        Event {
            id: EventId::from_bytes([7; 16]),
            camera: "front".to_owned(),
            kind,
            started_at: at,
            ended_at: Some(at),
            observations: vec![Observation {
                at,
                label: label.to_owned(),
                score: 0.5,
                region: Some(Region {
                    x: 0.25,
                    y: 0.5,
                    w: 0.5,
                    h: 0.25,
                }),
                track: Some(3),
            }],
            snapshot: None,
            clip: None,
            reason: None,
            details: Some(Box::new(details)),
        }
    }

    #[test]
    fn a_face_has_the_fields_of_program_and_documents() {
        let details =
            json!({ "similarity": 0.75, "quality": { "score": 0.9 }, "picture": [640, 480] });
        let given = contract_event(5, &event(EventKind::FaceMatch, "Ada", details));
        assert_eq!(
            serde_json::to_value(given).expect("plain"),
            json!({
                "id": 5, "type": "face_match", "ts_ms": 1_704_067_200_250_i64,
                "frame_source_id": "front", "created_at": "2024-01-01T00:00:00.250000",
                "payload": {
                    "person_id": "Ada", "person_name": "Ada", "similarity": 0.75,
                    "bbox": { "x1": 160.0, "y1": 240.0, "x2": 480.0, "y2": 360.0 },
                    "detection_score": 0.9, "track_id": 3, "detector_metadata": null,
                },
            })
        );
    }

    #[test]
    fn a_plate_says_which_list_it_is_on() {
        for (verdict, list) in [
            ("allow", json!("whitelist")),
            ("deny", json!("blacklist")),
            ("unlisted", Value::Null),
        ] {
            let details = json!({ "verdict": verdict, "text_raw": "AB-12" });
            let given = contract_event(5, &event(EventKind::PlateRead, "AB12", details));
            let payload = serde_json::to_value(given.payload).expect("plain");
            assert_eq!(
                (&payload["matched_list"], &payload["list_match"]),
                (&list, &list)
            );
            assert_eq!(payload["plate_text"], "AB12");
            assert_eq!(payload.get("region"), Some(&Value::Null));
            assert_eq!(payload["text_raw"], "AB-12");
            assert_eq!(
                (&payload["confidence"], &payload["ocr_confidence"]),
                (&json!(0.5), &json!(50.0))
            );
            assert_eq!(payload["bbox"], Value::Null);
        }
    }

    #[test]
    fn what_securevision_reported_comes_back_as_it_was() {
        let payload = json!({ "person_id": "Ada", "similarity": 0.9, "bbox": { "x1": 1 } });
        let details = json!({
            "securevision": 1, "frame_source_id": "rtsp://host/1",
            "created_us": 1_704_067_201_000_000_i64, "payload": payload,
        });
        let given = contract_event(5, &event(EventKind::FaceMatch, "Ada", details));
        assert_eq!(given.frame_source_id, "rtsp://host/1");
        assert_eq!(given.created_at.as_deref(), Some("2024-01-01T00:00:01"));
        let payload = serde_json::to_value(given.payload).expect("plain");
        assert_eq!(payload["bbox"]["x1"], 1);
        assert_eq!(payload["person_name"], "Ada");
    }

    #[test]
    fn other_events_are_not_sent() {
        assert!(message(1, &event(EventKind::Motion, "motion", Value::Null)).is_none());
        let text = message(1, &event(EventKind::FaceMatch, "Ada", json!({}))).expect("it is one");
        assert!(!text.contains("created_at"), "{text}");
    }
}
