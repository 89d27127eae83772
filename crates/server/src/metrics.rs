//! Numbers for Prometheus, in the form of OpenMetrics.
//!
//! What the server counts itself is counted as it happens; the rest is asked for when somebody looks.

use std::fmt;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use keepwatch_config::JobKind;
use keepwatch_vision::{CameraGauges, CameraStatus, Histogram, State};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram as Times;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::jobs::RunState;
use crate::machine;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCamera {
    camera: String,
}

impl OfCamera {
    fn of(camera: &str) -> Self {
        Self {
            camera: camera.to_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfJob {
    job: String,
    kind: String,
    repository: String,
}

/// The longest times of requests, in seconds.
const TIMES: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// What the server counts.
pub(crate) struct Metrics {
    requests: Family<Request, Counter>,
    times: Family<Route, Times, fn() -> Times>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            times: Family::new_with_constructor(|| Times::new(TIMES)),
        }
    }
}

/// Registers gauges and counters of the moment.
struct Moment<'a>(&'a mut Registry);

impl Moment<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, std::sync::atomic::AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    fn gauges<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) {
        let family = Family::<L, Gauge<f64, std::sync::atomic::AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    fn counters<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        let family = Family::<L, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}

trait Labels:
    Clone + fmt::Debug + std::hash::Hash + Eq + EncodeLabelSet + Send + Sync + 'static
{
}

impl<T: Clone + fmt::Debug + std::hash::Hash + Eq + EncodeLabelSet + Send + Sync + 'static> Labels
    for T
{
}

impl Metrics {
    /// A request was answered.
    pub fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // What is no route is one of the few: nobody makes more series by asking for more paths.
        let route = match route {
            "" => "other",
            route => route,
        };
        let method = match *method {
            Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS => method.as_str(),
            _ => "other",
        };
        let labels = Request {
            method: method.to_owned(),
            route: route.to_owned(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        let route = Route {
            route: route.to_owned(),
        };
        self.times.get_or_create(&route).observe(took.as_secs_f64());
    }

    /// All of them as text.
    pub fn write(&self, app: &App) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("keepwatch");
        registry.register(
            "http_requests",
            "Requests that were answered",
            self.requests.clone(),
        );
        registry.register(
            "http_request_seconds",
            "Until an answer began",
            self.times.clone(),
        );
        let mut moment = Moment(&mut registry);
        process(&mut moment, app);
        cameras(&mut moment, app);
        recognition(&mut moment, app);
        ledger(&mut moment, app);
        jobs(&mut moment, app);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn process(moment: &mut Moment<'_>, app: &App) {
    let started = app.started_at.as_second() as f64;
    moment.gauge(
        "start_time_seconds",
        "When the server started, since 1970",
        started,
    );
    if let Some(memory) = machine::memory() {
        moment.gauge(
            "resident_memory_bytes",
            "What the server takes",
            memory as f64,
        );
    }
    if let Some(disk) = machine::disk(app.store.dir()) {
        moment.gauge(
            "store_disk_bytes",
            "The file system of the store",
            disk.total as f64,
        );
        moment.gauge(
            "store_disk_free_bytes",
            "What is free of it",
            disk.free as f64,
        );
    }
    moment.gauge(
        "stream_clients",
        "Clients of SecureVision's stream",
        app.ws_clients() as f64,
    );
    moment.gauge(
        "connections",
        "Open connections",
        app.connections.count() as f64,
    );
}

/// A value of each camera.
fn of_each<T, V>(
    all: &[T],
    camera: impl Fn(&T) -> &str,
    value: impl Fn(&T) -> V,
) -> Vec<(OfCamera, V)> {
    let of = |one| (OfCamera::of(camera(one)), value(one));
    all.iter().map(of).collect()
}

fn cameras(moment: &mut Moment<'_>, app: &App) {
    let statuses = app.watch.status();
    let each = |value: fn(&CameraStatus) -> f64| of_each(&statuses, |status| &status.camera, value);
    let counted =
        |value: fn(&CameraStatus) -> u64| of_each(&statuses, |status| &status.camera, value);
    moment.gauges(
        "camera_up",
        "Whether the camera sends",
        each(|status| f64::from(status.state == State::Live)),
    );
    moment.gauges(
        "camera_fps",
        "Frames that came in the last second",
        each(|status| f64::from(status.fps_in)),
    );
    moment.gauges(
        "camera_recordings",
        "Recordings that are being written",
        each(|status| status.recording as f64),
    );
    moment.gauges(
        "camera_pre_roll_bytes",
        "What is kept in memory for the next clip",
        each(|status| status.pre_roll_bytes as f64),
    );
    moment.counters(
        "camera_frames",
        "Frames that came",
        counted(|status| status.frames),
    );
    moment.counters(
        "camera_bytes",
        "Bytes that came",
        counted(|status| status.bytes),
    );
    moment.counters(
        "camera_frames_decoded",
        "Frames that were decoded",
        counted(|status| status.decoded),
    );
    moment.counters(
        "camera_frames_analysed",
        "Frames that were analysed",
        counted(|status| status.analysed),
    );
    moment.counters(
        "camera_frames_dropped",
        "Frames that could not be taken in time",
        counted(|status| status.dropped),
    );
    moment.counters(
        "camera_reconnects",
        "Times that the connection was made anew",
        counted(|status| status.reconnects),
    );
    moment.counters(
        "camera_looks",
        "Frames that were looked at for faces, plates and objects",
        counted(|status| status.looks),
    );
    moment.counters(
        "camera_looks_skipped",
        "Frames that a newer one took the place of",
        counted(|status| status.looks_skipped),
    );
    moment.counters(
        "camera_looks_failed",
        "Frames in which recognition failed",
        counted(|status| status.looks_failed),
    );
    let gauges = app.watch.gauges();
    let queue = |value: fn(&CameraGauges) -> f64| of_each(&gauges, |gauges| &gauges.camera, value);
    moment.gauges(
        "camera_analysis_queue",
        "Packets that wait for the analysis",
        queue(|gauges| gauges.analysis_queue as f64),
    );
    moment.gauges(
        "camera_recorder_queue_bytes",
        "Bytes that wait to be recorded",
        queue(|gauges| gauges.recorder_queue_bytes as f64),
    );
    moment.gauges(
        "camera_live_clients",
        "Who looks at the encoded video",
        queue(|gauges| gauges.live_subscribers as f64),
    );
    let now = (app.now)();
    let ages = gauges.iter().filter_map(|gauges| {
        let age = now.duration_since(gauges.last_frame?).as_secs_f64();
        Some((OfCamera::of(&gauges.camera), age.max(0.0)))
    });
    moment.gauges(
        "camera_last_frame_age_seconds",
        "Since the last frame",
        ages.collect::<Vec<_>>(),
    );
}

fn recognition(moment: &mut Moment<'_>, app: &App) {
    let gauges = app.watch.recognition_gauges();
    moment.gauge(
        "recognition_waiting",
        "Pictures that wait to be looked at",
        gauges.waiting as f64,
    );
    moment.counter(
        "recognition_pictures",
        "Parts of pictures that were looked at",
        gauges.pictures,
    );
    moment.0.register_collector(Box::new(Measured(gauges.runs)));
}

/// A histogram that was counted elsewhere.
#[derive(Debug)]
struct Measured(Histogram);

impl prometheus_client::collector::Collector for Measured {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let Self(histogram) = self;
        let bounds = histogram.bounds.iter().copied().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts.iter().copied()).collect();
        let mut metric = encoder.encode_descriptor(
            "recognition_seconds",
            "How long a recogniser was at work",
            None,
            prometheus_client::metrics::MetricType::Histogram,
        )?;
        metric.encode_histogram::<[(&str, &str); 0]>(
            histogram.sum,
            histogram.count(),
            &buckets,
            None,
        )
    }
}

