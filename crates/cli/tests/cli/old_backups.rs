//! `import backuphandler`, `restore --from` and `config import`

use std::fs;

use keepwatch_crypto::Key;
use keepwatch_crypto::backuphandler::{LegacyKey, encrypt};
use keepwatch_testkit::testdata;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{World, fields, run};

const MANIFEST: &str = "old/backup_manifest_20260102_030405.json";

fn record(name: &str, content: &str) -> Value {
    json!({
        "path": format!("/home/me/{name}"),
        "size": content.len(),
        "checksum": hex::encode(Sha256::digest(content)),
    })
}

/// Files as they were, with a manifest.
fn plain() -> World {
    let world = World::new();
    world.write("old/a.txt", "content of a");
    world.write("old/sub/b.txt", "content of b");
    let copied = [
        record("a.txt", "content of a"),
        record("sub/b.txt", "content of b"),
    ];
    world.write(
        MANIFEST,
        json!({"mode": "full", "copied": copied}).to_string(),
    );
    world
}

/// The same, encrypted with the bytes of `old.key`.
fn sealed() -> World {
    let world = plain();
    world.write("old.key", [9; 32]);
    let key = LegacyKey::from_key_file(&Key::from_bytes([9; 32]));
    for name in ["old/a.txt", "old/sub/b.txt"] {
        let content = fs::read(world.path(name)).unwrap();
        let mut sealed = Vec::new();
        encrypt(content.as_slice(), &mut sealed, &key).unwrap();
        world.write(&format!("{name}.enc"), sealed);
        fs::remove_file(world.path(name)).unwrap();
    }
    world
}

#[test]
fn a_backup_is_brought_in_at_its_own_time() {
    let world = plain();
    let import = [
        "import",
        "backuphandler",
        "old",
        "--host",
        "oldbox",
        "--tag",
        "more",
    ];
    let ran = world
        .run(
            import
                .iter()
                .chain(&["--json", "--time-zone", "Europe/Berlin"]),
        )
        .ok();
    let report = ran.json();
    assert_eq!(fields(&report), ["errors", "findings", "runs"]);
    let imported = &report["runs"][0];
    assert_eq!(
        fields(imported),
        [
            "bytes",
            "failed",
            "files",
            "is_old",
            "is_partial",
            "kind",
            "mode",
            "name",
            "path",
            "snapshot",
            "time"
        ]
    );
    assert_eq!(imported["time"], "2026-01-02T02:04:05Z");
    let listed = world.run(["snapshots", "--json"]).ok().json();
    assert_eq!(listed[0]["host"], "oldbox");
    assert_eq!(listed[0]["tags"], json!(["backuphandler", "more"]));
    assert_eq!(listed[0]["paths"], json!(["/home/me"]));
    let again = world
        .run(import.iter().chain(&["--time-zone", "Europe/Berlin"]))
        .ok();
    assert!(
        again.text().contains("was there already: /home/me"),
        "{}",
        again.text()
    );
    assert!(
        again.stderr.contains("time zone Europe/Berlin"),
        "{}",
        again.stderr
    );
    assert_eq!(world.snapshot_count(), 1);
    world
        .run(["restore", "latest:/home/me", "--target", "new"])
        .ok();
    assert_eq!(
        fs::read(world.path("new/sub/b.txt")).unwrap(),
        b"content of b"
    );
}

#[test]
fn it_can_be_somewhere_else_and_dry() {
    let world = plain();
    let import = ["import", "backuphandler", "old", "--as", "/archive/me"];
    let dry = world.run(import.iter().chain(&["--dry-run"])).ok();
    assert!(
        dry.text().starts_with("nothing was written: /archive/me"),
        "{}",
        dry.text()
    );
    assert_eq!(world.snapshot_count(), 0);
    world.run(import).ok();
    world.run(["ls", "latest:/archive/me/a.txt"]).ok();
    world
        .run(["import", "backuphandler", "old", "--as", "a/../b"])
        .code(2);
    world
        .run(["import", "backuphandler", "old", "--time-zone", "Mars"])
        .code(2);
}

#[test]
fn exit_codes_say_how_it_went() {
    let world = plain();
    let import = || world.run(["import", "backuphandler", "old"]);
    world.write("old/unnamed", "who is this");
    let ran = import().code(3);
    assert!(
        ran.stderr.contains("unnamed: no manifest names it"),
        "{}",
        ran.stderr
    );
    // The second time there is nothing to read, and still something to say.
    import().code(3);
    world.write("old/a.txt", "content of A");
    let ran = world
        .run(["import", "backuphandler", "old", "--host", "x"])
        .code(13);
    assert!(
        ran.stderr.contains("a.txt: its content is not what"),
        "{}",
        ran.stderr
    );
    // It was left out, so it stays a problem.
    world
        .run(["import", "backuphandler", "old", "--host", "x"])
        .code(3);
    world.run(["import", "backuphandler", "nowhere"]).code(1);
    fs::create_dir(world.path("empty")).unwrap();
    let none = world.run(["import", "backuphandler", "empty"]).code(1);
    assert!(
        none.stderr.contains("no backup of BackupHandler in empty"),
        "{}",
        none.stderr
    );
    world.write("zips/backup_20260102_030405.zip", "no zip");
    world.run(["import", "backuphandler", "zips"]).code(13);
}

