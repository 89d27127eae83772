//! Lists of plates, as people and spreadsheets write them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_recognition::fuzzing::plate_list(bytes));
