//! Galleries of faces, as they are in an event store.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_recognition::fuzzing::gallery(bytes));
