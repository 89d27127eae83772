//! Cameras: how they are doing, and which there are.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use keepwatch_core::events::{EventId, EventKind};
use keepwatch_vision::{CameraSettings, CameraStatus, Codec, State as Doing};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::audit::Audit;
use crate::cameras::Place;
use crate::error::{ApiError, Result};
use crate::event_view::KindView;
use crate::extract::{Json, Path, Query};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::router::group;

/// Pictures are made this wide if it is not said, and no wider than this.
const WIDTH: u16 = 1280;
const MAX_WIDTH: u16 = 3840;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(snapshot));
    let write = OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(change, remove));
    group(app, Needs::Permission(Permission::CamerasRead), read).merge(group(
        app,
        Needs::Permission(Permission::CamerasWrite),
        write,
    ))
}

#[derive(Serialize, ToSchema)]
struct CameraList {
    cameras: Vec<CameraView>,
}

/// A camera, and how it is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = Camera)]
struct CameraView {
    name: String,
    /// Without credentials.
    url: String,
    state: StateView,
    /// Since when it is offline.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Why it is offline, or ended.
    reason: Option<String>,
    #[schema(value_type = Option<String>)]
    codec: Option<Codec>,
    width: u32,
    height: u32,
    fps_in: f32,
    frames: u64,
    bytes: u64,
    decoded: u64,
    analysed: u64,
    dropped: u64,
    reconnects: u64,
    /// Whether something moves.
    moving: bool,
    /// Recordings that are being written.
    recording: usize,
    last_event: Option<LastEventView>,
    from: FromView,
    /// Whether the encoded video may be seen: not with privacy masks, which are not in it.
    live: bool,
    /// As in `[cameras.NAME]` of the configuration, without credentials; of one camera only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    settings: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CameraState)]
enum StateView {
    Connecting,
    Live,
    Offline,
    Ended,
}

/// Where the settings of a camera are from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CameraFrom)]
enum FromView {
    /// The configuration file.
    File,
    /// They were added here.
    Store,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LastEvent)]
struct LastEventView {
    #[schema(value_type = String, format = Uuid)]
    id: EventId,
    #[schema(value_type = KindView)]
    kind: EventKind,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl CameraView {
    fn new(name: &str, settings: &CameraSettings, place: Place, status: CameraStatus) -> Self {
        let (state, since, reason) = match status.state {
            Doing::Live => (StateView::Live, None, None),
            Doing::Offline { since, reason } => (StateView::Offline, Some(since), Some(reason)),
            Doing::Ended { problem } => (StateView::Ended, None, problem),
            _ => (StateView::Connecting, None, None),
        };
        Self {
            name: name.to_owned(),
            url: shown_url(settings),
            state,
            since,
            reason,
            codec: status.codec,
            width: status.width,
            height: status.height,
            fps_in: status.fps_in,
            frames: status.frames,
            bytes: status.bytes,
            decoded: status.decoded,
            analysed: status.analysed,
            dropped: status.dropped,
            reconnects: status.reconnects,
            moving: status.moving,
            recording: status.recording,
            last_event: status.last_event.map(|last| LastEventView {
                id: last.id,
                kind: last.kind,
                at: last.at,
            }),
            from: match place {
                Place::File => FromView::File,
                Place::Store => FromView::Store,
            },
            live: settings.privacy_masks.is_empty(),
            settings: None,
        }
    }

    fn with_settings(mut self, settings: &CameraSettings) -> Self {
        let mut value = serde_json::to_value(settings).expect("settings are plain");
        value["url"] = self.url.clone().into();
        // Where certificates are is a path of the server.
        if let Some(tls) = value.get_mut("tls").and_then(Value::as_object_mut)
            && let Some(path) = tls.get_mut("ca_file")
        {
            *path = "…".into();
        }
        self.settings = Some(value);
        self
    }
}

/// The address; of a file or device, which are paths of the server, only the last name.
fn shown_url(settings: &CameraSettings) -> String {
    use keepwatch_vision::Scheme;
    let shown = settings.url.to_string();
    match settings.url.scheme() {
        Scheme::File => {
            let name = shown.rsplit('/').next().unwrap_or_default();
            format!("file:…/{name}")
        }
        _ => shown,
    }
}

fn view(app: &App, name: &str) -> Result<CameraView> {
    let (settings, place) = app
        .cameras
        .get(name)
        .ok_or_else(|| ApiError::not_found("Camera"))?;
    let status = app.watch.status_of(name).unwrap_or_default();
    Ok(CameraView::new(name, &settings, place, status).with_settings(&settings))
}

/// The cameras, and how each is doing.
#[utoipa::path(get, path = "/api/v1/cameras", tag = "cameras", responses((status = 200, body = CameraList)))]
async fn list(State(app): State<Arc<App>>, who: Who) -> Reply<CameraList> {
    let mut cameras = Vec::new();
    for (name, (settings, place)) in app.cameras.all() {
        if who.sees(&name) {
            let status = app.watch.status_of(&name).unwrap_or_default();
            cameras.push(CameraView::new(&name, &settings, place, status));
        }
    }
    Reply(CameraList { cameras })
}

/// One camera, with its settings.
#[utoipa::path(get, path = "/api/v1/cameras/{name}", tag = "cameras", params(("name" = String, Path)),
    responses((status = 200, body = CameraView)))]
