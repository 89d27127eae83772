//! The server as a whole.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_config::{Config, ServerTls};
use keepwatch_core::crypto::Credential;
use keepwatch_core::events::{EventStore as _, Store};
use keepwatch_core::with_causes;
use keepwatch_runner::{CameraTeller, Setup, WatchedCameras, identities};
use keepwatch_vision::Watch;
use keepwatch_vision::recognition::{Plan, PlateFiles};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::accounts::{AccountError, Accounts, Clock, Cost, Hasher};
use crate::app::{App, Parts};
use crate::audit::Audit;
use crate::cameras::Cameras;
use crate::error::ApiError;
use crate::faces::{EngineOf, Faces};
use crate::feed::Feed;
use crate::jobs::Jobs;
use crate::limits::Connections;
use crate::maintenance::Maintenance;
use crate::tls::{Certificates, TlsError};
use crate::vault::Repositories;
use crate::{listen, router};

/// How long connections that are there may take to end.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// How long the last events may take to be told.
const LAST_NEWS: Duration = Duration::from_secs(2);

/// Reads the configuration again; the error is in words for the log.
pub type Reload = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// What a server is made of.
pub struct ServerOptions {
    /// The configuration, its paths complete.
    pub config: Config,
    /// The event store, open for writing.
    pub store: Arc<Store>,
    /// What jobs need of their surroundings.
    pub jobs: Setup,
    /// Makes what computes networks.
    pub engine: EngineOf,
    /// Reads the configuration again, if that is to be possible.
    pub reload: Option<Reload>,
    /// How long clients may take.
    pub patience: Patience,
}

/// How long clients may take, of whom some take their time to keep others out.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, from the moment that it is awaited.
    pub head: Duration,
    /// For the handshake of TLS.
    pub handshake: Duration,
    /// For a request with its body, until its answer begins.
    pub answer: Duration,
    /// Without taking any of what is sent.
    pub stalled: Duration,
    /// For a message of a WebSocket to be taken.
    pub message: Duration,
    /// For the other end to close, after all was sent: what it still sends is read and dropped.
    pub farewell: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            handshake: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            stalled: Duration::from_secs(30),
            message: Duration::from_secs(10),
            farewell: Duration::from_secs(2),
        }
    }
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It cannot listen at an address.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The event store refuses.
    #[error(transparent)]
    Store(#[from] keepwatch_core::Error),
    /// Cameras or recognition refuse.
    #[error(transparent)]
    Vision(#[from] keepwatch_vision::Error),
    /// What the store holds of the server cannot be used.
    #[error("the event store's {what} cannot be used")]
    Kept {
        /// What it is.
        what: &'static str,
    },
    /// The identities cannot be read.
    #[error("the identities in {} cannot be used", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: keepwatch_core::Error,
    },
}

/// A server that watches and is ready to answer.
pub struct Server {
    app: Arc<App>,
    certificates: Option<Arc<Certificates>>,
    maintenance: Maintenance,
    news: CameraTeller,
    listeners: Vec<(TcpListener, SocketAddr)>,
    stop: watch::Sender<bool>,
    engine: EngineOf,
    reload: Option<Reload>,
}

impl Server {
    /// Puts in order what a crash left in the store, and begins to watch the cameras. It blocks.
    ///
    /// # Errors
    /// For whatever keeps it from running; what cameras do not do is none.
    pub fn new(options: ServerOptions) -> Result<Self, ServerError> {
        let ServerOptions {
            config,
            store,
            jobs,
            engine,
            reload,
            patience,
        } = options;
        store.recover()?;
        let now: Clock = Arc::new(Timestamp::now);
        let keys = keys(&config, &store)?;
        let watch = Arc::new(Watch::new(store.clone(), store.media())?);
        let (recognising, lists) = recognise(&config, &engine, &store, &watch)?;
        let accounts = Accounts::open(store.clone(), Hasher::new(Cost::default()), now.clone());
        let accounts = accounts.map_err(|error| match error {
            AccountError::Store(error) => ServerError::Store(error),
            _ => ServerError::Kept { what: "accounts" },
        })?;
        let feed = Feed::start(store.clone())?;
        let repositories = Arc::new(Repositories::new(jobs.repositories.clone()));
        let jobs = Jobs::open(store.clone(), jobs, now.clone());
        let jobs = jobs.map_err(|_| ServerError::Kept { what: "runs" })?;
        let cameras = Cameras::start(store.clone(), watch.clone(), config.cameras.clone());
        let cameras = cameras.map_err(|_| ServerError::Kept { what: "cameras" })?;
        let certificates = certificates(&config, &store)?;
        let (stop, stopping) = watch::channel(false);
        let app = Arc::new(App::new(Parts {
            connections: Connections::new(&config.server),
            store,
            keys,
            watch,
            accounts,
            feed,
            jobs,
            repositories,
            cameras,
            faces: Faces::new(engine.clone()),
            now,
            patience,
            recognising,
            stopping,
            config,
        }));
        let maintenance = Maintenance::start(app.clone(), certificates.clone(), lists);
        Ok(Self {
            maintenance: maintenance.map_err(ServerError::Thread)?,
            news: CameraTeller::start(&app.config(), watched(&app)),
            app,
            certificates,
            listeners: Vec::new(),
            stop,
            engine,
            reload,
        })
    }

