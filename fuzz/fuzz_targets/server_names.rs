//! Names of files in snapshots, as addresses carry them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_server::fuzzing::names(bytes));
