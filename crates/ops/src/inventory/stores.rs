//! Snaps and Flatpak applications.

use serde::Deserialize;
use std::collections::BTreeMap;

use keepwatch_core::Name;

use super::collect::Look;
use super::model::{FlatpakPackage, ProblemKind, SnapPackage, User};
use super::system::{Kind, join};
use super::text::{lines, name, words};

const SNAP_STATE: &[u8] = b"/var/lib/snapd/state.json";
const SNAP: &[&str] = &["snap", "list", "--color=never", "--unicode=never"];

/// Snaps: asked for on the running machine, else from what snapd has noted.
pub(super) fn snap(look: &Look<'_>) -> Vec<SnapPackage> {
    const SECTION: &str = "packages.snap";
    if let Some(said) = look.ask(SECTION, SNAP) {
        return parse_snap_list(&said);
    }
    if look.system.is_running() {
        return Vec::new();
    }
    let Some(state) = look.read_list(SECTION, SNAP_STATE) else {
        return Vec::new();
    };
    parse_snap_state(&state).unwrap_or_else(|error| {
        look.problem(SECTION, ProblemKind::Malformed, SNAP_STATE, error);
        Vec::new()
    })
}

/// `Name Version Rev Tracking Publisher Notes`, columns of words. Without any snap it says so on
/// standard error.
pub(super) fn parse_snap_list(said: &[u8]) -> Vec<SnapPackage> {
    let parse = |line: &[u8]| {
        let mut words = words(line).map(name);
        let (snap, version, revision) = (words.next()?, words.next()?, words.next()?);
        let channel = words.next()?;
        // A publisher is one word; what comes last are notes with commas.
        let notes = words.last().unwrap_or(name("-"));
        let noted = |note: &str| {
            notes
                .0
                .split(|&byte| byte == b',')
                .any(|one| one == note.as_bytes())
        };
        Some(SnapPackage {
            version: Some(version),
            revision,
            channel: (channel.0 != b"-").then_some(channel),
            classic: noted("classic"),
            base: noted("base") || noted("core") || noted("snapd") || noted("os"),
            name: snap,
        })
    };
    let mut snaps: Vec<_> = lines(said).skip(1).filter_map(parse).collect();
    snaps.sort();
    snaps
}

#[derive(Deserialize)]
struct SnapdState {
    data: SnapdData,
}

#[derive(Deserialize)]
struct SnapdData {
    #[serde(default)]
    snaps: BTreeMap<String, SnapState>,
}

#[derive(Deserialize)]
struct SnapState {
    #[serde(default)]
    active: bool,
    #[serde(default)]
    current: String,
    channel: Option<String>,
    #[serde(default)]
    classic: bool,
    #[serde(rename = "type", default)]
    kind: String,
}

pub(super) fn parse_snap_state(bytes: &[u8]) -> serde_json::Result<Vec<SnapPackage>> {
    let state: SnapdState = serde_json::from_slice(bytes)?;
    let snaps = state.data.snaps.into_iter();
    Ok(snaps
        .filter(|(_, snap)| snap.active)
        .map(|(snap, state)| SnapPackage {
            name: name(snap),
            version: None,
            revision: name(state.current),
            channel: state.channel.map(name),
            classic: state.classic,
            base: ["base", "os", "snapd", "gadget", "kernel"].contains(&state.kind.as_str()),
        })
        .collect())
}

const FLATPAK: &[&str] = &[
    "flatpak",
    "list",
    "--app",
    "--columns=application,branch,origin,installation",
];