    /// Begins to listen, and gives the addresses: the port may have been 0.
    ///
    /// # Errors
    /// [`ServerError::Listen`].
    pub async fn bind(&mut self) -> Result<Vec<SocketAddr>, ServerError> {
        for address in &self.app.config().server.listen {
            let failed = |source| ServerError::Listen {
                address: *address,
                source,
            };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            let real = listener.local_addr().map_err(failed)?;
            self.listeners.push((listener, real));
        }
        Ok(self.listeners.iter().map(|(_, address)| *address).collect())
    }

    /// Whether connections are encrypted here.
    pub fn encrypts(&self) -> bool {
        self.certificates.is_some()
    }

    /// The code that makes the first user, while there is none: for the terminal of the server alone.
    pub fn setup_code(&self) -> Option<String> {
        match self.app.is_open() {
            true => None,
            false => self.app.accounts.setup_code(),
        }
    }

    /// The SHA-256 of the server's own certificate, for comparing it with what a browser shows.
    pub fn fingerprint(&self) -> Option<String> {
        self.certificates.as_ref()?.fingerprint()
    }

    /// How many cameras are watched.
    pub fn cameras(&self) -> usize {
        self.app.cameras.names().len()
    }

    /// The description of the API, OpenAPI 3.1.
    pub fn openapi(&self) -> Value {
        let openapi = router::openapi(&self.app);
        serde_json::to_value(openapi).expect("a description is plain JSON")
    }

    /// Answers until `shutdown` is done; reads the configuration again whenever `reload` says so. Then
    /// recordings and events are ended, and what is being answered is answered.
    ///
    /// # Errors
    /// [`keepwatch_vision::Error::Unstored`] when the store did not take all that happened.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        mut reload: Receiver<()>,
    ) -> Result<(), ServerError> {
        let Self {
            app,
            certificates,
            maintenance,
            news,
            listeners,
            stop,
            engine,
            reload: read,
        } = self;
        let router = router::service(&app);
        let mut served = tokio::task::JoinSet::new();
        for (listener, _) in listeners {
            let tls = certificates
                .as_ref()
                .map(|certificates| certificates.acceptor());
            let connections = app.connections.clone();
            served.spawn(listen::serve(
                listener,
                tls,
                router.clone(),
                connections,
                app.patience,
                stop.subscribe(),
            ));
        }
        drop(router);
        let mut shutdown = std::pin::pin!(shutdown);
        let maintenance = Arc::new(maintenance);
        let news = Arc::new(news);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(()) = reload.recv() => {
                    let Some(read) = read.clone() else {
                        continue;
                    };
                    let (app, engine, maintenance) = (app.clone(), engine.clone(), maintenance.clone());
                    let news = news.clone();
                    let done = tokio::task::spawn_blocking(move || {
                        apply(&app, &engine, &maintenance, &read);
                        news.follow(&app.config());
                    });
                    if let Err(error) = done.await {
                        tracing::error!(%error, "reading the configuration again panicked");
                    }
                }
            }
        }
        tracing::info!("stopping");
        // Clips and events end first, so that who listens still hears of it.
        let closing = app.clone();
        let closed = tokio::task::spawn_blocking(move || {
            let closed = closing.watch.close();
            // Nobody else holds it: a configuration that is being read was waited for.
            drop(news);
            closing.jobs.close();
            (closed, closing.store.head())
        });
        let closed = closed.await;
        if let Ok((_, Ok(head))) = &closed
            && timeout(LAST_NEWS, app.feed.has_told(*head)).await.is_err()
        {
            tracing::warn!("the last events were not told to those who listen");
        }
        let _ = stop.send(true);
        let ended = timeout(LAST_ANSWERS, async {
            while served.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::warn!("connections were cut off");
        }
        drop(served);
        // What is left blocks when it ends: threads, and the signature of the store.
        let ended = tokio::task::spawn_blocking(move || drop((maintenance, app)));
        if let Err(error) = ended.await {
            tracing::error!(%error, "the end of the server panicked");
        }
        match closed {
            Ok((closed, _)) => Ok(closed?),
            Err(error) => {
                tracing::error!(%error, "ending the recordings panicked");
                Ok(())
            }
        }
    }
}

