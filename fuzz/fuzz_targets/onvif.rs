//! What devices answer to a search.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_vision::fuzzing::onvif(bytes));
