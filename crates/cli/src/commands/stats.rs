//! `keepwatch stats`

use clap::Args;
use keepwatch_core::Silent;

use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::select::{FilterArgs, several};
use crate::values::human_size;

/// What to count.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
    /// Only these.
    #[command(flatten)]
    filter: FilterArgs,
}

/// Counts what snapshots hold.
pub fn run(args: &StatsArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let snapshots = several(&opened.repository, &args.snapshots, &args.filter.filter())?;
    let stats = opened.repository.stats(&snapshots, &Silent)?;
    if context.out.json {
        context.out.json(&stats)?;
        return Ok(Code::Ok);
    }
    let ratio = match stats.stored_bytes {
        0 => "-".to_owned(),
        stored => format!("{:.2}", stats.restore_bytes as f64 / stored as f64),
    };
    context.out.facts(&[
        ("snapshots", stats.snapshots.to_string()),
        ("files", stats.files.to_string()),
        ("directories", stats.dirs.to_string()),
        ("restore size", human_size(stats.restore_bytes)),
        ("chunks", stats.chunks.to_string()),
        ("deduplicated", human_size(stats.chunk_bytes)),
        ("stored", human_size(stats.stored_bytes)),
        ("ratio", ratio),
        ("packs", stats.packs.to_string()),
        ("all packs", human_size(stats.pack_bytes)),
    ])?;
    Ok(Code::Ok)
}
