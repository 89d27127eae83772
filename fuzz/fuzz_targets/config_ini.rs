//! INI files of BackupHandler: what comes of them is a configuration, or an error.

#![no_main]

use keepwatch_config::backuphandler::import;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(imported) = import(text) {
        let table: keepwatch_config::Table = imported.toml.parse().expect("it is TOML");
        assert!(table.contains_key("schema_version"));
    }
});
