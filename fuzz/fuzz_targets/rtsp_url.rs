//! Addresses of cameras, with passwords that are never shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_vision::fuzzing::url(bytes));
