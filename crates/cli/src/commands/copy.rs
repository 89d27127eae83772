//! `keepwatch copy`

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;
use keepwatch_core::{CopyOptions, CopyReport};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::from::FromCredential;
use crate::open::open;
use crate::output::counted;
use crate::select::{FilterArgs, several};
use crate::values::human_size;

/// What to copy, and from where.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Only these snapshots [default: all]
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
    /// The repository to copy from
    #[arg(long, value_name = "DIR|ADDRESS")]
    from: PathBuf,
    /// What opens it.
    #[command(flatten)]
    credential: FromCredential,
    /// Read and count, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Only these.
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Serialize)]
struct Copied<'a> {
    #[serde(flatten)]
    report: &'a CopyReport,
    dry_run: bool,
}

/// Copies snapshots into the repository.
pub fn run(args: &CopyArgs, context: &mut Context) -> Outcome {
    let to = context.open()?;
    let from = open(&args.credential.global(&args.from, &context.global))?;
    let snapshots = several(&from.repository, &args.snapshots, &args.filter.filter())?;
    let options = CopyOptions {
        dry_run: args.dry_run,
        ..CopyOptions::default()
    };
    let bar = context.bar();
    let report = to
        .repository
        .copy_from(&from.repository, snapshots, &options, &bar)?;
    drop(bar);
    show(&report, args.dry_run, context)?;
    if !args.dry_run {
        let stop = AtomicBool::new(false);
        to.repository.renew_holds(context.now(), &stop)?;
    }
    Ok(Code::Ok)
}

fn show(report: &CopyReport, dry_run: bool, context: &mut Context) -> io::Result<()> {
    if context.out.json {
        return context.out.json(&Copied { report, dry_run });
    }
    let would = if dry_run { "would be " } else { "" };
    context.out.line(format_args!(
        "{} {would}copied, {} there already; {} new, {} stored",
        counted(report.copied.len() as u64, "snapshot"),
        report.present.len(),
        human_size(report.bytes_new),
        human_size(report.bytes_stored)
    ))
}
