//! `keepwatch decrypt`

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Args;
use keepwatch_core::crypto::backuphandler::Decryptor;
use keepwatch_core::crypto::sealed::{is_sealed, open_stream};
use keepwatch_core::fs::{AtomicFile, unseal_file};

use crate::commands::encrypt::{
    Format, is_dash, open_file, open_input, replace, tell, write_output,
};
use crate::commands::{Context, Outcome};
use crate::credentials::existing;
use crate::exit::Failure;
use crate::interrupt::{Stoppable, Until, stop_flag};

/// What to decrypt.
#[derive(Debug, Args)]
pub struct DecryptArgs {
    /// The file, or `-` for standard input
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Where to write it, or `-` for standard output [default: FILE without .kw or .enc]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The format [default: what the content or the name says]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Replace the output file if there is one
    #[arg(long)]
    force: bool,
}

/// Decrypts a file. Nothing is left of it when that fails.
pub fn run(args: &DecryptArgs, context: &mut Context) -> Outcome {
    let output = match &args.output {
        Some(output) => output.clone(),
        None if is_dash(&args.input) => PathBuf::from("-"),
        None => without_extension(&args.input)?,
    };
    let (format, input) = format_of(args)?;
    let credential = existing(&context.global, &args.input.display().to_string())?;
    let stop = stop_flag()?;
    let bytes = match format {
        Format::Kw if args.input.is_file() && !is_dash(&output) => {
            let source = open_file(&args.input)?;
            let mut target = AtomicFile::create(&output, replace(args.force))?;
            let bytes = unseal_file(&source, &mut target, &credential, &Until(stop))?;
            target.commit()?;
            Ok(bytes)
        }
        Format::Kw => write_output(&output, args.force, context, |writer| {
            Ok(open_stream(
                Stoppable::new(input, stop),
                writer,
                &credential,
                0,
            )?)
        }),
        Format::BackupHandler => {
            let file = seekable(&args.input)?;
            write_output(&output, args.force, context, |writer| {
                let input = Stoppable::new(file, stop);
                Ok(Decryptor::new(credential).decrypt(input, writer)?)
            })
        }
    }?;
    tell("decrypted", &args.input, &output, bytes, context)
}

/// The format, and the input with what was read to find it out.
fn format_of(args: &DecryptArgs) -> Result<(Format, impl Read + Send + use<>), Failure> {
    let mut input = open_input(&args.input)?;
    let mut head = Vec::new();
    input
        .by_ref()
        .take(8)
        .read_to_end(&mut head)
        .map_err(Failure::file("read", &args.input))?;
    let format = match args.format {
        Some(format) => format,
        None if is_sealed(&head) => Format::Kw,
        None if args.input.extension() == Some(OsStr::new("enc")) => Format::BackupHandler,
        // Its own error says best what is wrong.
        None => Format::Kw,
    };
    Ok((format, Cursor::new(head).chain(input)))
}

/// The file again: the format has its tag at the end, so it is read twice.
fn seekable(path: &Path) -> Result<File, Failure> {
    let refuse = || {
        Failure::refused(
            "BackupHandler's files are read twice: give a file, not a pipe",
            None,
        )
    };
    if is_dash(path) {
        return Err(refuse());
    }
    let mut file = File::open(path).map_err(Failure::file("read", path))?;
    file.seek(SeekFrom::Start(0)).map_err(|_| refuse())?;
    Ok(file)
}

fn without_extension(path: &Path) -> Result<PathBuf, Failure> {
    let known = [Format::Kw, Format::BackupHandler]
        .iter()
        .any(|format| path.extension() == Some(OsStr::new(format.extension())));
    match known {
        true => Ok(path.with_extension("")),
        false => Err(Failure::usage(
            "the name does not end in .kw or .enc: say with --output where to write",
        )),
    }
}
