//! `keepwatch prune`

use std::io;

use clap::Args;
use jiff::SignedDuration;
use keepwatch_core::{PruneOptions, PruneReport};

use crate::commands::{Context, Outcome};
use crate::exit::{Code, with_causes};
use crate::interrupt::stop_flag;
use crate::open::Opened;
use crate::output::counted;
use crate::values::{duration, human_size, percent};

/// What to free.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// How much of the repository may stay unused rather than be rewritten
    #[arg(long, value_name = "X%", default_value = "5%", value_parser = percent)]
    max_unused: f64,
    /// How long forgotten snapshots can be taken back
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    keep_trash: SignedDuration,
    /// Give up interrupted backups; only when none is running
    #[arg(long)]
    drop_pending: bool,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Frees what no snapshot needs.
pub fn run(args: &PruneArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let stop = stop_flag()?;
    let options = PruneOptions {
        dry_run: args.dry_run,
        max_unused_percent: args.max_unused,
        keep_trash: args.keep_trash,
        drop_pending: args.drop_pending,
        stop: Some(stop.clone()),
    };
    let report = opened.repository.prune(&options, context.now())?;
    if !args.dry_run {
        sweep(&opened);
    }
    if context.out.json {
        context.out.json(&report)?;
    } else {
        render(&report, args.dry_run, context)?;
    }
    if !args.dry_run {
        opened.repository.renew_holds(context.now(), &stop)?;
    }
    Ok(Code::Ok)
}

/// Removes files that writers who died were writing. What cannot be removed is in nobody's way.
pub fn sweep(opened: &Opened) {
    match opened.storage.sweep_temporaries() {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "removed what interrupted writes had left"),
        Err(error) => {
            let error = with_causes(&error);
            tracing::warn!(error, "cannot remove what interrupted writes have left");
        }
    }
}

/// Says what a prune did.
pub fn render(report: &PruneReport, dry_run: bool, context: &mut Context) -> io::Result<()> {
    let would = if dry_run { "would be " } else { "" };
    context.out.line(format_args!(
        "{} {would}removed, {} {would}rewritten, {} {would}freed",
        counted(report.packs_removed, "pack"),
        counted(report.packs_rewritten, "pack"),
        human_size(report.bytes_freed)
    ))?;
    if report.snapshots_purged > 0 {
        context.out.line(format_args!(
            "{} gone for good",
            counted(report.snapshots_purged, "forgotten snapshot")
        ))?;
    }
    if report.packs_waiting > 0 {
        context.out.note(format_args!(
            "{} that no index names will be removed by the next prune",
            counted(report.packs_waiting, "pack")
        ));
    }
    Ok(())
}
