//! `keepwatch drill`

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use keepwatch_core::DrillOptions;
use keepwatch_ops::RunFacts;
use keepwatch_ops::hook::{Environment, HookSettings};
use keepwatch_runner::{DrillPlan, Status, drill};
use serde::Serialize;
use serde_json::Value;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::credentials::PASSWORD_VARIABLE;
use crate::exit::{Code, Failure, of_drill};
use crate::interrupt::stop_flag;
use crate::select::LatestArgs;
use crate::values::{age, human_seconds, human_size, size};

/// What to restore, and how it is looked at.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// The snapshot
    #[arg(default_value = "latest")]
    snapshot: String,
    /// Restore so many files, chosen at random
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    files: u32,
    /// And so many bytes at most
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    bytes: u64,
    /// Restore everything
    #[arg(long, conflicts_with_all = ["files", "bytes"])]
    all: bool,
    /// Fail if the snapshot is older, as 26h or 7d
    #[arg(long, value_name = "TIME", value_parser = age)]
    max_age: Option<SignedDuration>,
    /// Restore the dumps of this database for a moment into one of its own on a server of the
    /// configuration, and remove it again
    #[arg(long, value_name = "NAME=SERVER", value_parser = pair)]
    scratch: Vec<(String, String)>,
    #[command(flatten)]
    config: ConfigArgs,
    /// How long the command after `--` may take
    #[arg(long, value_name = "TIME", value_parser = age, requires = "command", default_value = "5m")]
    timeout: SignedDuration,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
    /// Run this, without a shell, where the files were restored; it fails the drill by its exit
    /// status
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Serialize)]
struct Drilled<'a> {
    ok: bool,
    #[serde(flatten)]
    summary: &'a BTreeMap<String, Value>,
    problems: &'a [String],
}

/// Restores some of a snapshot where nothing else is, and compares it.
pub fn run(args: &DrillArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let (id, snapshot) = args.latest.find(&opened.repository, &args.snapshot)?;
    let stop = stop_flag()?;
    let now = context.now();
    let environment = std::env::vars_os().filter(|(name, _)| name != PASSWORD_VARIABLE);
    let positive = |span: SignedDuration| Duration::try_from(span).unwrap_or_default();
    let check = (!args.command.is_empty()).then(|| HookSettings {
        timeout: positive(args.timeout),
        ..HookSettings::new(args.command.clone())
    });
    if let Some(Err(error)) = check.as_ref().map(HookSettings::check_alone) {
        return Err(Failure::usage(error.to_string()));
    }
    let mut scratch = Vec::new();
    if !args.scratch.is_empty() {
        let config = args.config.load()?.config;
        for (name, server) in &args.scratch {
            let settings = config.databases.get(server);
            let unknown = || format!("the configuration has no database {server:?}");
            let settings = settings.ok_or_else(|| Failure::usage(unknown()))?;
            scratch.push((name.clone(), settings.clone()));
        }
    }
    let plan = DrillPlan {
        options: DrillOptions {
            files: args.files,
            bytes: args.bytes,
            all: args.all,
            keep: check.is_some(),
            stop: Some(stop),
        },
        check,
        scratch,
        max_age: args.max_age.map(positive),
        facts: RunFacts {
            job: "drill".to_owned(),
            run_id: String::new(),
            status: Status::Running.as_run_status(),
            snapshot: Some(id.to_string()),
            error: None,
            started: now,
            finished: None,
        },
        environment: Environment::new(environment),
        now,
    };
    let bar = context.bar();
    let ended = drill(&opened.repository, &id, &snapshot, &plan, &bar)?;
    drop(bar);
    let code = ended.fault.map_or(Code::Ok, of_drill);
    for problem in &ended.problems {
        context.problem(problem, code);
    }
    if context.out.json {
        context.out.json(&Drilled {
            ok: ended.fault.is_none(),
            summary: &ended.summary,
            problems: &ended.problems,
        })?;
        return Ok(code);
    }
    let number = |name: &str| ended.summary.get(name).and_then(Value::as_f64);
    let number = |name: &str| number(name).unwrap_or_default();
    context.out.facts(&[
        ("snapshot", id.to_string()),
        ("age of the data", human_seconds(number("age_seconds"))),
        (
            "came back",
            format!("{} of {} files", number("files"), number("of_files")),
        ),
        ("content", human_size(number("bytes") as u64)),
        ("time to restore", human_seconds(number("restore_seconds"))),
    ])?;
    if !args.scratch.is_empty() {
        let tried = format!("{} with {} tables", number("databases"), number("tables"));
        context.out.facts(&[("databases", tried)])?;
    }
    context.out.line(match ended.fault {
        None => "the drill is passed",
        Some(_) => "THE DRILL FAILED",
    })?;
    Ok(code)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, server)) if !name.is_empty() && !server.is_empty() => {
            Ok((name.to_owned(), server.to_owned()))
        }
        _ => Err("it is a name in the snapshot, =, and a server of the configuration".to_owned()),
    }
}
