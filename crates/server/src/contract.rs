//! SecureVision's API, in full: its routes, fields, status codes and errors.
//!
//! What its documents call otherwise than its program does is there under both names: its documented
//! clients read `person_name` and `plate_text`, its own ones `person_id` and `text_clean`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use keepwatch_core::events::{Event, EventFilter, EventKind, EventStore as _, RetentionPolicy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{Path, Query};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::router::group;
use crate::socket::{Incoming, Socket, bounded};

const SERVICE: &str = "SecureVision Events API";
/// The version of the interface: that of SecureVision which it is the same as.
const VERSION: &str = "0.1.0";
/// The kinds of events that SecureVision knows.
const KINDS: [EventKind; 2] = [EventKind::FaceMatch, EventKind::PlateRead];
/// What marks the details of events that its own programs have reported.
const DETAILS: &str = "securevision";
/// How long its events are kept, where nothing is said of it.
const RETENTION_DAYS: i64 = 30;
/// `GET /health` looks back so far, and at so many events.
const RECENT: SignedDuration = SignedDuration::from_mins(5);
const RECENT_MOST: usize = 1000;

/// The routes.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new()
        .routes(routes!(events, create_event))
        .routes(routes!(face))
        .routes(routes!(plate))
        .routes(routes!(stream));
    let purge = OpenApiRouter::new().routes(routes!(cleanup));
    OpenApiRouter::new()
        .routes(routes!(root))
        .routes(routes!(health))
        .merge(group(app, Needs::Contract(Permission::EventsRead), read))
        .merge(group(app, Needs::Contract(Permission::EventsPurge), purge))
}

/// What the service is.
#[derive(Serialize, ToSchema)]
struct Root {
    service: &'static str,
    version: &'static str,
    ws_enabled: bool,
    auth_enabled: bool,
}

/// What the service is; a browser is sent to the dashboard.
#[utoipa::path(get, path = "/", tag = "SecureVision", responses(
    (status = 200, body = Root),
    (status = 303, description = "a browser is sent to the dashboard"),
))]
async fn root(State(app): State<Arc<App>>, headers: axum::http::HeaderMap) -> Response {
    let accepts = headers.get(axum::http::header::ACCEPT);
    let accepts = accepts
        .and_then(|accepts| accepts.to_str().ok())
        .unwrap_or_default();
    if accepts.contains("text/html") {
        return Redirect::to("/ui/").into_response();
    }
    Json(Root {
        service: SERVICE,
        version: VERSION,
        ws_enabled: true,
        auth_enabled: app.needs_token(),
    })
    .into_response()
}

/// How the service is doing.
#[derive(Serialize, ToSchema)]
struct Health {
    ok: bool,
    timestamp: i64,
    service: &'static str,
    version: &'static str,
    ws_clients: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_events: Option<RecentEvents>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_rate: Option<EventRate>,
    /// Why there is nothing to say of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    db_error: Option<&'static str>,
}

/// Events of the last five minutes, at most 1000 of them.
#[derive(Serialize, ToSchema)]
struct RecentEvents {
    total: usize,
    face_matches: usize,
    plate_reads: usize,
}

#[derive(Serialize, ToSchema)]
struct EventRate {
    events_per_second: f64,
    sample_duration_seconds: f64,
}

/// How the service is doing; for anybody.
#[utoipa::path(get, path = "/health", tag = "SecureVision", responses((status = 200, body = Health)))]
async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let now = (app.now)();
    let recent = app
        .blocking(move |app| {
            Ok(app.store.list(&EventFilter {
                kinds: KINDS.to_vec(),
                since: now.checked_sub(RECENT).ok(),
                limit: Some(RECENT_MOST),
                ..EventFilter::default()
            })?)
        })
        .await;
    let mut health = Health {
        ok: true,
        timestamp: now.as_millisecond(),
        service: SERVICE,
        version: VERSION,
        ws_clients: app.ws_clients(),
        recent_events: None,
        event_rate: None,
        db_error: None,
    };
    match recent {
        Ok(events) => {
            let faces = events
                .iter()
                .filter(|event| event.kind == EventKind::FaceMatch);
            let faces = faces.count();
            health.event_rate = rate(&events);
            health.recent_events = Some(RecentEvents {
                total: events.len(),
                face_matches: faces,
                plate_reads: events.len() - faces,
            });
        }
        // The error itself is in the log: this answer is for anybody.
        Err(_) => health.db_error = Some("the event store cannot be read"),
    }
    Json(health)
}

