//! The dashboard: files that are part of the program.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::app::App;
use crate::error::ApiError;

include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// A file of the dashboard.
struct Asset {
    path: &'static str,
    bytes: &'static [u8],
    /// Of its content: the same as long as that is.
    etag: &'static str,
}

/// The routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui/", get(|headers: HeaderMap| async move { serve("index.html", &headers) }))
        .route("/ui/{*path}", get(|Path(path): Path<String>, headers: HeaderMap| async move { serve(&path, &headers) }))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/ui/favicon.svg") }))
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        return ApiError::new(StatusCode::NOT_FOUND, "Not Found").into_response();
    };
    let known = headers.get(header::IF_NONE_MATCH);
    let shared = [
        (header::ETAG, asset.etag),
        // Asked for each time, and mostly not sent: another version counts at once.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    if known.is_some_and(|known| known.as_bytes() == asset.etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    let content_type = (header::CONTENT_TYPE, content_type(asset.path));
    (shared, [content_type], asset.bytes).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("webmanifest") => "application/manifest+json",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type() {
        assert!(ASSETS.iter().any(|asset| asset.path == "index.html"));
        for asset in ASSETS {
            assert_ne!(
                content_type(asset.path),
                "application/octet-stream",
                "{}",
                asset.path
            );
            assert!(!asset.path.contains("test"), "{}", asset.path);
        }
    }
}
