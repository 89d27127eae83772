//! Pictures, clips, continuous recording and evidence.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use keepwatch_core::events::{EventFilter, EventId, Segment};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::{find, limit};
use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Path, Query, TimeAsked, time};
use crate::login::{Needs, Who};
use crate::media::{read_all, serve};
use crate::permission::Permission;
use crate::pipe::pipe;
use crate::router::group;

/// No picture of an event is larger.
const MAX_PICTURE: u64 = 32 << 20;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new()
        .routes(routes!(snapshot))
        .routes(routes!(clip))
        .routes(routes!(segments))
        .routes(routes!(video));
    let export = OpenApiRouter::new().routes(routes!(bundle));
    group(app, Needs::Permission(Permission::EventsRead), read).merge(group(
        app,
        Needs::Permission(Permission::EventsExport),
        export,
    ))
}

/// The picture of an event.
#[utoipa::path(get, path = "/api/v1/events/{id}/snapshot", tag = "events",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>)))]
async fn snapshot(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response> {
    let jpeg = app
        .blocking(move |app| {
            let event = find(app, &who, &id)?;
            let media = event
                .snapshot
                .ok_or_else(|| ApiError::not_found("Picture"))?;
            read_all(&mut app.open_media(&media)?, MAX_PICTURE)
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

/// The recording of an event, or a range of its bytes.
#[utoipa::path(get, path = "/api/v1/events/{id}/clip", tag = "events",
    params(("id" = String, Path, format = Uuid)),
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>),
        (status = 206, content_type = "video/mp4", body = Vec<u8>),
    ))]
async fn clip(
    State(app): State<Arc<App>>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response> {
    // A player asks for many ranges: that somebody has begun to look is enough to write down.
    let begins = headers
        .get(header::RANGE)
        .is_none_or(|range| range.as_bytes().starts_with(b"bytes=0-"));
    let reader = app
        .blocking(move |app| {
            let event = find(app, &who, &id)?;
            let media = event.clip.ok_or_else(|| ApiError::not_found("Clip"))?;
            let reader = app.open_media(&media)?;
            if begins {
                let detail = json!({ "event": event.id, "camera": event.camera });
                app.audit(&who.name, Audit::ClipSeen, detail)?;
            }
            Ok(reader)
        })
        .await?;
    serve(&app, reader, &headers, "video/mp4").await
}

/// The evidence of an event, signed: for `keepwatch evidence verify`.
#[utoipa::path(get, path = "/api/v1/events/{id}/bundle", tag = "events",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
async fn bundle(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Response> {
    let event = app
        .blocking(move |app| {
            let event = find(app, &who, &id)?;
            let detail = json!({ "event": event.id, "camera": event.camera });
            app.audit(&who.name, Audit::EvidenceExported, detail)?;
            Ok(event)
        })
        .await?;
    let id = event.id;
    let body = pipe(&app, move |app, out| app.write_bundle(&event, out)).await?;
    let name = format!("attachment; filename=\"keepwatch-{id}.kwev\"");
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&name).expect("an id is a good value"),
        ),
    ];
    Ok((headers, body).into_response())
}

/// Which stretches of continuous recording.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Of these cameras; may be repeated.
    camera: Vec<String>,
    /// That began at this time or later.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<TimeAsked>, inline)]
    since: Option<Timestamp>,
    /// That began before this time.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<TimeAsked>, inline)]
    until: Option<Timestamp>,
    /// What `next` of the page before says.
    #[param(value_type = Option<String>, format = Uuid)]
    after: Option<EventId>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// A page of stretches of continuous recording.
#[derive(Serialize, ToSchema)]
struct Segments {
    segments: Vec<SegmentView>,
    /// `after` of the next page; null at the end.
    #[schema(value_type = Option<String>, format = Uuid)]
    next: Option<EventId>,
}

/// A stretch of continuous recording.
#[derive(Serialize, ToSchema)]
#[schema(as = Segment)]
struct SegmentView {
    #[schema(value_type = String, format = Uuid)]
    id: EventId,
    camera: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    ended_at: Timestamp,
    /// Its size as it is stored.
    bytes: u64,
}

impl From<Segment> for SegmentView {
    fn from(segment: Segment) -> Self {
        Self {
            id: segment.id,
            camera: segment.camera,
            started_at: segment.media.started_at,
            ended_at: segment.ended_at,
            bytes: segment.media.bytes,
        }
    }
}

/// Continuous recording, newest first.
#[utoipa::path(get, path = "/api/v1/segments", tag = "events", params(Asked),
    responses((status = 200, body = Segments)))]
async fn segments(
    State(app): State<Arc<App>>,
    who: Who,
    Query(asked): Query<Asked>,
) -> Result<Reply<Segments>> {
    let limit = limit(asked.limit, 100)?;
    let mut filter = EventFilter {
        cameras: asked.camera,
        since: asked.since,
        until: asked.until,
        after: asked.after,
        limit: Some(limit + 1),
        ..EventFilter::default()
    };
    let mut segments = match who.narrow(&mut filter) {
        true => {
            app.blocking(move |app| Ok(app.store.list_segments(&filter)?))
                .await?
        }
        false => Vec::new(),
    };
    let more = segments.len() > limit;
    segments.truncate(limit);
    let next = segments.last().filter(|_| more).map(|segment| segment.id);
    let segments = segments.into_iter().map(SegmentView::from).collect();
    Ok(Reply(Segments { segments, next }))
}

/// A stretch of continuous recording, or a range of its bytes.
#[utoipa::path(get, path = "/api/v1/segments/{id}/video", tag = "events",
    params(("id" = String, Path, format = Uuid)),
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>),
        (status = 206, content_type = "video/mp4", body = Vec<u8>),
    ))]
async fn video(
    State(app): State<Arc<App>>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response> {
    let reader = app
        .blocking(move |app| {
            let missing = || ApiError::not_found("Segment");
            let id: EventId = id.parse().map_err(|_| missing())?;
            let segment = app
                .store
                .get_segment(id)?
                .filter(|segment| who.sees(&segment.camera));
            let segment = segment.ok_or_else(missing)?;
            app.open_media(&segment.media)
        })
        .await?;
    serve(&app, reader, &headers, "video/mp4").await
}
