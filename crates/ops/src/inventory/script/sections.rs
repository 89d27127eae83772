//! The sections of a rebuild script.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keepwatch_core::Name;

use super::super::model::{Inventory, Kept, Scope, UnitState};
use super::{Script, valid};

/// Where Flatpak's remotes describe themselves with their keys; of others only the address is
/// known.
const FLATHUB: (&[u8], &[u8]) = (
    b"https://dl.flathub.org/repo/",
    b"https://dl.flathub.org/repo/flathub.flatpakrepo",
);

/// Nobody's, or a user who is called as users are.
fn owner(user: Option<&Name>) -> Option<&[u8]> {
    match user {
        None => Some(b""),
        Some(user) => valid::user(&user.0).then_some(user.0.as_slice()),
    }
}

impl Script {
    /// A file with what is in it, if it is known; `call` is `put`, `put_at_home`.
    fn file(&mut self, call: &str, user: &[u8], path: &[u8], file: &Kept) {
        let Some(content) = &file.content else {
            return self.left_out(path, "what is in it is not in the inventory");
        };
        // Bits of another kind than permissions are not given away.
        let mode = format!("{:04o}", file.mode & 0o777);
        let content = STANDARD.encode(&content.0);
        self.call(call, &[user, path, mode.as_bytes(), content.as_bytes()]);
    }

