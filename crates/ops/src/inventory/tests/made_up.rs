//! A system of which everything is known.

use std::os::unix::fs::{PermissionsExt, symlink};

use keepwatch_core::fs::Replace;

use super::*;
use crate::inventory::text::name;

const KEY: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter-key\n";
const CONNECTION: &[u8] =
    b"[connection]\nid=Barn\ntype=wifi\n[wifi]\nssid=barn\n[wifi-security]\npsk=hunter-psk\n";

const FILES: &[(&str, &[u8])] = &[
    ("etc/passwd", b"root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n"),
    ("etc/hostname", b"# comment\nbarn\n"),
    ("etc/os-release", b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"),
    ("var/lib/dpkg/status", b"Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n\
        Package: hello\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 2.10\n\n\
        Package: wine32\nStatus: install ok installed\nArchitecture: i386\nVersion: 8\n"),
    ("var/lib/apt/extended_states", b"Package: dpkg\nArchitecture: amd64\nAuto-Installed: 1\n"),
    ("var/lib/snapd/state.json", br#"{"data":{"snaps":{"hello":{"active":true,"type":"app","current":"42","channel":"latest/stable"}}}}"#),
    ("var/lib/flatpak/app/org.gimp.GIMP/x86_64/stable/x", b""),
    ("var/lib/flatpak/repo/config", b"[remote \"flathub\"]\nurl=https://dl.flathub.org/repo/\n"),
    ("home/ada/.local/lib/python3.11/site-packages/black-24.8.0.dist-info/REQUESTED", b""),
    ("home/ada/.local/lib/python3.11/site-packages/click-8.1.7.dist-info/METADATA", b""),
    ("home/ada/.local/share/pipx/venvs/poetry/pipx_metadata.json", br#"{"main_package":{"package":"poetry","package_or_url":"poetry","package_version":"1.8"}}"#),
    ("usr/lib/node_modules/npm/package.json", br#"{"version":"11.1"}"#),
    ("usr/lib/node_modules/@vue/cli/package.json", br#"{"version":"5.0"}"#),
    ("home/ada/.cargo/.crates2.json", br#"{"installs":{"ripgrep 14.1.0 (registry+https://github.com/rust-lang/crates.io-index)":{}}}"#),
    ("home/ada/go/bin/gopls", b""),
    ("etc/apt/sources.list", b"deb http://deb.debian.org/debian bookworm main\n"),
    ("etc/apt/sources.list.d/own.sources", b"Types: deb\nURIs: https://me:hunter-apt@apt.lan/x\nSuites: x\nSigned-By: /opt/own.asc\n"),
    ("opt/own.asc", b"no keyring"),
    ("etc/apt/keyrings/stolen.asc", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter-key\n"),
    ("home/ada/.bashrc", b"alias l=ls\n"),
    ("home/ada/.zshrc", KEY),
    ("home/ada/.bash_history", b"mysql -phunter-history\n"),
    ("home/ada/.ssh/id_ed25519", KEY),
    ("home/ada/.ssh/id_ed25519.pub", b"ssh-ed25519 AAAA ada\n"),
    ("etc/systemd/system/own.service", b"[Service]\nEnvironment=T=hunter-unit\n"),
    ("home/ada/.config/systemd/user/sync.service", b"[Service]\n"),
    ("var/spool/cron/crontabs/ada", b"# m h\n0 3 * * * backup\n"),
    ("etc/cron.d/own", b"0 4 * * * root own\n"),
    ("etc/cron.d/own.dpkg-old", b"no\n"),
    ("etc/cron.daily/tidy", b"#!/bin/sh\n"),
    ("etc/network/interfaces", b"auto lo\niface lo inet loopback\niface eth0 inet dhcp\n wpa-psk hunter-psk\n"),
    ("etc/NetworkManager/system-connections/barn.nmconnection", CONNECTION),
    ("etc/wireguard/wg0.conf", b"[Interface]\nPrivateKey = hunter-key\n"),
    ("etc/netplan/01.yaml", b"password: hunter-psk\n"),
    ("home/ada/.local/share/fonts/a/B.ttf", b""),
    ("home/ada/.vscode/extensions/extensions.json", br#"[{"identifier":{"id":"ms-python.python"},"version":"1"}]"#),
    ("home/ada/.vim/pack/x/start/fugitive/.git/config", b"[remote \"origin\"]\n\turl = https://github.com/tpope/vim-fugitive\n"),
    ("srv/web/compose.yaml", b"services: {}\n# hunter-compose\n"),
];

fn made_up() -> (tempfile::TempDir, System) {
    let root = tree(FILES);
    let wants = root.path().join("etc/systemd/system/timers.target.wants");
    fs::create_dir_all(&wants).expect("it makes a directory");
    symlink(
        "/lib/systemd/system/fstrim.timer",
        wants.join("fstrim.timer"),
    )
    .expect("it links");
    let current = root
        .path()
        .join("var/lib/flatpak/app/org.gimp.GIMP/current");
    symlink("x86_64/stable", current).expect("it links");
    let system = System::mounted(root.path())
        .expect("it opens")
        .with_answer(
            &["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
            Answer::Said(b"postgres:16\n".to_vec()),
        )
        .with_answer(
            &["docker", "container", "ls", "--all", "--no-trunc", "--format", "{{.Names}}\t{{.Image}}"],
            Answer::Said(b"db\tpostgres:16\n".to_vec()),
        )
        .with_answer(
            &["go", "version", "-m", "/home/ada/go/bin"],
            Answer::Said(b"/home/ada/go/bin/gopls: go1.22\n\tpath\tgolang.org/x/tools/gopls\n\tmod\tgolang.org/x/tools/gopls\tv0.15.3\n".to_vec()),
        );
    (root, system)
}

fn count(value: &serde_json::Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

#[test]
fn every_section_is_found() {
    let (_root, system) = made_up();
    let inventory = take(&system, &Options::default());
    assert_sound(&inventory);
    assert_eq!(inventory.problems, []);
    let json = serde_json::to_value(&inventory).expect("it is JSON");
    for (section, _) in &diff::LISTS[1..28] {
        let list = &json.pointer(&format!("/{}", section.replace('.', "/")));
        assert!(count(list.expect("it is there")) > 0, "{section}");
    }
    assert_eq!(inventory.machine.hostname, Some(name("barn")));
    let apt = &inventory.packages.apt;
    assert!(!apt[0].manual && apt[1].held && apt[2].manual);
    let requested: Vec<bool> = inventory
        .packages
        .pip
        .iter()
        .map(|one| one.requested)
        .collect();
    assert_eq!(requested, [true, false]);
    assert_eq!(inventory.packages.go[0].version, Some(name("v0.15.3")));
    assert_eq!(inventory.packages.flatpak[0].branch, Some(name("stable")));
    assert_eq!(inventory.cron.tables.len(), 2);
    assert_eq!(inventory.cron.tables[1].jobs, [name("0 3 * * * backup")]);
    assert_eq!(inventory.network.interfaces, [name("eth0"), name("lo")]);
}

/// Sets what is asked for.
type Ask = fn(&mut Include);

/// BackupHandler put 5000 lines of shell history into a file that everybody could read.
#[test]
fn nothing_secret_is_in_it_unless_it_was_asked_for() {
    let (_root, system) = made_up();
    let mut options = Options::default();
    options.include.dotfiles = true;
    options.dotfiles = vec![name(".bash_history"), name(".ssh/id_ed25519")];
    let inventory = take(&system, &options);
    assert_sound(&inventory);
    assert!(holds(&inventory, "alias l=ls"));
    assert!(!holds(&inventory, "hunter"));
    let withheld: Vec<(String, Option<Withheld>)> = inventory
        .dotfiles
        .iter()
        .map(|dotfile| (dotfile.path.to_string(), dotfile.file.withheld))
        .collect();
    let expected = [
        (".bash_history", Some(Withheld::History)),
        (".bashrc", None),
        (".ssh/id_ed25519", Some(Withheld::PrivateKey)),
        (".zshrc", Some(Withheld::PrivateKey)),
    ];
    assert_eq!(withheld, expected.map(|(path, why)| (path.to_owned(), why)));
    let asked: [(Ask, &str, &[&str]); 4] = [
        (
            |include| include.private_keys = true,
            "hunter-key",
            &["hunter-psk", "hunter-history", "hunter-unit"],
        ),
        (
            |include| include.wifi_secrets = true,
            "hunter-psk",
            &["hunter-key", "hunter-history", "hunter-unit"],
        ),
        (
            |include| include.shell_history = true,
            "hunter-history",
            &["hunter-key", "hunter-psk", "hunter-unit"],
        ),
        (
            |include| include.units = true,
            "hunter-unit",
            &["hunter-key", "hunter-psk", "hunter-history"],
        ),
    ];
    for (ask, there, missing) in asked {
        let mut options = Options::default();
        ask(&mut options.include);
        let inventory = take(&system, &options);
        assert_sound(&inventory);
        assert!(holds(&inventory, there));
        assert!(
            !missing.iter().any(|secret| holds(&inventory, secret)),
            "{there}"
        );
        assert!(!holds(&inventory, "hunter-apt") && !holds(&inventory, "hunter-compose"));
    }
}

/// Somebody whose home is looked at by root must not get what they cannot read by a link to it.
#[test]
fn what_belongs_to_others_is_not_taken_for_theirs() {
    let (root, system) = made_up();
    put(root.path(), b"etc/shadow", b"hunter-hash");
    symlink("/etc/shadow", root.path().join("home/ada/.vimrc")).expect("it links");
    let mine = rustix::process::geteuid();
    if mine.is_root() {
        std::os::unix::fs::chown(root.path().join("home/ada"), Some(1000), None).expect("it gives");
    }
    let mut options = Options::default();
    options.include.dotfiles = true;
    let inventory = take(&system, &options);
    assert_sound(&inventory);
    let vimrc = inventory
        .dotfiles
        .iter()
        .find(|one| one.path.0 == b".vimrc");
    let withheld = vimrc.expect("it is found").file.withheld;
    // Whoever is not root cannot make files of others, and has nothing to protect from themselves.
    assert_eq!(withheld, mine.is_root().then_some(Withheld::NotOwned));
    assert_eq!(holds(&inventory, "hunter-hash"), !mine.is_root());
}

#[test]
fn no_secret_gets_into_a_script_or_a_comparison() {
    let (_root, system) = made_up();
    let mut options = Options::default();
    options.include.private_keys = true;
    options.include.wifi_secrets = true;
    options.include.shell_history = true;
    let (with, without) = (take(&system, &options), take(&system, &Options::default()));
    assert!(holds(&with, "hunter"));
    assert_eq!(diff(&without, &with), []);
    assert_eq!(
        script(&with, &Section::ALL),
        script(&without, &Section::ALL)
    );
}

#[test]
fn a_file_is_its_owners_alone() {
    let (root, system) = made_up();
    let inventory = take(&system, &Options::default());
    let path = root.path().join("inventory.json");
    write(&path, &inventory.to_json(), Replace::Never, false).expect("it writes");
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(read(&path).expect("it reads"), inventory);
    write(&path, b"", Replace::Never, false).expect_err("it is there");
    let program = root.path().join("rebuild");
    write(&program, b"#!/bin/sh\n", Replace::Never, true).expect("it writes");
    let mode = fs::metadata(&program)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    for (content, what) in [
        (&b"{}"[..], "is not an inventory"),
        (b"\xff", "is not an inventory"),
        (
            br#"{"format":"keepwatch-inventory","version":1}"#,
            "is not an inventory",
        ),
        (br#"{"format":"other","version":1}"#, "is not an inventory"),
        (
            br#"{"format":"keepwatch-inventory","version":2}"#,
            "of version 2",
        ),
    ] {
        fs::write(&path, content).expect("it writes");
        let error = read(&path).expect_err("it is none").to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn what_is_missing_is_told_apart_from_what_fails() {
    let root = tree(&[("etc/hostname", b"x")]);
    let failed = Answer::Failed {
        code: Some(1),
        complaint: "Cannot connect to the Docker daemon".into(),
    };
    let system = System::mounted(root.path())
        .expect("it opens")
        .with_answer(
            &["snap", "list", "--color=never", "--unicode=never"],
            Answer::Missing,
        )
        .with_answer(
            &[
                "docker",
                "image",
                "ls",
                "--format",
                "{{.Repository}}:{{.Tag}}",
            ],
            failed,
        )
        .with_answer(
            &[
                "podman",
                "image",
                "ls",
                "--format",
                "{{.Repository}}:{{.Tag}}",
            ],
            Answer::TooSlow,
        );
    let inventory = take(&system, &Options::default());
    assert_sound(&inventory);
    let states: Vec<(&str, ProgramState)> = inventory
        .programs
        .iter()
        .map(|program| (program.name.as_str(), program.state))
        .collect();
    let expected = [
        ("docker", ProgramState::Failed),
        ("flatpak", ProgramState::NotRun),
        ("npm", ProgramState::NotRun),
        ("podman", ProgramState::Failed),
        ("snap", ProgramState::Missing),
    ];
    assert_eq!(states, expected);
    let problems: Vec<String> = inventory
        .problems
        .iter()
        .map(|problem| format!("{} {:?}: {}", problem.section, problem.kind, problem.why))
        .collect();
    assert_eq!(
        problems,
        [
            "containers Failed: it ended with 1: Cannot connect to the Docker daemon",
            "containers Failed: it took more than 20s",
        ]
    );
}

#[test]
fn what_is_cut_is_told() {
    let (root, system) = made_up();
    put(root.path(), b"home/ada/.bashrc", &[b'x'; 2000]);
    put(
        root.path(),
        b"home/ada/.bash_history",
        &[b"old ".repeat(500), b"new".to_vec()].concat(),
    );
    let mut options = Options::default();
    options.include.dotfiles = true;
    options.include.shell_history = true;
    options.limits.kept_bytes = 1000;
    let inventory = take(&system, &options);
    assert_sound(&inventory);
    let cut: Vec<String> = inventory
        .problems
        .iter()
        .filter(|problem| problem.kind == ProblemKind::Cut)
        .map(|problem| problem.what.to_string())
        .collect();
    assert_eq!(cut, ["/home/ada/.bashrc", "/home/ada/.bash_history"]);
    let bashrc = &inventory.dotfiles[0].file;
    assert_eq!((bashrc.size, &bashrc.sha256), (2000, &None));
    let history = &inventory.secrets.expect("it was asked for").shell_history[0];
    assert!(history.content.0.ends_with(b"new") && history.cut);
    options.limits.names = 1;
    let inventory = take(&system, &options);
    let few = |problem: &Problem| problem.kind == ProblemKind::Cut && problem.section == "cron";
    assert!(
        inventory.problems.iter().any(few),
        "{:?}",
        inventory.problems
    );
}

#[test]
fn what_is_broken_is_told() {
    let broken: &[(&str, &[u8])] = &[
        ("etc/passwd", b"ada:x:1000:1000::/home/ada:/bin/sh\n"),
        ("var/lib/dpkg/status", b"\0\xff nonsense\n"),
        ("var/lib/snapd/state.json", b"{"),
        ("home/ada/.cargo/.crates2.json", b"[]"),
        (
            "home/ada/.local/share/pipx/venvs/x/pipx_metadata.json",
            b"{}",
        ),
        ("home/ada/.vscode/extensions/extensions.json", b"{}"),
    ];
    let root = tree(broken);
    let system = System::mounted(root.path()).expect("it opens");
    let inventory = take(&system, &Options::default());
    assert_sound(&inventory);
    let sections: Vec<&str> = inventory
        .problems
        .iter()
        .inspect(|problem| assert_eq!(problem.kind, ProblemKind::Malformed))
        .map(|problem| problem.section.as_str())
        .collect();
    let expected = [
        "editors.extensions",
        "packages.apt",
        "packages.cargo",
        "packages.pipx",
        "packages.snap",
    ];
    assert_eq!(sections, expected);
}

#[test]
fn differences_are_told_section_by_section() {
    let (root, system) = made_up();
    let before = take(&system, &Options::default());
    put(root.path(), b"etc/hostname", b"shed\n");
    put(root.path(), b"home/ada/.bashrc", b"alias m=ls\n");
    put(root.path(), b"home/ada/.profile", b"");
    fs::remove_file(root.path().join("etc/cron.d/own")).expect("it removes");
    put(root.path(), b"etc/wireguard/\xff.conf", b"");
    let after = take(&system, &Options::default());
    let told: Vec<String> = diff(&before, &after)
        .iter()
        .map(|change| {
            let key = serde_json::to_string(&change.key).expect("it is JSON");
            format!(
                "{:?} {} {key} {:?}",
                change.change, change.section, change.fields
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    Changed machine ["hostname"] []
    Changed dotfiles ["ada",".bashrc"] ["file.sha256"]
    Added dotfiles ["ada",".profile"] []
    Removed cron.tables [null,"/etc/cron.d/own"] []
    Added network.files [{"hex":"2f6574632f7769726567756172642fff2e636f6e66"}] []
    "#);
    assert_eq!(diff(&after, &after), []);
    assert_eq!(diff(&after, &before).len(), told.len());
}

/// A list that is forgotten would never differ.
#[test]
fn every_list_is_compared_or_said_not_to_be() {
    let (_root, system) = made_up();
    let inventory = take(&system, &Options::default());
    let json = serde_json::to_value(&inventory).expect("it is JSON");
    let mut lists = Vec::new();
    for (section, value) in json.as_object().expect("a record") {
        match value {
            serde_json::Value::Object(inner) if section != "machine" => {
                lists.extend(inner.keys().map(|list| format!("{section}.{list}")));
            }
            _ => lists.push(section.clone()),
        }
    }
    lists.push("secrets".to_owned());
    lists.sort();
    let mut known: Vec<&str> = diff::LISTS.iter().map(|(section, _)| *section).collect();
    known.extend(["format", "version"]);
    known.sort_unstable();
    assert_eq!(lists, known);
}

#[test]
fn the_script_reads_so() {
    let (_root, system) = made_up();
    let mut options = Options::default();
    options.include.dotfiles = true;
    let script = script(&take(&system, &options), &Section::ALL);
    let (_, ours) = script
        .split_once("# ---- repositories ----")
        .expect("there are sections");
    insta::assert_snapshot!(ours);
}
