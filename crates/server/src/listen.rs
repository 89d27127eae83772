//! Connections: as many as there may be, none for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt as _;

use crate::limits::{Connections, Held};
use crate::login::Peer;
use crate::server::Patience;

/// The largest head of a request, in bytes, and the most headers in it.
const MAX_HEAD: usize = 32 << 10;
const MAX_HEADERS: usize = 64;
/// When the system gives no connection: how long to wait before asking for the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until it is told to stop, and then waits for those that are there.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    connections: Connections,
    patience: Patience,
    mut stop: Receiver<bool>,
) {
    let served = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, mostly: others will end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(held) = connections.take(peer.ip().to_canonical()) else {
            tracing::debug!(%peer, "too many connections");
            continue;
        };
        let (router, tls, stop) = (router.clone(), tls.clone(), stop.clone());
        let open = (held, served.token());
        tokio::spawn(async move {
            let answered = connection(stream, open, peer, tls, router, patience, stop);
            if let Err(error) = answered.await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }
    served.close();
    served.wait().await;
}

/// A stream that counts as a connection, and is waited for at the end, for as long as it is open:
/// HTTP gives it away when it becomes a WebSocket.
struct Counted<S> {
    stream: S,
    _open: Open,
}

type Open = (Held, TaskTrackerToken);

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Waits until it is told to stop.
async fn told(stop: &mut Receiver<bool>) {
    // Whoever tells is gone: that means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    open: Open,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    patience: Patience,
    stop: Receiver<bool>,
) -> io::Result<()> {
    // Small messages are to come at once.
    stream.set_nodelay(true)?;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience.stalled));
    let stream = Counted {
        stream: Box::pin(stream),
        _open: open,
    };
    match tls {
        None => speak(stream, peer, router, patience, stop).await,
        Some(tls) => {
            let handshake = timeout(patience.handshake, tls.accept(stream));
            let stream = handshake.await.map_err(|_| io::ErrorKind::TimedOut)??;
            speak(stream, peer, router, patience, stop).await
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    mut stop: Receiver<bool>,
) -> io::Result<()> {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = told(&mut stop) => {
            // What is being answered is answered.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    done.map_err(io::Error::other)
}
