use keepwatch_crypto::Key;
use tempfile::TempDir;

use super::*;
use crate::storage::MemoryStorage;

/// An empty repository in memory, with its cache in the directory.
pub(crate) fn in_memory() -> (TempDir, Repository) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let repository = Repository::init(
        Arc::new(MemoryStorage::new()),
        &Lock::KeyFile(&Key::from_bytes([1; 32])),
        "",
        &InitOptions::default(),
        Timestamp::UNIX_EPOCH,
        &CachePlace::Temporary(dir.path().to_owned()),
    )
    .expect("init");
    (dir, repository)
}

#[test]
fn records_of_a_later_version_are_refused() {
    let (_dir, repository) = in_memory();
    for version in [0, 2] {
        let record = serde_json::json!({
            "version": version, "client": "00".repeat(16), "set": "00".repeat(32),
            "packs": [], "snapshot": null,
        });
        let id = repository
            .write_record(ObjectKind::Pending, &record)
            .expect("write");
        let read = repository.read_record::<crate::snapshot::Pending>(ObjectKind::Pending, id);
        assert!(
            matches!(&read, Err(Error::Unsupported { value, .. }) if *value == version.to_string()),
            "{read:?}"
        );
    }
}