fn rate(events: &[Event]) -> Option<EventRate> {
    let times = || events.iter().map(|event| event.started_at);
    let span = times().max()?.duration_since(times().min()?).as_secs_f64();
    (span > 0.0).then(|| EventRate {
        events_per_second: events.len() as f64 / span,
        sample_duration_seconds: span,
    })
}

/// An event as SecureVision has it.
#[derive(Serialize, ToSchema)]
#[schema(as = SecureVisionEvent)]
pub(crate) struct ContractEvent {
    id: u64,
    /// `face_match` or `plate_read`.
    r#type: &'static str,
    ts_ms: i64,
    frame_source_id: String,
    /// In UTC, without saying so.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[schema(value_type = Object)]
    payload: Value,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsAsked {
    /// Events of this type.
    #[param(value_type = Option<String>, example = "face_match")]
    r#type: Option<ContractKind>,
    /// Events of this time or later, in milliseconds since 1970.
    since: Option<i64>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ContractKind {
    FaceMatch,
    PlateRead,
}

/// The latest events, newest first.
#[utoipa::path(get, path = "/events", tag = "SecureVision", params(EventsAsked), responses(
    (status = 200, body = [ContractEvent]),
))]
async fn events(
    State(app): State<Arc<App>>,
    who: Who,
    Query(asked): Query<EventsAsked>,
) -> Result<Json<Vec<ContractEvent>>> {
    let limit = asked.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(ApiError::value("query", "limit", "it must be 1 to 1000"));
    }
    // A time that cannot be is before or after everything.
    let since = asked.since.map(|ms| {
        let bound = if ms < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        Timestamp::from_millisecond(ms).unwrap_or(bound)
    });
    let mut filter = EventFilter {
        kinds: match asked.r#type {
            None => KINDS.to_vec(),
            Some(ContractKind::FaceMatch) => vec![EventKind::FaceMatch],
            Some(ContractKind::PlateRead) => vec![EventKind::PlateRead],
        },
        since,
        limit: Some(limit),
        ..EventFilter::default()
    };
    if !who.narrow(&mut filter) {
        return Ok(Json(Vec::new()));
    }
    let mut events = app
        .blocking(move |app| {
            let events = app.store.list(&filter)?;
            let ids: Vec<_> = events.iter().map(|event| event.id).collect();
            // The number that it began with, and that the stream has told: it stays the same.
            let numbers = app.store.first_numbers(&ids)?;
            Ok(numbers.into_iter().zip(events).collect::<Vec<_>>())
        })
        .await?;
    // What happened at the same time comes in the order in which it was stored.
    events.sort_by_key(|(number, event)| {
        std::cmp::Reverse((event.started_at.as_millisecond(), *number))
    });
    let events = events
        .into_iter()
        .map(|(number, event)| contract_event(number, &event));
    Ok(Json(events.collect()))
}

/// Nobody but the pipeline makes events, there as here.
#[utoipa::path(post, path = "/events", tag = "SecureVision", responses())]
async fn create_event(_: Who) -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "Direct event creation not implemented. Use EventStoreSink in pipeline.",
    )
}

/// A face match.
#[utoipa::path(get, path = "/faces/{id}", tag = "SecureVision",
    params(("id" = u64, Path, description = "the id of an event")),
    responses((status = 200, body = ContractEvent),))]
async fn face(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<u64>,
) -> Result<Json<ContractEvent>> {
    one(
        &app,
        who,
        id,
        EventKind::FaceMatch,
        "Face match event not found",
    )
    .await
}

