//! Ranges that browsers ask for, of files of any length.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_server::fuzzing::range(bytes));