async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Reply<CameraView>> {
    who.camera(&name)?;
    view(&app, &name).map(Reply)
}

/// A camera to add: `name`, `url`, perhaps `user` and `password`, and other settings.
#[derive(Deserialize, ToSchema)]
struct NewCamera {
    name: String,
    /// The rest, as in `[cameras.NAME]` of the configuration.
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// Adds a camera. Its settings are kept encrypted in the event store.
#[utoipa::path(post, path = "/api/v1/cameras", tag = "cameras", request_body = NewCamera,
    responses((status = 201, body = CameraView)))]
async fn add(
    State(app): State<Arc<App>>,
    who: Who,
    Json(asked): Json<NewCamera>,
) -> Result<(StatusCode, Reply<CameraView>)> {
    who.camera(&asked.name)?;
    let added = app
        .blocking(move |app| {
            app.cameras
                .add(&asked.name, Value::Object(asked.settings))?;
            let view = view(app, &asked.name)?;
            let detail = json!({ "camera": view.name, "url": view.url });
            app.audit(&who.name, Audit::CameraAdded, detail)?;
            Ok(view)
        })
        .await?;
    Ok((StatusCode::CREATED, Reply(added)))
}

/// Changes settings of a camera by a merge patch (RFC 7396).
#[utoipa::path(patch, path = "/api/v1/cameras/{name}", tag = "cameras", params(("name" = String, Path)),
    request_body = Object, responses((status = 200, body = CameraView)))]
async fn change(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Reply<CameraView>> {
    who.camera(&name)?;
    let changed = app
        .blocking(move |app| {
            // Names of settings, and not what they are: a password may be among them.
            let names: Vec<String> = patch.keys().cloned().collect();
            app.cameras.change(&name, &Value::Object(patch))?;
            let detail = json!({ "camera": name, "settings": names });
            app.audit(&who.name, Audit::CameraChanged, detail)?;
            view(app, &name)
        })
        .await?;
    Ok(Reply(changed))
}

/// Removes a camera that was added here.
#[utoipa::path(delete, path = "/api/v1/cameras/{name}", tag = "cameras", params(("name" = String, Path)),
    responses((status = 204)))]
async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<StatusCode> {
    who.camera(&name)?;
    app.blocking(move |app| {
        app.cameras.remove(&name)?;
        app.audit(&who.name, Audit::CameraRemoved, json!({ "camera": name }))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Width {
    /// At most so wide, in pixels.
    #[param(minimum = 16, maximum = 3840, default = 1280)]
    width: Option<u16>,
}

/// A width within bounds.
pub(super) fn width(asked: Option<u16>) -> Result<u16> {
    let width = asked.unwrap_or(WIDTH);
    match (16..=MAX_WIDTH).contains(&width) {
        true => Ok(width),
        false => Err(ApiError::value("query", "width", "it must be 16 to 3840")),
    }
}

/// The latest picture of a camera. What privacy masks hide is black.
#[utoipa::path(get, path = "/api/v1/cameras/{name}/snapshot", tag = "cameras",
    params(("name" = String, Path), Width),
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>)))]
async fn snapshot(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    Query(asked): Query<Width>,
) -> Result<Response> {
    who.camera(&name)?;
    let width = width(asked.width)?;
    let picture = app
        .blocking(move |app| Ok(app.watch.picture(&name, width)?))
        .await?;
    let picture = picture.ok_or_else(|| ApiError::not_found("Picture"))?;
    let taken = picture.at.to_string();
    Ok((
        [
            (header::CONTENT_TYPE, "image/jpeg"),
            (header::HeaderName::from_static("x-taken-at"), &*taken),
        ],
        picture.jpeg,
    )
        .into_response())
}
