//! Rows of the event store.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_core::fuzzing::event_row(bytes));
