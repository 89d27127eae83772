//! `keepwatch find`

use clap::Args;
use jiff::Timestamp;
use keepwatch_core::fs::{Excludes, ExcludesBuilder};
use keepwatch_core::{Id, Listed, Repository, Snapshot};
use serde::Serialize;

use crate::commands::ls::{details, finish, keep};
use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::select::{FilterArgs, several};
use crate::values::{human_time, short};

/// What to look for, and where.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// A name or path, with wildcards as in .gitignore
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<String>,
    /// Only in this snapshot; may be repeated
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Vec<String>,
    /// Show modes, owners, sizes and times
    #[arg(long, short)]
    long: bool,
    /// Only in these snapshots.
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Serialize)]
struct Found<'a> {
    snapshot: &'a Id,
    time: Timestamp,
    #[serde(flatten)]
    entry: &'a Listed,
}

/// Finds entries by name; it is no failure when there are none.
pub fn run(args: &FindArgs, context: &mut Context) -> Outcome {
    let mut wanted = ExcludesBuilder::new();
    for pattern in &args.patterns {
        wanted = wanted.glob(pattern)?;
    }
    let wanted = wanted.build()?;
    let opened = context.open()?;
    let snapshots = several(&opened.repository, &args.snapshot, &args.filter.filter())?;
    for snapshot in &snapshots {
        search(
            &opened.repository,
            snapshot,
            &wanted,
            args.long,
            &mut context.out,
        )?;
    }
    Ok(Code::Ok)
}

fn search(
    repository: &Repository,
    (id, snapshot): &(Id, Snapshot),
    wanted: &Excludes,
    long: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut heading = Some(format!(
        "snapshot {} of {}",
        short(id),
        human_time(snapshot.time)
    ));
    let mut failed = None;
    let mut show = |entry: &Listed| {
        if out.json {
            let time = snapshot.time;
            return out.json(&Found {
                snapshot: id,
                time,
                entry,
            });
        }
        if let Some(heading) = heading.take() {
            out.line(heading)?;
        }
        let facts = if long { details(entry) } else { String::new() };
        out.bytes(&[b"  ", facts.as_bytes(), &entry.path.0])
    };
    let result = repository.list_tree(snapshot, b"", true, &mut |entry| match wanted.matches(
        &entry.path.0,
        entry.kind == "dir",
        entry.size,
    ) {
        true => keep(&mut failed, show(&entry)),
        false => Ok(()),
    });
    finish(failed, result)
}
