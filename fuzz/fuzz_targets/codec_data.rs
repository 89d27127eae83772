//! What a camera says that a decoder of its video needs first.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_vision::fuzzing::codec_data(bytes));
