//! `keepwatch diff`

use clap::Args;
use keepwatch_core::{Change, ChangeKind};

use crate::commands::ls::{finish, keep};
use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::select::LatestArgs;
use crate::values::human_size;

/// What to compare.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The first snapshot
    before: String,
    /// The second snapshot
    #[arg(default_value = "latest")]
    after: String,
    /// Only what is beneath this path in both
    #[arg(long, value_name = "PATH", default_value = "")]
    path: String,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
}

#[derive(Default)]
struct Totals {
    added: u64,
    removed: u64,
    changed: u64,
    bytes_added: u64,
    bytes_removed: u64,
}

impl Totals {
    fn count(&mut self, change: &Change) {
        match change.change {
            ChangeKind::Added => self.added += 1,
            ChangeKind::Removed => self.removed += 1,
            ChangeKind::Modified | ChangeKind::Metadata | ChangeKind::Type => self.changed += 1,
        }
        self.bytes_added += change.size_after.saturating_sub(change.size_before);
        self.bytes_removed += change.size_before.saturating_sub(change.size_after);
    }
}

fn sign(change: ChangeKind) -> &'static [u8] {
    match change {
        ChangeKind::Added => b"+  ",
        ChangeKind::Removed => b"-  ",
        ChangeKind::Modified => b"M  ",
        ChangeKind::Metadata => b"U  ",
        ChangeKind::Type => b"T  ",
    }
}

/// Compares two snapshots.
pub fn run(args: &DiffArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let (_, before) = args.latest.find(&opened.repository, &args.before)?;
    let (_, after) = args.latest.find(&opened.repository, &args.after)?;
    let out = &mut context.out;
    let mut totals = Totals::default();
    let mut failed = None;
    let result = opened
        .repository
        .diff(&before, &after, args.path.as_bytes(), &mut |change| {
            totals.count(&change);
            let shown = match out.json {
                true => out.json(&change),
                false => out.bytes(&[sign(change.change), &change.path.0]),
            };
            keep(&mut failed, shown)
        });
    finish(failed, result)?;
    context.out.note(format_args!(
        "{} added, {} removed, {} changed; {} more, {} less",
        totals.added,
        totals.removed,
        totals.changed,
        human_size(totals.bytes_added),
        human_size(totals.bytes_removed)
    ));
    Ok(Code::Ok)
}
