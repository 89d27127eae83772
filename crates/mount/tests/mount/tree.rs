//! The tree as a library.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use keepwatch_core::storage::ObjectKind;
use keepwatch_core::tree::NodeKind;
use keepwatch_mount::{Dir, EntryKind, Tree, TreeOptions};
use keepwatch_testkit::tree::{noise, write};
use keepwatch_testkit::{FaultStorage, Op, OpKind, When, vault};

use crate::scene::{Scene, components, content, descend, list, names, varied_tree};

#[test]
fn every_file_is_what_dump_writes() {
    let scene = Scene::new();
    varied_tree(&scene.source());
    scene.backup();
    let tree = scene.tree();
    let (_, snapshot) = scene.repository.find_snapshot("latest").unwrap();
    let latest = tree.find(&[b"latest"]).unwrap().unwrap();
    let mut files = 0;
    let mut listed = Vec::new();
    let mut each = |entry| {
        listed.push(entry);
        Ok(())
    };
    scene
        .repository
        .list_tree(&snapshot, b"/", true, &mut each)
        .unwrap();
    for expected in listed {
        let path = &expected.path.0;
        let parts: Vec<Vec<u8>> = components(std::ffi::OsStr::from_bytes(path).as_ref());
        let entry = descend(&tree, &latest.dir().unwrap(), &parts);
        let EntryKind::Stored(node) = &entry.kind else {
            panic!("{entry:?}");
        };
        assert_eq!(
            (node.meta.mode, node.meta.uid),
            (expected.mode, expected.uid)
        );
        if !matches!(node.kind, NodeKind::File { .. }) {
            assert!(tree.open_file(node).is_err());
            continue;
        }
        let mut dumped = Vec::new();
        scene.repository.dump(&snapshot, path, &mut dumped).unwrap();
        assert!(content(&tree, &entry) == dumped, "{}", expected.path);
        files += 1;
    }
    assert!(files > 15, "{files}");
}

#[test]
fn snapshots_are_found_by_time_id_host_and_tag() {
    let scene = Scene::new();
    write(&scene.source(), "file", b"1");
    scene.backup_as("2026-03-01T10:00:00Z", "web/../1", &["daily", "a/b"]);
    write(&scene.source(), "file", b"22");
    scene.backup_as("2026-03-01T10:00:00.5Z", "db", &["daily", "daily"]);
    let tree = scene.tree();
    assert_eq!(
        names(&tree, &Dir::Root),
        ["hosts", "ids", "latest", "snapshots", "tags"]
    );
    let times = names(&tree, &Dir::Snapshots);
    assert_eq!(times[0], "2026-03-01T10-00-00Z");
    assert!(
        times[1].starts_with("2026-03-01T10-00-00Z-"),
        "two in a second: {times:?}"
    );
    assert_eq!(names(&tree, &Dir::Hosts), ["db", "web%2F..%2F1"]);
    assert_eq!(names(&tree, &Dir::Tags), ["a%2Fb", "daily"]);
    assert_eq!(names(&tree, &Dir::Ids).len(), 2);

    let latest = tree.lookup(&Dir::Root, b"latest").unwrap().unwrap();
    let EntryKind::Latest { target, .. } = &latest.kind else {
        panic!("{latest:?}");
    };
    assert_eq!(target, format!("snapshots/{}", times[1]).as_bytes());

    let mut file = scene.path_in_snapshot();
    file.push(b"file".to_vec());
    let read = |top: &[&[u8]]| {
        let found = tree.find(top).unwrap().unwrap();
        content(&tree, &descend(&tree, &found.dir().unwrap(), &file))
    };
    assert_eq!(read(&[b"latest"]), b"22");
    assert_eq!(read(&[b"snapshots", times[0].as_bytes()]), b"1");
    assert_eq!(
        read(&[b"hosts", b"web%2F..%2F1", times[0].as_bytes()]),
        b"1"
    );
    assert_eq!(read(&[b"tags", b"daily", times[1].as_bytes()]), b"22");
    let tagged = tree.find(&[b"tags", b"daily"]).unwrap().unwrap();
    assert_eq!(names(&tree, &tagged.dir().unwrap()), times);
    for id in names(&tree, &Dir::Ids) {
        read(&[b"ids", id.as_bytes()]);
    }
    // Of the other host.
    assert!(
        tree.find(&[b"hosts", b"db", times[0].as_bytes()])
            .unwrap()
            .is_none()
    );
    for nothing in ["..", "", ".", "a/b", "nothing"].map(str::as_bytes) {
        for dir in [Dir::Root, Dir::Snapshots, Dir::Ids, Dir::Hosts, Dir::Tags] {
            assert!(tree.lookup(&dir, nothing).unwrap().is_none(), "{dir:?}");
        }
        assert!(tree.lookup(&latest_dir(&tree), nothing).unwrap().is_none());
    }
}

