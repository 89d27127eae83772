//! What cameras see, as they see it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use keepwatch_vision::Watch;
use keepwatch_vision::live::{Handed, LiveItem, Overlay, Picture, PictureOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cameras::width;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{Path, Query};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::router::group;
use crate::socket::{Gone, Incoming, Socket, bounded};

/// Frames that wait for a client; then it misses some, up to the next key frame.
const QUEUE: usize = 64;
/// Pictures that wait for one.
const PICTURES: usize = 2;
/// Closed with when there is no encoded video to be seen.
const NOT_HERE: u16 = 4403;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let both = OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(mjpeg));
    group(app, Needs::Permission(Permission::CamerasRead), both)
}

/// Puts items into a queue that never waits.
fn into(queue: Sender<LiveItem>) -> impl FnMut(LiveItem) -> Handed + Send + 'static {
    move |item| match queue.try_send(item) {
        Ok(()) => Handed::Taken,
        Err(TrySendError::Full(_)) => Handed::Full,
        Err(TrySendError::Closed(_)) => Handed::Gone,
    }
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct LiveAsked {
    /// 1 for what moves and what is followed as well.
    #[param(minimum = 0, maximum = 1)]
    overlay: u8,
}

/// Encoded video as it comes (WebSocket): docs/API.md describes the messages.
#[utoipa::path(get, path = "/api/v1/cameras/{name}/live", tag = "cameras",
    params(("name" = String, Path), LiveAsked),
    responses((status = 101, description = "messages of JSON and video")))]
async fn live(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    Query(asked): Query<LiveAsked>,
    upgrade: WebSocketUpgrade,
) -> Result<Response> {
    who.camera(&name)?;
    let watch = app.watch.clone();
    if watch.status_of(&name).is_none() {
        return Err(ApiError::not_found("Camera"));
    }
    let overlay = asked.overlay == 1;
    let patience = app.patience.message;
    Ok(bounded(upgrade).on_upgrade(move |socket| show(watch, name, overlay, socket, patience)))
}

async fn show(
    watch: Arc<Watch>,
    name: String,
    overlay: bool,
    socket: WebSocket,
    patience: Duration,
) {
    let mut socket = Socket::new(socket, patience);
    let (queue, mut items) = channel(QUEUE);
    let begun = watch
        .live(&name, into(queue.clone()))
        .and_then(|()| match overlay {
            true => watch.overlay(&name, into(queue)),
            false => Ok(()),
        });
    if begun.is_err() {
        return socket.close_with(NOT_HERE, "no encoded video").await;
    }
    loop {
        tokio::select! {
            item = items.recv() => match item {
                Some(item) => {
                    let last = matches!(item, LiveItem::Ended);
                    if send(&mut socket, item).await.is_err() || last {
                        break;
                    }
                }
                None => break,
            },
            incoming = socket.incoming() => if matches!(incoming, Incoming::Gone) {
                break;
            },
        }
    }
    socket.close().await;
}

async fn send(socket: &mut Socket, item: LiveItem) -> Result<(), Gone> {
    let message = match item {
        LiveItem::Stream {
            mime,
            init,
            width,
            height,
        } => {
            let about =
                json!({ "type": "stream", "mime": &*mime, "width": width, "height": height });
            socket.text(about.to_string().into()).await?;
            if !init.is_empty() {
                socket.binary(init).await?;
            }
            return Ok(());
        }
        LiveItem::Fragment(fragment) => return socket.binary(fragment.bytes).await,
        LiveItem::Picture(picture) => return socket.binary(picture.jpeg).await,
        LiveItem::Overlay(overlay) => overlay_message(&overlay),
        LiveItem::Dropped { frames } => json!({ "type": "dropped", "frames": frames }),
        LiveItem::Offline { reason } => json!({ "type": "offline", "reason": &*reason }),
        LiveItem::Ended => json!({ "type": "ended" }),
    };
    socket.text(message.to_string().into()).await
}

fn overlay_message(overlay: &Overlay) -> Value {
    let tracks = overlay.tracks.iter().map(|track| {
        json!({
            "track": track.track,
            "label": track.label,
            "score": track.score,
            "region": track.region,
        })
    });
    json!({
        "type": "overlay",
        "at": overlay.wall,
        "pts_ms": overlay.pts.as_millis() as u64,
        "moving": overlay.moving,
        "tracks": tracks.collect::<Vec<_>>(),
    })
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct MjpegAsked {
    /// At most so wide, in pixels.
    #[param(minimum = 16, maximum = 3840, default = 1280)]
    width: Option<u16>,
    /// At most so many pictures a second.
    #[param(minimum = 0.1, maximum = 15, default = 5)]
    fps: Option<f32>,
}

/// Pictures one after the other (`multipart/x-mixed-replace`). What privacy masks hide is black.
#[utoipa::path(get, path = "/api/v1/cameras/{name}/mjpeg", tag = "cameras",
    params(("name" = String, Path), MjpegAsked),
    responses((status = 200, content_type = "multipart/x-mixed-replace", body = Vec<u8>)))]
async fn mjpeg(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    Query(asked): Query<MjpegAsked>,
) -> Result<Response> {
    who.camera(&name)?;
    let fps = asked.fps.unwrap_or(5.0);
    if !(0.1..=15.0).contains(&fps) {
        return Err(ApiError::value("query", "fps", "it must be 0.1 to 15"));
    }
    let options = PictureOptions {
        max_width: width(asked.width)?,
        fps,
    };
    let (queue, pictures) = channel(PICTURES);
    app.watch.pictures(&name, options, into(queue))?;
    let parts = futures_util::stream::unfold(pictures, next_part);
    let content_type = [(
        header::CONTENT_TYPE,
        "multipart/x-mixed-replace; boundary=picture",
    )];
    Ok((content_type, Body::from_stream(parts)).into_response())
}

async fn next_part(
    mut pictures: Receiver<LiveItem>,
) -> Option<(Result<Bytes, Infallible>, Receiver<LiveItem>)> {
    loop {
        match pictures.recv().await? {
            LiveItem::Picture(picture) => return Some((Ok(part(&picture)), pictures)),
            LiveItem::Ended => return None,
            _ => {}
        }
    }
}

/// A picture as a part of the stream.
fn part(picture: &Picture) -> Bytes {
    let head = format!(
        "--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        picture.jpeg.len()
    );
    let mut part = Vec::with_capacity(head.len() + picture.jpeg.len() + 2);
    part.extend_from_slice(head.as_bytes());
    part.extend_from_slice(&picture.jpeg);
    part.extend_from_slice(b"\r\n");
    part.into()
}
