//! `keepwatch watch`

mod recognition;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use keepwatch_config::RetentionConfig;
use keepwatch_core::crypto::PublicKey;
use keepwatch_core::events::{Event, Store, check_camera_name};
use keepwatch_runner::{CameraTeller, WatchedCameras};
use keepwatch_vision::recognition::PlateFiles;
use keepwatch_vision::{
    CameraSettings, CameraStatus, CameraUrl, Decode, Record, State, Watch, source,
};
use serde::Serialize;

use crate::camera_url::{Unread, unread, url_of};
use crate::commands::plate::PlateArgs;
use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::credentials::recipient;
use crate::exit::{Code, Failure};
use crate::interrupt::stop_flag;
use crate::output::harmless;
use crate::stores::{StorePlace, describe, open_or_create, recipients};
use crate::values::duration;

/// How often status lines are drawn anew.
const REDRAW: Duration = Duration::from_millis(500);

/// How often what is too old is deleted.
const PURGE: Duration = Duration::from_secs(600);

/// Which cameras, and where events go.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// A camera: rtsp(s)://, http(s)://, a file, device:/dev/video0 or test:; may be repeated
    #[arg(long, value_name = "NAME=URL", value_parser = unread)]
    camera: Vec<Unread>,
    #[command(flatten)]
    store: StorePlace,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    plates: PlateArgs,
    /// What is recorded, for cameras given here
    #[arg(long, value_name = "events|continuous|off", value_parser = by_name::<Record>)]
    record: Option<Record>,
    /// Which frames are decoded, for cameras given here
    #[arg(long, value_name = "keyframes|adaptive|all|none", value_parser = by_name::<Decode>)]
    decode: Option<Decode>,
    /// Seal clips of a new store to this age recipient and to nobody else; may be repeated
    #[arg(long, value_name = "AGE1…", value_parser = recipient)]
    recipient: Vec<PublicKey>,
    /// Stop after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<SignedDuration>,
}

/// A camera as it is given on the command line.
pub fn camera(text: &Unread) -> Result<(String, CameraUrl), Failure> {
    let (name, url) = text.split_once('=').ok_or(Failure::Usage {
        message: "--camera is not NAME=URL".to_owned(),
        hint: Some("for example front=rtsp://user:password@192.168.1.20/stream1"),
    })?;
    check_camera_name(name)?;
    Ok((name.to_owned(), url_of(url)?))
}

fn by_name<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|_| "there is no such choice".to_owned())
}

/// Watches cameras until it is stopped or all of them have ended.
pub fn run(args: WatchArgs, context: &mut Context) -> Outcome {
    let loaded = args.config.load()?;
    for notice in &loaded.notices {
        context.out.note(notice);
    }
    // Who names cameras here does not mean those of the usual file as well.
    let from_file = args.camera.is_empty() || args.config.is_named();
    let mut cameras = match from_file {
        true => loaded.config.cameras.clone(),
        false => BTreeMap::new(),
    };
    for text in &args.camera {
        let (name, url) = camera(text)?;
        let mut settings = CameraSettings::new(url);
        settings.record = args.record.unwrap_or_default();
        settings.decode = args.decode.unwrap_or_default();
        cameras.insert(name, settings);
    }
    if cameras.is_empty() {
        return Err(Failure::Usage {
            message: "no camera is given".to_owned(),
            hint: Some("use --camera NAME=URL or a configuration file with [cameras.NAME]"),
        });
    }
    // What cannot work leaves no new store behind.
    for settings in cameras.values() {
        settings.validate()?;
    }
    let place = args.store.place(&loaded.config)?;
    let mut sealed_to = args.recipient;
    sealed_to.extend(recipients(&loaded.config)?);
    let plates = match args.plates.is_given() {
        true => Some(args.plates.over(loaded.config.plates.clone())),
        false => loaded.config.plates.clone(),
    };
    let plan = recognition::plan(&loaded.config, plates, context)?;
    let stop = stop_flag()?;
    let store = Arc::new(open_or_create(&place, sealed_to, context)?);
    let recovered = store.recover()?;
    if recovered.adopted.len() + recovered.closed.len() > 0 {
        context.out.note(format_args!(
            "the last run was cut off: {} recordings and {} events were put in order",
            recovered.adopted.len(),
            recovered.closed.len()
        ));
    }
    let watch = Arc::new(Watch::new(store.clone(), store.media())?);
    let mut lists = None;
    if let Some((plan, of_plates)) = plan {
        watch.set_recognition(plan.with(&store))?;
        lists = of_plates;
    }
    // Of cameras that are named here alone nobody is told: others may show those of the file.
    let news = from_file.then(|| {
        let watched = watched(&store, &watch, cameras.keys().cloned().collect());
        CameraTeller::start(&loaded.config, watched)
    });
    for (name, settings) in cameras {
        let source = source::of(&settings);
        watch.add(name, settings, source)?;
    }
    let mut screen = Screen::new(context.global.quiet || context.out.json);
    let deadline = args
        .limit
        .and_then(|limit| Instant::now().checked_add(limit.unsigned_abs()));
    let mut purge_due = Instant::now();
    while !stop.load(Ordering::Relaxed) && !watch.is_over() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break;
        }
        if let Ok(event) = watch.events().recv_timeout(Duration::from_millis(100)) {
            screen.pause(|| show(&event, context))?;
        }
        screen.draw(&watch.status());
        let said = lists.as_mut().map(PlateFiles::refresh).unwrap_or_default();
        if !said.is_empty() {
            screen.pause(|| {
                said.iter().for_each(|text| context.out.note(text));
                Ok(())
            })?;
        }
        if Instant::now() >= purge_due {
            purge(&store, &loaded.config.retention);
            purge_due = Instant::now() + PURGE;
        }
    }
    screen.clear();
    let status = watch.status();
    let events = watch.events().clone();
    let stopped = watch.close();
    drop(news);
    for event in events.try_iter() {
        show(&event, context)?;
    }
    let code = finish(&status, context)?;
    Ok(match stopped {
        Ok(()) => code,
        Err(error) => {
            context.problem(&error.to_string(), Code::Partly);
            Code::Partly
        }
    })
}

