//! HTTP for OpenDAL: bandwidth limits, and an end to requests in which nothing moves.
//!
//! A deadline for a whole request would have to allow for the largest object on the slowest line.
//! What is watched instead is progress: when no byte went either way for [`Limits::stall`], the
//! request is given up and counts as a fault that may pass. Bytes that the system has taken and not
//! yet sent look the same on a slow line and on a dead one: they get time here, and a dead line is
//! told by TCP, which knows what has arrived.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use tokio::time::{Instant, Sleep};

use crate::moved::Moved;
use crate::pace::{PIECE, Pace};
use crate::stop::Stop;

/// What goes over one storage's connections.
#[derive(Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    stall: Duration,
    upload: Option<Arc<Pace>>,
    download: Option<Arc<Pace>>,
    stop: Stop,
}

impl Transport {
    pub fn new(
        client: reqwest::Client,
        stall: Duration,
        upload: Option<Arc<Pace>>,
        download: Option<Arc<Pace>>,
        stop: Stop,
    ) -> Self {
        Self {
            client,
            stall,
            upload,
            download,
            stop,
        }
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let (parts, body) = request.into_parts();
        let url = reqwest::Url::parse(&parts.uri.to_string())
            .map_err(|error| Error::new(ErrorKind::Unexpected, "the address").set_source(error))?;
        let head = parts.method == http::Method::HEAD;
        let moved = Moved::now();
        let mut building = self
            .client
            .request(parts.method, url)
            .headers(parts.headers)
            .version(parts.version);
        if !body.is_empty() {
            building = building.body(reqwest::Body::wrap(Upload {
                left: body,
                piece: Bytes::new(),
                pace: self.upload.clone(),
                waiting: None,
                moved: moved.clone(),
            }));
        }
        let sending = building.send();
        let response = tokio::select! {
            response = sending => response.map_err(|error| failed("send a request", error))?,
            () = moved.stalled(self.stall, &self.stop) => {
                return Err(stalled(self.stall));
            }
        };
        if response.status() == http::StatusCode::UNAUTHORIZED {
            // Some services take it for something unexpected.
            let text = "it does not know who asks";
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        let mut answer = Response::builder()
            .status(response.status())
            .version(response.version())
            .extension(parts.uri);
        if let Some(headers) = answer.headers_mut() {
            headers.clone_from(response.headers());
        }
        // The length of an answer to HEAD is that of a body which does not come.
        let length = match head {
            true => None,
            false => response.content_length(),
        };
        // What was asked has arrived: none of it is unsent.
        let moved = Moved::now();
        let quiet = {
            let (moved, stall, stop) = (moved.clone(), self.stall, self.stop.clone());
            async move { moved.stalled(stall, &stop).await }
        };
        let body = Download {
            inner: Box::pin(response.bytes_stream()),
            pace: self.download.clone(),
            waiting: None,
            quiet: Box::pin(quiet),
            moved,
            stall: self.stall,
        };
        answer
            .body(HttpBody::new(body, length))
            .map_err(|error| Error::new(ErrorKind::Unexpected, "an answer").set_source(error))
    }
}

fn failed(what: &'static str, error: reqwest::Error) -> Error {
    // All of it can pass: what is wrong with the request itself was found before it was sent. The
    // address is in the error's context already, without what is secret in it.
    Error::new(ErrorKind::Unexpected, format!("cannot {what}"))
        .set_temporary()
        .set_source(error.without_url())
}

fn stalled(after: Duration) -> Error {
    let text = format!("nothing moved for {} s", after.as_secs_f64());
    Error::new(ErrorKind::Unexpected, text).set_temporary()
}

/// A request's body, handed out in pieces when they may go.
struct Upload {
    left: Buffer,
    piece: Bytes,
    pace: Option<Arc<Pace>>,
    waiting: Option<Pin<Box<Sleep>>>,
    moved: Moved,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(waiting) = &mut this.waiting {
            std::task::ready!(waiting.as_mut().poll(context));
            this.waiting = None;
            this.moved.hand_over(this.piece.len(), Instant::now());
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.piece)))));
        }
        if this.piece.is_empty() {
            match this.left.next() {
                Some(bytes) => this.piece = bytes,
                None => return Poll::Ready(None),
            }
        }
        let now = Instant::now();
        let Some(pace) = &this.pace else {
            // Pieces even so: each is a sign of life, and what was handed over is not yet sent.
            let piece = this.piece.split_to(this.piece.len().min(16 * PIECE));
            this.moved.hand_over(piece.len(), now);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        };
        let rest = this.piece.split_off(this.piece.len().min(PIECE));
        let start = pace.reserve(this.piece.len(), now);
        if !rest.is_empty() {
            let mut left = vec![rest];
            left.extend(std::mem::take(&mut this.left));
            this.left = Buffer::from(left);
        }
        // Whoever waits for the line's sake is not stalled.
        this.moved.touch(start);
        this.waiting = Some(Box::pin(tokio::time::sleep_until(start)));
        self.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.piece.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.left.len() + self.piece.len()) as u64)
    }
}

/// An answer's body, taken no faster than it may come.
struct Download {
    inner: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send + Sync>>,
    pace: Option<Arc<Pace>>,
    waiting: Option<Pin<Box<Sleep>>>,
    moved: Moved,
    quiet: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    stall: Duration,
}

impl Stream for Download {
    type Item = opendal::Result<Buffer>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<opendal::Result<Buffer>>> {
        let this = &mut *self;
        if let Some(waiting) = &mut this.waiting {
            std::task::ready!(waiting.as_mut().poll(context));
            this.waiting = None;
            this.moved.touch(Instant::now());
        }
        match this.inner.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                let now = Instant::now();
                if let Some(pace) = &this.pace {
                    pace.reserve(bytes.len(), now);
                    let next = pace.reserve(0, now);
                    this.waiting = Some(Box::pin(tokio::time::sleep_until(next)));
                }
                this.moved.touch(now);
                Poll::Ready(Some(Ok(Buffer::from(bytes))))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(failed("read an answer", error))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match this.quiet.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(stalled(this.stall)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
