//! Cron expressions and times of day.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_ops::fuzzing::schedule(bytes));
