//! Manifests of BackupHandler, and what is made of their paths.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keepwatch_ops::backuphandler::fuzzing::manifest(data));
