//! Backups of BackupHandler: what opens them, and what is to be said of them.

use std::path::Path;

use clap::Args;
use jiff::tz::TimeZone;
use keepwatch_ops::backuphandler::{Backup, Finding, OpenOptions, Weight};

use crate::commands::Context;
use crate::credentials::OldCredential;
use crate::exit::{Code, Failure};

/// How to read such a backup.
#[derive(Debug, Args)]
#[command(next_help_heading = "Backups of BackupHandler")]
pub struct OldBackupArgs {
    /// What opens it.
    #[command(flatten)]
    credential: OldCredential,
    /// The time zone of the machine that made it, which its times do not say [default: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    time_zone: Option<TimeZone>,
    /// Leave out what was no longer in the source at the last run: such a backup never deletes
    #[arg(long)]
    without_deleted: bool,
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "it is no time zone such as Europe/Berlin or UTC".to_owned())
}

impl OldBackupArgs {
    /// Whether anything is said.
    pub fn is_given(&self) -> bool {
        self.credential.is_given() || self.time_zone.is_some() || self.without_deleted
    }

    /// Opens the backup, and says how its times are read.
    pub fn open(
        &self,
        path: &Path,
        all_runs: bool,
        context: &mut Context,
    ) -> Result<Backup, Failure> {
        let time_zone = self.time_zone.clone().unwrap_or_else(TimeZone::system);
        let name = time_zone
            .iana_name()
            .unwrap_or("of this machine")
            .to_owned();
        let options = OpenOptions {
            time_zone,
            keys: self.credential.read()?,
            all_runs,
            without_deleted: self.without_deleted,
        };
        let backup = Backup::open(path, options)?;
        context
            .out
            .note(format_args!("Its times are read in the time zone {name}"));
        Ok(backup)
    }
}

/// Tells what was found.
pub fn tell(findings: &[Finding], context: &mut Context) {
    for finding in findings {
        let text = match finding.path.0.is_empty() {
            true => finding.detail.clone(),
            false => format!("{}: {}", finding.path, finding.detail),
        };
        match code(Some(finding.weight)) {
            Code::Ok => context.out.note(text),
            code => context.problem(&text, code),
        }
    }
}

/// What a run ends with when the worst that it found weighs so much.
pub fn code(weight: Option<Weight>) -> Code {
    match weight {
        None | Some(Weight::Note) => Code::Ok,
        Some(Weight::Doubt) => Code::Partly,
        Some(Weight::Damage) => Code::Damaged,
    }
}
