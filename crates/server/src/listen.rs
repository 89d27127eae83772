//! Connections: as many as there may be, none for ever.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::limits::Connections;
use crate::login::Peer;

/// The head of a request has to come within this time (slowloris), and so has the next one.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// A client that takes nothing of an answer for so long is gone.
const STALLED: Duration = Duration::from_secs(30);
/// The handshake of TLS has to be done within this time.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
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
    mut stop: Receiver<bool>,
) {
    let served = tokio_util::task::TaskTracker::new();
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
        served.spawn(async move {
            let _held = held;
            if let Err(error) = connection(stream, peer, tls, router, stop).await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }
    served.close();
    served.wait().await;
}

/// Waits until it is told to stop.
async fn told(stop: &mut Receiver<bool>) {
    // Whoever tells is gone: that means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: Receiver<bool>,
) -> io::Result<()> {
    // Small messages are to come at once.
    stream.set_nodelay(true)?;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    match tls {
        None => speak(Box::pin(stream), peer, router, stop).await,
        Some(tls) => {
            let handshake = timeout(HANDSHAKE_WITHIN, tls.accept(Box::pin(stream)));
            let stream = handshake.await.map_err(|_| io::ErrorKind::TimedOut)??;
            speak(stream, peer, router, stop).await
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    mut stop: Receiver<bool>,
) -> io::Result<()> {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
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
