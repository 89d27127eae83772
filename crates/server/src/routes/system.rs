//! How the machine is doing.

use std::sync::{Arc, PoisonError};

use axum::Json as Reply;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_config::JobKind;
use keepwatch_core::events::{EventFilter, EventStore as _};
use keepwatch_vision::State as Doing;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, Result};
use crate::jobs::RunState;
use crate::login::{Needs, Who};
use crate::machine;
use crate::permission::Permission;
use crate::router::group;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new().routes(routes!(system));
    let metrics = OpenApiRouter::new().routes(routes!(metrics));
    OpenApiRouter::new()
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .merge(group(app, Needs::Permission(Permission::SystemRead), read))
        .merge(group(app, Needs::Metrics, metrics))
}

/// How the machine is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = System)]
struct SystemView {
    version: &'static str,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    store: StoreView,
    /// What the server takes.
    memory_bytes: u64,
    cameras: CameraCounts,
    /// Since midnight of the machine's time zone; of the cameras that one may see.
    events_today: u64,
    last_backup: Option<Success>,
    last_drill: Option<Drilled>,
    /// What is recognised, and with what, in words.
    inference: Option<String>,
    /// What is wrong, in words.
    problems: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SystemStore)]
struct StoreView {
    /// The number of the last record.
    head: u64,
    /// The ed25519 key that signs evidence.
    signer: String,
    disk: DiskView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Disk)]
struct DiskView {
    /// In bytes.
    total: u64,
    free: u64,
}

#[derive(Default, Serialize, ToSchema)]
struct CameraCounts {
    live: usize,
    offline: usize,
    total: usize,
}

/// When a job last did all that it had to.
#[derive(Serialize, ToSchema)]
struct Success {
    job: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// The last drill that came to an end.
#[derive(Serialize, ToSchema)]
struct Drilled {
    job: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    ok: bool,
}

/// How the machine is doing.
#[utoipa::path(get, path = "/api/v1/system", tag = "system", responses((status = 200, body = SystemView)))]
async fn system(State(app): State<Arc<App>>, who: Who) -> Result<Reply<SystemView>> {
    let view = app
        .blocking(move |app| {
            let mut filter = EventFilter {
                since: Some(midnight((app.now)())),
                ..EventFilter::default()
            };
            let events_today = match who.narrow(&mut filter) {
                true => app.store.count(&filter)?.values().sum(),
                false => 0,
            };
            let disk = machine::disk(app.store.dir());
            let mut cameras = CameraCounts::default();
            let mut problems = Vec::new();
            for status in app.watch.status() {
                if !who.sees(&status.camera) {
                    continue;
                }
                cameras.total += 1;
                match status.state {
                    Doing::Live => cameras.live += 1,
                    Doing::Offline { reason, .. } => {
                        cameras.offline += 1;
                        problems.push(format!("camera {}: {reason}", status.camera));
                    }
                    Doing::Ended {
                        problem: Some(problem),
                    } => {
                        problems.push(format!("camera {}: {problem}", status.camera));
                    }
                    _ => {}
                }
            }
            if app.feed.is_failing() {
                problems.push("the event store cannot be read".to_owned());
            }
            if disk.is_some_and(|disk| disk.free < disk.total / 20) {
                problems.push("less than a twentieth of the store's disk is free".to_owned());
            }
            let (last_backup, last_drill) = last_runs(app, &mut problems);
            let disk = disk.unwrap_or_default();
            Ok(SystemView {
                version: env!("CARGO_PKG_VERSION"),
                started_at: app.started_at,
                store: StoreView {
                    head: app.store.head()?,
                    signer: hex::encode(app.store.signer()),
                    disk: DiskView {
                        total: disk.total,
                        free: disk.free,
                    },
                },
                memory_bytes: machine::memory().unwrap_or_default(),
                cameras,
                events_today,
                last_backup,
                last_drill,
                inference: app
                    .recognising
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
                problems,
            })
        })
        .await?;
    Ok(Reply(view))
}

fn midnight(now: Timestamp) -> Timestamp {
    let local = now.to_zoned_datetime(TimeZone::system());
    local.start_of_day().map_or(now, |start| start.timestamp())
}

fn last_runs(app: &App, problems: &mut Vec<String>) -> (Option<Success>, Option<Drilled>) {
    let (mut backup, mut drill): (Option<Success>, Option<Drilled>) = (None, None);
    let config = app.config();
    let states = app.jobs.states(config.jobs.keys());
    for ((name, job), state) in config.jobs.iter().zip(states) {
        if let Some(last) = &state.last
            && matches!(last.state, RunState::Failed | RunState::Partly)
        {
            problems.push(format!("job {name}: the last run failed"));
        }
        match job.kind {
            JobKind::Backup => {
                if let Some(at) = state.last_success
                    && backup.as_ref().is_none_or(|other| other.at < at)
                {
                    backup = Some(Success {
                        job: name.clone(),
                        at,
                    });
                }
            }
            JobKind::Drill => {
                if let Some((last, at)) = state
                    .last
                    .and_then(|last| last.ended_at.map(|at| (last, at)))
                    && drill.as_ref().is_none_or(|other| other.at < at)
                {
                    drill = Some(Drilled {
                        job: name.clone(),
                        at,
                        ok: last.state == RunState::Done,
                    });
                }
            }
            JobKind::Check | JobKind::Prune => {}
        }
    }
    (backup, drill)
}

/// Numbers for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
async fn metrics(State(app): State<Arc<App>>) -> Result<Response> {
    let text = app
        .blocking(|app| {
            let written = app.metrics.write(app);
            written.map_err(|error| ApiError::internal("metrics cannot be written", &error))
        })
        .await?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// Whether the program is alive; for anybody.
#[utoipa::path(get, path = "/livez", tag = "system", responses((status = 200, content_type = "text/plain", body = String)))]
async fn livez() -> &'static str {
    "ok"
}

/// Whether it can do what it is for; for anybody. 503 says in a word why not.
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, content_type = "text/plain", body = String)))]
async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    let readable = app.blocking(|app| Ok(app.store.head()?)).await;
    match readable {
        _ if app.watch.ledger_gauges().failing_since.is_some() => {
            (StatusCode::SERVICE_UNAVAILABLE, "store")
        }
        Ok(_) => (StatusCode::OK, "ok"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "store"),
    }
}
