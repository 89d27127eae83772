//! SecureVision's API, in full: its routes, fields, status codes and errors.
//!
//! What its documents call otherwise than its program does is there under both names: its documented
//! clients read `person_name` and `plate_text`, its own ones `person_id` and `text_clean`.

mod event;
mod numbers;

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
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::event::{ContractEvent, contract_event};
pub(crate) use self::numbers::Numbers;
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
            let numbers = app.numbers.of(&app.store, &ids)?;
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