fn ledger(moment: &mut Moment<'_>, app: &App) {
    let gauges = app.watch.ledger_gauges();
    moment.gauge(
        "events_waiting",
        "States of events that wait to be stored",
        gauges.waiting as f64,
    );
    let kinds = gauges.events.iter().map(|(kind, count)| {
        let kind = OfKind {
            kind: kind.name().to_owned(),
        };
        (kind, *count)
    });
    moment.counters(
        "events_stored",
        "Events of the cameras of this server",
        kinds.collect::<Vec<_>>(),
    );
    moment.counter(
        "segments_stored",
        "Segments of continuous recording",
        gauges.segments,
    );
    moment.counter(
        "store_failures",
        "Times that the store refused",
        gauges.failures,
    );
    moment.counter(
        "events_lost",
        "States of events that were given up",
        gauges.lost,
    );
    let failing = app.feed.is_failing() || gauges.failing_since.is_some();
    moment.gauge(
        "store_failing",
        "Whether the store fails",
        f64::from(failing),
    );
}

fn jobs(moment: &mut Moment<'_>, app: &App) {
    let now = (app.now)();
    let since = |at: Timestamp| now.duration_since(at).as_secs_f64().max(0.0);
    let (mut running, mut ages, mut took, mut failed) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut drill: Option<f64> = None;
    let config = app.config();
    let states = app.jobs.states(config.jobs.keys());
    for ((name, job), state) in config.jobs.iter().zip(states) {
        let labels = OfJob {
            job: name.clone(),
            kind: format!("{:?}", job.kind).to_lowercase(),
            repository: job.repositories.join(","),
        };
        running.push((labels.clone(), f64::from(state.running.is_some())));
        if let Some(at) = state.last_success {
            let age = since(at);
            ages.push((labels.clone(), age));
            if job.kind == JobKind::Drill {
                drill = Some(drill.map_or(age, |other| other.min(age)));
            }
        }
        if let Some(last) = state.last {
            let is_bad = !matches!(last.state, RunState::Done);
            failed.push((labels.clone(), f64::from(is_bad)));
            if let Some(ended) = last.ended_at {
                let seconds = ended.duration_since(last.started_at).as_secs_f64();
                took.push((labels, seconds));
            }
        }
    }
    moment.gauges("job_running", "Whether the job runs", running);
    moment.gauges(
        "job_last_success_age_seconds",
        "Since it did all that it had to",
        ages,
    );
    moment.gauges("job_last_failed", "Whether the last run failed", failed);
    moment.gauges(
        "job_last_duration_seconds",
        "How long the last run took",
        took,
    );
    if let Some(age) = drill {
        moment.gauge("drill_age_seconds", "Since a restore drill succeeded", age);
    }
}