fn latest_dir(tree: &Tree) -> Dir {
    tree.find(&[b"latest"]).unwrap().unwrap().dir().unwrap()
}

#[test]
fn new_and_forgotten_snapshots_show() {
    let scene = Scene::new();
    write(&scene.source(), "file", b"1");
    let tree = scene.tree();
    assert_eq!(
        names(&tree, &Dir::Root),
        ["hosts", "ids", "snapshots", "tags"]
    );
    scene.backup();
    assert_eq!(names(&tree, &Dir::Snapshots).len(), 1);
    scene.backup_as("2026-03-02T10:00:00Z", "other", &[]);
    assert_eq!(names(&tree, &Dir::Hosts), ["other", "testhost"]);
    let (id, _) = scene.repository.find_snapshot("latest").unwrap();
    scene
        .repository
        .forget(&[id], jiff::Timestamp::now(), false)
        .unwrap();
    assert_eq!(names(&tree, &Dir::Hosts), ["testhost"]);
}

#[test]
fn nobody_waits_for_who_looks_for_new_snapshots() {
    let scene = Scene::new();
    write(&scene.source(), "file", b"1");
    scene.backup();
    let storage = FaultStorage::new(Arc::new(scene.storage.clone()));
    let stalled = Arc::new((Barrier::new(2), Barrier::new(2), AtomicBool::new(false)));
    let hook = {
        let stalled = stalled.clone();
        move |op: &Op| {
            let (reached, released, armed) = &*stalled;
            let is_look = op.object.kind == ObjectKind::Snapshot && op.kind == OpKind::List;
            if is_look && op.when == When::Before && armed.swap(false, Ordering::SeqCst) {
                reached.wait();
                released.wait();
            }
        }
    };
    storage.on_op(Box::new(hook));
    let repository = vault::open(Arc::new(storage), &scene.dir.path().join("other")).unwrap();
    let options = TreeOptions {
        refresh: Duration::ZERO,
        ..TreeOptions::default()
    };
    let tree = Tree::new(Arc::new(repository), &options).unwrap();
    assert_eq!(names(&tree, &Dir::Snapshots).len(), 1);
    scene.backup_as("2026-03-02T10:00:00Z", "other", &[]);
    let (reached, released, armed) = &*stalled;
    armed.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| names(&tree, &Dir::Snapshots).len());
        reached.wait();
        // The storage does not answer: what is known is shown.
        assert_eq!(names(&tree, &Dir::Snapshots).len(), 1);
        released.wait();
        assert_eq!(looks.join().unwrap(), 2);
    });
    assert_eq!(names(&tree, &Dir::Snapshots).len(), 2);
}

