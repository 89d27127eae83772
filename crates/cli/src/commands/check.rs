//! `keepwatch check`

use clap::Args;
use keepwatch_core::{ParityCheck, ReadData};

use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::output::counted;
use crate::values::{human_size, subset};

/// How much to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Also read and verify all data
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,
    /// Also read and verify a part of the data: part n of t, a percentage, or so much of it; what
    /// was not read for the longest time comes first
    #[arg(long, value_name = "N/T|X%|SIZE", value_parser = subset)]
    read_data_subset: Option<ReadData>,
}

/// Looks for damage.
pub fn run(args: &CheckArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let read = match args.read_data_subset {
        Some(subset) => subset,
        None if args.read_data => ReadData::All,
        None => ReadData::No,
    };
    let bar = context.bar();
    let report = opened.repository.check(read, &bar)?;
    drop(bar);
    let code = match report.ok {
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
    for leftover in &report.warnings {
        context
            .out
            .note(format_args!("{}: {}", leftover.object, leftover.error));
    }
    let checked = &report.checked;
    let verified = match read {
        ReadData::No => "found in the index; no data was read (use --read-data)".to_owned(),
        _ => format!("verified in {}", human_size(checked.bytes)),
    };
    context.out.line(format_args!(
        "{}, {}, {} {verified}",
        counted(checked.snapshots, "snapshot"),
        counted(checked.packs, "pack"),
        counted(checked.chunks, "chunk"),
    ))?;
    if report.parity.objects > 0 {
        context.out.line(parity(&report.parity))?;
    }
    context.out.line(match report.errors.len() as u64 {
        0 => "no errors were found".to_owned(),
        errors => format!("{} found", counted(errors, "error")),
    })?;
    Ok(code)
}

/// What parity there is, and what of the damage it mends.
fn parity(parity: &ParityCheck) -> String {
    let mut text = counted(parity.objects, "parity object");
    if parity.packs_unprotected > 0 {
        let packs = counted(parity.packs_unprotected, "pack");
        text.push_str(&format!("; {packs} not yet protected, use `parity add`"));
    }
    if !parity.mendable.is_empty() {
        let objects = counted(parity.mendable.len() as u64, "damaged or lost object");
        text.push_str(&format!("; `repair` brings back {objects}"));
    }
    text
}