    /// The calls of one command for each user with a list of names.
    fn for_each_user<'a>(
        &mut self,
        command: &str,
        named: impl Iterator<Item = (Option<&'a Name>, &'a Name)>,
        valid: fn(&[u8]) -> bool,
    ) {
        let mut users: BTreeMap<Option<&Name>, Vec<&Name>> = BTreeMap::new();
        for (user, name) in named {
            users.entry(user).or_default().push(name);
        }
        for (user, names) in users {
            let mut kept = self.only(names, valid);
            kept.dedup();
            match owner(user) {
                Some(user) if !kept.is_empty() => {
                    kept.insert(0, user);
                    self.call_with(command, &kept);
                }
                Some(_) => {}
                None => self.left_out(&user.expect("nobody is valid").0, "it is no user"),
            }
        }
    }

    pub(super) fn repositories(&mut self, inventory: &Inventory) {
        for keyring in &inventory.repositories.keyrings {
            let dirs = [
                "/etc/apt/keyrings",
                "/etc/apt/trusted.gpg.d",
                "/usr/share/keyrings",
            ];
            let path = &keyring.path.0;
            match dirs.iter().any(|dir| valid::in_directory(path, dir)) {
                true => {
                    for fingerprint in &keyring.fingerprints {
                        self.comment(fingerprint);
                    }
                    self.file("put", b"root", path, &keyring.file);
                }
                false => self.left_out(path, "keyrings are not there"),
            }
        }
        for source in &inventory.repositories.apt {
            let path = &source.path.0;
            if path != b"/etc/apt/sources.list"
                && !valid::in_directory(path, "/etc/apt/sources.list.d")
            {
                self.left_out(path, "sources are not there");
            } else if source.password_removed {
                self.left_out(path, "there was a password in it");
            } else {
                self.file("put", b"root", path, &source.file);
            }
        }
        if !inventory.repositories.apt.is_empty() {
            self.line("apt_update");
        }
        for remote in &inventory.repositories.flatpak {
            let flathub = remote.url.as_ref().is_some_and(|url| url.0 == FLATHUB.0);
            match owner(remote.user.as_ref()) {
                Some(user) if flathub && valid::flatpak(&remote.name.0) => {
                    self.call("flatpak_remote", &[user, &remote.name.0, FLATHUB.1]);
                }
                _ => self.left_out(&remote.name.0, "its keys are not in the inventory"),
            }
        }
    }

    pub(super) fn packages(&mut self, inventory: &Inventory) {
        let packages = &inventory.packages;
        let native = inventory.machine.architecture.as_ref();
        let full = |package: &super::super::model::AptPackage| {
            let own = native.is_none_or(|native| *native == package.architecture);
            match own || package.architecture.0 == b"all" {
                true => package.name.clone(),
                false => Name([&package.name.0[..], b":", &package.architecture.0].concat()),
            }
        };
        let manual: Vec<Name> = packages
            .apt
            .iter()
            .filter(|one| one.manual)
            .map(full)
            .collect();
        let manual = self.only(&manual, valid::debian);
        self.call_with("apt_install", &manual);
        let held: Vec<Name> = packages
            .apt
            .iter()
            .filter(|one| one.held)
            .map(full)
            .collect();
        let held = self.only(&held, valid::debian);
        self.call_with("apt_hold", &held);
        for snap in packages.snap.iter().filter(|snap| !snap.base) {
            let channel = snap.channel.as_ref().map_or(&b""[..], |channel| &channel.0);
            // `…` stands for a branch that the list has no room for.
            let channel = if valid::channel(channel) {
                channel
            } else {
                b""
            };
            let classic: &[u8] = if snap.classic { b"classic" } else { b"" };
            match valid::snap(&snap.name.0) {
                true => self.call("snap_install", &[&snap.name.0, channel, classic]),
                false => self.left_out(&snap.name.0, "it is not named as such things are"),
            }
        }
        for app in &packages.flatpak {
            let remote = app
                .origin
                .as_ref()
                .map_or(&b"flathub"[..], |origin| &origin.0);
            match owner(app.user.as_ref()) {
                Some(user) if valid::flatpak(&app.id.0) && valid::flatpak(remote) => {
                    self.call("flatpak_install", &[user, remote, &app.id.0]);
                }
                _ => self.left_out(&app.id.0, "it is not named as such things are"),
            }
        }
        let requested = packages.pip.iter().filter(|package| package.requested);
        let requested = requested.map(|package| (package.user.as_ref(), &package.name));
        self.for_each_user("pip_install", requested, valid::python);
        for package in &packages.pipx {
            let name = &package.package.0;
            match valid::user(&package.user.0) && valid::python(name) {
                true => self.call("pipx_install", &[&package.user.0, name]),
                false => self.left_out(name, "it is no package of the index"),
            }
        }
        // npm brings itself, and corepack with it.
        let npm = packages.npm.iter();
        let npm = npm.filter(|package| ![&b"npm"[..], b"corepack"].contains(&&package.name.0[..]));
        let npm = npm.map(|package| (package.user.as_ref(), &package.name));
        self.for_each_user("npm_install", npm, valid::npm);
        let registry = b"registry+https://github.com/rust-lang/crates.io-index";
        for package in packages.cargo.iter().filter(|one| one.source.0 != registry) {
            self.left_out(&package.name.0, "it does not come from crates.io");
        }
        let crates = packages.cargo.iter().filter(|one| one.source.0 == registry);
        let crates = crates.map(|package| (Some(&package.user), &package.name));
        self.for_each_user("cargo_install", crates, valid::krate);
        for program in &packages.go {
            let known = program.package.as_ref().zip(program.version.as_ref());
            let module =
                known.map(|(package, version)| [&package.0[..], b"@", &version.0].concat());
            match module {
                Some(module) if valid::go(&module) && valid::user(&program.user.0) => {
                    self.call("go_install", &[&program.user.0, &module]);
                }
                _ => self.left_out(&program.name.0, "where it comes from is not known"),
            }
        }
    }

    pub(super) fn dotfiles(&mut self, inventory: &Inventory) {
        for dotfile in &inventory.dotfiles {
            match valid::user(&dotfile.user.0) && valid::beneath(&dotfile.path.0) {
                true => {
                    let (user, path) = (&dotfile.user.0, &dotfile.path.0);
                    self.file("put_at_home", user, path, &dotfile.file);
                }
                false => self.left_out(&dotfile.path.0, "it is not in a home"),
            }
        }
    }

    pub(super) fn services(&mut self, inventory: &Inventory) {
        for unit in &inventory.services.files {
            let path = &unit.path.0;
            let plain = path.strip_prefix(b"/").is_some_and(valid::beneath);
            let there = path.starts_with(b"/etc/systemd/system/")
                || path.starts_with(b"/etc/systemd/user/");
            match &unit.user {
                None if plain && there => self.file("put", b"root", path, &unit.file),
                Some(user) if plain && valid::user(&user.0) => {
                    let marker = b"/.config/systemd/user/";
                    let at = path.windows(marker.len()).position(|part| part == marker);
                    match at {
                        Some(at) => {
                            self.file("put_at_home", &user.0, &path[at + 1..], &unit.file);
                        }
                        None => self.left_out(path, "units are not there"),
                    }
                }
                _ => self.left_out(path, "units are not there"),
            }
        }
        for unit in &inventory.services.units {
            let name = &unit.name.0;
            if !valid::unit(name) {
                self.left_out(name, "it is not named as such things are");
                continue;
            }
            let enabled = unit.state == UnitState::Enabled;
            let verb: &[u8] = if enabled { b"enable" } else { b"mask" };
            match (unit.scope, &unit.user) {
                (Scope::System, _) if enabled => self.call("unit_enable", &[name]),
                (Scope::System, _) => self.call("unit_mask", &[name]),
                (Scope::Users, _) => self.call("unit_of_all_users", &[verb, name]),
                (Scope::User, Some(user)) if valid::user(&user.0) => {
                    self.call("unit_of_user", &[&user.0, verb, name]);
                }
                (Scope::User, _) => self.left_out(name, "it belongs to no user"),
            }
        }
    }

    pub(super) fn cron(&mut self, inventory: &Inventory) {
        for table in &inventory.cron.tables {
            match (&table.user, &table.path) {
                (None, Some(path))
                    if path.0 == b"/etc/crontab" || valid::in_directory(&path.0, "/etc/cron.d") =>
                {
                    self.file("put", b"root", &path.0, &table.file);
                }
                (Some(user), _) if valid::user(&user.0) => match &table.file.content {
                    Some(content) => {
                        let content = STANDARD.encode(&content.0);
                        self.call("crontab_of", &[&user.0, content.as_bytes()]);
                    }
                    None => self.left_out(&user.0, "the table is not in the inventory"),
                },
                (user, path) => {
                    let what = path.as_ref().or(user.as_ref());
                    let what = what.map_or(&b"a table"[..], |what| &what.0);
                    self.left_out(what, "tables are not there");
                }
            }
        }
    }

    pub(super) fn editors(&mut self, inventory: &Inventory) {
        const EDITORS: [&[u8]; 4] = [b"code", b"code-insiders", b"codium", b"cursor"];
        for extension in &inventory.editors.extensions {
            let (user, editor, id) = (&extension.user.0, &extension.editor.0, &extension.id.0);
            let known = EDITORS.contains(&editor.as_slice());
            match known && valid::user(user) && valid::extension(id) {
                true => self.call("extension_install", &[user, editor, id]),
                false => self.left_out(id, "it is not named as such things are"),
            }
        }
        for plugin in &inventory.editors.plugins {
            let origin = plugin
                .origin
                .as_ref()
                .filter(|origin| valid::address(&origin.0));
            match origin {
                Some(origin) if valid::user(&plugin.user.0) && valid::beneath(&plugin.path.0) => {
                    let values: [&[u8]; 3] = [&plugin.user.0, &plugin.path.0, &origin.0];
                    self.call("plugin_clone", &values);
                }
                _ => self.left_out(&plugin.path.0, "where it comes from is not known"),
            }
        }
    }

    pub(super) fn containers(&mut self, inventory: &Inventory) {
        for image in &inventory.containers.images {
            let engine = &image.engine.0;
            let known = [&b"docker"[..], b"podman"].contains(&engine.as_slice());
            match known && valid::image(&image.name.0) {
                true => self.call("image_pull", &[engine, &image.name.0]),
                false => self.left_out(&image.name.0, "it is not named as such things are"),
            }
        }
    }
}
