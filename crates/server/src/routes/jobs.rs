//! Jobs and their runs.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::limit;
use crate::app::App;
use crate::audit::Audit;
use crate::error::{ApiError, Result};
use crate::extract::{Path, Query};
use crate::jobs::{JobKindView, Run};
use crate::login::{Needs, Who};
use crate::permission::Permission;
use crate::router::group;

pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let read = OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(runs))
        .routes(routes!(show));
    let run = OpenApiRouter::new()
        .routes(routes!(start))
        .routes(routes!(stop));
    group(app, Needs::Permission(Permission::JobsRead), read).merge(group(
        app,
        Needs::Permission(Permission::JobsRun),
        run,
    ))
}

#[derive(Serialize, ToSchema)]
struct JobList {
    jobs: Vec<JobView>,
}

/// Something that is done with a repository.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
struct JobView {
    name: String,
    #[schema(value_type = JobKindView)]
    kind: keepwatch_config::JobKind,
    /// The first of them.
    repository: String,
    repositories: Vec<String>,
    running: Option<Run>,
    /// The last one that has ended.
    last: Option<Run>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success: Option<Timestamp>,
}

/// The jobs of the configuration.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "vault", responses((status = 200, body = JobList)))]
async fn list(State(app): State<Arc<App>>) -> Result<Reply<JobList>> {
    let config = app.config();
    let names: Vec<String> = config.jobs.keys().cloned().collect();
    let states = app
        .blocking(move |app| Ok(app.jobs.states(names.iter())))
        .await?;
    let jobs = config
        .jobs
        .iter()
        .zip(states)
        .map(|((name, job), state)| JobView {
            name: name.clone(),
            kind: job.kind,
            repository: job.repositories.first().cloned().unwrap_or_default(),
            repositories: job.repositories.clone(),
            running: state.running,
            last: state.last,
            last_success: state.last_success,
        });
    Ok(Reply(JobList {
        jobs: jobs.collect(),
    }))
}

/// Starts a job.
#[utoipa::path(post, path = "/api/v1/jobs/{name}/runs", tag = "vault", params(("name" = String, Path)),
    responses((status = 202, body = Run)))]
async fn start(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<(StatusCode, Reply<Run>)> {
    let run = app
        .blocking(move |app| {
            let run = app.jobs.start(&app.config(), &name, &who.name)?;
            app.audit(
                &who.name,
                Audit::JobStarted,
                json!({ "job": name, "run": run.id }),
            )?;
            Ok(run)
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Reply(run)))
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct RunsAsked {
    /// Of this job.
    job: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct RunList {
    runs: Vec<Run>,
}

/// Runs, the latest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "vault", params(RunsAsked), responses((status = 200, body = RunList)))]
async fn runs(
    State(app): State<Arc<App>>,
    Query(asked): Query<RunsAsked>,
) -> Result<Reply<RunList>> {
    let limit = limit(asked.limit, 100)?;
    let runs = app
        .blocking(move |app| Ok(app.jobs.runs(asked.job.as_deref(), limit)))
        .await?;
    Ok(Reply(RunList { runs }))
}

/// One run.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "vault", params(("id" = String, Path)),
    responses((status = 200, body = Run)))]
async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Reply<Run>> {
    let run = app
        .blocking(move |app| {
            let run = app.jobs.run(&id);
            run.ok_or_else(|| ApiError::not_found("Run"))
        })
        .await?;
    Ok(Reply(run))
}

/// Stops a run, which ends soon.
#[utoipa::path(delete, path = "/api/v1/runs/{id}", tag = "vault", params(("id" = String, Path)),
    responses((status = 202, body = Run)))]
async fn stop(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(StatusCode, Reply<Run>)> {
    let run = app
        .blocking(move |app| {
            let run = app.jobs.stop(&id)?;
            app.audit(
                &who.name,
                Audit::JobStopped,
                json!({ "job": run.job, "run": run.id }),
            )?;
            Ok(run)
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Reply(run)))
}