#[test]
fn the_wrong_key_ends_it_before_it_begins() {
    let world = sealed();
    world.write("password", "hunter2\n");
    world.write("wrong.key", [8; 32]);
    for options in [
        &[][..],
        &["--old-key-file", "wrong.key"],
        &["--old-password-file", "password"],
        &["--old-password-command", "cat password"],
    ] {
        let ran = world
            .run(["import", "backuphandler", "old"].iter().chain(options))
            .code(12);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        let from = ["restore", "--from", "old", "--target", "new"];
        world.run(from.iter().chain(options)).code(12);
    }
    assert_eq!(world.snapshot_count(), 0);
    assert!(!world.path("new").exists());
    world
        .run([
            "import",
            "backuphandler",
            "old",
            "--old-key-file",
            "old.key",
        ])
        .ok();
    assert_eq!(world.snapshot_count(), 1);
}

#[test]
fn a_backup_is_restored_without_a_repository() {
    let world = sealed();
    let args = [
        "restore",
        "--from",
        "old",
        "--old-key-file",
        "old.key",
        "--target",
    ];
    let bare = |target: &str, more: &[&str]| {
        let mut command = world.bare(args.iter().chain(&[target]).chain(more));
        run(command.env_remove("KEEPWATCH_REPO"))
    };
    let report = bare("new", &["--json"]).ok().json();
    assert_eq!(
        (&report["files"], &report["name"]),
        (&json!(2), &json!(&MANIFEST[4..]))
    );
    assert_eq!(fs::read(world.path("new/a.txt")).unwrap(), b"content of a");
    let refused = bare("new", &[]).code(1);
    assert!(refused.stderr.contains("not empty"), "{}", refused.stderr);
    let again = bare("new", &["--overwrite", "if-changed"]).ok();
    assert!(
        again.text().contains("restored 0 files"),
        "{}",
        again.text()
    );
    let part = bare("part", &["--include", "b.txt"]).ok();
    assert!(part.text().contains("restored 1 file "), "{}", part.text());
    assert!(!world.path("part/a.txt").exists());
    bare("old", &["--delete", "--overwrite", "always"]).code(1);
    assert!(world.path("old/a.txt.enc").exists());
    // One or the other.
    bare("x", &["latest"]).code(2);
    bare("x", &["--host", "here"]).code(2);
    world.run(["restore", "--target", "x"]).code(2);
    world
        .run([
            "restore",
            "latest",
            "--target",
            "x",
            "--old-key-file",
            "old.key",
        ])
        .code(2);
}

#[test]
fn a_genuine_backup_is_restored() {
    let world = World::empty();
    let samples = testdata().join("backuphandler");
    let from = samples.join("zip_pw");
    let expected: Value =
        serde_json::from_slice(&fs::read(samples.join("EXPECTED.json")).unwrap()).unwrap();
    world.write("password", expected["zip_password"].as_str().unwrap());
    let mut command = world.bare([
        "restore",
        "--old-password-file",
        "password",
        "--target",
        "new",
        "--from",
    ]);
    let ran = run(command.arg(&from)).ok();
    assert!(ran.text().contains("restored 22 files"), "{}", ran.text());
    assert!(
        ran.stderr.contains("it is called notes (2).md now"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read(world.path("new/notes.md")).unwrap().len(), 1201);
    assert_eq!(fs::read(world.path("new/notes (2).md")).unwrap().len(), 47);
}

#[cfg(feature = "vision")]
const INI: &str = "\
[DEFAULT]
source_dir = /home/me
[BACKUPS]
backup_dirs = /mnt/backup
[MODES]
local = True
ssh = True
[SSH]
password = hunter2
[ENCRYPTION]
enabled = True
passphrase = hunter2
";

#[cfg(feature = "vision")]
#[test]
fn a_configuration_is_made_of_an_old_one() {
    let world = World::empty();
    world.write("config.ini", INI);
    let ran = world.run_bare(["config", "import", "config.ini"]).code(3);
    assert!(
        ran.text().contains("paths = [\"/home/me\"]"),
        "{}",
        ran.text()
    );
    let told = "SSH.password: not taken over: SSH.ssh_servers or S3.bucket says where to";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("(set the variable SSH_PASSWORD)"),
        "{}",
        ran.stderr
    );
    assert!(!format!("{}{}", ran.text(), ran.stderr).contains("hunter2"));

    let written = world
        .run_bare(["config", "import", "config.ini", "-o", "new.toml", "--json"])
        .code(3);
    let report = written.json();
    assert_eq!(fields(&report), ["notices", "toml"]);
    assert_eq!(
        fields(&report["notices"][0]),
        ["key", "kind", "text", "variable"]
    );
    let toml = fs::read_to_string(world.path("new.toml")).unwrap();
    assert_eq!(report["toml"], toml);
    assert_eq!(toml, ran.text());
    world
        .run_bare(["config", "import", "config.ini", "-o", "new.toml"])
        .code(1);

    world.write(".env", "SECUREVISION__API__AUTH_TOKEN=hunter2");
    let other = world.run_bare(["config", "import", ".env"]).code(1);
    assert!(
        other.stderr.contains("settings of SecureVision"),
        "{}",
        other.stderr
    );
    assert!(!other.stderr.contains("hunter2"));
}
