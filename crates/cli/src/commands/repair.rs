//! `keepwatch repair`, and `keepwatch repair-index`, also as `keepwatch repair index`

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use keepwatch_core::storage::{ObjectKind, ObjectName, Storage};
use keepwatch_core::{
    BackupOptions, Config, Id, MendReport, Mended, RefillReport, Remains, Remedy, Source,
};
use keepwatch_remote::Location;
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::from::FromCredential;
use crate::interrupt::stop_flag;
use crate::open::{Opened, existing, location, open, open_mending};
use crate::output::counted;
use crate::values::human_size;

/// What to repair.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Only this part; without it everything that parity or copies bring back
    what: Option<What>,
    /// Take what is damaged or lost from another repository, too: a copy of this one, or one that
    /// holds copies of its snapshots
    #[arg(long, value_name = "DIR|ADDRESS", conflicts_with = "what")]
    from: Vec<PathBuf>,
    /// What opens it.
    #[command(flatten)]
    credential: FromCredential,
    /// Read these files, and store again what is lost of them
    #[arg(long, value_name = "PATH", conflicts_with = "what")]
    source: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The index, from the packs
    Index,
}

/// Repairs the repository, or a part of it.
pub fn run(args: &RepairArgs, context: &mut Context) -> Outcome {
    match args.what {
        Some(What::Index) => index(context),
        None => everything(args, context),
    }
}

/// What was brought back, and what was stored again.
#[derive(Serialize)]
struct Repaired {
    #[serde(flatten)]
    report: MendReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    refilled: Option<RefillReport>,
}

fn everything(args: &RepairArgs, context: &mut Context) -> Outcome {
    let mut copies: Vec<Arc<dyn Storage>> = Vec::new();
    let mut strangers = Vec::new();
    let own = Config::id_in(&*existing(&location(&context.global)?, &context.global)?);
    for from in &args.from {
        let global = args.credential.global(from, &context.global);
        let storage = existing(&Location::parse(from.as_os_str())?, &global)?;
        // Where this repository's own is damaged, it can only be a copy.
        match (own, Config::id_in(&*storage)) {
            (Some(own), Some(other)) if own != other => strangers.push(open(&global)?),
            _ => copies.push(storage),
        }
    }
    let sources = args.source.iter().map(|path| Source::at(path));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let others: Vec<&dyn Storage> = copies.iter().map(|copy| &**copy).collect();
    let (opened, first) = open_mending(&context.global, &others)?;
    let bar = context.bar();
    let mut report = opened.repository.repair(&others, &bar)?;
    drop(bar);
    report.mended.splice(0..0, first);
    let given = !strangers.is_empty() || !sources.is_empty();
    let refilled = (given && !report.lost_packs.is_empty())
        .then(|| refill(&opened, &mut report, &strangers, sources, context))
        .transpose()?;
    let whole = report.errors.is_empty();
    let code = if whole { Code::Ok } else { Code::Partly };
    if context.out.json {
        context.out.json(&Repaired { report, refilled })?;
        return Ok(code);
    }
    if let Some(refilled) = &refilled {
        for problem in &refilled.errors {
            context.problem(
                &format!("{}: {}", problem.path, problem.error),
                Code::Partly,
            );
        }
    }
    render(&report, code, context)?;
    Ok(code)
}

/// Stores lost chunks again, and corrects the report: packs of which nothing is missing are mended.
fn refill(
    opened: &Opened,
    report: &mut MendReport,
    strangers: &[Opened],
    sources: Vec<Source>,
    context: &mut Context,
) -> Result<RefillReport, Failure> {
    let options = BackupOptions {
        stop: Some(stop_flag()?),
        ..BackupOptions::at(context.now())
    };
    let mut remains: Vec<Remains> = Vec::new();
    if !sources.is_empty() {
        remains.push(Remains::Sources(sources, &options));
    }
    let strangers = strangers.iter().map(|other| &other.repository);
    remains.extend(strangers.map(Remains::Repository));
    let bar = context.bar();
    let refilled = opened
        .repository
        .refill(&report.lost_packs, remains, &bar)?;
    drop(bar);
    let name = |pack: &Id| ObjectName::new(ObjectKind::Pack, *pack).to_string();
    let of_packs: Vec<String> = report.lost_packs.iter().map(name).collect();
    report
        .errors
        .retain(|error| !of_packs.contains(&error.object));
    report.errors.extend(refilled.lost.iter().cloned());
    report
        .lost_packs
        .retain(|pack| !refilled.packs.contains(pack));
    report
        .mended
        .extend(refilled.packs.iter().map(|pack| Mended {
            object: name(pack),
            from: Remedy::Refilled,
        }));
    Ok(refilled)
}

fn render(report: &MendReport, code: Code, context: &mut Context) -> std::io::Result<()> {
    for mended in &report.mended {
        let from = match mended.from {
            Remedy::Parity => "from parity",
            Remedy::OtherRepository => "from the copy",
            Remedy::Refilled => "its content is in others now",
            _ => "made anew",
        };
        context
            .out
            .note(format_args!("{}: mended, {from}", mended.object));
    }
    for problem in &report.errors {
        context.problem(&format!("{}: {}", problem.object, problem.error), code);
    }
    context.out.line(format_args!(
        "{} read, {}; {} mended, {} not",
        counted(report.objects, "object"),
        human_size(report.bytes),
        report.mended.len(),
        report.errors.len(),
    ))
}

/// Makes a new index.
pub fn index(context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let bar = context.bar();
    let report = opened.repository.repair_index(&bar)?;
    drop(bar);
    let code = match report.errors.is_empty() {
        true => Code::Ok,
        false => Code::Damaged,
    };
    if context.out.json {
        context.out.json(&report)?;
        return Ok(code);
    }
    for problem in &report.errors {
        context.problem(&format!("{}: {}", problem.object, problem.error), code);
    }
    context.out.line(format_args!(
        "{} with {} put into the index; {} and {} removed",
        counted(report.packs, "pack"),
        counted(report.chunks, "chunk"),
        counted(report.index_objects_removed, "damaged index object"),
        counted(report.records_removed, "damaged record"),
    ))?;
    Ok(code)
}
