//! The storages of the library against the contract of the seam, and what is particular to a
//! directory on disk.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use keepwatch_core::id::Id;
use keepwatch_core::storage::{
    LocalStorage, MAX_READ, MemoryStorage, ObjectKind, ObjectName, Storage, StorageError,
};
use keepwatch_testkit::storage_conformance;
use tempfile::TempDir;

fn local() -> (TempDir, LocalStorage) {
    let dir = tempfile::tempdir().unwrap();
    let storage = LocalStorage::create_dir(dir.path().join("vault")).unwrap();
    (dir, storage)
}

fn pack(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, Id::of(text.as_bytes()))
}

/// Every file below a directory, as paths relative to it.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn listed(storage: &dyn Storage, kind: ObjectKind) -> Vec<Id> {
    let mut ids = Vec::new();
    storage.list(kind, &mut |id, _| ids.push(id)).unwrap();
    ids
}

#[test]
fn memory_conforms() {
    storage_conformance(&MemoryStorage::new());
}

#[test]
fn local_conforms() {
    let (dir, storage) = local();
    storage_conformance(&storage);
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn clones_share_and_forks_do_not() {
    let storage = MemoryStorage::new();
    let clone = storage.clone();
    let fork = storage.fork();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    assert_eq!(clone.read(&pack("a")).unwrap(), b"a");
    assert!(fork.snapshot_objects().is_empty());
}

#[test]
fn modes_and_names_on_disk() {
    let (dir, storage) = local();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    storage.create(&ObjectName::config(), &[b"c"]).unwrap();
    let root = dir.path().join("vault");
    assert_eq!(
        files(&root),
        [PathBuf::from("config"), PathBuf::from(pack("a").path())]
    );
    assert_eq!(mode(&root.join("config")), 0o400);
    let file = root.join(pack("a").path());
    assert_eq!(mode(&file), 0o400);
    for dir in file.ancestors().skip(1).take(3) {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    assert_eq!(storage.location(), root.display().to_string());
}

#[test]
fn two_handles_see_each_other() {
    let (dir, first) = local();
    let second = LocalStorage::open(dir.path().join("vault")).unwrap();
    first.create(&pack("a"), &[b"a"]).unwrap();
    assert_eq!(second.read(&pack("a")).unwrap(), b"a");
    assert_eq!(listed(&second, ObjectKind::Pack), [pack("a").id]);
    let again = second.create(&pack("a"), &[b"b"]);
    assert!(matches!(again, Err(StorageError::AlreadyExists { .. })));
    second.remove(&pack("a")).unwrap();
    assert!(listed(&first, ObjectKind::Pack).is_empty());
}

#[test]
fn create_dir_refuses_what_is_not_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    // Many directories have a file of this name.
    fs::write(dir.path().join("config"), "[core]").unwrap();
    match LocalStorage::create_dir(dir.path()) {
        Err(StorageError::NotEmpty { found, .. }) => assert_eq!(found, "config"),
        other => panic!("{other:?}"),
    }
    assert_eq!(files(dir.path()), [PathBuf::from("config")]);

    let file = dir.path().join("config");
    assert!(matches!(
        LocalStorage::create_dir(&file),
        Err(StorageError::Io { .. })
    ));
}

#[test]
fn create_dir_accepts_empty_new_interrupted_and_finished() {
    let dir = tempfile::tempdir().unwrap();
    LocalStorage::create_dir(dir.path().join("a/b/c")).unwrap();

    let interrupted = dir.path().join("interrupted");
    fs::create_dir_all(interrupted.join("keys")).unwrap();
    fs::create_dir(interrupted.join("lost+found")).unwrap();
    let storage = LocalStorage::create_dir(&interrupted).unwrap();
    storage.create(&pack("a"), &[b"a"]).unwrap();

    fs::write(interrupted.join("notes.txt"), "mine").unwrap();
    fs::remove_dir(interrupted.join("gc")).unwrap();
    let storage = LocalStorage::create_dir(&interrupted).unwrap();
    assert_eq!(storage.read(&pack("a")).unwrap(), b"a");
    assert!(listed(&storage, ObjectKind::Gc).is_empty());
}

#[test]
fn open_wants_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config"), "[core]").unwrap();
    for path in ["", "missing", "config"] {
        let result = LocalStorage::open(dir.path().join(path));
        assert!(
            matches!(result, Err(StorageError::NotARepository { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn a_lost_directory_is_an_error_and_not_an_empty_listing() {
    let (dir, storage) = local();
    fs::remove_dir(dir.path().join("vault/snapshots")).unwrap();
    let error = storage
        .list(ObjectKind::Snapshot, &mut |_, _| ())
        .unwrap_err();
    assert!(error.hint().is_some_and(|h| h.contains("missing")));
    let name = ObjectName::new(ObjectKind::Snapshot, Id::ZERO);
    assert!(storage.create(&name, &[b"x"]).is_err());
}

#[test]
fn listings_ignore_what_is_not_an_object() {
    let (dir, storage) = local();
    let root = dir.path().join("vault");
    let real = Id::of(b"real");
    let key = ObjectName::new(ObjectKind::Key, real);
    storage.create(&key, &[b"k"]).unwrap();
    storage.create(&pack("real"), &[b"p"]).unwrap();
    let hex = Id::of(b"other").to_string();
    let packs = root.join(pack("real").path());
    let packs = packs.parent().unwrap();
    for dir in [&*root.join("keys"), packs] {
        fs::write(dir.join(".tmp-0123456789abcdef0123456789abcdef"), "t").unwrap();
        fs::write(dir.join("README"), "junk").unwrap();
        fs::write(dir.join(&hex[1..]), "too short").unwrap();
        fs::write(dir.join(hex.to_uppercase()), "upper case").unwrap();
        fs::write(dir.join(format!("{hex}.bak")), "copy").unwrap();
        // The name of an object, but a directory.
        let taken = format!("{}{}", &real.to_string()[..2], "0".repeat(62));
        fs::create_dir(dir.join(taken)).unwrap();
        symlink("/etc/passwd", dir.join("f".repeat(64))).unwrap();
    }
    fs::create_dir(root.join("packs/zz")).unwrap();
    fs::write(root.join("packs/zz").join(&hex), "no such prefix").unwrap();
    fs::write(packs.join("0".repeat(64)), "another prefix").unwrap();

    assert_eq!(listed(&storage, ObjectKind::Key), [real]);
    assert_eq!(listed(&storage, ObjectKind::Pack), [real]);
}

#[test]
fn what_is_not_a_file_is_an_error() {
    let (dir, storage) = local();
    let keys = dir.path().join("vault/keys");
    let name = |byte| ObjectName::new(ObjectKind::Key, Id::from_bytes([byte; 32]));
    let path = |byte| keys.join(name(byte).id.to_string());
    fs::create_dir(path(1)).unwrap();
    symlink("/etc/passwd", path(2)).unwrap();
    let made = Command::new("mkfifo").arg(path(3)).status();
    let last = if made.is_ok_and(|s| s.success()) {
        3
    } else {
        2
    };
    for byte in 1..=last {
        for result in [
            storage.read(&name(byte)).map(drop),
            storage.read_range(&name(byte), 0, 1).map(drop),
            storage.size(&name(byte)).map(drop),
        ] {
            assert!(
                matches!(result, Err(StorageError::Io { .. })),
                "{byte}: {result:?}"
            );
        }
        let created = storage.create(&name(byte), &[b"x"]);
        assert!(matches!(created, Err(StorageError::AlreadyExists { .. })));
    }
    assert!(storage.remove(&name(1)).is_err());
}

#[test]
fn oversized_objects_are_refused() {
    let (dir, storage) = local();
    let name = ObjectName::new(ObjectKind::Index, Id::of(b"sparse"));
    let file = File::create(dir.path().join("vault").join(name.path())).unwrap();
    file.set_len(MAX_READ + 1).unwrap();
    let result = storage.read(&name).map(|bytes| bytes.len());
    assert!(
        matches!(result, Err(StorageError::TooLarge { size, .. }) if size == MAX_READ + 1),
        "{result:?}"
    );
    // A part of it may still be read, to find out what it is.
    assert_eq!(storage.read_range(&name, MAX_READ, 1).unwrap(), [0]);
}

#[test]
fn only_old_temporaries_are_swept() {
    let (dir, storage) = local();
    let root = dir.path().join("vault");
    storage.create(&pack("a"), &[b"a"]).unwrap();
    let packs = root.join(pack("a").path());
    let hour = Duration::from_secs(3600);
    let put = |dir: &Path, name: &str, age: Duration| {
        let file = File::create(dir.join(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    let name = |c: &str| format!(".tmp-{}", c.repeat(32));
    for dir in [&*root, &*root.join("keys"), packs.parent().unwrap()] {
        put(dir, &name("a"), hour * 25);
        put(dir, &name("b"), hour * 23);
        put(dir, ".tmp-mine", hour * 100);
    }
    let kept = files(&root).len() - 3;
    assert_eq!(storage.sweep_temporaries().unwrap(), 3);
    assert_eq!(storage.sweep_temporaries().unwrap(), 0);
    assert_eq!(files(&root).len(), kept);
    assert_eq!(storage.read(&pack("a")).unwrap(), b"a");
}

#[test]
fn a_failed_create_leaves_no_temporary() {
    let (dir, storage) = local();
    storage.create(&pack("a"), &[b"a"]).unwrap();
    for _ in 0..3 {
        storage.create(&pack("a"), &[b"b"]).unwrap_err();
    }
    let left = files(&dir.path().join("vault"));
    assert_eq!(left, [PathBuf::from(pack("a").path())]);
}

/// Set for the child of [`a_full_disk_leaves_no_temporary`]: the small file system to fill.
const SMALL_DISK: &str = "KEEPWATCH_TEST_SMALL_DISK";

/// Mounts a file system of 1 MiB in a mount namespace of its own, which takes no privileges
/// where user namespaces are allowed, and fills it.
#[test]
fn a_full_disk_leaves_no_temporary() {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        return fill(Path::new(&disk));
    }
    let mount = tempfile::tempdir().unwrap();
    let unshare = |script: &str| {
        let script = format!("mount -t tmpfs -o size=1m none \"$1\" && {script}");
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", &script, "sh"]);
        command.arg(mount.path());
        command
    };
    let probe = unshare("true").output();
    if !probe.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no mount namespace to be had");
        return;
    }
    let output = unshare("exec \"$2\" --exact a_full_disk_leaves_no_temporary --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env(SMALL_DISK, mount.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "{text}");
}

fn fill(disk: &Path) {
    let storage = LocalStorage::create_dir(disk.join("vault")).unwrap();
    let bytes = vec![7; 200_000];
    let mut created = 0;
    let error = loop {
        match storage.create(&pack(&created.to_string()), &[&bytes]) {
            Ok(()) => created += 1,
            Err(error) => break error,
        }
        assert!(created < 10, "the disk does not fill");
    };
    let refused = pack(&created.to_string());
    assert!(
        matches!(&error, StorageError::NoSpace { object, .. } if *object == refused),
        "{error:?}"
    );
    assert!(error.hint().is_some());

    // What was there is intact, nothing else is, and it opens.
    let storage = LocalStorage::open(disk.join("vault")).unwrap();
    assert_eq!(files(&disk.join("vault")).len(), created);
    assert_eq!(listed(&storage, ObjectKind::Pack).len(), created);
    for i in 0..created {
        assert_eq!(storage.read(&pack(&i.to_string())).unwrap(), bytes);
    }
    // Removing works on a full disk and makes space again.
    storage.remove(&pack("0")).unwrap();
    storage.create(&refused, &[&bytes]).unwrap();
}
