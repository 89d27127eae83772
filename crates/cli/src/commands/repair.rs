//! `keepwatch repair`, and `keepwatch repair-index`, also as `keepwatch repair index`

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use keepwatch_core::storage::Storage;
use keepwatch_core::{MendReport, Remedy};
use keepwatch_remote::Location;

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::open::{existing, open_mending};
use crate::output::counted;
use crate::values::human_size;

/// What to repair.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Only this part; without it everything that parity or copies bring back
    what: Option<What>,
    /// Take what is damaged or lost from a copy of this repository, too
    #[arg(long, value_name = "DIR|ADDRESS", conflicts_with = "what")]
    from: Vec<PathBuf>,
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

fn everything(args: &RepairArgs, context: &mut Context) -> Outcome {
    let copies: Vec<Arc<dyn Storage>> = args
        .from
        .iter()
        .map(|copy| existing(&Location::parse(copy.as_os_str())?, &context.global))
        .collect::<Result<_, Failure>>()?;
    let others: Vec<&dyn Storage> = copies.iter().map(|copy| &**copy).collect();
    let (opened, first) = open_mending(&context.global, &others)?;
    let bar = context.bar();
    let mut report = opened.repository.repair(&others, &bar)?;
    drop(bar);
    report.mended.splice(0..0, first);
    let code = match report.errors.is_empty() {
        true => Code::Ok,
        false => Code::Partly,
    };
    if context.out.json {
        context.out.json(&report)?;
        return Ok(code);
    }
    render(&report, code, context)?;
    Ok(code)
}

fn render(report: &MendReport, code: Code, context: &mut Context) -> std::io::Result<()> {
    for mended in &report.mended {
        let from = match mended.from {
            Remedy::Parity => "from parity",
            Remedy::OtherRepository => "from the copy",
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
