//! Recordings that a crash or somebody else left.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_vision::fuzzing::mp4(bytes));
