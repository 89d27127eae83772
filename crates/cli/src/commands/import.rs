//! `keepwatch import`

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwatch_core::Stream;
use keepwatch_ops::backuphandler::{ImportOptions, ImportReport, Imported};

use crate::commands::backup::{CompressionName, host_name, user_name};
use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::interrupt::stop_flag;
use crate::old_backup::{OldBackupArgs, code, tell};
use crate::output::counted;
use crate::select::tag_list;
use crate::values::{human_size, human_time, short};

/// Whose backups.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Bring in a backup of BackupHandler: its directory, or one of its zips
    ///
    /// Files are compared with its manifests; what is not what it was is left out and told. The
    /// snapshot has the time of the last run: of earlier ones there is only what later ones have not
    /// overwritten. What was brought in before is not brought in again.
    Backuphandler(BackuphandlerArgs),
}

/// Which backup, and how.
#[derive(Debug, Args)]
pub struct BackuphandlerArgs {
    /// The directory with its manifests, or a zip
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The machine that was backed up [default: the name of this one]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Where the snapshot has the files [default: where they were, as the manifests say]
    #[arg(long = "as", value_name = "PATH", value_parser = Stream::parse_path)]
    place: Option<PathBuf>,
    /// A word to find the snapshots by, besides `backuphandler`; may be repeated
    #[arg(long, value_name = "TAG[,TAG…]")]
    tag: Vec<String>,
    /// Also bring in what is left of earlier runs, with the tag `partial` where that is not all
    #[arg(long)]
    all_runs: bool,
    /// How hard to compress
    #[arg(long, value_enum, default_value_t)]
    compression: CompressionName,
    /// Read and compare everything, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// How to read the backup.
    #[command(flatten)]
    old: OldBackupArgs,
}

/// Brings backups in.
pub fn run(command: &ImportCommand, context: &mut Context) -> Outcome {
    let ImportCommand::Backuphandler(args) = command;
    let opened = context.open()?;
    let backup = args.old.open(&args.dir, args.all_runs, context)?;
    let options = ImportOptions {
        host: args.host.clone().unwrap_or_else(host_name),
        user: user_name(),
        program: concat!("keepwatch ", env!("CARGO_PKG_VERSION")).to_owned(),
        place: args.place.clone(),
        tags: args.tag.iter().flat_map(|list| tag_list(list)).collect(),
        compression: args.compression.into(),
        dry_run: args.dry_run,
        stop: Some(stop_flag()?),
    };
    let bar = context.bar();
    let report = backup.import(&opened.repository, &options, &bar)?;
    drop(bar);
    tell(&report.findings, context);
    for problem in &report.errors {
        context.problem(
            &format!("{}: {}", problem.path, problem.error),
            Code::Partly,
        );
    }
    if context.out.json {
        context.out.json(&report)?;
    } else {
        render(&report, context)?;
    }
    Ok(code(report.weight()))
}

fn render(report: &ImportReport, context: &mut Context) -> io::Result<()> {
    for run in &report.runs {
        context.out.line(line(run))?;
    }
    Ok(())
}

fn line(run: &Imported) -> String {
    let what = match (&run.snapshot, run.is_old) {
        (Some(id), true) => format!("snapshot {} was there already", short(id)),
        (Some(id), false) => format!("snapshot {} saved", short(id)),
        (None, _) => "nothing was written".to_owned(),
    };
    let part = match run.is_partial {
        true => ", a part of that run",
        false => "",
    };
    let failed = match run.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    format!(
        "{what}: {} of {}, {} with {}{failed}{part}",
        run.path,
        human_time(run.time),
        counted(run.files, "file"),
        human_size(run.bytes),
    )
}