#[test]
fn large_directories_are_read_in_pieces() {
    let scene = Scene::new();
    for n in 0..5000 {
        fs::write(
            scene
                .source()
                .join(format!("{n:05} with a name that is rather long")),
            b"",
        )
        .unwrap();
    }
    scene.backup();
    // Next to nothing is kept, so that pieces are read again.
    let options = TreeOptions {
        entry_cache: 4000,
        refresh: Duration::ZERO,
        ..TreeOptions::default()
    };
    let tree = Tree::new(scene.repository.clone(), &options).unwrap();
    let source = descend(&tree, &latest_dir(&tree), &scene.path_in_snapshot());
    let dir = source.dir().unwrap();
    // In the middle first.
    for n in [2500, 4999, 0, 17] {
        let name = format!("{n:05} with a name that is rather long");
        let found = tree.lookup(&dir, name.as_bytes()).unwrap();
        assert_eq!(found.unwrap().name, name.as_bytes());
        let missing = format!("{n:05} with a name that is rather lonh");
        assert!(tree.lookup(&dir, missing.as_bytes()).unwrap().is_none());
    }
    let all = list(&tree, &dir);
    assert_eq!(all.len(), 5000);
    assert!(all.is_sorted_by(|a, b| a.name < b.name));
    let open = tree.open_dir(&dir).unwrap();
    assert_eq!(tree.read_dir(&open, 4321).unwrap()[0].name, all[4321].name);
    assert!(tree.read_dir(&open, 5000).unwrap().is_empty());
    assert!(tree.read_dir(&open, u64::MAX).unwrap().is_empty());
}

#[test]
fn many_read_one_file_at_any_place() {
    let scene = Scene::new();
    let expected = noise(900_000, 9);
    write(&scene.source(), "file", &expected);
    scene.backup();
    // Less than the file, so that chunks come and go.
    let options = TreeOptions {
        chunk_cache: 200_000,
        threads: Some(3),
        ..TreeOptions::default()
    };
    let tree = Tree::new(scene.repository.clone(), &options).unwrap();
    let mut path = scene.path_in_snapshot();
    path.push(b"file".to_vec());
    let entry = descend(&tree, &latest_dir(&tree), &path);
    let EntryKind::Stored(node) = &entry.kind else {
        panic!("{entry:?}");
    };
    let file = tree.open_file(node).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..8_u64 {
            let (file, expected) = (&file, &expected);
            scope.spawn(move || {
                let mut at = seed * 1_000_003;
                for _ in 0..300 {
                    at = at
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(seed + 1);
                    let start = (at >> 33) as usize % (expected.len() + 10);
                    let len = (at >> 7) as usize % 40_000;
                    let end = (start + len).min(expected.len());
                    let read = file.read_at(start as u64, len).unwrap();
                    assert!(read == expected[start.min(end)..end], "{start} {len}");
                }
            });
        }
    });
    assert!(file.read_at(u64::MAX, 10).unwrap().is_empty());
}

#[test]
fn damage_is_told_where_it_is_and_no_further() {
    let scene = Scene::new();
    write(&scene.source(), "good", noise(100_000, 1));
    scene.backup_as("2026-03-01T10:00:00Z", "a", &[]);
    let before = scene.packs();
    write(&scene.source(), "bad", noise(100_000, 2));
    scene.backup_as("2026-03-02T10:00:00Z", "a", &[]);
    let tree = scene.tree();
    let source = descend(&tree, &latest_dir(&tree), &scene.path_in_snapshot());
    // Directories are in the new packs, too, and known by now.
    assert_eq!(names(&tree, &source.dir().unwrap()), ["bad", "good"]);
    scene.damage_data(&before);
    let open = |name: &[u8]| {
        let entry = tree.lookup(&source.dir().unwrap(), name).unwrap().unwrap();
        let EntryKind::Stored(node) = entry.kind else {
            panic!("no file");
        };
        tree.open_file(&node).unwrap()
    };
    let bad = open(b"bad");
    for _ in 0..2 {
        let error = bad.read_at(0, 100_000).unwrap_err();
        assert!(error.is_damage(), "{error}");
    }
    assert!(open(b"good").read_at(0, 100_000).unwrap() == noise(100_000, 1));
}
