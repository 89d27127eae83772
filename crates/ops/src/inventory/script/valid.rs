//! What names look like, where a command would take another for something else.

/// Characters that names of everything here may have, and never begin with but those.
fn of(name: &[u8], first: fn(u8) -> bool, others: &[u8]) -> bool {
    let (Some(&begin), Some(&end)) = (name.first(), name.last()) else {
        return false;
    };
    let rest = |&byte: &u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    name.len() <= 255 && first(begin) && end != b'-' && name.iter().all(rest)
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Debian Policy, section 5.6.1, with an architecture perhaps. `NAME-` would remove.
pub(super) fn debian(name: &[u8]) -> bool {
    let mut parts = name.split(|&byte| byte == b':');
    let (package, architecture) = (parts.next(), parts.next());
    package.is_some_and(|package| package.len() > 1 && of(package, alphanumeric, b"+-."))
        && architecture.is_none_or(|architecture| of(architecture, alphanumeric, b"-"))
        && parts.next().is_none()
}

/// Snaps.
pub(super) fn snap(name: &[u8]) -> bool {
    of(name, alphanumeric, b"-_")
}

/// Channels of snaps.
pub(super) fn channel(name: &[u8]) -> bool {
    of(name, alphanumeric, b"-._/")
}

/// Ids of Flatpak applications and names of its remotes.
pub(super) fn flatpak(name: &[u8]) -> bool {
    of(name, alphanumeric, b"-._")
}

/// The specification of names of Python's packages: no path and no address.
pub(super) fn python(name: &[u8]) -> bool {
    of(name, alphanumeric, b"-._")
}

/// A package of npm, or of a scope.
pub(super) fn npm(name: &[u8]) -> bool {
    let plain = |name: &[u8]| of(name, alphanumeric, b"-._~");
    match name.strip_prefix(b"@") {
        None => plain(name),
        Some(scoped) => scoped
            .iter()
            .position(|&byte| byte == b'/')
            .is_some_and(|at| plain(&scoped[..at]) && plain(&scoped[at + 1..])),
    }
}

/// Crates.
pub(super) fn krate(name: &[u8]) -> bool {
    of(name, |byte| byte.is_ascii_alphabetic(), b"-_")
}

/// Packages of Go with the version of their module.
pub(super) fn go(name: &[u8]) -> bool {
    of(name, alphanumeric, b"-._~/+@") && !holds(name, b"..")
}

/// Units of systemd.
pub(super) fn unit(name: &[u8]) -> bool {
    let escaped = name.strip_prefix(b"-").unwrap_or(name);
    of(escaped, alphanumeric, b"-._:\\@") && name == escaped && name.contains(&b'.')
}

/// Users: what useradd(8) allows.
pub(super) fn user(name: &[u8]) -> bool {
    name.len() <= 32
        && of(
            name,
            |byte| byte.is_ascii_alphabetic() || byte == b'_',
            b"-_.",
        )
}

/// Extensions of VS Code: publisher and name.
pub(super) fn extension(name: &[u8]) -> bool {
    of(name, alphanumeric, b"-._") && name.iter().filter(|&&byte| byte == b'.').count() >= 1
}

/// Images of containers.
pub(super) fn image(name: &[u8]) -> bool {
    of(name, alphanumeric, b"-._/:@")
}

/// Addresses that git gets without running anything else.
pub(super) fn address(url: &[u8]) -> bool {
    url.strip_prefix(b"https://")
        .is_some_and(|rest| of(rest, alphanumeric, b"-._~/:@+%"))
        && !holds(url, b"***")
}

/// A path beneath a directory: plain, without a step up.
pub(super) fn beneath(path: &[u8]) -> bool {
    !path.is_empty()
        && path.len() < 4096
        && path
            .split(|&byte| byte == b'/')
            .all(|part| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0))
}

/// A file that lies right there.
pub(super) fn in_directory(path: &[u8], dir: &str) -> bool {
    path.strip_prefix(dir.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"/"))
        .is_some_and(|file| beneath(file) && !file.contains(&b'/'))
}

fn holds(name: &[u8], what: &[u8]) -> bool {
    name.windows(what.len()).any(|part| part == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Valid = fn(&[u8]) -> bool;

    #[test]
    fn names_that_mean_something_else_are_none() {
        let good: [(Valid, &str); 14] = [
            (debian, "g++"),
            (debian, "libc6:i386"),
            (debian, "0ad"),
            (snap, "hello-world"),
            (channel, "latest/stable"),
            (npm, "@vue/cli"),
            (krate, "cargo-nextest"),
            (go, "golang.org/x/tools/gopls@v0.15.3"),
            (unit, "getty@tty1.service"),
            (unit, r"dev-disk-by\x2dlabel.swap"),
            (user, "ada"),
            (extension, "ms-python.python"),
            (image, "ghcr.io/x/y:1@sha256:ab"),
            (address, "https://github.com/x/y.git"),
        ];
        for (valid, name) in good {
            assert!(valid(name.as_bytes()), "{name}");
        }
        let hostile = [
            "",
            "-x",
            "--purge",
            "a b",
            "a\nb",
            "$(x)",
            "`x`",
            "a;b",
            "a'b",
            "a\"b",
            "x-",
            "ä",
            "\u{202e}a",
            "../../x",
            "*",
            "a|b",
            "a&b",
            "~x",
            "a\0b",
            "{a,b}",
            "!x",
            "#x",
        ];
        let every: [Valid; 13] = [
            debian, snap, channel, flatpak, python, npm, krate, go, unit, user, extension, image,
            address,
        ];
        for name in hostile {
            for valid in every {
                assert!(!valid(name.as_bytes()), "{name}");
            }
        }
        assert!(!debian(b"a:b:c") && !debian(b"x=1") && !debian(b"x/sid"));
        assert!(!address(b"ext::sh -c x") && !address(b"file:///x"));
        assert!(
            beneath(b".config/x y") && !beneath(b"a/../b") && !beneath(b"/x") && !beneath(b"a//b")
        );
        assert!(in_directory(
            b"/etc/apt/keyrings/a.gpg",
            "/etc/apt/keyrings"
        ));
        assert!(!in_directory(
            b"/etc/apt/keyrings/../../passwd",
            "/etc/apt/keyrings"
        ));
        assert!(!in_directory(b"/etc/apt/keyringsx", "/etc/apt/keyrings"));
    }
}
