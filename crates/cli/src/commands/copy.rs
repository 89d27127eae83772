//! `keepwatch copy`

use std::path::PathBuf;

use clap::Args;
use keepwatch_core::CopyOptions;
use serde::Serialize;

use crate::args::Global;
use crate::commands::{Context, Outcome};
use crate::exit::Code;
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
    /// Read its passphrase from the first line of a file [default: what opens --repo]
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_password_file: Option<PathBuf>,
    /// Run a command, without a shell, that prints its passphrase
    #[arg(long, value_name = "COMMAND", group = "from_credential")]
    from_password_command: Option<String>,
    /// Open it with a key file of 32 bytes
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_key_file: Option<PathBuf>,
    /// Open it with the age identities in a file
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_identity: Option<PathBuf>,
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
    report: &'a keepwatch_core::CopyReport,
    dry_run: bool,
}

/// Copies snapshots into the repository.
pub fn run(args: &CopyArgs, context: &mut Context) -> Outcome {
    let to = context.open()?;
    let from = open(&args.global(&context.global))?;
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
    if context.out.json {
        context.out.json(&Copied {
            report: &report,
            dry_run: args.dry_run,
        })?;
        return Ok(Code::Ok);
    }
    let would = if args.dry_run { "would be " } else { "" };
    context.out.line(format_args!(
        "{} {would}copied, {} there already; {} new, {} stored",
        counted(report.copied.len() as u64, "snapshot"),
        report.present.len(),
        human_size(report.bytes_new),
        human_size(report.bytes_stored)
    ))?;
    Ok(Code::Ok)
}

impl CopyArgs {
    /// The options as they are for the other repository.
    fn global(&self, global: &Global) -> Global {
        let mut other = Global {
            repo: Some(self.from.clone()),
            ..global.clone()
        };
        let given = self.from_password_file.is_some()
            || self.from_password_command.is_some()
            || self.from_key_file.is_some()
            || self.from_identity.is_some();
        if given {
            other.password_file.clone_from(&self.from_password_file);
            other
                .password_command
                .clone_from(&self.from_password_command);
            other.key_file.clone_from(&self.from_key_file);
            other.identity.clone_from(&self.from_identity);
        }
        other
    }
}