/// A plate.
#[utoipa::path(get, path = "/plates/{id}", tag = "SecureVision",
    params(("id" = u64, Path, description = "the id of an event")),
    responses((status = 200, body = ContractEvent),))]
async fn plate(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<u64>,
) -> Result<Json<ContractEvent>> {
    one(
        &app,
        who,
        id,
        EventKind::PlateRead,
        "Plate read event not found",
    )
    .await
}

async fn one(
    app: &Arc<App>,
    who: Who,
    id: u64,
    kind: EventKind,
    missing: &'static str,
) -> Result<Json<ContractEvent>> {
    let event = app
        .blocking(move |app| {
            // A number of an earlier state, as the stream has told it, stands for the event.
            let Some(before) = id.checked_sub(1) else {
                return Ok(None);
            };
            let states = app.store.changes(before, 1)?;
            match states.into_iter().next() {
                Some((number, event)) if number == id => Ok(app.store.get(event.id)?),
                _ => Ok(None),
            }
        })
        .await?;
    let event = event.filter(|event| event.kind == kind && who.sees(&event.camera));
    let event = event.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, missing))?;
    Ok(Json(contract_event(id, &event)))
}

#[derive(Serialize, ToSchema)]
struct Cleaned {
    deleted: u64,
    retention_days: i64,
}

/// Deletes events that are older than the retention allows.
#[utoipa::path(post, path = "/cleanup", tag = "SecureVision", responses(
    (status = 200, body = Cleaned),
))]
async fn cleanup(State(app): State<Arc<App>>, who: Who) -> Result<Json<Cleaned>> {
    if who.cameras.is_some() {
        return Err(ApiError::forbidden("this needs all cameras"));
    }
    let age = app.config().retention.events;
    let age = age.unwrap_or(SignedDuration::from_hours(24 * RETENTION_DAYS));
    let days = age.as_hours() / 24;
    let now = (app.now)();
    let name = who.name.clone();
    let deleted = app
        .blocking(move |app| {
            let policy = RetentionPolicy {
                events_max_age: Some(age),
                filter: EventFilter {
                    kinds: KINDS.to_vec(),
                    ..EventFilter::default()
                },
                ..RetentionPolicy::default()
            };
            let plan = app.store.plan_purge(&policy, now)?;
            Ok(app.store.purge(&plan, &name, "cleanup")?.events)
        })
        .await?;
    Ok(Json(Cleaned {
        deleted,
        retention_days: days,
    }))
}

/// New events as they come (WebSocket). Whatever text a client sends comes back as `pong`.
#[utoipa::path(get, path = "/stream", tag = "SecureVision", responses(
    (status = 101, description = "messages of JSON"),
))]
async fn stream(State(app): State<Arc<App>>, who: Who, upgrade: WebSocketUpgrade) -> Response {
    bounded(upgrade).on_upgrade(move |socket| follow(app, who, socket))
}

async fn follow(app: Arc<App>, who: Who, socket: WebSocket) {
    app.ws_clients.fetch_add(1, Ordering::Relaxed);
    let mut listener = app.feed.listen(None);
    let mut socket = Socket::new(socket, app.patience.message);
    loop {
        let sent = tokio::select! {
            told = listener.next(&app, &who) => match told {
                Ok(Some(told)) => match &told.contract {
                    Some(message) => socket.text(message.clone()).await,
                    None => Ok(()),
                },
                Ok(None) | Err(_) => break,
            },
            incoming = socket.incoming() => match incoming {
                Incoming::Text(text) => {
                    let pong = json!({ "type": "pong", "data": text.as_str() });
                    socket.text(pong.to_string().into()).await
                }
                Incoming::Nothing => Ok(()),
                Incoming::Gone => break,
            },
        };
        if sent.is_err() {
            break;
        }
    }
    socket.close().await;
    app.ws_clients.fetch_sub(1, Ordering::Relaxed);
}

