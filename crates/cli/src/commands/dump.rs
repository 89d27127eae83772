//! `keepwatch dump`

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use keepwatch_core::fs::{AtomicFile, Replace};

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::interrupt::{Stoppable, stop_flag};
use crate::select::LatestArgs;

/// Which file to write.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// The snapshot
    snapshot: String,
    /// The path of the file in it
    path: String,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if there is one
    #[arg(long, requires = "output")]
    force: bool,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
}

#[derive(Serialize)]
struct Dumped<'a> {
    path: &'a str,
    output: String,
    bytes: u64,
}

/// Writes the content of one file.
pub fn run(args: &DumpArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let (_, snapshot) = args.latest.find(&opened.repository, &args.snapshot)?;
    let path = args.path.as_bytes();
    let Some(output) = &args.output else {
        if io::stdout().is_terminal() {
            // A text file may well be looked at; control characters stay out of the terminal.
            let mut checked = TextOnly(context.out.writer());
            opened.repository.dump(&snapshot, path, &mut checked)?;
        } else {
            opened
                .repository
                .dump(&snapshot, path, context.out.writer())?;
        }
        return Ok(Code::Ok);
    };
    let replace = match args.force {
        true => Replace::Files,
        false => Replace::Never,
    };
    let mut file = Stoppable::new(AtomicFile::create(output, replace)?, stop_flag()?);
    let bytes = opened.repository.dump(&snapshot, path, &mut file)?;
    file.into_inner().commit()?;
    if context.out.json {
        context.out.json(&Dumped {
            path: &args.path,
            output: output.display().to_string(),
            bytes,
        })?;
    }
    Ok(Code::Ok)
}

/// Refuses what could do harm to a terminal.
struct TextOnly<'a>(&'a mut dyn Write);

impl Write for TextOnly<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let harmless = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || b"\n\r\t".contains(byte);
        if data.iter().all(harmless) {
            return self.0.write(data);
        }
        Err(io::Error::other(
            "this is no text, and the output is a terminal: use --output or a pipe",
        ))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Refuses to write binary data to a terminal.
pub fn refuse_terminal() -> Result<(), Failure> {
    match io::stdout().is_terminal() {
        true => Err(Failure::refused(
            "the output is binary, and standard output is a terminal",
            Some("use --output FILE or a pipe"),
        )),
        false => Ok(()),
    }
}
