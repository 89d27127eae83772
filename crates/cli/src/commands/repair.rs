//! `keepwatch repair-index`, also as `keepwatch repair index`

use clap::{Args, ValueEnum};

use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::output::counted;

/// What to repair.
#[derive(Debug, Args)]
pub struct RepairArgs {
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The index, from the packs
    Index,
}

/// Repairs a part of the repository.
pub fn run(args: &RepairArgs, context: &mut Context) -> Outcome {
    match args.what {
        What::Index => index(context),
    }
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
