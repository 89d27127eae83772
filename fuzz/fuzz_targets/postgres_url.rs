//! Addresses of databases, with passwords that are never shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_core::fuzzing::postgres_url(bytes));
