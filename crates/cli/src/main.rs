//! The `keepwatch` command: parse, call the library, render.

mod args;
mod atomic_file;
mod bar;
mod commands;
mod credentials;
mod exit;
mod interrupt;
mod logging;
mod open;
mod output;
mod select;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::commands::Context;
use crate::exit::Code;
use crate::output::Unread;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::from_clap(&error),
    };
    logging::start(&cli.global);
    let unread = commands::unread(&cli.command);
    let mut context = Context::new(&cli.global, unread);
    let code = match commands::run(cli.command, &mut context) {
        Ok(code) => code,
        // Whoever read our output has seen enough: that is no failure.
        Err(failure) if unread == Unread::Ends && failure.is_broken_pipe() => Code::Ok,
        Err(failure) => {
            exit::report(&failure, cli.global.json);
            failure.code()
        }
    };
    code.into()
}
