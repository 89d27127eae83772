//! Backups that read from snapshots of a file system: a real btrfs, on a loop device.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use keepwatch_core::{RestoreOptions, Silent};
use keepwatch_runner::{RunRecord, Runner, Setup, Status};
use keepwatch_testkit::tree::{noise, write};

use crate::world::{World, run, script};

/// As large as a btrfs must be to have some room.
const SIZE: u64 = 200 << 20;

/// A world with a btrfs mounted as `mnt`, in which `home` is a subvolume.
struct Disk {
    world: World,
}

impl Disk {
    fn new() -> Self {
        assert!(
            rustix::process::getuid().is_root(),
            "this test mounts a file system: run it as root, as in CI"
        );
        let world = World::new();
        let image = world.path("image");
        fs::File::create(&image).unwrap().set_len(SIZE).unwrap();
        fs::create_dir(world.path("mnt")).unwrap();
        tool("mkfs.btrfs", &["-q", text(&image)]);
        tool(
            "mount",
            &["-o", "loop", text(&image), text(&world.path("mnt"))],
        );
        let disk = Self { world };
        disk.subvolume("home");
        // Does what is told after a snapshot was made, before anything of it is read.
        fs::create_dir(disk.world.path("bin")).unwrap();
        script(
            &disk.world.path("bin/btrfs"),
            &format!(
                "PATH=/usr/bin:/usr/sbin:/bin:/sbin\nbtrfs \"$@\" || exit\n\
                 if [ \"$2\" = snapshot ] && [ -f '{0}' ]; then . '{0}'; fi",
                disk.world.path("then").display()
            ),
        );
        disk
    }

    fn subvolume(&self, name: &str) {
        let path = self.path(name);
        tool("btrfs", &["-q", "subvolume", "create", text(&path)]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path("mnt").join(name)
    }

    fn then(&self, script: &str) {
        let here = self.world.dir.path().to_str().unwrap();
        fs::write(self.world.path("then"), script.replace('@', here)).unwrap();
    }

    fn runner(&self, rest: &str) -> Runner {
        let job = format!(
            "[jobs.home]\nkind = \"backup\"\nrepository = \"disk\"\nfrom_snapshot = \"auto\"\n{rest}"
        );
        let path = format!("{}:/usr/bin:/bin", self.world.path("bin").display());
        let setup = Setup {
            environment: vec![("PATH".into(), path.into())],
            ..self.world.setup()
        };
        Runner::new(std::sync::Arc::new(self.world.config(&job)), setup).unwrap()
    }

    /// What is in the top directories that must not be.
    fn left(&self) -> Vec<String> {
        let tops = ["", "home"].map(|top| fs::read_dir(self.path(top)).unwrap());
        let names = tops.into_iter().flatten();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("keepwatch")).collect()
    }