/// Flatpak applications: those of the machine and of whoever asks on the running machine; what
/// others have installed, and what is on a mounted disk, from the directories.
pub(super) fn flatpak(look: &Look<'_>, users: &[User]) -> Vec<FlatpakPackage> {
    const SECTION: &str = "packages.flatpak";
    let said = look.ask(SECTION, FLATPAK).unwrap_or_default();
    let mut apps = Vec::new();
    let mut homes: Vec<(Option<&Name>, Vec<u8>)> = vec![(None, b"/var/lib/flatpak/app".to_vec())];
    homes.extend(users.iter().map(|user| {
        let dir = join(&user.home.0, b".local/share/flatpak/app");
        (Some(&user.name), dir)
    }));
    for (user, dir) in homes {
        for app in look.list(SECTION, &dir) {
            let place = join(&dir, &app.name);
            if app.kind != Kind::Directory {
                continue;
            }
            // `current` leads to ARCHITECTURE/BRANCH.
            let branch = look.system.link(&place, b"current").ok();
            let branch = branch.and_then(|to| to.rsplit(|&byte| byte == b'/').next().map(name));
            apps.push(FlatpakPackage {
                user: user.cloned(),
                id: name(app.name),
                branch,
                origin: None,
            });
        }
    }
    add_origins(&mut apps, &said);
    apps.sort();
    apps
}

/// What `flatpak list` says with tabs between, of applications that directories have told of.
pub(super) fn add_origins(apps: &mut [FlatpakPackage], said: &[u8]) {
    for line in lines(said) {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b'\t').collect();
        let [id, branch, origin, installation] = fields[..] else {
            continue;
        };
        let of_system = installation != b"user";
        for app in apps.iter_mut() {
            if app.id.0 == id && app.user.is_none() == of_system {
                app.origin = Some(name(origin));
                app.branch = Some(name(branch));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written after the documentation of `snap list`.
    const LIST: &str = "\
Name            Version        Rev    Tracking         Publisher     Notes
bare            1.0            5      latest/stable    canonical**   base
code            863d2581       174    latest/stable    vscode**      classic
core22          20240731       1564   latest/stable    canonical**   base
firefox         130.0-2        4848   latest/stable/…  mozilla**     -
local-one       1              x1     -                -             devmode,disabled
snapd           2.63           21759  latest/stable    canonical**   snapd
";

    #[test]
    fn the_list_of_snaps_is_understood() {
        let snaps = parse_snap_list(LIST.as_bytes());
        let short: Vec<(String, bool, bool)> = snaps
            .iter()
            .map(|snap| (snap.name.to_string(), snap.classic, snap.base))
            .collect();
        let expected = [
            ("bare", false, true),
            ("code", true, false),
            ("core22", false, true),
            ("firefox", false, false),
            ("local-one", false, false),
            ("snapd", false, true),
        ];
        assert_eq!(short, expected.map(|(name, a, b)| (name.to_owned(), a, b)));
        assert_eq!(snaps[1].channel, Some(name("latest/stable")));
        assert_eq!(snaps[4].channel, None);
        assert_eq!(parse_snap_list(b""), []);
    }

    #[test]
    fn what_snapd_has_noted_is_understood() {
        let state = br#"{"data":{"snaps":{
            "code":{"type":"app","active":true,"current":"174","channel":"latest/stable","classic":true},
            "core22":{"type":"base","active":true,"current":"1564","channel":"latest/stable"},
            "gone":{"type":"app","current":"1"}}},"changes":{}}"#;
        let snaps = parse_snap_state(state).expect("it is a state");
        assert_eq!(snaps.len(), 2);
        assert!(snaps[0].classic && !snaps[0].base);
        assert!(snaps[1].base);
        parse_snap_state(b"{}").expect_err("there is nothing in it");
    }

    #[test]
    fn flatpak_says_where_applications_come_from() {
        let app = |user: Option<&str>, id: &str| FlatpakPackage {
            user: user.map(name),
            id: name(id),
            branch: None,
            origin: None,
        };
        let mut apps = [
            app(None, "org.gimp.GIMP"),
            app(Some("ada"), "org.gimp.GIMP"),
        ];
        let said = b"org.gimp.GIMP\tstable\tflathub\tsystem\norg.gimp.GIMP\tbeta\tflathub-beta\tuser\nnonsense\n";
        add_origins(&mut apps, said);
        assert_eq!(apps[0].origin, Some(name("flathub")));
        assert_eq!(apps[1].origin, Some(name("flathub-beta")));
        assert_eq!(apps[1].branch, Some(name("beta")));
    }
}
