//! What the libraries have to tell goes to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::args::Global;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs: an object with time, level, fields, and the request that it belongs to
    Json,
}

/// Installs the subscriber: warnings by default, what happens as well for a service, more with `--verbose`, and what `KEEPWATCH_LOG`
/// asks for.
pub fn start(global: &Global, format: LogFormat, is_service: bool) {
    // With --json, standard error is for programs too.
    let verbose = global.verbose.max(u8::from(is_service && !global.quiet));
    let level = match (global.quiet || global.json, verbose) {
        (true, 0) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("KEEPWATCH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => subscriber
            .with_ansi(std::io::stderr().is_terminal())
            .without_time()
            .init(),
        LogFormat::Json => subscriber
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .init(),
    }
}
