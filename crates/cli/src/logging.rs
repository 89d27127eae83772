//! What the libraries have to tell goes to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::Global;

/// Installs the subscriber: warnings by default, more with `--verbose`, and what `KEEPWATCH_LOG`
/// asks for.
pub fn start(global: &Global) {
    // With --json, standard error is for programs too.
    let level = match (global.quiet || global.json, global.verbose) {
        (true, 0) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("KEEPWATCH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}
