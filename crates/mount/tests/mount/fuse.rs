//! The tree as the kernel shows it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepwatch_mount::Error;
use keepwatch_mount::fuse::{MountOptions, Mounted, mount};
use keepwatch_testkit::tree::{describe, noise, write};

use crate::scene::{Scene, varied_tree};

/// A scene that is mounted.
struct View {
    scene: Scene,
    at: PathBuf,
    mounted: Option<Mounted>,
}

impl View {
    fn new(scene: Scene) -> Self {
        let at = scene.dir.path().join("mnt");
        fs::create_dir(&at).unwrap();
        let mounted = mount(scene.tree(), &at, &MountOptions::default())
            .unwrap_or_else(|error| panic!("{error:?}: is the package fuse3 installed?"));
        Self {
            scene,
            at,
            mounted: Some(mounted),
        }
    }

    /// The source in the newest snapshot.
    fn source(&self) -> PathBuf {
        let source = self.scene.source();
        self.at
            .join("latest")
            .join(source.strip_prefix("/").unwrap())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(mounted) = self.mounted.take() {
            mounted.unmount().unwrap();
        }
    }
}

#[test]
fn a_mounted_tree_is_its_source() {
    let scene = Scene::new();
    varied_tree(&scene.source());
    scene.backup();
    let view = View::new(scene);
    let (expected, found) = (describe(&view.scene.source()), describe(&view.source()));
    assert_eq!(expected.len(), found.len());
    for (path, was) in &expected {
        assert_eq!(Some(was), found.get(path), "{}", path.display());
    }
    // What lists directories and what looks at files agree on numbers.
    for entry in fs::read_dir(view.source()).unwrap() {
        let entry = entry.unwrap();
        let number = fs::symlink_metadata(entry.path()).unwrap().ino();
        assert_eq!(
            std::os::unix::fs::DirEntryExt::ino(&entry),
            number,
            "{entry:?}"
        );
    }
    let sparse = fs::metadata(view.source().join("sparse")).unwrap();
    assert!(sparse.blocks() * 512 < 1_000_000, "{}", sparse.blocks());
    let diff = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([view.scene.source().join("deep"), view.source().join("deep")])
        .status()
        .unwrap();
    assert!(diff.success());
}

#[test]
fn nothing_can_be_written() {
    let scene = Scene::new();
    write(&scene.source(), "file", b"content");
    scene.backup();
    let view = View::new(scene);
    let refused = |result: io::Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem, "{error}");
    };
    let (dir, file) = (view.source(), view.source().join("file"));
    refused(fs::write(dir.join("new"), b""));
    refused(fs::write(&file, b""));
    refused(fs::remove_file(&file));
    refused(fs::create_dir(dir.join("new")));
    refused(fs::rename(&file, dir.join("other")));
    refused(std::os::unix::fs::symlink("x", dir.join("new")));
    refused(fs::hard_link(&file, dir.join("new")));
    refused(std::os::unix::fs::chown(&file, Some(1), None));
    refused(fs::create_dir(view.at.join("new")));
    let options = fs::read_to_string("/proc/self/mounts").unwrap();
    let at = view.at.to_str().unwrap();
    let line = options.lines().find(|line| line.contains(at)).unwrap();
    for option in ["ro", "nosuid", "nodev"] {
        let options = line.split(' ').nth(3).unwrap();
        assert!(options.split(',').any(|word| word == option), "{line}");
    }
}

#[test]
fn many_readers_read_at_random_places() {
    let scene = Scene::new();
    let expected = noise(3_000_000, 4);
    write(&scene.source(), "file", &expected);
    scene.backup();
    let view = View::new(scene);
    let path = view.source().join("file");
    std::thread::scope(|scope| {
        for seed in 0..6_u64 {
            let (path, expected) = (&path, &expected);
            scope.spawn(move || {
                let file = fs::File::open(path).unwrap();
                let mut at = seed * 1_000_003;
                for _ in 0..100 {
                    at = at
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(seed + 1);
                    let start = (at >> 33) as usize % expected.len();
                    let len = ((at >> 7) as usize % 90_000).min(expected.len() - start);
                    let mut read = vec![0; len];
                    file.read_exact_at(&mut read, start as u64).unwrap();
                    assert!(read == expected[start..start + len], "{start} {len}");
                }
            });
        }
    });
    assert!(fs::read(&path).unwrap() == expected);
}

#[test]
fn new_snapshots_appear() {
    let scene = Scene::new();
    write(&scene.source(), "file", b"1");
    let view = View::new(scene);
    let count = || fs::read_dir(view.at.join("snapshots")).unwrap().count();
    assert_eq!(count(), 0);
    view.scene.backup();
    assert_eq!(count(), 1);
    view.scene
        .backup_as("2026-03-02T10:00:00Z", "other", &["tag"]);
    assert_eq!(count(), 2);
    let target = fs::read_link(view.at.join("latest")).unwrap();
    assert_eq!(target, Path::new("snapshots/2026-03-02T10-00-00Z"));
    let path = view.scene.source();
    let inside = path.strip_prefix("/").unwrap();
    for top in ["hosts/other", "tags/tag"] {
        let top = view.at.join(top).join("2026-03-02T10-00-00Z");
        assert_eq!(fs::read(top.join(inside).join("file")).unwrap(), b"1");
    }
}

