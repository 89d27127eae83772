//! Where a stream is to go on.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_server::fuzzing::follow(bytes));
