//! A text as each medium shows it, and templates.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_ops::fuzzing::notification(bytes));
