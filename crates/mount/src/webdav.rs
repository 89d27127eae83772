//! The tree over HTTP: WebDAV (RFC 4918, class 1, only reading) and pages for browsers.
//!
//! It has no users and no encryption. So it listens at addresses of this machine alone, answers
//! only who calls it by such a name (a page elsewhere whose name suddenly means 127.0.0.1 does
//! not), and what it shows lies below a path that nobody can guess.

mod answer;
mod content;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod page;
mod path;
mod range;
mod request;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::tree::Tree;

/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(30);
/// How long a connection may go on when all is to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What answers requests.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tree: Arc<Tree>,
    port: u16,
    /// What paths begin with: empty, or one component.
    secret: String,
}

impl Server {
    /// Listens at a loopback address. `secret`, if not empty, is what all paths begin with: on a
    /// machine with several users, those who do not know it see nothing. It has letters and digits
    /// only.
    ///
    /// # Errors
    /// [`Error::NotLoopback`], and an address that is in use.
    pub fn bind(tree: Arc<Tree>, address: SocketAddr, secret: String) -> Result<Self> {
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback(address));
        }
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            shared: Arc::new(Shared {
                tree,
                port: address.port(),
                secret,
            }),
        })
    }

    /// Where it is, for browsers and programs.
    pub fn url(&self) -> String {
        match self.shared.secret.as_str() {
            "" => format!("http://{}/", self.address),
            secret => format!("http://{}/{secret}/", self.address),
        }
    }

    /// Answers until `stop` is done. To be called within a runtime of tokio.
    ///
    /// # Errors
    /// When it cannot listen any more.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<()> {
        let failed = |source| Error::Listen {
            address: self.address,
            source,
        };
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(failed)?;
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut stop = pin!(stop);
        loop {
            let permit = tokio::select! {
                () = &mut stop => break,
                permit = room.clone().acquire_owned() => permit,
            };
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, mostly: it passes, but not at once.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let shared = self.shared.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let shared = shared.clone();
                    async move { Ok::<_, Infallible>(request::answer(&shared, request).await) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(permit);
            });
        }
        drop(listener);
        // Short answers are finished, long ones are cut off when the runtime ends.
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(PATIENCE, room.acquire_many(all)).await;
        Ok(())
    }
}
