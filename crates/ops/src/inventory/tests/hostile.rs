//! Names that want to be more than names.
//!
//! BackupHandler pasted the names of packages, extensions and files into a script for root as they
//! were.

use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Every place of an inventory has this name.
fn poisoned(name: &[u8]) -> Inventory {
    let name = serde_json::to_value(text::name(name)).expect("it is JSON");
    let kept =
        json!({"size": 1, "mode": 0o7777, "sha256": null, "content": name, "withheld": null});
    let entry = json!({"types": [name], "uris": [name], "suites": [name], "components": [name],
        "signed_by": [name], "enabled": true});
    // What is written to paths is written beneath those that are allowed, too.
    let below = |dir: &str| {
        let name: Name = serde_json::from_value(name.clone()).expect("a name");
        serde_json::to_value(text::name([dir.as_bytes(), &name.0].concat())).expect("it is JSON")
    };
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let mut all = json!({
        "format": FORMAT, "version": VERSION, "taken_at": "1970-01-01T00:00:00Z",
        "machine": {"hostname": name, "os": name, "os_id": name, "os_version": name, "architecture": name},
        "users": [{"name": name, "home": name}],
        "packages": {
            "apt": [
                {"name": name, "architecture": "all", "version": name, "manual": true, "held": true},
                {"name": "curl", "architecture": name, "version": name, "manual": true, "held": true},
            ],
            "snap": [
                {"name": name, "version": name, "revision": name, "channel": name, "classic": true, "base": false},
                {"name": "hello", "version": name, "revision": name, "channel": name, "classic": true, "base": false},
            ],
            "flatpak": [
                {"user": null, "id": name, "branch": name, "origin": name},
                {"user": name, "id": "a.b", "branch": name, "origin": "flathub"},
            ],
            "pip": [{"user": null, "python": name, "name": name, "version": name, "requested": true},
                {"user": name, "python": name, "name": "black", "version": name, "requested": true}],
            "pipx": [{"user": "root", "name": name, "package": name, "version": name, "injected": [name]}],
            "npm": [{"user": null, "name": name, "version": name}],
            "cargo": [{"user": "root", "name": name, "version": name, "source": registry},
                {"user": name, "name": "x", "version": name, "source": name}],
            "go": [{"user": "root", "name": name, "package": name, "version": name}],
        },
        "repositories": {
            "apt": [{"path": below("/etc/apt/sources.list.d/"), "entries": [entry], "file": kept, "password_removed": false}],
            "keyrings": [{"path": below("/etc/apt/keyrings/"), "fingerprints": ["x\nexit 7"], "file": kept}],
            "flatpak": [{"user": null, "name": name, "url": "https://dl.flathub.org/repo/"}],
        },
        "dotfiles": [{"user": "root", "path": name, "file": kept}, {"user": name, "path": ".bashrc", "file": kept}],
        "services": {
            "units": [
                {"user": null, "scope": "system", "name": name, "state": "enabled"},
                {"user": null, "scope": "users", "name": name, "state": "masked"},
                {"user": name, "scope": "user", "name": "x.service", "state": "enabled"},
            ],
            "files": [{"user": null, "path": below("/etc/systemd/system/"), "file": kept},
                {"user": "ada", "path": below("/home/ada/.config/systemd/user/"), "file": kept}],
        },
        "cron": {
            "tables": [{"user": null, "path": below("/etc/cron.d/"), "jobs": [name], "file": kept},
                {"user": name, "path": null, "jobs": [name], "file": kept},
                {"user": "root", "path": null, "jobs": [name], "file": kept}],
            "scripts": [name], "timers": [name],
        },
        "network": {"interfaces": [name], "connections": [{"name": name, "kind": name, "ssid": name, "interface": name}],
            "files": [name]},
        "fonts": [{"user": name, "path": name}],
        "editors": {"extensions": [{"user": "root", "editor": "code", "id": name, "version": name}],
            "plugins": [{"user": "root", "path": name, "origin": "https://git.lan/x"},
                {"user": "root", "path": "x", "origin": name}]},
        "containers": {"images": [{"engine": "docker", "name": name}],
            "containers": [{"engine": name, "name": name, "image": name}],
            "compose_files": [{"path": name, "sha256": null}]},
        "programs": [], "problems": [],
    });
    if let Value::Object(all) = &mut all {
        all.insert("secrets".into(), Value::Null);
    }
    serde_json::from_value(all).expect("it is an inventory")
}