#[test]
fn a_name_that_another_snapshot_gets_shows_that_one() {
    let scene = Scene::new();
    write(&scene.source(), "file", b"1");
    scene.backup();
    write(&scene.source(), "file", b"2");
    // In the same second: it has a longer name as long as the first is there.
    scene.backup_as("2026-03-01T10:00:00.5Z", "other", &[]);
    let view = View::new(scene);
    let source = view.scene.source();
    let inside = source.strip_prefix("/").unwrap().join("file");
    let file = view.at.join("snapshots/2026-03-01T10-00-00Z").join(inside);
    assert_eq!(fs::read(&file).unwrap(), b"1");
    let (snapshots, _) = view.scene.repository.snapshots().unwrap();
    let now = jiff::Timestamp::now();
    let first = snapshots[0].0;
    view.scene.repository.forget(&[first], now, false).unwrap();
    // The kernel asks again after a second.
    let begun = Instant::now();
    while fs::read(&file).unwrap() != b"2" {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it shows the old one"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn damage_is_an_error_of_one_read() {
    let scene = Scene::new();
    write(&scene.source(), "good", noise(100_000, 1));
    scene.backup();
    let before = scene.packs();
    write(&scene.source(), "bad", noise(100_000, 2));
    scene.backup_as("2026-03-02T10:00:00Z", "testhost", &[]);
    let view = View::new(scene);
    let (good, bad) = (view.source().join("good"), view.source().join("bad"));
    let mut file = fs::File::open(&bad).unwrap();
    view.scene.damage_data(&before);
    let error = file.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::IO.raw_os_error())
    );
    assert!(fs::read(good).unwrap() == noise(100_000, 1));
    assert_eq!(fs::metadata(bad).unwrap().len(), 100_000);
}

#[test]
fn it_ends_when_it_is_told_or_unmounted() {
    let scene = Scene::new();
    write(&scene.source(), "file", noise(100_000, 1));
    scene.backup();
    let mut view = View::new(scene);
    let is_mounted = |at: &Path| {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        mounts.contains(at.to_str().unwrap())
    };
    assert!(is_mounted(&view.at));

    // Told, while somebody has a file open.
    let held = fs::File::open(view.source().join("file")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let mounted = view.mounted.take().unwrap();
    let waiting = std::thread::spawn(move || mounted.wait(&|| flag.load(Ordering::Relaxed)));
    assert!(!waiting.is_finished());
    stop.store(true, Ordering::Relaxed);
    waiting.join().unwrap().unwrap();
    assert!(!is_mounted(&view.at));
    drop(held);

    // By somebody else.
    let mounted = mount(view.scene.tree(), &view.at, &MountOptions::default()).unwrap();
    let waiting = std::thread::spawn(move || mounted.wait(&|| false));
    assert!(
        Command::new("umount")
            .arg(&view.at)
            .status()
            .unwrap()
            .success()
    );
    waiting.join().unwrap().unwrap();
    assert!(!is_mounted(&view.at));
}

#[test]
fn others_see_what_they_may() {
    let scene = Scene::new();
    for (name, mode) in [("open", 0o644), ("closed", 0o600)] {
        let path = write(&scene.source(), name, b"content");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // Also in the snapshot.
    fs::set_permissions(scene.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    scene.backup();
    let mut view = View::new(scene);
    let may_read = |path: PathBuf| {
        let read = Command::new("setpriv")
            .args(["--reuid", "65534", "--clear-groups", "cat"])
            .arg(path)
            .output()
            .unwrap();
        read.status.success()
    };
    assert!(!may_read(view.source().join("open")), "it is of root alone");
    view.mounted.take().unwrap().unmount().unwrap();

    let options = MountOptions { allow_other: true };
    view.mounted = Some(mount(view.scene.tree(), &view.at, &options).unwrap());
    assert!(may_read(view.source().join("open")));
    assert!(!may_read(view.source().join("closed")));
}

#[test]
fn what_is_left_of_a_mount_is_told() {
    let scene = Scene::new();
    let tree = scene.tree();
    let mut view = View::new(scene);
    // As it is when the program is killed: the kernel has nobody to ask.
    let device = fs::metadata(&view.at).unwrap().dev();
    let connection = rustix::fs::minor(device);
    let control = view.scene.dir.path().join("control");
    fs::create_dir(&control).unwrap();
    let done = Command::new("mount")
        .args(["-t", "fusectl", "none"])
        .arg(&control)
        .status()
        .unwrap();
    assert!(done.success());
    let aborted = fs::write(control.join(format!("{connection}/abort")), "1");
    let unmounted = Command::new("umount").arg(&control).status().unwrap();
    aborted.unwrap();
    assert!(unmounted.success());

    let error = mount(tree, &view.at, &MountOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("has ended is still there"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("fusermount3 -u"));
    // Nobody is left to join but the threads, which have seen it.
    assert!(
        Command::new("umount")
            .arg(&view.at)
            .status()
            .unwrap()
            .success()
    );
    drop(view.mounted.take());
}

#[test]
fn places_that_are_not_fit_are_refused() {
    let scene = Scene::new();
    let tree = scene.tree();
    write(&scene.source(), "full/file", b"");
    let refused = |path: &Path| match mount(tree.clone(), path, &MountOptions::default()) {
        Err(Error::MountPoint { problem, hint, .. }) => format!("{problem}; {hint}"),
        other => panic!("{other:?}"),
    };
    let full = scene.source().join("full");
    assert!(refused(&full).contains("not empty"));
    assert!(refused(&full.join("file")).contains("no directory"));
    assert!(refused(&full.join("nothing")).contains("mkdir"));
}
