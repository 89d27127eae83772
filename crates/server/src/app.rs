//! What all requests have in common.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use keepwatch_config::{Authentication, Config, MetricsAccess};
use keepwatch_core::crypto::Credential;
use keepwatch_core::events::{Event, MediaReader, MediaRef, Store};
use keepwatch_vision::Watch;
use tokio::sync::watch::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::accounts::{Accounts, Clock, Secret};
use crate::audit::Audit;
use crate::cameras::Cameras;
use crate::contract::Numbers;
use crate::error::{ApiError, Result};
use crate::faces::Faces;
use crate::feed::Feed;
use crate::jobs::Jobs;
use crate::limits::{Connections, Limits};
use crate::metrics::Metrics;
use crate::server::Patience;
use crate::tickets::Tickets;
use crate::vault::Repositories;

/// So many requests may wait for the disk or compute at once; the others wait for them.
const AT_WORK: usize = 32;

/// So many downloads may be written at once, each with a thread of its own.
const TRANSFERS: usize = 16;

/// The server's state.
pub(crate) struct App {
    pub store: Arc<Store>,
    /// What opens clips and pictures.
    keys: Vec<Credential>,
    pub watch: Arc<Watch>,
    pub accounts: Accounts,
    pub tickets: Tickets,
    pub limits: Limits,
    pub feed: Feed,
    pub numbers: Numbers,
    pub jobs: Jobs,
    pub repositories: Arc<Repositories>,
    pub connections: Connections,
    pub metrics: Metrics,
    pub patience: Patience,
    /// What is recognised, and with what, in words.
    pub recognising: RwLock<Option<String>>,
    /// Becomes true when the server stops.
    pub stopping: Receiver<bool>,
    pub cameras: Cameras,
    pub faces: Faces,
    pub now: Clock,
    pub started_at: Timestamp,
    /// Clients of SecureVision's stream.
    pub ws_clients: AtomicUsize,
    config: RwLock<Arc<Config>>,
    single_token: RwLock<Option<crate::accounts::Digest>>,
    at_work: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
}

/// What an [`App`] is made of.
pub(crate) struct Parts {
    pub store: Arc<Store>,
    pub keys: Vec<Credential>,
    pub watch: Arc<Watch>,
    pub accounts: Accounts,
    pub feed: Feed,
    pub jobs: Jobs,
    pub repositories: Arc<Repositories>,
    pub connections: Connections,
    pub cameras: Cameras,
    pub faces: Faces,
    pub now: Clock,
    pub patience: Patience,
    pub recognising: Option<String>,
    pub stopping: Receiver<bool>,
    pub config: Config,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        let config = Arc::new(parts.config);
        let app = Self {
            tickets: Tickets::new(parts.now.clone()),
            limits: Limits::new(&config.server),
            started_at: (parts.now)(),
            store: parts.store,
            keys: parts.keys,
            watch: parts.watch,
            accounts: parts.accounts,
            feed: parts.feed,
            jobs: parts.jobs,
            repositories: parts.repositories,
            connections: parts.connections,
            patience: parts.patience,
            recognising: RwLock::new(parts.recognising),
            stopping: parts.stopping,
            numbers: Numbers::default(),
            metrics: Metrics::default(),
            cameras: parts.cameras,
            faces: parts.faces,
            now: parts.now,
            ws_clients: AtomicUsize::new(0),
            config: RwLock::new(config.clone()),
            single_token: RwLock::new(None),
            at_work: Arc::new(Semaphore::new(AT_WORK)),
            transfers: Arc::new(Semaphore::new(TRANSFERS)),
        };
        app.set_config(config);
        app
    }

    /// The configuration that is in force.
    pub fn config(&self) -> Arc<Config> {
        self.config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another one in force.
    pub fn set_config(&self, config: Arc<Config>) {
        let token = config.server.auth_token.as_ref();
        let digest = token.map(|token| Secret::given(token.expose()).digest());
        *self
            .single_token
            .write()
            .unwrap_or_else(PoisonError::into_inner) = digest;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Whether everybody on this machine is let in.
    pub fn is_open(&self) -> bool {
        self.config().server.authentication == Authentication::None
    }

    /// Whether browsers reach it by TLS, from here or from a proxy.
    pub fn is_encrypted(&self) -> bool {
        let config = self.config();
        config.server.encrypts() || config.server.behind_proxy
    }

    pub fn metrics_are_open(&self) -> bool {
        self.config().server.metrics == MetricsAccess::Open
    }

    /// Whether it is the one token of SecureVision.
    pub fn is_single_token(&self, secret: &Secret) -> bool {
        let own = self
            .single_token
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        own.is_some_and(|own| own == secret.digest())
    }

    /// Whether requests to SecureVision's API need anything.
    pub fn needs_token(&self) -> bool {
        !self.is_open()
    }

    /// Opens a clip or picture.
    pub fn open_media(&self, media: &MediaRef) -> Result<MediaReader> {
        let mut refused = None;
        for key in &self.keys {
            match self.store.media().open(media, key) {
                Ok(reader) => return Ok(reader),
                Err(error @ keepwatch_core::Error::WrongKey { .. }) => refused = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(match refused {
            Some(error) => error.into(),
            None => no_key(),
        })
    }

    /// Writes the evidence of an event, with the first key that opens what belongs to it.
    pub fn write_bundle(&self, event: &Event, out: &mut dyn std::io::Write) -> Result<()> {
        let media = event.clip.as_ref().or(event.snapshot.as_ref());
        let opens = |key: &&Credential| {
            media.is_none_or(|media| self.store.media().open(media, key).is_ok())
        };
        let key = self.keys.iter().find(opens).ok_or_else(no_key)?;
        self.store.export_bundle(event.id, key, out)?;
        Ok(())
    }

    /// Runs what waits for the disk or computes on a thread for it, and waits for its end, also when
    /// nobody wants the answer any more.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.at_work.clone().acquire_owned().await;
        let turn = turn.map_err(|_| ApiError::unavailable("the server is stopping"))?;
        let app = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&app)
        });
        match done.await {
            Ok(result) => result,
            Err(error) => Err(ApiError::internal("a request panicked", &error)),
        }
    }

    /// A turn for a download.
    pub async fn transfer(&self) -> Result<OwnedSemaphorePermit> {
        let turn = self.transfers.clone().acquire_owned().await;
        turn.map_err(|_| ApiError::unavailable("the server is stopping"))
    }

    /// Writes down who did what. An act that cannot be written down is refused.
    pub fn audit(&self, who: &str, act: Audit, detail: serde_json::Value) -> Result<()> {
        self.store.audit(who, act.name(), detail)?;
        Ok(())
    }

    pub fn ws_clients(&self) -> usize {
        self.ws_clients.load(Ordering::Relaxed)
    }
}

fn no_key() -> ApiError {
    ApiError::conflict("the server has no key for it")
        .with_hint("server.identity names the identities of recipients")
}