/// What opens clips: the store's own key, if it has one, and identities of recipients.
fn keys(config: &Config, store: &Store) -> Result<Vec<Credential>, ServerError> {
    let mut keys: Vec<Credential> = store.clip_credential().into_iter().collect();
    if let Some(path) = &config.server.identity {
        let identities = identities(path).map_err(|source| ServerError::Identity {
            path: path.clone(),
            source,
        })?;
        keys.push(Credential::Identities(identities));
    }
    if keys.is_empty() {
        tracing::warn!(
            "clips and pictures are sealed to recipients, and server.identity names none of their identities: they cannot be shown"
        );
    }
    Ok(keys)
}

/// The cameras, for whoever is told of them.
fn watched(app: &Arc<App>) -> WatchedCameras {
    // What waits for a broker that hangs does not keep the server from ending.
    let (opens, names) = (Arc::downgrade(app), app.clone());
    WatchedCameras {
        store: app.store.clone(),
        watch: app.watch.clone(),
        names: Box::new(move || names.cameras.names()),
        open: Arc::new(move |media| opens.upgrade()?.open_media(media).ok()),
    }
}

fn certificates(config: &Config, store: &Store) -> Result<Option<Arc<Certificates>>, ServerError> {
    if !config.server.encrypts() {
        return Ok(None);
    }
    Ok(Some(match &config.server.tls {
        ServerTls::Files { certificate, key } => Certificates::from_files(certificate, key)?,
        _ => Certificates::own(store, &config.server.listen)?,
    }))
}

/// Lets cameras that are added from now on be looked at as the configuration says.
fn recognise(
    config: &Config,
    engine: &EngineOf,
    store: &Arc<Store>,
    watch: &Watch,
) -> Result<(Option<String>, Option<PlateFiles>), ServerError> {
    let Some((plan, lists)) = Plan::new(config.plan(), || engine(config))? else {
        watch.clear_recognition();
        return Ok((None, None));
    };
    let described = plan.describe();
    tracing::info!("recognising {described}");
    for text in lists.iter().flat_map(PlateFiles::odd) {
        tracing::warn!("{text}");
    }
    watch.set_recognition(plan.with(store))?;
    Ok((Some(described), lists))
}

/// Reads the configuration again. What is wrong with it leaves the one before in force.
fn apply(app: &App, engine: &EngineOf, maintenance: &Maintenance, read: &Reload) {
    let new = match read() {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(
                error,
                "the configuration cannot be used; the one before stays in force"
            );
            return;
        }
    };
    let old = app.config();
    let server = |config: &Config| {
        (
            config.server.listen.clone(),
            config.server.tls.clone(),
            config.server.behind_proxy,
        )
    };
    if server(&old) != server(&new) || old.store != new.store {
        tracing::warn!("listen, tls, behind_proxy and [store] count when the server starts again");
    }
    let others = old.plan() != new.plan() || old.inference != new.inference;
    if others {
        match recognise(&new, engine, &app.store, &app.watch) {
            Ok((described, lists)) => {
                let mut known = app
                    .recognising
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *known = described;
                maintenance.set_lists(lists);
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(
                    error,
                    "the configuration cannot be used; the one before stays in force"
                );
                return;
            }
        }
        app.faces.forget();
    }
    app.cameras.reload(new.cameras.clone(), others);
    app.set_config(Arc::new(new));
    let noted: Result<(), ApiError> = app.audit("server", Audit::ConfigReloaded, Value::Null);
    if noted.is_err() {
        tracing::error!("that the configuration was read again cannot be written down");
    }
    tracing::info!("the configuration was read again");
}
