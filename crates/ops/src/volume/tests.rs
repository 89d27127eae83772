//! Against programs that stand in for those of ZFS and LVM: no kernel of a test has either.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

/// Notes what it is called with, and says what is written for its first arguments.
const STAND_IN: &str = r#"#!/bin/sh
name=${0##*/}
printf '%s' "$name" >>"$STANDIN/argv"
for argument; do printf ' %s' "$argument" >>"$STANDIN/argv"; done
echo >>"$STANDIN/argv"
[ -f "$STANDIN/$name.does" ] && . "$STANDIN/$name.does"
exit 0
"#;

/// A machine with a table of mounts, and with programs.
struct Machine {
    dir: TempDir,
    table: String,
}

impl Machine {
    /// A file system of a kind is mounted as `mnt`, with the directory `files` in it.
    fn new(kind: &str, device: &str, programs: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for program in programs {
            let path = dir.path().join("bin").join(program);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, STAND_IN).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        }
        fs::create_dir_all(dir.path().join("mnt/files")).unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        let table = format!(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 253:3 / @/mnt rw shared:1 - {kind} {device} rw\n"
        );
        Self { dir, table }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn does(&self, program: &str, script: &str) {
        fs::write(self.path(&format!("{program}.does")), script).unwrap();
    }

    fn take(&self, kind: VolumeKind, paths: &[&str]) -> Result<VolumeSnapshots, VolumeError> {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let standin = self.path("").into_os_string();
        let environment = [("PATH".into(), path.into()), ("STANDIN".into(), standin)];
        let request = SnapshotRequest {
            kind,
            size: "10%ORIGIN",
            job: "home",
            state: &self.path("state"),
            environment: &Environment::new(environment),
        };
        let paths: Vec<PathBuf> = paths.iter().map(|path| self.path(path)).collect();
        let here = self.path("");
        let here = here.to_str().unwrap().trim_end_matches('/');
        let mounts = Mounts::parse(self.table.replace('@', here).as_bytes());
        VolumeSnapshots::take_of(&paths, &request, mounts)
    }

    /// What was called, with `#` for the number of a run and `@` for the folder.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("argv")).unwrap_or_default();
        let here = self.path("");
        let here = here.to_str().unwrap().trim_end_matches('/');
        let calls = calls.replace(here, "@").replace(&self.stem(), "OURS-");
        let numbers = |line: &str| {
            let mut parts = line.split("OURS-");
            let mut text = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                text += "OURS#";
                text += part.get(16..).unwrap_or_default();
            }
            text
        };
        calls.lines().map(numbers).collect()
    }

    fn stem(&self) -> String {
        let name = Mark::new("home", &self.path("state")).name().unwrap();
        name[..name.len() - 16].to_owned()
    }
}

#[test]
fn a_dataset_is_read_where_it_shows_its_snapshots() {
    let mut machine = Machine::new("zfs", "tank/home\\040x", &["zfs"]);
    machine.table += "3 2 253:4 / @/mnt/files/more rw - zfs tank/more rw\n\
                      4 2 0:9 / @/mnt/files/proc rw - proc proc rw\n";
    let stem = machine.stem();
    machine.does(
        "zfs",
        &format!(
            "case $1 in
             snapshot) mkdir -p \"$STANDIN/mnt/.zfs/snapshot/${{2#*@}}/files\" ;;
             list) printf '%s\\n' 'tank/home x@{stem}0123456789abcdef' 'tank/home x@mine' \
                 'tank/home x@{stem}mine' 'tank/other@{stem}0123456789abcdef' ;;
             esac"
        ),
    );
    let snapshots = machine
        .take(VolumeKind::Auto, &["mnt/files", "mnt", "mnt/none"])
        .unwrap();
    let [(path, place), (_, whole)] = snapshots.places() else {
        panic!("what is not there has no place: {:?}", snapshots.places());
    };
    assert_eq!(*path, machine.path("mnt/files"));
    assert!(place.starts_with(machine.path("mnt/.zfs/snapshot")) && place.ends_with("files"));
    assert_eq!(whole, place.parent().unwrap());
    assert_eq!(
        snapshots.place_of(&machine.path("mnt/files")).as_ref(),
        Some(place)
    );
    assert_eq!(snapshots.place_of(&machine.path("state")), None);
    let expected = NotIn {
        path: machine.path("mnt/files/more"),
        beneath: machine.path("mnt/files"),
        what: "another file system (zfs of tank/more)".to_owned(),
    };
    assert_eq!(snapshots.not_in(), [expected]);
    assert!(snapshots.remove().is_empty());
    assert_eq!(
        machine.calls(),
        [
            "zfs list -H -d 1 -t snapshot -o name tank/home x",
            "zfs destroy tank/home x@OURS#",
            "zfs snapshot tank/home x@OURS#",
            "zfs destroy tank/home x@OURS#",
        ]
    );
}

