//! Streams of pictures, whole and in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_vision::fuzzing::mjpeg(bytes));
