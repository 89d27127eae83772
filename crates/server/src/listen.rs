//! Connections: as many as there may be, none for ever.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::limits::Connections;
use crate::login::Peer;
use crate::server::Patience;
use crate::stream::{Counted, Open};

/// The largest head of a request, in bytes, and the most headers in it.
const MAX_HEAD: usize = 32 << 10;
const MAX_HEADERS: usize = 64;
/// The largest body, in bytes, of a request that may be refused on a connection that goes on. What
/// is unread of a larger one is not waited for, and nobody is to send the next request after it.
const SMALL_BODY: u64 = 16 << 10;
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

fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
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
    let stream = Counted::new(Box::pin(stream), open, patience.farewell);
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
        let length = request.body().size_hint().upper();
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let mut answer = answer.await?;
            if length.is_none_or(|length| length > SMALL_BODY) && is_refusal(answer.status()) {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(answer)
        }
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
