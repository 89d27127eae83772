//! Units of systemd, as its links say: one in `NAME.wants` and the like enables a unit, one to
//! `/dev/null` masks it (systemctl(1), systemd.unit(5)). `systemctl list-unit-files` says the same
//! of what was enabled here.

use super::collect::Look;
use super::model::{Scope, Services, Unit, UnitFile, UnitState, User};
use super::system::{Kind, join};
use super::text::name;

const SECTION: &str = "services";
const ENDINGS: [&[u8]; 9] = [
    b".service",
    b".socket",
    b".timer",
    b".path",
    b".mount",
    b".automount",
    b".target",
    b".swap",
    b".slice",
];

pub(super) fn services(look: &Look<'_>, users: &[User], contents: bool) -> Services {
    let mut found = Services {
        units: Vec::new(),
        files: Vec::new(),
    };
    let system: [(&[u8], Scope); 2] = [
        (b"/etc/systemd/system", Scope::System),
        (b"/etc/systemd/user", Scope::Users),
    ];
    for (dir, scope) in system {
        directory(look, dir, scope, None, contents, &mut found);
    }
    for user in users {
        let dir = join(&user.home.0, b".config/systemd/user");
        directory(look, &dir, Scope::User, Some(user), contents, &mut found);
    }
    found.units.sort();
    found.units.dedup();
    found.files.sort();
    found
}

fn is_unit(file: &[u8]) -> bool {
    ENDINGS.iter().any(|ending| file.ends_with(ending))
}

fn directory(
    look: &Look<'_>,
    dir: &[u8],
    scope: Scope,
    user: Option<&User>,
    contents: bool,
    found: &mut Services,
) {
    let unit = |unit: &[u8], state| Unit {
        user: user.map(|user| user.name.clone()),
        scope,
        name: name(unit),
        state,
    };
    let mut file = |path: Vec<u8>| {
        let file = match user {
            None => look.keep(SECTION, &path, contents),
            Some(user) => look.keep_of(SECTION, &user.home.0, &path, contents),
        };
        if let Some(file) = file {
            found.files.push(UnitFile {
                user: user.map(|user| user.name.clone()),
                path: name(path),
                file,
            });
        }
    };
    for entry in look.list(SECTION, dir) {
        let path = join(dir, &entry.name);
        match entry.kind {
            // What the machine starts into is no unit that is enabled.
            Kind::Link if is_unit(&entry.name) && entry.name != b"default.target" => {
                let Ok(to) = look.system.link(dir, &entry.name) else {
                    continue;
                };
                let last = to.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                if to == b"/dev/null" {
                    found.units.push(unit(&entry.name, UnitState::Masked));
                } else if is_unit(last) {
                    // An alias belongs to a unit that is enabled.
                    found.units.push(unit(last, UnitState::Enabled));
                }
            }
            Kind::File if is_unit(&entry.name) => file(path),
            Kind::Directory if entry.name.ends_with(b".d") => {
                for change in look.list(SECTION, &path) {
                    if change.name.ends_with(b".conf") && change.kind != Kind::Directory {
                        file(join(&path, &change.name));
                    }
                }
            }
            Kind::Directory
                if [&b".wants"[..], b".requires", b".upholds"]
                    .iter()
                    .any(|ending| entry.name.ends_with(ending)) =>
            {
                for link in look.list(SECTION, &path) {
                    if link.kind == Kind::Link && is_unit(&link.name) {
                        found.units.push(unit(&link.name, UnitState::Enabled));
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::collect::{Options, collect};
    use super::super::system::System;
    use super::*;

    #[test]
    fn links_say_what_is_enabled_and_masked() {
        let root = tempfile::tempdir().expect("a directory");
        let dir = root.path().join("etc/systemd/system");
        let wants = dir.join("multi-user.target.wants");
        fs::create_dir_all(&wants).expect("it makes a directory");
        fs::create_dir_all(dir.join("ssh.service.d")).expect("it makes a directory");
        let link = |to: &str, from: &std::path::Path| symlink(to, from).expect("it links");
        link(
            "/lib/systemd/system/ssh.service",
            &wants.join("ssh.service"),
        );
        link(
            "/lib/systemd/system/getty@.service",
            &wants.join("getty@tty1.service"),
        );
        link("/lib/systemd/system/ssh.service", &dir.join("sshd.service"));
        link("/dev/null", &dir.join("cups.service"));
        link("/etc/passwd", &dir.join("odd.service"));
        fs::write(dir.join("own.service"), "[Service]\nEnvironment=TOKEN=x\n").expect("it writes");
        fs::write(dir.join("ssh.service.d/more.conf"), "[Unit]\n").expect("it writes");
        fs::write(dir.join("README"), "").expect("it writes");
        let system = System::mounted(root.path()).expect("it opens");
        let mut options = Options::default();
        let take = |options: &Options| {
            let inventory = collect(&system, options, jiff::Timestamp::UNIX_EPOCH);
            inventory.expect("there is an inventory").services
        };
        let services = take(&options);
        let units: Vec<(String, UnitState)> = services
            .units
            .iter()
            .map(|unit| (unit.name.to_string(), unit.state))
            .collect();
        let expected = [
            ("cups.service", UnitState::Masked),
            ("getty@tty1.service", UnitState::Enabled),
            ("ssh.service", UnitState::Enabled),
        ];
        assert_eq!(
            units,
            expected.map(|(name, state)| (name.to_owned(), state))
        );
        assert_eq!(services.files.len(), 2);
        assert!(
            services
                .files
                .iter()
                .all(|unit| unit.file.content.is_none())
        );
        options.include.units = true;
        let content = take(&options).files[0].file.content.clone();
        assert!(
            content
                .expect("it was asked for")
                .to_string()
                .contains("TOKEN")
        );
    }
}
