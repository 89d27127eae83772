//! Backs a file or folder up and mounts the repository until it is unmounted or told to end:
//! `cargo run --release --example mount_folder -- SOURCE REPOSITORY MOUNT_POINT`.
#![allow(clippy::print_stdout)] // What this program is for.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_core::crypto::{Key, Lock};
use keepwatch_core::storage::LocalStorage;
use keepwatch_core::{BackupOptions, CachePlace, InitOptions, Repository, Silent, Source};
use keepwatch_mount::{Tree, TreeOptions, fuse};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, place, mount_point] = arguments.as_slice() else {
        return Err("usage: mount_folder SOURCE REPOSITORY MOUNT_POINT".into());
    };
    // A key file's bytes; a passphrase works the same way.
    let key = Key::from_bytes(*b"an example is not a secret place");
    let repository = Repository::init(
        Arc::new(LocalStorage::create_dir(place)?),
        &Lock::KeyFile(&key),
        "example",
        &InitOptions::default(),
        Timestamp::now(),
        &CachePlace::Temporary(std::env::temp_dir()),
    )?;
    let options = BackupOptions {
        host: "example".to_owned(),
        ..BackupOptions::at(Timestamp::now())
    };
    let sources = vec![Source::Path(std::path::absolute(source)?)];
    repository.backup(sources, &options, &Silent)?;

    let tree = Tree::new(Arc::new(repository), &TreeOptions::default())?;
    let mounted = fuse::mount(tree, mount_point, &fuse::MountOptions::default())?;
    println!("mounted at {}", mount_point.display());
    mounted.wait(&|| false)?;
    Ok(())
}