/// What is sent when an event comes, if it is one that SecureVision has.
pub(crate) fn message(number: u64, event: &Event) -> Option<String> {
    if !KINDS.contains(&event.kind) {
        return None;
    }
    let mut event = contract_event(number, event);
    event.created_at = None;
    Some(serde_json::to_string(&event).expect("an event is plain JSON"))
}

/// Whether somebody may see it all the same is for the caller to say.
fn contract_event(number: u64, event: &Event) -> ContractEvent {
    let ts_ms = event.started_at.as_millisecond();
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
        ts_ms,
        frame_source_id: source,
        created_at: Some(naive(created_us)),
        payload,
    }
}

/// What SecureVision's own programs have reported: source, when it was stored, payload.
fn own(event: &Event) -> Option<(String, i64, Value)> {
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
    Some((source, created, payload))
}

/// What Keepwatch has seen, in SecureVision's words.
fn payload(event: &Event) -> Value {
    let best = event
        .observations
        .iter()
        .max_by(|a, b| a.score.total_cmp(&b.score));
    let label = best.map_or("", |seen| &seen.label);
    let score = best.map_or(0.0, |seen| f64::from(seen.score));
    let details = event.details.as_deref();
    let detail = |name: &str| details.and_then(|details| details.get(name));
    let size =
        detail("picture").and_then(|size| Some((size.get(0)?.as_f64()?, size.get(1)?.as_f64()?)));
    // In pixels of the picture; without its size there are none.
    let bbox = best.and_then(|seen| seen.region).zip(size).map(|(region, (width, height))| {
        let (x, y) = (f64::from(region.x) * width, f64::from(region.y) * height);
        let (w, h) = (f64::from(region.w) * width, f64::from(region.h) * height);
        json!({ "x1": x.round(), "y1": y.round(), "x2": (x + w).round(), "y2": (y + h).round() })
    });
    let track = best.and_then(|seen| seen.track);
    let mut fields = Map::new();
    match event.kind {
        EventKind::FaceMatch => {
            let similarity = detail("similarity")
                .cloned()
                .unwrap_or_else(|| score.into());
            let quality = detail("quality").and_then(|quality| quality.get("score"));
            fields.insert("person_id".into(), label.into());
            fields.insert("similarity".into(), similarity);
            fields.insert("bbox".into(), bbox.unwrap_or_default());
            fields.insert(
                "detection_score".into(),
                quality.cloned().unwrap_or_default(),
            );
        }
        _ => {
            let raw = detail("text_raw").cloned().unwrap_or_else(|| label.into());
            let listed = match detail("verdict").and_then(Value::as_str) {
                Some("allow") => Value::from("whitelist"),
                Some("deny") => Value::from("blacklist"),
                _ => Value::Null,
            };
            fields.insert("text_raw".into(), raw);
            fields.insert("text_clean".into(), label.into());
            // In percent, as Tesseract has it.
            fields.insert("ocr_confidence".into(), (score * 100.0).into());
            fields.insert("detector_score".into(), score.into());
            fields.insert("matched_list".into(), listed);
            fields.insert("preprocessing_used".into(), "".into());
            fields.insert("bbox".into(), bbox.unwrap_or_default());
        }
    }
    fields.insert("track_id".into(), track.into());
    fields.insert("detector_metadata".into(), Value::Null);
    documented_names(event.kind, &mut fields);
    Value::Object(fields)
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
        }
    }
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
    use keepwatch_core::events::{EventId, Observation, Region};

    use super::*;

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
            let payload = given.payload;
            assert_eq!(
                (&payload["matched_list"], &payload["list_match"]),
                (&list, &list)
            );
            assert_eq!(payload["plate_text"], "AB12");
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
        assert_eq!(given.payload["bbox"]["x1"], 1);
        assert_eq!(given.payload["person_name"], "Ada");
    }

    #[test]
    fn other_events_are_not_sent() {
        assert!(message(1, &event(EventKind::Motion, "motion", Value::Null)).is_none());
        let text = message(1, &event(EventKind::FaceMatch, "Ada", json!({}))).expect("it is one");
        assert!(!text.contains("created_at"), "{text}");
    }
}
