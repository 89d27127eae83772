//! `keepwatch restore-db`

use clap::Args;
use keepwatch_core::{Repository, Snapshot};
use keepwatch_ops::hook::Environment;
use keepwatch_ops::source::{FOLDER, RestoreTarget};
use keepwatch_runner::{dumps_of, with_dump};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure};
use crate::select::LatestArgs;

/// Which dump, and where it goes.
#[derive(Debug, Args)]
pub struct RestoreDbArgs {
    /// The snapshot
    snapshot: String,
    /// The database's name in the configuration, and which of its dumps if there are several, as
    /// shop or shop/orders.sql
    #[arg(value_name = "NAME[/DUMP]")]
    dump: String,
    /// Feed it to this one of the configuration instead of the one that it is from
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Into this database instead of the one that it was; for SQLite, this file
    #[arg(long, value_name = "DATABASE")]
    into: Option<String>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
}

#[derive(Serialize)]
struct Restored<'a> {
    dump: &'a str,
    into: Option<&'a str>,
}

/// Feeds a dump of a database back to it.
pub fn run(args: &RestoreDbArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let (name, dump) = match args.dump.split_once('/') {
        Some((name, dump)) => (name, Some(dump)),
        None => (args.dump.as_str(), None),
    };
    let to = args.to.as_deref().unwrap_or(name);
    let settings = config
        .databases
        .get(to)
        .ok_or_else(|| Failure::usage(format!("the configuration has no database {to:?}")))?;
    let opened = context.open()?;
    let (_, snapshot) = args.latest.find(&opened.repository, &args.snapshot)?;
    let dump = find(&opened.repository, &snapshot, name, dump)?;
    let path = format!("{FOLDER}/{name}/{dump}");
    let target = RestoreTarget {
        into: args.into.clone(),
        force: args.force,
    };
    let environment = Environment::new(std::env::vars_os());
    with_dump(&opened.repository, &snapshot, name, &dump, |reader| {
        let restored = settings.restore(&dump, reader, &target, &environment);
        restored.map_err(Failure::from)
    })?;
    if context.out.json {
        context.out.json(&Restored {
            dump: &path,
            into: args.into.as_deref(),
        })?;
    } else {
        context.out.line(format_args!("{path} is restored"))?;
    }
    Ok(Code::Ok)
}

/// The dump that is meant: the only one, if none is named.
fn find(
    repository: &Repository,
    snapshot: &Snapshot,
    name: &str,
    dump: Option<&str>,
) -> Result<String, Failure> {
    let all = dumps_of(repository, snapshot, name)?;
    match (dump, all.as_slice()) {
        (Some(dump), _) if all.iter().any(|known| known == dump) => Ok(dump.to_owned()),
        (None, [only]) => Ok(only.clone()),
        _ => Err(Failure::usage(format!(
            "which dump? There are {}",
            all.join(", ")
        ))),
    }
}
