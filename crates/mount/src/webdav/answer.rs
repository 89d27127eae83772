//! Answers, whole or as they come into being.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

/// Pieces that wait to be sent.
const PIECES: usize = 2;

/// What an answer says.
#[derive(Debug)]
pub(super) enum Content {
    Whole(Option<Bytes>),
    /// Pieces from a thread that may wait for the storage, and how many bytes are to come.
    Pieces {
        pieces: mpsc::Receiver<io::Result<Bytes>>,
        left: Option<u64>,
    },
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Content::Whole(content) => Poll::Ready(content.take().map(|all| Ok(Frame::data(all)))),
            Content::Pieces { pieces, left } => {
                let piece = std::task::ready!(pieces.poll_recv(context));
                if let (Some(left), Some(Ok(piece))) = (left, &piece) {
                    *left = left.saturating_sub(piece.len() as u64);
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, Bytes::len) as u64)
            }
            Content::Pieces { left, .. } => {
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

/// An answer, for what is made of it.
pub(super) type Answer = Response<Content>;

/// An answer with what each has.
pub(super) fn with(status: StatusCode, kind: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // A page in a backup must not run as ours, and see what else is here.
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A few words.
pub(super) fn says(status: StatusCode, words: &str) -> Answer {
    let content = Content::Whole(Some(format!("{words}\n").into()));
    with(status, "text/plain; charset=utf-8", content)
}

/// What makes an answer's pieces; it has given up when this says so.
pub(super) type Send<'a> = &'a mut dyn FnMut(io::Result<Bytes>) -> bool;

/// Content that `make` gives piece by piece, on a thread of its own.
pub(super) fn pieces(
    length: Option<u64>,
    make: impl FnOnce(Send<'_>) + std::marker::Send + 'static,
) -> Content {
    let (sender, pieces) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        make(&mut |piece| sender.blocking_send(piece).is_ok());
    });
    Content::Pieces {
        pieces,
        left: length,
    }
}
