//! Settings of cameras, and what is changed of them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_server::fuzzing::patches(bytes));