/// The cameras, for whoever is told of them.
fn watched(store: &Arc<Store>, watch: &Arc<Watch>, names: Vec<String>) -> WatchedCameras {
    // What waits for a broker that hangs does not keep the store from ending.
    let (opens, key) = (Arc::downgrade(store), store.clip_credential());
    WatchedCameras {
        store: store.clone(),
        watch: watch.clone(),
        names: Box::new(move || names.clone()),
        open: Arc::new(move |media| {
            let media_of = opens.upgrade()?.media();
            media_of.open(media, key.as_ref()?).ok()
        }),
    }
}

fn purge(store: &Store, retention: &RetentionConfig) {
    if let Err(error) = store.retain(&retention.policy(), Timestamp::now(), "watch") {
        tracing::error!(error = crate::exit::with_causes(&error), "cannot purge");
    }
}

/// One line for each state of an event; the last one with an id stands.
fn show(event: &Event, context: &mut Context) -> Result<(), Failure> {
    if context.out.json {
        context.out.json(event)?;
    } else {
        context.out.line(describe(event))?;
    }
    context.out.finish()?;
    Ok(())
}

#[derive(Serialize)]
struct Ended<'a> {
    cameras: &'a [CameraStatus],
}

/// Fails if a camera could not be watched at all.
fn finish(status: &[CameraStatus], context: &mut Context) -> Outcome {
    if context.out.json {
        context.out.json(&Ended { cameras: status })?;
    }
    let mut code = Code::Ok;
    for camera in status {
        let problem = match &camera.state {
            State::Ended { problem } => problem.as_deref(),
            State::Offline { reason, .. } => Some(reason.as_str()),
            _ => None,
        };
        if let Some(problem) = problem {
            let text = format!("camera {}: {problem}", camera.camera);
            context.problem(&text, Code::Partly);
            code = Code::Partly;
        }
        if !context.out.json {
            context.out.note(format_args!(
                "{}: {} frames, {} analysed, {} dropped",
                camera.camera, camera.frames, camera.analysed, camera.dropped
            ));
        }
    }
    Ok(code)
}

/// A line for each camera at the bottom of a terminal.
struct Screen {
    bars: MultiProgress,
    lines: Vec<ProgressBar>,
    drawn: Option<Instant>,
    quiet: bool,
}

impl Screen {
    fn new(quiet: bool) -> Self {
        Self {
            bars: MultiProgress::new(),
            lines: Vec::new(),
            drawn: None,
            quiet,
        }
    }

    fn draw(&mut self, status: &[CameraStatus]) {
        if self.quiet || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        while self.lines.len() < status.len() {
            let style = ProgressStyle::with_template("{msg}").expect("the template is right");
            let line = self.bars.add(ProgressBar::new_spinner());
            self.lines.push(line.with_style(style));
        }
        for (line, camera) in self.lines.iter().zip(status) {
            line.set_message(harmless(&status_line(camera)));
        }
    }

    fn pause(&self, f: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        self.bars.suspend(f)
    }

    fn clear(&self) {
        // A terminal that is gone shows nothing anyway.
        let _ = self.bars.clear();
    }
}

fn status_line(camera: &CameraStatus) -> String {
    let state = match &camera.state {
        State::Connecting => "connecting".to_owned(),
        State::Live if camera.moving => "motion".to_owned(),
        State::Live => "live".to_owned(),
        State::Offline { reason, .. } => format!("offline: {reason}"),
        State::Ended { .. } => "ended".to_owned(),
        _ => String::new(),
    };
    let stream = match camera.codec {
        Some(codec) => format!("{codec} {}x{}", camera.width, camera.height),
        None => "no stream yet".to_owned(),
    };
    let last = camera.last_event.map_or_else(String::new, |last| {
        format!(" · {} at {}", last.kind, last.at.strftime("%H:%M:%S"))
    });
    format!(
        "{}  {state} · {stream} · {:.1} fps in, {} analysed, {} dropped{last}",
        camera.camera, camera.fps_in, camera.analysed, camera.dropped
    )
}
