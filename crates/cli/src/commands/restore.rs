//! `keepwatch restore`

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use keepwatch_core::fs::{Excludes, ExcludesBuilder, overlap};
use keepwatch_core::{Overwrite, RestoreOptions, RestoreReport};

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::interrupt::stop_flag;
use crate::old_backup::{OldBackupArgs, code, tell};
use crate::open::location;
use crate::output::counted;
use crate::select::{LatestArgs, split_name};
use crate::values::{human_size, human_time};

/// What to restore, and where.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The snapshot, and perhaps a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]", required_unless_present = "from")]
    snapshot: Option<String>,
    /// Restore a backup of BackupHandler, its directory or one of its zips, without a repository
    #[arg(long, value_name = "DIR", conflicts_with_all = ["snapshot", "path", "host", "tag", "paths"])]
    from: Option<PathBuf>,
    /// The directory to restore into
    #[arg(long, short, value_name = "DIR")]
    target: PathBuf,
    /// Only what is at this path of the snapshot, directly into the target
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Only what matches a pattern; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Not what matches a pattern; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// What to do with files that are there [default: refuse a target that is not empty]
    #[arg(long, value_enum)]
    overwrite: Option<OverwriteName>,
    /// Remove what the snapshot does not have from the directories that are restored
    #[arg(long)]
    delete: bool,
    /// Restore owners by number, not by name
    #[arg(long)]
    numeric_owner: bool,
    /// Only count
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
    /// How to read a backup of BackupHandler.
    #[command(flatten)]
    old: OldBackupArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OverwriteName {
    /// Leave them
    Never,
    /// Replace those of other size or time
    IfChanged,
    /// Compare the content of all
    Always,
}

/// Restores a snapshot.
pub fn run(args: &RestoreArgs, context: &mut Context) -> Outcome {
    let from = args.from.as_deref();
    if from.is_none() && args.old.is_given() {
        return Err(Failure::usage(
            "how a backup of BackupHandler is read goes with --from",
        ));
    }
    if args.delete {
        match from {
            Some(backup) => keep(backup, "backup", &args.target)?,
            None => {
                if let Some(repository) = location(&context.global)?.as_path() {
                    keep(repository, "repository", &args.target)?;
                }
            }
        }
    }
    let options = RestoreOptions {
        overwrite: args.overwrite.map(|name| match name {
            OverwriteName::Never => Overwrite::Never,
            OverwriteName::IfChanged => Overwrite::IfChanged,
            OverwriteName::Always => Overwrite::Always,
        }),
        include: patterns(&args.include)?,
        exclude: patterns(&args.exclude)?,
        delete: args.delete,
        numeric_owner: args.numeric_owner,
        dry_run: args.dry_run,
        stop: None,
    };
    if let Some(from) = from {
        return run_from(from, args, options, context);
    }
    let name = args.snapshot.as_deref().unwrap_or_default();
    let (name, path) = split_name(name);
    let path = args.path.as_deref().unwrap_or(path);
    let opened = context.open()?;
    let (id, snapshot) = args.latest.find(&opened.repository, name)?;
    let options = RestoreOptions {
        stop: Some(stop_flag()?),
        ..options
    };
    let bar = context.bar();
    let report = opened.repository.restore(
        &id,
        &snapshot,
        path.as_bytes(),
        &args.target,
        &options,
        &bar,
    )?;
    drop(bar);
    let code = match (report.errors.is_empty(), report.damaged) {
        (_, true) => Code::Damaged,
        (false, _) => Code::Partly,
        (true, _) => Code::Ok,
    };
    for problem in &report.errors {
        context.problem(&format!("{}: {}", problem.path, problem.error), code);
    }
    if context.out.json {
        context.out.json(&report)?;
    } else {
        render(&report, args, context)?;
    }
    Ok(code)
}

/// Restores a backup of BackupHandler.
fn run_from(
    from: &Path,
    args: &RestoreArgs,
    options: RestoreOptions,
    context: &mut Context,
) -> Outcome {
    let backup = args.old.open(from, false, context)?;
    let options = RestoreOptions {
        stop: Some(stop_flag()?),
        ..options
    };
    let bar = context.bar();
    let restored = backup.restore(&args.target, &options, &bar)?;
    drop(bar);
    tell(&restored.findings, context);
    for problem in &restored.report.errors {
        context.problem(
            &format!("{}: {}", problem.path, problem.error),
            Code::Partly,
        );
    }
    if context.out.json {
        context.out.json(&restored)?;
    } else {
        render(&restored.report, args, context)?;
        let name = restored
            .name
            .as_deref()
            .unwrap_or("a directory without a manifest");
        context
            .out
            .note(format_args!("From {name} of {}", human_time(restored.time)));
    }
    Ok(code(restored.weight()))
}

/// No snapshot has what it is restored from in it: to `delete`, that would be one thing too much.
fn keep(kept: &Path, what: &str, target: &Path) -> Result<(), Failure> {
    match overlap(kept, target) {
        true => Err(Failure::refused(
            format!(
                "--delete would remove the {what} {} as well",
                kept.display()
            ),
            Some("restore into another directory, or without --delete"),
        )),
        false => Ok(()),
    }
}

fn render(report: &RestoreReport, args: &RestoreArgs, context: &mut Context) -> io::Result<()> {
    let deleted = match report.deleted {
        0 => String::new(),
        deleted => format!(", {deleted} deleted"),
    };
    let verb = if args.dry_run {
        "would restore"
    } else {
        "restored"
    };
    context.out.line(format_args!(
        "{verb} {} and {} directories with {} to {}; {} left as they were{deleted}",
        counted(report.files, "file"),
        report.dirs,
        human_size(report.bytes),
        args.target.display(),
        report.skipped
    ))?;
    if !report.errors.is_empty() {
        let problems = counted(report.errors.len() as u64, "problem");
        context
            .out
            .note(format_args!("Not everything could be restored: {problems}"));
    }
    Ok(())
}

fn patterns(globs: &[String]) -> Result<Option<Excludes>, Failure> {
    if globs.is_empty() {
        return Ok(None);
    }
    let mut builder = ExcludesBuilder::new();
    for glob in globs {
        builder = builder.glob(glob)?;
    }
    Ok(Some(builder.build()?))
}
