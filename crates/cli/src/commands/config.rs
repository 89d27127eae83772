//! `keepwatch config`

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwatch_config::backuphandler::{self, NoticeKind};
use keepwatch_core::fs::{AtomicFile, Replace};

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What to do about a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Make keepwatch.toml of an INI file of BackupHandler, and tell what has become of each key
    ///
    /// Secrets are not copied: the file refers to variables, which are named. Settings of SecureVision
    /// need no import: they are read from the environment as they are.
    Import(ImportArgs),
}

/// Which file.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// BackupHandler's config.ini
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the configuration here, and not to standard output; never over a file that is there
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Makes a configuration.
pub fn run(command: &ConfigCommand, context: &mut Context) -> Outcome {
    let ConfigCommand::Import(args) = command;
    let mut text = String::new();
    File::open(&args.file)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(Failure::file("read", &args.file))?;
    let imported = backuphandler::import(&text).map_err(|error| Failure::Refused {
        message: format!("{}: {error}", args.file.display()),
        hint: error.hint(),
    })?;
    if let Some(path) = &args.output {
        let mut file = AtomicFile::create(path, Replace::Never)?;
        file.write_all(imported.toml.as_bytes())
            .map_err(Failure::file("write", path))?;
        file.commit()?;
    } else if !context.out.json {
        context.out.writer().write_all(imported.toml.as_bytes())?;
    }
    if context.out.json {
        context.out.json(&imported)?;
    }
    for notice in &imported.notices {
        let set = match &notice.variable {
            Some(variable) => format!(" (set the variable {variable})"),
            None => String::new(),
        };
        let text = format!("{}: {}{set}", notice.key, notice.text);
        match notice.kind {
            NoticeKind::NotYet | NoticeKind::Unknown => context.problem(&text, Code::Partly),
            NoticeKind::Taken | NoticeKind::Changed | NoticeKind::NotNeeded => {
                context.out.note(text);
            }
        }
    }
    match imported.is_partial() {
        true => Ok(Code::Partly),
        false => Ok(Code::Ok),
    }
}
