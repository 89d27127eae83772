//! `keepwatch completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::commands::{Context, Outcome};
use crate::exit::Code;

/// Which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints a script that completes command lines.
pub fn run(args: &CompletionsArgs, context: &mut Context) -> Outcome {
    // The generator would panic where a pipe breaks.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keepwatch", &mut script);
    context.out.writer().write_all(&script)?;
    Ok(Code::Ok)
}
