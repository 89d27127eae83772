//! New events as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use keepwatch_core::events::EventKind;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, Result};
use crate::event_view::KindView;
use crate::extract::Query;
use crate::feed::{Listener, Told};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::router::group;
use crate::socket::{Incoming, Socket, bounded};

/// What keeps proxies from ending a connection that nothing comes through.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let both = OpenApiRouter::new()
        .routes(routes!(stream))
        .routes(routes!(socket));
    group(app, Needs::Permission(Permission::EventsRead), both)
}

/// Which events, and since when.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// What came after this number is sent first.
    after: Option<u64>,
    /// Of these cameras; may be repeated.
    camera: Vec<String>,
    /// Of these kinds; may be repeated.
    #[param(value_type = Vec<KindView>)]
    kind: Vec<EventKind>,
}

/// Somebody who listens to some of it.
struct Following {
    app: Arc<App>,
    who: Who,
    asked: Asked,
    listener: Listener,
}

impl Following {
    fn new(app: Arc<App>, who: Who, asked: Asked) -> Self {
        let listener = app.feed.listen(asked.after);
        Self {
            app,
            who,
            asked,
            listener,
        }
    }

    /// The next state of an event; none when it is over.
    async fn next(&mut self) -> Option<Arc<Told>> {
        loop {
            let told = self.listener.next(&self.app, &self.who).await.ok()??;
            let Asked { camera, kind, .. } = &self.asked;
            let camera = camera.is_empty() || camera.contains(&told.camera);
            if camera && (kind.is_empty() || kind.contains(&told.kind)) {
                return Some(told);
            }
        }
    }
}

/// The number up to which a client that connects again has heard everything.
pub(crate) fn last_heard(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(last) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = last.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| ApiError::value("header", "Last-Event-ID", "it is no number"))
}

/// New events as Server-Sent Events (HTML, section 9.2): `event: event`, `id:` its number, `data:` the
/// event. A client that connects again sends `Last-Event-ID`, and misses nothing.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events", params(Asked),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn stream(
    State(app): State<Arc<App>>,
    who: Who,
    headers: HeaderMap,
    Query(mut asked): Query<Asked>,
) -> Result<Response> {
    asked.after = last_heard(&headers)?.or(asked.after);
    let following = Following::new(app, who, asked);
    let events = futures_util::stream::unfold(following, |mut following| async {
        let told = following.next().await?;
        let event = SseEvent::default()
            .event("event")
            .id(told.number.to_string())
            .data(told.json.as_str());
        Some((Ok::<_, Infallible>(event), following))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// New events by WebSocket: `{"type": "event", "event": …}`.
#[utoipa::path(get, path = "/api/v1/events/ws", tag = "events", params(Asked),
    responses((status = 101, description = "messages of JSON")))]
async fn socket(
    State(app): State<Arc<App>>,
    who: Who,
    Query(asked): Query<Asked>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let following = Following::new(app, who, asked);
    bounded(upgrade).on_upgrade(|socket| send(following, socket))
}

async fn send(mut following: Following, socket: WebSocket) {
    let mut socket = Socket::new(socket, following.app.patience.message);
    loop {
        let sent = tokio::select! {
            told = following.next() => match told {
                Some(told) => {
                    let message = format!("{{\"type\":\"event\",\"event\":{}}}", told.json);
                    socket.text(message.into()).await
                }
                None => break,
            },
            incoming = socket.incoming() => match incoming {
                Incoming::Text(_) | Incoming::Nothing => Ok(()),
                Incoming::Gone => break,
            },
        };
        if sent.is_err() {
            break;
        }
    }
    socket.close().await;
}
