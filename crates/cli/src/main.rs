//! The `keepwatch` command: parse, call the library, render.

mod args;
mod bar;
#[cfg(feature = "vision")]
mod camera_url;
mod commands;
#[cfg(feature = "vision")]
mod configuration;
mod credentials;
mod exit;
mod from;
mod interrupt;
#[cfg(feature = "vision")]
mod jobs;
mod logging;
#[cfg(feature = "vision")]
mod networks;
mod old_backup;
mod open;
mod output;
mod select;
mod stores;
mod values;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::args::Cli;
use crate::commands::Context;
use crate::exit::Code;
use crate::output::Unread;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::from_clap(&error),
    };
    logging::start(
        &cli.global,
        cli.command.log_format(),
        cli.command.is_service(),
    );
    allow_open_files();
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

/// Each folder on the way to a file is open while the file is read or written, and the limit that
/// programs begin with, 1024, is less than the folders that a path can have.
fn allow_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}
