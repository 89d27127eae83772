//! What never happens again: one test for each fault of earlier tools that a vault can have.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use keepwatch_core::id::Id;
use keepwatch_testkit::tree::describe;

use crate::world::{World, run, run_with};

/// More than a signed 32-bit number counts.
const TWO_GIB: u64 = 1 << 31;

/// Every file beneath a directory, with its content.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => {
                    let content = fs::read(&path).unwrap();
                    files.insert(path, content);
                }
            }
        }
    }
    files
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

/// Nothing in the directories holds one of these, and no name does.
#[track_caller]
fn assert_nowhere(dirs: &[PathBuf], secrets: &[Vec<u8>]) {
    for (path, content) in dirs.iter().flat_map(|dir| contents(dir)) {
        for secret in secrets {
            let text = String::from_utf8_lossy(secret);
            let name = path.file_name().unwrap().as_encoded_bytes();
            assert!(
                !holds(&content, secret) && !holds(name, secret),
                "{} tells {text:?}",
                path.display()
            );
        }
    }
}

/// The command with so many KiB of address space.
fn with_memory(kib: u64, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit -v {kib}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    limited
}

fn sum_of(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

fn dump(world: &World, snapshot: &str, path: &str) -> Vec<u8> {
    let path = world.path(path);
    world
        .run(["dump", snapshot, path.to_str().unwrap()])
        .ok()
        .stdout
}

#[test]
fn encryption_does_not_fail_open() {
    let world = World::empty();
    world.write("plain", "content");
    world.write("short-key", [8; 31]);
    world.write("empty", "");
    world.write("not-text", [0xff; 8]);
    let before = contents(&world.path(""));
    for args in [
        &["--key-file", "short-key"][..],
        &["--key-file", "missing"],
        &["--password-file", "empty"],
        &["--password-file", "missing"],
        &["--password-file", "not-text"],
        &["--password-command", "false"],
        &["--password-command", "no-such-program"],
        &["-r", "age1qqqq"],
        &[],
    ] {
        for format in ["kw", "backuphandler"] {
            let mut command = world.bare(["encrypt", "plain", "--format", format]);
            let ran = run(command.args(args));
            assert!([1, 2].contains(&ran.code), "{args:?}: {}", ran.code);
            let mut command = world.bare(["encrypt", "plain", "-o", "-", "--format", format]);
            let ran = run(command.args(args));
            assert!(ran.code != 0 && ran.stdout.is_empty(), "{args:?}");
        }
    }
    assert_eq!(contents(&world.path("")), before);
}

#[test]
fn files_of_two_gib_and_more_are_encrypted_in_little_memory() {
    let world = World::empty();
    let large = fs::File::create(world.path("large")).unwrap();
    large.set_len(TWO_GIB + 1).unwrap();
    large.write_all_at(b"the middle", TWO_GIB - 9).unwrap();
    let encrypt = world.command(["encrypt", "large", "-o", "-"]);
    let decrypt = world.command(["decrypt", "-"]);
    let memory = 512 << 10;
    let mut encrypt = with_memory(memory, &encrypt)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut decrypt = with_memory(memory, &decrypt)
        .stdin(encrypt.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut opened = decrypt.stdout.take().unwrap();
    let mut buffer = vec![0; 1 << 20];
    let (mut len, mut sum) = (0, 0);
    loop {
        let part = opened.read(&mut buffer).unwrap();
        if part == 0 {
            break;
        }
        len += part as u64;
        sum += sum_of(&buffer[..part]);
    }
    assert!(encrypt.wait().unwrap().success() && decrypt.wait().unwrap().success());
    assert_eq!(len, TWO_GIB + 1);
    assert_eq!(sum, sum_of(b"the middle"));

    world.run(["init"]).ok();
    let mut backup = with_memory(memory, &world.command(["backup", "large"]));
    run(&mut backup).ok();
    let snapshots = world.run(["snapshots", "--json"]).ok().json();
    assert_eq!(snapshots[0]["bytes"], TWO_GIB + 1);
    let what = format!("latest:{}", world.path("large").display());
    world.run(["restore", &what, "-t", "out"]).ok();
    let back = fs::File::open(world.path("out/large")).unwrap();
    assert_eq!(back.metadata().unwrap().len(), TWO_GIB + 1);
    let mut middle = [0; 10];
    back.read_exact_at(&mut middle, TWO_GIB - 9).unwrap();
    assert_eq!(&middle, b"the middle");
}

#[test]
fn files_are_not_held_in_memory_whole() {
    let world = World::new();
    let mut backup = with_memory(
        512 << 10,
        &world.command(["backup", "--stdin-name", "stream"]),
    );
    let mut child = backup.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for number in 0..700_u64 {
        let line = number.to_le_bytes();
        input
            .write_all(&line.repeat((1 << 20) / line.len()))
            .unwrap();
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    let mut restore = with_memory(
        512 << 10,
        &world.command(["restore", "latest", "-t", "out"]),
    );
    run(&mut restore).ok();
    assert_eq!(
        fs::metadata(world.path("out/stream")).unwrap().len(),
        700 << 20
    );
}

#[test]
fn copies_are_not_in_clear() {
    let world = World::new();
    let secret = b"what the camera saw at the gate".to_vec();
    world.write("src/a", secret.repeat(1000));
    world.backup("src");
    // A copy for elsewhere is a copy of these files, and is whole and closed by itself.
    let mut copy = Command::new("cp");
    assert!(
        copy.arg("-a")
            .args([world.path("repo"), world.path("elsewhere")])
            .status()
            .unwrap()
            .success()
    );
    assert_nowhere(&[world.path("elsewhere")], std::slice::from_ref(&secret));
    fs::remove_dir_all(world.path("repo")).unwrap();
    fs::rename(world.path("elsewhere"), world.path("repo")).unwrap();
    world.run(["check", "--read-data", "--no-cache"]).ok();
    assert_eq!(dump(&world, "latest", "src/a"), secret.repeat(1000));
}

#[test]
fn keys_are_not_derived_once_for_each_file() {
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    for number in 0..300 {
        world.write(&format!("src/{number}"), number.to_string());
    }
    let timed = |args: &[&str]| {
        let started = Instant::now();
        let mut command = world.bare(["--password-file", "pw"]);
        run(command.args(args)).ok();
        started.elapsed()
    };
    timed(&["init"]);
    let once = timed(&["snapshots"]);
    let many = timed(&["backup", "src"]);
    assert!(
        many < once * 30,
        "{once:?} for none, {many:?} for 300 files"
    );
}

#[test]
fn outputs_are_whole_or_absent() {
    let world = World::empty();
    fs::create_dir(world.path("dir")).unwrap();
    world.write("dir/old", "precious");
    for args in [
        &["encrypt", "-", "-o", "dir/new"][..],
        &["encrypt", "-", "-o", "dir/old", "--force"],
    ] {
        let mut child = world.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // More than any buffer holds: it is at work when this returns.
        let mut input = child.stdin.take().unwrap();
        input.write_all(&vec![1; 32 << 20]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(fs::read(world.path("dir/old")).unwrap(), b"precious");
        assert_eq!(contents(&world.path("dir")).len(), 1);
    }
}

#[test]
fn nothing_in_clear_tells_names_or_hashes_of_content() {
    let world = World::new();
    let content = b"a very particular content".repeat(400);
    let name = "unmistakable-name";
    let path = world.write(&format!("src/dir-{name}/{name}.txt"), &content);
    world
        .run([
            "backup",
            "--tag",
            "particular-tag",
            "--host",
            "particular-host",
            "src",
        ])
        .ok();
    world.backup("src");
    let mut secrets = vec![
        name.as_bytes().to_vec(),
        b"a very particular content".to_vec(),
        b"particular-tag".to_vec(),
        b"particular-host".to_vec(),
        Id::of(&content).as_bytes().to_vec(),
        Id::of(&content).to_string().into_bytes(),
    ];
    for program in ["sha256sum", "sha1sum", "md5sum"] {
        let sum = run(Command::new(program).arg(&path)).ok();
        let sum = sum.text().split(' ').next().unwrap().to_owned();
        secrets.push(hex::decode(&sum).unwrap());
        secrets.push(sum.into_bytes());
    }
    assert_nowhere(&[world.path("repo")], &secrets);
    // The cache lies beside the source, knows its names, and is for its owner only.
    secrets.remove(0);
    let cache = world.path(".cache/keepwatch");
    assert_eq!(fs::metadata(&cache).unwrap().mode() & 0o777, 0o700);
    assert_nowhere(&[cache], &secrets);
}

#[test]
fn a_wrong_passphrase_is_no_success() {
    let world = World::new();
    world.write("wrong", [8; 32]);
    world.write("src/a", "x");
    world.backup("src");
    world.run(["encrypt", "src/a", "-o", "sealed"]).ok();
    let before = contents(&world.path(""));
    for args in [
        &["backup", "src"][..],
        &["snapshots"],
        &["ls"],
        &["restore", "latest", "-t", "out"],
        &["dump", "latest", "/x", "-o", "out"],
        &["check"],
        &["check", "--read-data"],
        &["repair-index"],
        &["forget", "--keep-last", "1", "--prune"],
        &["prune"],
        &["key", "list"],
        &["key", "rotate"],
        &["status"],
        &["stats"],
        &["decrypt", "sealed", "-o", "out"],
    ] {
        let ran = world.run_bare([&["--key-file", "wrong"], args].concat());
        assert_eq!(ran.code, 12, "{args:?}");
        assert!(ran.stdout.is_empty());
    }
    assert_eq!(contents(&world.path("")), before, "nothing was written");
}

#[test]
fn a_missing_directory_does_not_verify() {
    let world = World::new();
    world.write("src/a", vec![1; 100_000]);
    world.backup("src");
    for gone in ["packs", "index", "snapshots", "keys"] {
        let (there, away) = (world.path("repo").join(gone), world.path("away"));
        fs::rename(&there, &away).unwrap();
        for more in [&[][..], &["--read-data"]] {
            let ran = world.run([&["check"], more].concat());
            assert_ne!(ran.code, 0, "without {gone}");
        }
        // Nor when it is there and empty.
        fs::create_dir(&there).unwrap();
        let ran = world.run(["check", "--no-cache"]);
        assert_ne!(ran.code, 0, "with nothing in {gone}");
        fs::remove_dir(&there).unwrap();
        fs::rename(&away, &there).unwrap();
    }
    world.run(["check", "--read-data"]).ok();
    fs::rename(world.path("repo"), world.path("away")).unwrap();
    world.run(["check"]).code(10);
    fs::create_dir(world.path("repo")).unwrap();
    world.run(["check"]).code(10);
}

#[test]
fn swapped_files_do_not_verify() {
    let world = World::empty();
    world.run(["init", "--pack-size", "64K"]).ok();
    // Of one size each, so that nothing but the content tells them apart.
    for content in 0..2 {
        world.write("src/a", [content; 10]);
        world.backup("src");
    }
    for kind in ["snapshots", "packs", "index"] {
        let files: Vec<PathBuf> = contents(&world.path("repo").join(kind))
            .into_keys()
            .collect();
        let mut swaps = 0;
        for (nth, one) in files.iter().enumerate() {
            for other in &files[nth + 1..] {
                let between = world.path("between");
                let swap = || {
                    fs::rename(one, &between).unwrap();
                    fs::rename(other, one).unwrap();
                    fs::rename(&between, other).unwrap();
                };
                swap();
                let ran = world.run(["check", "--read-data", "--no-cache"]);
                assert_eq!(ran.code, 13, "two {kind} in each other's place");
                swap();
                swaps += 1;
            }
        }
        assert!(swaps > 0, "{kind}");
    }
    world.run(["check", "--read-data"]).ok();
}

#[test]
fn nothing_checked_does_not_verify() {
    let world = World::new();
    for more in [&[][..], &["--read-data"], &["--read-data-subset", "50%"]] {
        world.run([&["check"], more].concat()).code(13);
    }
    for subset in ["0%", "0", "0/1"] {
        world.run(["check", "--read-data-subset", subset]).code(2);
    }
}

#[test]
fn restoring_does_not_need_the_source() {
    let world = World::new();
    world.write("src/a", "first");
    world.write("src/d/b", "second");
    world.backup("src");
    let before = describe(&world.path("src"));
    fs::remove_dir_all(world.path("src")).unwrap();
    let what = format!("latest:{}", world.path("src").display());
    world
        .run(["restore", &what, "-t", "out", "--no-cache"])
        .ok();
    assert!(describe(&world.path("out")) == before);
}

#[test]
fn an_old_snapshot_gives_the_old_content() {
    let world = World::new();
    let path = world.write("src/a", "before");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let first = world.backup("src");
    // Size and time tell nothing.
    fs::write(&path, "today!").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let second = world.backup("src");
    assert_eq!(dump(&world, &first, "src/a"), b"before");
    assert_eq!(dump(&world, &second, "src/a"), b"today!");
    let what = format!("{first}:{}", world.path("src").display());
    world.run(["restore", &what, "-t", "out"]).ok();
    assert_eq!(fs::read(world.path("out/a")).unwrap(), b"before");
}

#[test]
fn retention_leaves_everything_but_the_repository_alone() {
    let world = World::new();
    world.write("src/a", "live");
    for _ in 0..3 {
        world.backup("src");
    }
    world.run(["restore", "latest", "-t", "mirror"]).ok();
    let outside = || {
        [
            contents(&world.path("src")),
            contents(&world.path("mirror")),
        ]
    };
    let before = outside();
    world.run(["forget", "--max-count", "0", "--prune"]).code(1);
    let forget = [
        "forget",
        "--max-count",
        "0",
        "--allow-empty",
        "--prune",
        "--keep-trash",
        "0",
    ];
    world.run(forget).ok();
    world.run(["prune", "--keep-trash", "0"]).ok();
    assert_eq!(world.run(["snapshots", "--json"]).ok().text(), "[]\n");
    assert_eq!(outside(), before);
}

#[test]
fn deduplication_touches_no_source_and_shares_no_inode() {
    let world = World::new();
    let content = vec![7; 300_000];
    let files = [
        world.write("src/a", &content),
        world.write("src/b", &content),
    ];
    let inodes = |files: &[PathBuf]| -> Vec<(u64, u64)> {
        let stats = files.iter().map(|file| fs::metadata(file).unwrap());
        stats.map(|stat| (stat.ino(), stat.nlink())).collect()
    };
    let before = inodes(&files);
    world.backup("src");
    world.backup("src");
    assert_eq!(inodes(&files), before);
    let what = format!("latest:{}", world.path("src").display());
    world.run(["restore", &what, "-t", "out"]).ok();
    let restored = [world.path("out/a"), world.path("out/b")];
    let after = inodes(&restored);
    assert!(after[0].0 != after[1].0 && after.iter().all(|(_, links)| *links == 1));
    fs::write(&restored[0], "changed").unwrap();
    assert_eq!(fs::read(&restored[1]).unwrap(), content);
}

#[test]
fn incremental_sees_files_that_change_while_it_runs() {
    let world = World::new();
    world.write("src/a", "0000");
    world.backup("src");
    let script = "printf 1111 > src/a; printf 2222 > src/new; echo done";
    world
        .run(["backup", "src", "--command", "x", "--", "sh", "-c", script])
        .ok();
    world
        .run(["backup", "src", "--command", "x", "--", "true"])
        .ok();
    assert_eq!(dump(&world, "latest", "src/a"), b"1111");
    assert_eq!(dump(&world, "latest", "src/new"), b"2222");
    world.backup("src");
    assert_eq!(dump(&world, "latest", "src/a"), b"1111");
}

#[test]
fn incremental_sees_files_with_an_old_time() {
    let world = World::new();
    let path = world.write("src/a", "before");
    world.backup("src");
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    // Moved into its place, as a package manager or `mv` does it.
    let other = world.write("other", "after!");
    fs::File::options()
        .write(true)
        .open(&other)
        .unwrap()
        .set_modified(old)
        .unwrap();
    fs::rename(&other, &path).unwrap();
    world.write("src/older", "unpacked");
    fs::File::options()
        .write(true)
        .open(world.path("src/older"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    world.backup("src");
    assert_eq!(dump(&world, "latest", "src/a"), b"after!");
    assert_eq!(dump(&world, "latest", "src/older"), b"unpacked");
}

#[test]
fn a_file_that_cannot_be_read_is_no_success() {
    let world = World::new();
    world.write("src/a", "x");
    // Not even root reads this one: it can only be written.
    let unreadable = "/sys/bus/platform/uevent";
    let ran = world.run(["backup", "--json", "src", unreadable]).code(3);
    let report = ran.json();
    assert_eq!(report["files"]["failed"], 1);
    assert_eq!(report["errors"][0]["path"], unreadable);
    assert!(ran.stderr.contains(unreadable));
    // Every time, not only the first.
    let ran = world.run(["backup", "src", unreadable]).code(3);
    assert!(ran.stderr.contains(unreadable));
    assert!(ran.stderr.contains("not complete"), "{}", ran.stderr);
    assert_ne!(world.run(["backup", unreadable]).code, 0);
}

#[test]
fn restoring_follows_no_link_out_of_the_target() {
    let world = World::new();
    world.write("src/d/a", "from the backup");
    world.write("src/f", "from the backup");
    world.backup("src");
    let outside = world.write("outside/a", "precious");
    fs::create_dir(world.path("out")).unwrap();
    symlink(world.path("outside"), world.path("out/d")).unwrap();
    symlink(&outside, world.path("out/f")).unwrap();
    let what = format!("latest:{}", world.path("src").display());
    for overwrite in ["if-changed", "always"] {
        let args = [
            "restore",
            &what,
            "-t",
            "out",
            "--overwrite",
            overwrite,
            "--delete",
        ];
        world.run(args).ok();
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
        assert_eq!(contents(&world.path("outside")).len(), 1);
        assert_eq!(fs::read(world.path("out/d/a")).unwrap(), b"from the backup");
    }
    for name in ["../a", "d/../../a", "/../a"] {
        let mut command = world.command(["backup", "--stdin-name", name]);
        run_with(&mut command, b"").code(2);
    }
}

#[test]
fn secrets_are_not_in_errors() {
    let world = World::empty();
    let secret = "do-not-tell-anybody";
    world.write("pw", secret);
    for args in [
        &["init", "--key-file", "pw"][..],
        &["init", "--identity", "pw"],
        &["init", "--password-file", "pw", "--pack-size", "1"],
        &["init", "--password", secret],
        &["snapshots", "--password-command", "sh -c 'cat pw; exit 1'"],
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = world.run_bare([args, json, &["-vvv"]].concat());
            assert!(ran.code != 0, "{args:?}");
            assert!(!ran.stderr.contains(secret), "{args:?}: {}", ran.stderr);
            assert!(!ran.text().contains(secret));
        }
    }
}
