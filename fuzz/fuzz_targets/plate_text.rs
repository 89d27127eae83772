//! What is read of plates, and patterns of them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_recognition::fuzzing::plate_text(bytes));