#[test]
fn a_logical_volume_is_mounted_and_taken_away_again() {
    let programs = ["lvs", "lvcreate", "lvremove", "mount", "umount"];
    for (kind, options) in [("xfs", "nouuid,norecovery"), ("ext4", "noload")] {
        let machine = Machine::new(kind, "/dev/mapper/vg-home", &programs);
        machine.does(
            "lvs",
            "case $2 in --separator) echo '  vg/home' ;; *) echo '  home' ;; esac",
        );
        machine.does("mount", "mkdir \"$6/files\"");
        machine.does("umount", "rmdir \"$1/files\"");
        let snapshots = machine.take(VolumeKind::Lvm, &["mnt/files"]).unwrap();
        let place = snapshots.places()[0].1.clone();
        assert!(place.starts_with(machine.path("state")) && place.is_dir());
        drop(snapshots);
        assert_eq!(
            machine.calls(),
            [
                "lvs --noheadings --separator / -o vg_name,lv_name /dev/mapper/vg-home",
                "lvs --noheadings -o lv_name vg",
                "lvcreate --snapshot --permission r --name OURS# --extents 10%ORIGIN vg/home",
                &format!(
                    "mount -t {kind} -o ro,nosuid,nodev,noexec,{options} /dev/vg/OURS# @/state/OURS#"
                ),
                "umount @/state/OURS#",
                "lvremove --yes vg/OURS#",
            ]
        );
        assert_eq!(fs::read_dir(machine.path("state")).unwrap().count(), 0);
    }
}

#[test]
fn a_snapshot_that_cannot_be_mounted_is_not_left() {
    let programs = ["lvs", "lvcreate", "lvremove", "mount", "umount"];
    let machine = Machine::new("ext4", "/dev/vg/home", &programs);
    machine.does("lvs", "echo vg/home");
    machine.does("mount", "echo 'wrong fs type' >&2; exit 32");
    machine.does("umount", "echo 'not mounted' >&2; exit 32");
    let error = machine.take(VolumeKind::Auto, &["mnt"]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("mounting the snapshot vg/keepwatch-snapshot-home-"),
        "{text}"
    );
    assert!(text.ends_with("failed: `mount`: wrong fs type"), "{text}");
    assert_eq!(machine.calls().last().unwrap(), "lvremove --yes vg/OURS#");
    assert_eq!(fs::read_dir(machine.path("state")).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_removed_is_told() {
    let machine = Machine::new("zfs", "tank", &["zfs"]);
    machine.does(
        "zfs",
        "case $1 in
         snapshot) mkdir -p \"$STANDIN/mnt/.zfs/snapshot/${2#*@}\" ;;
         destroy) echo 'dataset is busy' >&2; exit 1 ;;
         esac",
    );
    let snapshots = machine.take(VolumeKind::Zfs, &["mnt"]).unwrap();
    let problems = snapshots.remove();
    let text = problems[0].to_string();
    assert_eq!(problems.len(), 1);
    assert!(
        text.starts_with("removing the snapshot tank@keepwatch-snapshot-home-"),
        "{text}"
    );
    assert!(text.ends_with("failed: `zfs`: dataset is busy"), "{text}");
}

#[test]
fn what_has_no_snapshot_is_refused() {
    let machine = Machine::new("tmpfs", "tmpfs", &[]);
    let refused = |kind| machine.take(kind, &["mnt/files"]).unwrap_err().to_string();
    let path = machine.path("mnt/files");
    for (kind, name) in [
        (VolumeKind::Auto, "btrfs, ZFS or LVM"),
        (VolumeKind::Btrfs, "btrfs"),
        (VolumeKind::Zfs, "ZFS"),
    ] {
        let expected = format!(
            "{}: no {name} snapshot can be made of it, for it is on tmpfs of tmpfs",
            path.display()
        );
        let found = refused(kind);
        assert!(
            found == expected || kind == VolumeKind::Auto && found.contains("tmpfs"),
            "{found}"
        );
    }
    // ZFS is not installed here, and a dataset that is mounted in part only shows no snapshots.
    let zfs = Machine::new("zfs", "tank", &[]);
    let error = zfs.take(VolumeKind::Auto, &["mnt"]).unwrap_err();
    assert!(matches!(error, VolumeError::Missing { .. }), "{error}");
    let mut part = Machine::new("zfs", "tank", &["zfs"]);
    part.table = part.table.replace("253:3 / ", "253:3 /ada ");
    let error = part.take(VolumeKind::Auto, &["mnt"]).unwrap_err();
    assert!(matches!(error, VolumeError::Part { .. }), "{error}");
}

#[test]
fn links_on_the_way_are_followed_and_at_the_end_are_not() {
    let machine = Machine::new("zfs", "tank", &["zfs"]);
    machine.does(
        "zfs",
        "[ $1 = snapshot ] && dir=\"$STANDIN/mnt/.zfs/snapshot/${2#*@}\" &&
         mkdir -p \"$dir/files\" && ln -s nowhere \"$dir/files/link\"",
    );
    symlink(machine.path("mnt/files"), machine.path("way")).unwrap();
    symlink("nowhere", machine.path("mnt/files/link")).unwrap();
    let snapshots = machine.take(VolumeKind::Zfs, &["way/link"]).unwrap();
    let (path, place) = &snapshots.places()[0];
    assert_eq!(*path, machine.path("way/link"));
    assert!(place.ends_with("files/link") && place.is_symlink());
}

#[test]
fn sizes_are_lvms() {
    for good in ["10%ORIGIN", "100%FREE", "5%VG", "5G", "500M", "1T"] {
        check_size(good).unwrap();
    }
    for bad in [
        "",
        "5",
        "G",
        "0G",
        "101%FREE",
        "10%",
        "-1G",
        "5G --yes",
        "5g",
        "10%origin",
    ] {
        assert!(check_size(bad).is_err(), "{bad}");
    }
}
