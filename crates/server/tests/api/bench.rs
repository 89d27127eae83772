//! A server that runs, and clients of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keepwatch_config::Config;
use keepwatch_core::CachePlace;
use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{
    Event, EventId, EventKind, EventStore as _, MediaKind, Observation, Region, Store,
    StoreOptions, StoreRole,
};
use keepwatch_core::jiff::tz::TimeZone;
use keepwatch_core::jiff::{SignedDuration, Timestamp};
use keepwatch_recognition::infer::Engine;
use keepwatch_runner::{Repositories, Setup};
use keepwatch_server::{Patience, Server, ServerOptions};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A good password.
pub const PASSWORD: &str = "correct horse battery";

/// No answer of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub store: Arc<Store>,
    pub address: SocketAddr,
    pub openapi: Value,
    setup_code: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    pub reload: mpsc::Sender<()>,
    done: Option<JoinHandle<()>>,
    client: reqwest::Client,
}

/// What jobs need, with all of it in the folder.
fn jobs(folder: &Path) -> Setup {
    let cache = CachePlace::Dir(folder.join("cache"));
    Setup {
        state: keepwatch_runner::State::open(&folder.join("state")).unwrap(),
        repositories: Repositories::new(cache, tokio::runtime::Handle::current()),
        environment: Vec::new(),
        clock: Arc::new(Timestamp::now),
        zone: TimeZone::UTC,
        program: "test".to_owned(),
    }
}

/// Reads a configuration that names files in the folder of the test as `@/…`.
fn config(text: &str, folder: &Path) -> Result<Config, String> {
    let text = text.replace('@', folder.to_str().unwrap());
    let read = |path: &str| std::fs::read_to_string(path);
    let loaded = Config::load(Some(&text), &Default::default(), &read);
    let mut config = loaded.map_err(|error| error.to_string())?.config;
    config.server.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    Ok(config)
}

fn new_store() -> (tempfile::TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let lock = Lock::KeyFile(&key);
    let path = folder.path().join("store");
    Store::create(&path, &[(lock, StoreRole::Full)], &StoreOptions::default()).unwrap();
    let store = Store::open(&path, &Credential::KeyFile(key)).unwrap();
    (folder, Arc::new(store))
}

impl Bench {
    /// With the defaults and a camera that shows a test pattern.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// With a configuration, and an empty store.
    pub async fn with(text: &str) -> Self {
        Self::hasty(text, Patience::default()).await
    }

    /// With less patience.
    pub async fn hasty(text: &str, patience: Patience) -> Self {
        let (folder, store) = new_store();
        Self::made_of(folder, store, text, patience).await
    }

    /// On a store that is there.
    pub async fn on(folder: tempfile::TempDir, store: Arc<Store>, text: &str) -> Self {
        Self::made_of(folder, store, text, Patience::default()).await
    }

    async fn made_of(
        folder: tempfile::TempDir,
        store: Arc<Store>,
        text: &str,
        patience: Patience,
    ) -> Self {
        // Files that a test writes count when the configuration is read again.
        let file = folder.path().join("keepwatch.toml");
        std::fs::write(&file, text).unwrap();
        let root = folder.path().to_owned();
        let options = ServerOptions {
            config: config(text, &root).unwrap(),
            store: store.clone(),
            jobs: jobs(folder.path()),
            engine: Arc::new(|config: &Config| -> keepwatch_recognition::Result<Engine> {
                config.inference.engine(&[])
            }),
            reload: Some(Arc::new(move || {
                config(
                    &std::fs::read_to_string(root.join("keepwatch.toml")).unwrap(),
                    &root,
                )
            })),
            patience,
        };
        // What clients encrypt with, since other crates of this build want to choose it themselves.
        let ring = tokio_rustls::rustls::crypto::ring::default_provider();
        ring.install_default().ok();
        let server = tokio::task::spawn_blocking(|| Server::new(options));
        let mut server = server.await.unwrap().unwrap();
        let address = server.bind().await.unwrap()[0];
        let (stop, stopped) = oneshot::channel();
        let (reload, reloads) = mpsc::channel(1);
        let (setup_code, openapi) = (server.setup_code(), server.openapi());
        let done = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.run(stopped, reloads).await.unwrap();
        });
        Self {
            folder,
            store,
            address,
            openapi,
            setup_code,
            stop: Some(stop),
            reload,
            done: Some(done),
            client: reqwest::Client::builder()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
        }
    }

    /// Stops it, and waits for its end.
    pub async fn stop(mut self) -> (tempfile::TempDir, Arc<Store>) {
        drop(self.stop.take());
        self.done.take().unwrap().await.unwrap();
        (
            std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()),
            self.store.clone(),
        )
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// A request of nobody.
    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    pub fn setup_code(&self) -> &str {
        self.setup_code.as_deref().unwrap()
    }

    /// The first admin.
    pub async fn set_up(&self) -> Browser<'_> {
        let body = json!({ "code": self.setup_code(), "user": "ada", "password": PASSWORD });
        let answer = self
            .ask(Method::POST, "/api/v1/setup")
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        Browser::of(self, answer).await
    }

    /// Logs in.
    pub async fn log_in(&self, user: &str) -> Browser<'_> {
        let body = json!({ "user": user, "password": PASSWORD });
        let answer = self
            .ask(Method::POST, "/api/v1/session")
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Browser::of(self, answer).await
    }

    /// Puts events into the store.
    pub fn put(&self, events: &[Event]) {
        self.store.put(events).unwrap();
    }
}

