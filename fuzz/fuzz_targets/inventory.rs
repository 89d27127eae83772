//! What machines' files and programs say of themselves, and inventories of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_ops::fuzzing::inventory(bytes));
