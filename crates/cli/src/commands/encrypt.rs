//! `keepwatch encrypt`

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use keepwatch_core::crypto::backuphandler::{self, LegacyKey};
use keepwatch_core::crypto::sealed::{SealOptions, seal_stream};
use keepwatch_core::crypto::{Lock, NewLock, PublicKey};
use keepwatch_core::fs::{AtomicFile, Replace, seal_file};
use serde::Serialize;

use crate::args::Global;
use crate::commands::dump::refuse_terminal;
use crate::commands::init::KdfName;
use crate::commands::{Context, Outcome};
use crate::credentials::{named_locks, new_passphrase, recipient};
use crate::exit::{Code, Failure};
use crate::interrupt::{Stoppable, Until, stop_flag};
use crate::values::human_size;

/// What to encrypt, and for whom.
#[derive(Debug, Args)]
pub struct EncryptArgs {
    /// The file, or `-` for standard input
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Where to write it, or `-` for standard output [default: FILE.kw or FILE.enc]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Whose identity opens it; may be repeated
    #[arg(long, short, value_name = "AGE1…", value_parser = recipient)]
    recipient: Vec<PublicKey>,
    /// A passphrase opens it too; asked for, or from KEEPWATCH_PASSWORD
    #[arg(long, short)]
    passphrase: bool,
    /// What makes a key of the passphrase
    #[arg(long, value_enum, default_value_t)]
    kdf: KdfName,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Replace the output file if there is one
    #[arg(long)]
    force: bool,
}

/// Formats of encrypted files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Keepwatch's own
    #[default]
    Kw,
    /// BackupHandler's
    #[value(name = "backuphandler")]
    BackupHandler,
}

impl Format {
    /// What the names of such files end with.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Kw => "kw",
            Format::BackupHandler => "enc",
        }
    }
}

#[derive(Serialize)]
struct Done {
    input: String,
    output: String,
    bytes: u64,
}

/// Encrypts a file.
pub fn run(args: &EncryptArgs, context: &mut Context) -> Outcome {
    let output = match &args.output {
        Some(output) => output.clone(),
        None if is_dash(&args.input) => PathBuf::from("-"),
        None => with_extension(&args.input, args.format.extension()),
    };
    if is_dash(&output) {
        refuse_terminal()?;
    }
    let locks = locks(args, &context.global)?;
    let stop = stop_flag()?;
    let kdf = args.kdf.kdf();
    let options = SealOptions::default();
    let borrowed: Vec<Lock<'_>> = locks.iter().map(|lock| lock.lock(kdf)).collect();
    let bytes = match args.format {
        Format::Kw if !is_dash(&args.input) && !is_dash(&output) => {
            let source = open_file(&args.input)?;
            let mut target = AtomicFile::create(&output, replace(args.force))?;
            let bytes = seal_file(&source, &mut target, &borrowed, options, &Until(stop))?;
            target.commit()?;
            bytes
        }
        format => {
            let input = Stoppable::new(open_input(&args.input)?, stop);
            write_output(&output, args.force, context, |writer| {
                Ok(match format {
                    Format::Kw => seal_stream(input, writer, &borrowed, options, 0)?,
                    Format::BackupHandler => {
                        backuphandler::encrypt(input, writer, &legacy_key(&locks)?)?
                    }
                })
            })?
        }
    };
    tell("encrypted", &args.input, &output, bytes, context)
}

/// What options name. The environment's passphrase, which may be meant for a repository, counts
/// only when it is asked for or nothing else is given.
fn locks(args: &EncryptArgs, global: &Global) -> Result<Vec<NewLock>, Failure> {
    let mut locks = named_locks(global)?;
    let has_passphrase = locks
        .iter()
        .any(|lock| matches!(lock, NewLock::Passphrase(_)));
    locks.extend(args.recipient.iter().cloned().map(NewLock::Recipient));
    if locks.is_empty() || args.passphrase && !has_passphrase {
        locks.push(new_passphrase()?);
    }
    Ok(locks)
}

/// BackupHandler's files have one key.
fn legacy_key(locks: &[NewLock]) -> Result<LegacyKey, Failure> {
    match locks {
        [NewLock::Passphrase(passphrase)] => Ok(LegacyKey::from_passphrase(passphrase)?),
        [NewLock::KeyFile(key)] => Ok(LegacyKey::from_key_file(key)),
        _ => Err(Failure::usage(
            "BackupHandler's format takes one passphrase or one key file, and no recipients",
        )),
    }
}

/// Whether a name stands for standard input or output.
pub fn is_dash(path: &Path) -> bool {
    path == Path::new("-")
}

fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Opens a file, or standard input.
pub fn open_input(path: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if is_dash(path) {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(open_file(path)?))
}

/// Opens a file, a pipe or a device.
pub fn open_file(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(Failure::file("read", path))?;
    let metadata = file.metadata().map_err(Failure::file("read", path))?;
    match metadata.is_dir() {
        true => Err(Failure::refused(
            format!("{} is a directory", path.display()),
            None,
        )),
        false => Ok(file),
    }
}

/// `--force`, as files know it.
pub fn replace(force: bool) -> Replace {
    match force {
        true => Replace::Files,
        false => Replace::Never,
    }
}

/// Lets `write` make a file that appears only if it succeeds, or fill standard output.
pub fn write_output(
    path: &Path,
    force: bool,
    context: &mut Context,
    write: impl FnOnce(&mut dyn Write) -> Result<u64, Failure>,
) -> Result<u64, Failure> {
    if is_dash(path) {
        return write(context.out.writer());
    }
    let mut file = AtomicFile::create(path, replace(force))?;
    let bytes = write(&mut file)?;
    file.commit()?;
    Ok(bytes)
}

/// Says what was made, unless it went to standard output itself.
pub fn tell(done: &str, input: &Path, output: &Path, bytes: u64, context: &mut Context) -> Outcome {
    if !is_dash(output) {
        let (input, output) = (input.display().to_string(), output.display().to_string());
        if context.out.json {
            context.out.json(&Done {
                input,
                output,
                bytes,
            })?;
        } else {
            let size = human_size(bytes);
            context
                .out
                .note(format_args!("{done} {input} to {output}, {size}"));
        }
    }
    Ok(Code::Ok)
}
