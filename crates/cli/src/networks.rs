//! What computes networks on this machine.

use keepwatch_config::Config;
use keepwatch_recognition::infer::{Engine, library};

use crate::exit::Failure;

/// The engine that the configuration asks for.
pub fn engine(config: &Config) -> Result<Engine, Failure> {
    Ok(of(config)?)
}

/// The same, with the library's own error.
pub fn of(config: &Config) -> keepwatch_recognition::Result<Engine> {
    let places = library::places(&|name| std::env::var_os(name), &[]);
    config.inference.engine(&places)
}
