//! Paths and ranges that programs ask WebDAV for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keepwatch_mount::webdav::fuzzing::request(bytes));