/// Runs bash in an empty directory; what is there afterwards, what it said, and whether it ended
/// well.
fn bash(arguments: &[&str], script: &[u8]) -> (Vec<String>, String, bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rebuild");
    fs::write(&path, script).expect("it writes");
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("it makes a directory");
    let output = Command::new("bash")
        .arg("--norc")
        .args(arguments)
        .arg(&path)
        .current_dir(&empty)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", &empty)
        .env("DRY_RUN", "1")
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    let left = fs::read_dir(&empty).expect("it lists");
    let left = left.map(|entry| {
        entry
            .expect("a name")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (left.collect(), said, output.status.success())
}

#[track_caller]
fn assert_harmless(name: &[u8]) {
    let script = script(&poisoned(name), &Section::ALL);
    assert!(
        script
            .bytes()
            .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)),
        "{name:?}"
    );
    let (_, said, well) = bash(&["-n"], script.as_bytes());
    assert!(well && said.is_empty(), "{name:?}: {said}");
    let (left, said, _) = bash(&[], script.as_bytes());
    assert_eq!(left, [""; 0], "{name:?}: {said}");
    // It came to its end, and no line of it was not understood.
    let last = said
        .lines()
        .any(|line| line == "rebuild: done" || line.ends_with(" failed"));
    assert!(last, "{name:?}: {said}");
    for complaint in [
        "command not found",
        "syntax error",
        "unbound variable",
        "unexpected",
    ] {
        assert!(!said.contains(complaint), "{name:?}: {said}");
    }
}

const HOSTILE: [&[u8]; 24] = [
    b"$(touch canary)",
    b"`touch canary`",
    b"'; touch canary; '",
    b"'\ntouch canary\n'",
    b"\ntouch canary\n",
    b"\r\ntouch canary",
    b"\"; touch canary; \"",
    b"\\'; touch canary; #",
    b"x\\\ntouch canary",
    b"| touch canary",
    b"&& touch canary",
    b"> canary",
    b"<(touch canary)",
    b"--output=canary",
    b"-o Dir::Etc=.",
    b"../../../../tmp/canary",
    b"curl-",
    b"EOF\ntouch canary\nEOF",
    b"\x1b]0;title\x07\x1b[2J",
    "\u{202e}yranac hcuot\u{2028}touch canary".as_bytes(),
    "h\u{e9}llo \u{1f408}".as_bytes(),
    b"\xff\xfe$'\\'; touch canary #",
    b"!history ~root {a,b} *",
    b"${x:=$(touch canary)} $((touch[$(touch canary)]))",
];

#[test]
fn hostile_names_stay_names() {
    for name in HOSTILE {
        assert_harmless(name);
    }
}

/// The same with names that are as they should be: everything gets into the script.
#[test]
fn good_names_are_in_it() {
    let script = script(&poisoned(b"hello.x"), &Section::ALL);
    let calls = script.lines().filter(|line| line.contains("hello.x"));
    assert!(
        calls.filter(|line| !line.starts_with('#')).count() > 15,
        "{script}"
    );
    assert_harmless(b"hello.x");
}

#[test]
fn shellcheck_finds_nothing() {
    for name in HOSTILE.iter().chain([&&b"hello.x"[..]]) {
        let script = script(&poisoned(name), &Section::ALL);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("rebuild.bash");
        fs::write(&path, script).expect("it writes");
        let output = Command::new("shellcheck")
            .args(["--norc", "--severity=style", "--color=never"])
            .arg(&path)
            .output()
            .expect("shellcheck is there: see `make setup`");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name:?}: {said}");
    }
}

/// Files whose names are hostile, found on a disk.
#[test]
fn hostile_files_are_found_and_stay_names() {
    let root = tree(&[("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")]);
    for name in HOSTILE {
        let file: Vec<u8> = name
            .iter()
            .map(|&byte| if byte == b'/' { b'_' } else { byte })
            .collect();
        for place in [
            &b"root/.fonts/%.ttf"[..],
            b"etc/wireguard/%.conf",
            b"etc/apt/sources.list.d/%.list",
            b"etc/systemd/system/%.service",
            b"root/go/bin/%",
            b"root/.vim/bundle/%/x",
            b"root/.local/lib/python3/site-packages/%-1.dist-info/REQUESTED",
        ] {
            let at = place
                .iter()
                .position(|&byte| byte == b'%')
                .expect("a place");
            let path = [&place[..at], &file, &place[at + 1..]].concat();
            put(root.path(), &path, b"deb http://a.lan b c\n");
        }
    }
    let system = System::mounted(root.path()).expect("it opens");
    let mut options = Options::default();
    options.include.units = true;
    let inventory = take(&system, &options);
    assert_sound(&inventory);
    assert_eq!(inventory.fonts.len(), HOSTILE.len());
    assert_eq!(inventory.packages.go.len(), HOSTILE.len());
    let broken = inventory
        .fonts
        .iter()
        .filter(|font| std::str::from_utf8(&font.path.0).is_err());
    assert_eq!(broken.count(), 1);
    assert!(
        root.path()
            .join("root/.fonts")
            .join(std::ffi::OsStr::from_bytes(b"curl-.ttf"))
            .exists()
    );
    let script = script(&inventory, &Section::ALL);
    let (left, said, _) = bash(&[], script.as_bytes());
    assert_eq!(left, [""; 0], "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_name_is_run(
        before in "[ -~\n]{0,8}",
        order in "(\\$\\(touch canary\\)|`touch canary`|;touch canary;|\ntouch canary\n|)",
        after in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let name = [before.as_bytes(), order.as_bytes(), &after].concat();
        assert_harmless(&name);
    }
}
