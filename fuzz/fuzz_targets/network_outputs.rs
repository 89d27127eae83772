//! Numbers of the networks that find faces, objects and plates, and read these.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_recognition::fuzzing::network_outputs(bytes));
