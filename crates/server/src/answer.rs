//! What every request goes through, and every answer carries.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use keepwatch_core::crypto::random_bytes;
use tracing::Instrument;

use crate::app::App;
use crate::error::ApiError;
use crate::login::{Address, Peer};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing but what the server itself has.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; \
     manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
];

/// Numbers the request, counts it, bounds it in time, logs it, and puts on the answer what keeps
/// browsers safe.
pub(crate) async fn frame(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = random_bytes::<8>().map(hex::encode).unwrap_or_default();
    let peer = request.extensions().get::<Peer>().copied();
    let peer = peer.map_or(([0, 0, 0, 0], 0).into(), |peer| peer.0);
    let address = Address::of(&app, peer, request.headers());
    request.extensions_mut().insert(address);
    let method = request.method().clone();
    // Of the path only what the route says: what is in its places may be the name of a person.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id, %method, route, address = %address.0);
    let mut response = async {
        if let Err(error) = app.limits.address(address.0) {
            return error.into_response();
        }
        match tokio::time::timeout(app.patience.answer, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                ApiError::new(StatusCode::REQUEST_TIMEOUT, "it took too long").into_response()
            }
        }
    }
    .instrument(span.clone())
    .await;
    let took = started.elapsed();
    let status = response.status();
    app.metrics.request(&method, &route, status, took);
    span.in_scope(|| {
        tracing::info!(
            status = status.as_u16(),
            ms = took.as_millis() as u64,
            "answered"
        );
    });
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.config().server.encrypts() {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    keep_from_caches(headers);
    response
}

/// What somebody was let in to see is no matter of caches, unless it is said.
fn keep_from_caches(headers: &mut HeaderMap) {
    let default = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(default);
}

/// What is not there.
pub(crate) async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Not Found")
}

/// What is there, and not with this method.
pub(crate) async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}