/// A browser that is logged in.
pub struct Browser<'a> {
    pub bench: &'a Bench,
    pub cookie: String,
    pub csrf: String,
    pub about: Value,
}

impl<'a> Browser<'a> {
    async fn of(bench: &'a Bench, answer: Response) -> Self {
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let about: Value = answer.json().await.unwrap();
        Self {
            bench,
            cookie,
            csrf: about["csrf"].as_str().unwrap().to_owned(),
            about,
        }
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.bench.ask(method, path);
        request
            .header(COOKIE, &self.cookie)
            .header("x-csrf-token", &self.csrf)
    }

    /// What a path gives, which has to be there.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    /// The status of a request with a body.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.ask(method, path).json(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub async fn status(&self, method: Method, path: &str) -> StatusCode {
        self.ask(method, path).send().await.unwrap().status()
    }

    /// Makes a user, and logs in as that.
    pub async fn user(&self, name: &str, role: &str, cameras: &Value) -> Browser<'a> {
        let body = json!({ "name": name, "password": PASSWORD, "role": role, "cameras": cameras });
        let (status, said) = self.send(Method::POST, "/api/v1/users", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
        self.bench.log_in(name).await
    }

    /// Makes a token.
    pub async fn token(&self, body: &Value) -> String {
        let (status, said) = self.send(Method::POST, "/api/v1/tokens", body).await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
        said["token"].as_str().unwrap().to_owned()
    }
}

/// A time, so many seconds ago.
pub fn ago(seconds: i64) -> Timestamp {
    // Whole milliseconds, as clients have them.
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    now - SignedDuration::from_secs(seconds)
}

/// An event that has ended.
pub fn event(camera: &str, kind: EventKind, at: Timestamp, label: &str) -> Event {
    Event {
        id: EventId::new(at).unwrap(),
        camera: camera.to_owned(),
        kind,
        started_at: at,
        ended_at: Some(at),
        observations: vec![Observation {
            at,
            label: label.to_owned(),
            score: 0.75,
            region: Some(Region {
                x: 0.25,
                y: 0.25,
                w: 0.5,
                h: 0.5,
            }),
            track: Some(1),
        }],
        snapshot: None,
        clip: None,
        reason: None,
        details: None,
    }
}

/// An event with a clip and a picture of these bytes.
pub fn recorded(store: &Store, camera: &str, at: Timestamp, clip: &[u8]) -> Event {
    use std::io::Write as _;
    let mut event = event(camera, EventKind::Motion, at, "motion");
    let write = |kind, bytes: &[u8]| {
        let mut writer = store.media().create(kind, camera, at, event.id).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish(1500).unwrap()
    };
    let (clip, picture) = (
        write(MediaKind::Clip, clip),
        write(MediaKind::Snapshot, b"\xff\xd8picture"),
    );
    event.clip = Some(clip);
    event.snapshot = Some(picture);
    event
}
