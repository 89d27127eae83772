//! `keepwatch job`

use std::sync::Arc;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use keepwatch_config::{Config, JobConfig, JobKind};
use keepwatch_ops::schedule::Schedule;
use keepwatch_runner::{Asked, Destination, RunRecord, Runner, Status};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, of_run};
use crate::interrupt::stop_flag;
use crate::jobs::setup;
use crate::output::Align;
use crate::values::{human_seconds, human_size, human_time};

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List the jobs of the configuration, and how they are doing
    List(ListArgs),
    /// Run a job now
    Run(RunJobArgs),
    /// List runs, the latest first
    History(HistoryArgs),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Which job.
#[derive(Debug, Args)]
pub struct RunJobArgs {
    /// Its name in the configuration
    job: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Which runs.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Of this job alone
    job: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value = "20")]
    limit: usize,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A job and how it is doing.
#[derive(Serialize)]
pub struct JobView {
    name: String,
    kind: JobKind,
    repositories: Vec<String>,
    /// When it runs next by its schedule, if nothing keeps it from it.
    next: Option<Timestamp>,
    running: bool,
    /// The last run that has ended.
    last: Option<RunRecord>,
    last_success: Option<Timestamp>,
}

/// Lists or runs jobs.
pub fn run(command: &JobCommand, context: &mut Context) -> Outcome {
    match command {
        JobCommand::List(args) => list(&args.config, context),
        JobCommand::Run(args) => run_job(args, context),
        JobCommand::History(args) => history(args, context),
    }
}

/// The jobs of the configuration, and how they are doing.
pub fn list(files: &ConfigArgs, context: &mut Context) -> Outcome {
    let config = files.load()?.config;
    let views = views(&config, context)?;
    if context.out.json {
        context.out.json_rows(&views)?;
        return Ok(Code::Ok);
    }
    let columns = [
        ("Job", Align::Left),
        ("Kind", Align::Left),
        ("Repository", Align::Left),
        ("Last run", Align::Left),
        ("Went", Align::Left),
        ("Last success", Align::Left),
        ("Next", Align::Left),
    ];
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), human_time);
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| {
            let last = view.last.as_ref();
            vec![
                view.name.clone(),
                view.kind.as_str().to_owned(),
                view.repositories.join(", "),
                match view.running {
                    true => "running".to_owned(),
                    false => time(last.map(|run| run.started_at)),
                },
                last.map_or("-", |run| run.status.as_str()).to_owned(),
                time(view.last_success),
                time(view.next),
            ]
        })
        .collect();
    context.out.table(&columns, &rows)?;
    Ok(Code::Ok)
}

fn views(config: &Config, context: &Context) -> Result<Vec<JobView>, Failure> {
    let runs = setup(config, &context.global)?.state.runs()?;
    let now = context.now();
    let of = |(name, job): (&String, &JobConfig)| {
        let mut own = runs.iter().filter(|run| run.job == *name);
        let running = own.clone().next().map(|run| run.status) == Some(Status::Running);
        JobView {
            name: name.clone(),
            kind: job.kind,
            repositories: job.repositories.clone(),
            next: job.schedule.as_ref().and_then(|settings| {
                let schedule = Schedule::new(settings, &TimeZone::system()).ok()?;
                Some(schedule.start_of(name, schedule.slot_after(now)?))
            }),
            running,
            last: own
                .clone()
                .find(|run| run.status != Status::Running)
                .cloned(),
            last_success: own
                .find(|run| run.status == Status::Done)
                .and_then(|run| run.ended_at),
        }
    };
    Ok(config.jobs.iter().map(of).collect())
}

fn run_job(args: &RunJobArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let setup = setup(&config, &context.global)?;
    let runner = Runner::new(Arc::new(config), setup)?;
    let bar = context.bar();
    let stop = stop_flag()?;
    let finished = runner.run(
        &args.job,
        Asked {
            by: "command line",
            id: None,
            progress: &bar,
            stop,
        },
    )?;
    drop(bar);
    // Before it says how it went: who reads that may end this process.
    runner.deliver();
    let record = finished.record;
    for problem in record.said() {
        context.problem(&problem, of_run(&record));
    }
    match context.out.json {
        true => context.out.json(&record)?,
        false => render(&record, context)?,
    }
    Ok(of_run(&record))
}

fn render(record: &RunRecord, context: &mut Context) -> std::io::Result<()> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let summary: Vec<(String, String)> = record
        .summary
        .iter()
        .map(
            |(name, value)| match (name.strip_prefix("bytes_"), value.as_u64()) {
                (Some(_), Some(bytes)) => (name.replace('_', " "), human_size(bytes)),
                _ => (name.replace('_', " "), text(value)),
            },
        )
        .collect();
    let facts: Vec<(&str, String)> = summary
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    context.out.facts(&facts)?;
    for there in &record.destinations {
        context.out.line(told(there))?;
    }
    let took = record.ended_at.map_or(0.0, |ended| {
        ended.duration_since(record.started_at).as_secs_f64()
    });
    context.out.line(format_args!(
        "{}: {}, in {}",
        record.job,
        record.status.as_str(),
        human_seconds(took)
    ))
}

fn told(there: &Destination) -> String {
    let from = match &there.from {
        Some(from) => format!(", handed on from {from}"),
        None => String::new(),
    };
    match &there.snapshot {
        Some(id) => format!(
            "{}: snapshot {id}, {} stored{from}, {} forgotten",
            there.repository,
            human_size(there.bytes_stored),
            there.forgotten
        ),
        None => format!("{}: {}", there.repository, there.status.as_str()),
    }
}

fn history(args: &HistoryArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let mut runs = setup(&config, &context.global)?.state.runs()?;
    runs.retain(|run| args.job.as_ref().is_none_or(|job| run.job == *job));
    runs.truncate(args.limit);
    if context.out.json {
        context.out.json_rows(&runs)?;
        return Ok(Code::Ok);
    }
    let columns = [
        ("Run", Align::Left),
        ("Job", Align::Left),
        ("Began", Align::Left),
        ("Took", Align::Right),
        ("By", Align::Left),
        ("Went", Align::Left),
        ("", Align::Left),
    ];
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let took = run
                .ended_at
                .map(|ended| ended.duration_since(run.started_at).as_secs_f64());
            vec![
                run.id.clone(),
                run.job.clone(),
                human_time(run.started_at),
                took.map_or_else(|| "-".to_owned(), human_seconds),
                run.by.clone(),
                run.status.as_str().to_owned(),
                run.said().into_iter().next().unwrap_or_default(),
            ]
        })
        .collect();
    context.out.table(&columns, &rows)?;
    Ok(Code::Ok)
}
