//! Backs a folder up, checks every byte, and restores it:
//! `cargo run --release --example backup_folder -- FOLDER REPOSITORY TARGET`.
#![allow(clippy::print_stdout)] // What this program is for.

use std::error::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::storage::LocalStorage;
use keepwatch_core::{
    BackupOptions, CachePlace, InitOptions, ReadData, Repository, RestoreOptions, Silent, Source,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, place, target] = arguments.as_slice() else {
        return Err("usage: backup_folder FOLDER REPOSITORY TARGET".into());
    };
    let folder = std::path::absolute(folder)?;
    // A key file's bytes; a passphrase works the same way.
    let key = Key::from_bytes(*b"an example is not a secret place");
    let cache = CachePlace::Dir(std::env::temp_dir().join("keepwatch-example"));
    let repository = open(place, &key, &cache)?;

    let options = BackupOptions {
        host: "example".to_owned(),
        ..BackupOptions::at(Timestamp::now())
    };
    let backup = repository.backup(vec![Source::Path(folder.clone())], &options, &Silent)?;
    println!("{backup:#?}");

    let check = repository.check(ReadData::All, &Silent)?;
    println!("{check:#?}");

    let (id, snapshot) = repository.find_snapshot("latest")?;
    let path = folder.as_os_str().as_bytes();
    let restore = repository.restore(
        &id,
        &snapshot,
        path,
        target,
        &RestoreOptions::default(),
        &Silent,
    )?;
    println!("{restore:#?}");
    Ok(())
}

fn open(place: &Path, key: &Key, cache: &CachePlace) -> Result<Repository, Box<dyn Error>> {
    Ok(if place.join("config").exists() {
        let storage = Arc::new(LocalStorage::open(place)?);
        Repository::open(storage, &Credential::KeyFile(key.clone()), cache)?
    } else {
        let storage = Arc::new(LocalStorage::create_dir(place)?);
        let (lock, options) = (Lock::KeyFile(key), InitOptions::default());
        Repository::init(storage, &lock, "example", &options, Timestamp::now(), cache)?
    })
}
