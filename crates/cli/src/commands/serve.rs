//! `keepwatch serve`

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use keepwatch_config::Config;
use keepwatch_server::{Patience, Server, ServerOptions};
use keepwatch_vision::CameraSettings;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use crate::camera_url::{Unread, unread};
use crate::commands::watch::camera;
use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, with_causes};
use crate::jobs::setup;
use crate::logging::LogFormat;
use crate::stores::{StorePlace, open_or_create, recipients};

/// The name of the camera of `--demo-camera`, and where its pictures come from.
const DEMO: (&str, &str) = ("demo", "test:ball");
/// Its ball never rests: without an end there would be neither picture nor clip of it to see.
const DEMO_CLIP: Duration = Duration::from_secs(10);

/// Where it listens, and what it shows.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Listen here instead of 127.0.0.1:8000; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    #[command(flatten)]
    store: StorePlace,
    #[command(flatten)]
    config: ConfigArgs,
    /// Watch this camera as well: rtsp(s)://, http(s)://, a file, device:/dev/video0 or test:; may be
    /// repeated
    #[arg(long, value_name = "NAME=URL", value_parser = unread)]
    camera: Vec<Unread>,
    /// Watch a test pattern as well
    #[arg(long)]
    demo_camera: bool,
    /// A proxy before it encrypts, and says where requests come from
    #[arg(long)]
    behind_proxy: bool,
    /// How the log looks; requests are in it with --verbose
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl ServeArgs {
    /// How the log looks.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }
}

#[derive(Serialize)]
struct Ready {
    /// Where to go with a browser.
    urls: Vec<String>,
    /// What makes the first user, while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    setup_code: Option<String>,
    /// The SHA-256 of the server's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// What the command line says beside the configuration.
#[derive(Clone)]
struct Over {
    listen: Vec<SocketAddr>,
    behind_proxy: bool,
    cameras: BTreeMap<String, CameraSettings>,
}

impl Over {
    fn put_on(&self, config: &mut Config) -> keepwatch_config::Result<()> {
        if !self.listen.is_empty() {
            config.server.listen.clone_from(&self.listen);
        }
        config.server.behind_proxy |= self.behind_proxy;
        config.cameras.extend(self.cameras.clone());
        config.server.check()
    }
}

/// Serves until it is stopped.
pub fn run(args: &ServeArgs, context: &mut Context) -> Outcome {
    let loaded = args.config.load()?;
    for notice in &loaded.notices {
        context.out.note(notice);
    }
    let mut config = loaded.config;
    let over = over(args)?;
    over.put_on(&mut config)?;
    if config.cameras.is_empty() {
        context
            .out
            .note("no camera is configured: add one in the dashboard, or see --demo-camera");
    }
    let sealed_to = recipients(&config)?;
    let place = args.store.place(&config)?;
    let store = Arc::new(open_or_create(&place, sealed_to, context)?);
    let jobs = setup(&config, &context.global)?;
    let files = args.config.clone();
    let reload = move || -> Result<Config, String> {
        let loaded = files.load().map_err(|failure| with_causes(&failure))?;
        let mut config = loaded.config;
        over.put_on(&mut config)
            .map_err(|error| error.to_string())?;
        Ok(config)
    };
    let runtime =
        Runtime::new().map_err(|error| Failure::refused(format!("cannot start: {error}"), None))?;
    let mut server = Server::new(ServerOptions {
        config,
        store: store.clone(),
        jobs,
        engine: Arc::new(crate::networks::of),
        reload: Some(Arc::new(reload)),
        patience: Patience::default(),
    })?;
    let listening = runtime.block_on(server.bind())?;
    // Whoever is told that it is ready may tell it to stop.
    let signals = runtime.block_on(async { Signals::new() })?;
    tell(&ready(&server, &listening), context)?;
    let served = runtime.block_on(server.run(signals.shutdown, signals.hang_ups));
    // What still reads for somebody who does not take it keeps nobody from ending.
    runtime.shutdown_background();
    // The store signs its end here, where it may wait for a database.
    drop(store);
    served?;
    Ok(Code::Ok)
}

fn over(args: &ServeArgs) -> Result<Over, Failure> {
    let mut cameras = BTreeMap::new();
    for text in &args.camera {
        let (name, url) = camera(text)?;
        cameras.insert(name, CameraSettings::new(url));
    }
    if args.demo_camera {
        let url = DEMO.1.parse().expect("it is an address");
        let mut settings = CameraSettings::new(url);
        settings.max_clip = DEMO_CLIP;
        cameras.insert(DEMO.0.to_owned(), settings);
    }
    for settings in cameras.values() {
        settings.validate()?;
    }
    Ok(Over {
        listen: args.listen.clone(),
        behind_proxy: args.behind_proxy,
        cameras,
    })
}

fn ready(server: &Server, listening: &[SocketAddr]) -> Ready {
    let scheme = if server.encrypts() { "https" } else { "http" };
    Ready {
        urls: listening
            .iter()
            .map(|address| format!("{scheme}://{}/", reached_at(*address)))
            .collect(),
        setup_code: server.setup_code(),
        fingerprint: server.fingerprint(),
    }
}

/// What others may tell the server.
struct Signals {
    shutdown: Pin<Box<dyn Future<Output = ()>>>,
    /// Each SIGHUP.
    hang_ups: Receiver<()>,
}

impl Signals {
    /// From here on none of them ends the process by itself.
    fn new() -> Result<Self, Failure> {
        let failed = |error| Failure::refused(format!("cannot wait for signals: {error}"), None);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
        let shutdown = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Whoever asks a second time does not want to wait for the clips.
            tokio::spawn(async move {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                std::process::exit(Code::Interrupted as i32);
            });
        };
        let (sender, hang_ups) = channel(1);
        tokio::spawn(async move {
            while hang_up.recv().await.is_some() {
                // One that waits stands for all.
                let _ = sender.try_send(());
            }
        });
        Ok(Self {
            shutdown: Box::pin(shutdown),
            hang_ups,
        })
    }
}

/// How a browser gets there: by the name of the machine, where it listens at all of its addresses.
fn reached_at(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let uname = rustix::system::uname();
    format!("{}:{}", uname.nodename().to_string_lossy(), address.port())
}

fn tell(ready: &Ready, context: &mut Context) -> Result<(), Failure> {
    if context.out.json {
        context.out.json(ready)?;
    } else {
        for url in &ready.urls {
            context.out.line(format_args!("serving at {url}"))?;
        }
        if let Some(fingerprint) = &ready.fingerprint {
            context.out.line(
                "the certificate is the server's own; its SHA-256, which a browser shows as well:",
            )?;
            context.out.line(fingerprint)?;
        }
        match &ready.setup_code {
            Some(code) => context.out.line(format_args!(
                "there is no user yet: open that address and make the first one, with the code {code}"
            ))?,
            None => context.out.line("open that address with a browser and log in")?,
        }
    }
    context.out.finish()?;
    Ok(())
}
