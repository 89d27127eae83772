//! `keepwatch parity`

use clap::{Args, Subcommand};
use keepwatch_core::{ParityOptions, ParityStatus};

use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::output::counted;
use crate::values::human_size;

/// What to do with parity.
#[derive(Debug, Subcommand)]
pub enum ParityCommand {
    /// Make parity for all that has none yet
    Add(AddArgs),
    /// Say what parity there is, and what it protects against
    Status,
    /// Remove all parity
    Remove,
}

/// How much parity to make.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// How large parity is in comparison to many large packs; half as much of each may be lost
    /// [default: as before, or 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=50))]
    percent: Option<u8>,
}

/// Manages parity.
pub fn run(command: &ParityCommand, context: &mut Context) -> Outcome {
    match command {
        ParityCommand::Add(args) => add(args, context),
        ParityCommand::Status => status(context),
        ParityCommand::Remove => remove(context),
    }
}

fn add(args: &AddArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let bar = context.bar();
    let options = ParityOptions {
        percent: args.percent,
    };
    let report = opened.repository.parity_add(&options, &bar)?;
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
        "{} read, {} with {} written",
        counted(report.packs_read, "pack"),
        counted(report.objects_written, "parity object"),
        human_size(report.bytes_written),
    ))?;
    render(&opened.repository.parity_status()?, context)?;
    Ok(code)
}

fn status(context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let status = opened.repository.parity_status()?;
    match context.out.json {
        true => context.out.json(&status)?,
        false => render(&status, context)?,
    }
    Ok(Code::Ok)
}

fn render(status: &ParityStatus, context: &mut Context) -> std::io::Result<()> {
    if status.objects == 0 {
        return context.out.line("there is no parity");
    }
    let of = |some: u64| format!("{some} of {}", status.packs);
    context.out.facts(&[
        (
            "parity",
            format!(
                "{} in {}, {:.1} % of all packs",
                human_size(status.bytes),
                counted(status.objects, "object"),
                status.overhead_percent
            ),
        ),
        (
            "against damage",
            format!(
                "{} packs, each if it loses {:.1} % of its sectors at random",
                of(status.packs_against_damage),
                status.damage_percent
            ),
        ),
        (
            "against loss",
            format!(
                "{} packs, one of each group ({}, of up to {})",
                of(status.packs_against_loss),
                counted(status.groups, "group"),
                counted(status.largest_group, "pack")
            ),
        ),
        (
            "other objects",
            format!(
                "{} of {} copied",
                status.small_objects_copied, status.small_objects
            ),
        ),
    ])?;
    if !status.is_complete() || status.useless > 0 {
        context.out.note("`parity add` protects the rest");
    }
    Ok(())
}

fn remove(context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let removed = opened.repository.parity_remove()?;
    match context.out.json {
        true => context.out.json(&removed)?,
        false => context.out.line(format_args!(
            "{} removed, {} freed",
            counted(removed.objects, "parity object"),
            human_size(removed.bytes)
        ))?,
    }
    Ok(Code::Ok)
}