    /// What the newest snapshot has of a path of the disk.
    fn restored(&self, name: &str) -> PathBuf {
        let target = tempfile::tempdir_in(self.world.dir.path()).unwrap().keep();
        let repository = self.world.open("disk");
        let (id, snapshot) = repository.find_snapshot("latest").unwrap();
        let options = RestoreOptions::default();
        let report = repository.restore(&id, &snapshot, b"", &target, &options, &Silent);
        assert_eq!(report.unwrap().errors, []);
        target.join(self.path(name).strip_prefix("/").unwrap())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mounted = self.world.path("mnt");
        let _ = Command::new("umount").arg("-R").arg(mounted).status();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn tool(program: &str, arguments: &[&str]) {
    let done = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: is btrfs-progs installed?"));
    assert!(
        done.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

fn assert_done(record: &RunRecord) {
    assert_eq!(record.status, Status::Done, "{record:?}");
    assert!(record.problems.is_empty(), "{record:?}");
}

#[test]
fn a_backup_is_of_the_moment_of_its_snapshot() {
    let disk = Disk::new();
    disk.world.init("disk");
    write(&disk.path("home"), "ada/file", b"before");
    write(&disk.path("home"), "ada/large", noise(300_000, 3));
    disk.then("echo after >'@/mnt/home/ada/file'; echo new >'@/mnt/home/ada/new'");
    let runner = disk.runner("paths = [\"@/mnt/home/ada\"]");
    assert_done(&run(&runner, "home"));
    let restored = disk.restored("home/ada");
    assert_eq!(fs::read(restored.join("file")).unwrap(), b"before");
    assert!(!restored.join("new").exists());
    assert_eq!(fs::read(disk.path("home/ada/file")).unwrap(), b"after\n");
    assert_eq!(disk.left(), [""; 0]);

    // The next one follows it under the same paths, and reads what has changed only.
    disk.then("");
    disk.world.later(60);
    let second = run(&runner, "home");
    assert_done(&second);
    let counts = |record: &RunRecord| {
        ["files_new", "files_changed", "files_unmodified"].map(|key| record.summary[key].clone())
    };
    assert_eq!(counts(&second), [1, 1, 1]);
    disk.world.later(60);
    assert_eq!(counts(&run(&runner, "home")), [0, 0, 3]);
    // Nor is anything read again by who reads the files themselves.
    disk.world.later(60);
    let plain =
        "[jobs.plain]\nkind = \"backup\"\nrepository = \"disk\"\npaths = [\"@/mnt/home/ada\"]";
    let plain = run(&disk.world.runner(plain), "plain");
    assert_eq!(counts(&plain), [0, 0, 3]);
    let snapshots = disk.world.snapshots("disk");
    let paths: Vec<String> = snapshots
        .iter()
        .map(|made| made.paths[0].to_string())
        .collect();
    assert_eq!(paths, [text(&disk.path("home/ada")); 4]);
    assert!(snapshots[1..].iter().all(|made| made.parent.is_some()));
}

#[test]
fn what_is_on_other_volumes_is_told() {
    let disk = Disk::new();
    disk.world.init("disk");
    write(&disk.path("home"), "ada/file", b"file");
    for nested in ["home/ada/machines", "home/ada/cache", "home/other"] {
        disk.subvolume(nested);
        write(&disk.path(nested), "inside", b"inside");
    }
    let paths = "paths = [\"@/mnt/home/ada\"]\nexclude = [\"cache/\"]";
    let record = run(&disk.runner(paths), "home");
    assert_eq!(record.status, Status::Partly, "{record:?}");
    let [problem] = &record.problems[..] else {
        panic!("{record:?}");
    };
    let machines = disk.path("home/ada/machines");
    let expected = format!(
        "{}: it is a btrfs subvolume of its own, which the snapshot of the file system does not \
         have: what is in it was not backed up; name it in `paths` or in `exclude`",
        text(&machines)
    );
    assert_eq!(*problem, expected);
    assert!(!disk.restored("home/ada/machines/inside").exists());

    // As a path of its own it has its own snapshot, in its place in the other.
    disk.world.later(60);
    let both = "paths = [\"@/mnt/home/ada\", \"@/mnt/home/ada/machines\"]\nexclude = [\"cache/\"]";
    assert_done(&run(&disk.runner(both), "home"));
    let restored = disk.restored("home/ada");
    assert_eq!(
        fs::read(restored.join("machines/inside")).unwrap(),
        b"inside"
    );
    assert_eq!(fs::read(restored.join("file")).unwrap(), b"file");
    assert_eq!(disk.left(), [""; 0]);
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let disk = Disk::new();
    disk.world.init("disk");
    write(&disk.path("home"), "file", b"file");
    // What is left of a run is as one that is there while another runs.
    disk.then(
        "for made in '@'/mnt/home/.keepwatch-snapshot-home-*; do\n\
         btrfs -q subvolume snapshot -r \"$made\" \"${made%????}0000\"\n\
         btrfs -q subvolume snapshot -r \"$made\" \"${made%????}0000x\"\ndone",
    );
    let runner = disk.runner("paths = [\"@/mnt/home\"]");
    run(&runner, "home");
    disk.then("");
    assert_eq!(disk.left().len(), 2);
    disk.world.later(60);
    let record = run(&runner, "home");
    let left = disk.left();
    assert_eq!(left.len(), 1, "{record:?}");
    assert!(left[0].ends_with("0000x"), "only its own are removed");
    // And nothing of them is in the backup.
    let restored = fs::read_dir(disk.restored("home")).unwrap();
    let names: Vec<_> = restored.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
}

#[test]
fn a_snapshot_that_stays_is_a_problem() {
    let disk = Disk::new();
    disk.world.init("disk");
    write(&disk.path("home"), "file", b"file");
    script(
        &disk.world.path("bin/btrfs"),
        "[ \"$2\" = delete ] && { echo 'ERROR: not today' >&2; exit 1; }\nexec /usr/bin/btrfs \"$@\"",
    );
    let record = run(&disk.runner("paths = [\"@/mnt/home\"]"), "home");
    assert_eq!(record.status, Status::Partly, "{record:?}");
    assert!(
        record.problems[0].starts_with("removing the snapshot "),
        "{record:?}"
    );
    assert!(
        record.problems[0].contains("`btrfs`: ERROR: not today"),
        "{record:?}"
    );
    assert_eq!(disk.left().len(), 1);
}

#[test]
fn links_binds_and_whole_subvolumes_are_found() {
    let disk = Disk::new();
    // The repository is on the same disk, and is not backed up into itself.
    let repository = disk.path("home/vault");
    fs::create_dir(&repository).unwrap();
    std::os::unix::fs::symlink(&repository, disk.world.path("disk")).unwrap();
    disk.world.init("disk");
    write(&disk.path("home"), "ada/file", b"before");
    write(&disk.path(""), "bound/x", b"");
    std::os::unix::fs::symlink(disk.path("home"), disk.path("way")).unwrap();
    let (from, to) = (disk.path("home/ada"), disk.path("bound"));
    tool("mount", &["--bind", text(&from), text(&to)]);
    disk.then("echo after >'@/mnt/home/ada/file'");
    let paths = "paths = [\"@/mnt/bound\", \"@/mnt/way/ada/file\", \"@/mnt/home\"]";
    assert_done(&run(&disk.runner(paths), "home"));
    for file in ["bound/file", "home/ada/file", "way/ada/file"] {
        assert_eq!(fs::read(disk.restored(file)).unwrap(), b"before", "{file}");
    }
    assert!(!disk.restored("home/vault").exists());
    assert_eq!(disk.left(), [""; 0]);
    assert_eq!(fs::metadata(disk.path("home")).unwrap().ino(), 256);
}

#[test]
fn what_is_on_no_such_file_system_fails_the_run() {
    let disk = Disk::new();
    disk.world.init("disk");
    fs::create_dir(disk.path("memory")).unwrap();
    tool(
        "mount",
        &["-t", "tmpfs", "tmpfs", text(&disk.path("memory"))],
    );
    write(&disk.path("home"), "file", b"file");
    let paths = "paths = [\"@/mnt/home\", \"@/mnt/memory\"]";
    let record = run(&disk.runner(paths), "home");
    assert_eq!(record.status, Status::Failed);
    let error = record.error.unwrap();
    assert!(error.contains("for it is on tmpfs of tmpfs; "), "{error}");
    assert!(error.contains("a job of their own"), "{error}");
    assert_eq!(disk.left(), [""; 0]);
}
