//! `keepwatch snapshots`

use clap::Args;
use jiff::Timestamp;
use keepwatch_core::{Id, Name, Snapshot};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::exit::{Code, with_causes};
use crate::output::{Align, counted};
use crate::select::FilterArgs;
use crate::values::{human_size, human_time, short};

/// Which snapshots to list.
#[derive(Debug, Args)]
pub struct SnapshotsArgs {
    /// Only so many of the newest
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Only these.
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a Id,
    time: Timestamp,
    host: &'a str,
    user: &'a str,
    paths: &'a [Name],
    tags: &'a [String],
    files: u64,
    bytes: u64,
}

impl<'a> Row<'a> {
    fn new((id, snapshot): &'a (Id, Snapshot)) -> Self {
        Self {
            id,
            time: snapshot.time,
            host: &snapshot.host,
            user: &snapshot.user,
            paths: &snapshot.paths,
            tags: &snapshot.tags,
            files: snapshot.files,
            bytes: snapshot.bytes,
        }
    }
}

/// Lists snapshots, oldest first.
pub fn run(args: &SnapshotsArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let (mut snapshots, problems) = opened.repository.snapshots()?;
    let filter = args.filter.filter();
    snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
    if let Some(last) = args.last {
        snapshots.drain(..snapshots.len().saturating_sub(last));
    }
    for (name, error) in &problems {
        let text = format!("{name} cannot be read: {}", with_causes(error));
        context.problem(&text, Code::Damaged);
    }
    let rows: Vec<Row<'_>> = snapshots.iter().map(Row::new).collect();
    if context.out.json {
        context.out.json_rows(&rows)?;
    } else {
        table(&rows, context)?;
    }
    match problems.is_empty() {
        true => Ok(Code::Ok),
        false => Ok(Code::Damaged),
    }
}

fn table(rows: &[Row<'_>], context: &mut Context) -> std::io::Result<()> {
    let columns = [
        ("ID", Align::Left),
        ("Time", Align::Left),
        ("Host", Align::Left),
        ("Tags", Align::Left),
        ("Files", Align::Right),
        ("Size", Align::Right),
        ("Paths", Align::Left),
    ];
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let paths: Vec<String> = row.paths.iter().map(ToString::to_string).collect();
            vec![
                short(row.id),
                human_time(row.time),
                row.host.to_owned(),
                row.tags.join(","),
                row.files.to_string(),
                human_size(row.bytes),
                paths.join(" "),
            ]
        })
        .collect();
    if !cells.is_empty() {
        context.out.table(&columns, &cells)?;
    }
    context.out.note(counted(rows.len() as u64, "snapshot"));
    Ok(())
}
