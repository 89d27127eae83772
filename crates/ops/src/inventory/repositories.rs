//! Where packages come from, and the keys that are trusted for it.

use keepwatch_core::Name;

use super::collect::{Look, kept};
use super::model::{
    AptEntry, AptSource, FlatpakRemote, Keyring, ProblemKind, Repositories, User, Withheld,
};
use super::openpgp::{Refusal, fingerprints};
use super::system::{Kind, join};
use super::text::{lines, name, split, without_passwords, words};

const SOURCES: &str = "repositories.apt";
const KEYRINGS: &str = "repositories.keyrings";
const REMOTES: &str = "repositories.flatpak";

pub(super) fn repositories(look: &Look<'_>, users: &[User]) -> Repositories {
    let apt = sources(look);
    let keyrings = keyrings(look, &apt);
    Repositories {
        apt,
        keyrings,
        flatpak: flatpak(look, users),
    }
}

fn sources(look: &Look<'_>) -> Vec<AptSource> {
    let mut paths = vec![b"/etc/apt/sources.list".to_vec()];
    let dir: &[u8] = b"/etc/apt/sources.list.d";
    paths.extend(look.list(SOURCES, dir).into_iter().filter_map(|entry| {
        let read = entry.name.ends_with(b".list") || entry.name.ends_with(b".sources");
        (read && entry.kind != Kind::Directory).then(|| join(dir, &entry.name))
    }));
    let mut found = Vec::new();
    for path in paths {
        let Some(mut contents) = look.read(SOURCES, &path, look.limits.kept_bytes) else {
            continue;
        };
        if contents.cut {
            look.problem(SOURCES, ProblemKind::Cut, &path, "it is too large");
        }
        let (without, password_removed) = without_passwords(&contents.bytes);
        contents.bytes = without;
        let entries = match path.ends_with(b".sources") {
            true => parse_deb822(&contents.bytes),
            false => parse_list(&contents.bytes),
        };
        found.push(AptSource {
            path: name(path),
            entries,
            file: kept(contents, true),
            password_removed,
        });
    }
    found.sort();
    found
}

/// One line for each source, sources.list(5).
pub(super) fn parse_list(bytes: &[u8]) -> Vec<AptEntry> {
    let parse = |line: &[u8]| {
        let line = line.split(|&byte| byte == b'#').next()?.trim_ascii();
        let (kind, mut rest) = line.split_at_checked(
            line.iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(line.len()),
        )?;
        if kind != b"deb" && kind != b"deb-src" {
            return None;
        }
        rest = rest.trim_ascii();
        let mut signed_by = Vec::new();
        if let Some(inner) = rest.strip_prefix(b"[") {
            let (options, after) = split(inner, b']')?;
            for option in words(options) {
                if let Some((key, value)) = split(option, b'=')
                    && key.eq_ignore_ascii_case(b"signed-by")
                {
                    signed_by.extend(value.split(|&byte| byte == b',').map(name));
                }
            }
            rest = after;
        }
        let mut words = words(rest).map(name);
        Some(AptEntry {
            types: vec![name(kind)],
            uris: vec![words.next()?],
            suites: vec![words.next()?],
            components: words.collect(),
            signed_by,
            enabled: true,
        })
    };
    lines(bytes).filter_map(parse).collect()
}

/// A stanza for each source, with lists in its fields.
pub(super) fn parse_deb822(bytes: &[u8]) -> Vec<AptEntry> {
    let mut found = Vec::new();
    let mut stanza: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for line in lines(bytes).chain([&b""[..]]) {
        if line.starts_with(b"#") {
            continue;
        }
        if line.trim_ascii().is_empty() {
            found.extend(entry(&std::mem::take(&mut stanza)));
        } else if line[0].is_ascii_whitespace() {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(b'\n');
                value.extend_from_slice(line.trim_ascii());
            }
        } else if let Some((key, value)) = split(line, b':') {
            stanza.push((key.to_ascii_lowercase(), value.to_vec()));
        }
    }
    found
}

fn entry(stanza: &[(Vec<u8>, Vec<u8>)]) -> Option<AptEntry> {
    let field = |wanted: &str| {
        let found = stanza.iter().find(|(key, _)| key == wanted.as_bytes());
        found.map_or(&b""[..], |(_, value)| value)
    };
    let list = |wanted: &str| words(field(wanted)).map(name).collect::<Vec<_>>();
    let signed_by = field("signed-by");
    let types = list("types");
    (!types.is_empty()).then(|| AptEntry {
        types,
        uris: list("uris"),
        suites: list("suites"),
        components: list("components"),
        // A key may stand there itself, which is in the file that is kept.
        signed_by: match signed_by.windows(5).any(|part| part == b"BEGIN") {
            true => Vec::new(),
            false => words(signed_by).map(name).collect(),
        },
        enabled: !["no", "false", "0", "off", "disable", "without"]
            .iter()
            .any(|no| field("enabled").eq_ignore_ascii_case(no.as_bytes())),
    })
}

/// The keyrings where apt looks, and those that its sources name.
fn keyrings(look: &Look<'_>, sources: &[AptSource]) -> Vec<Keyring> {
    let mut paths = vec![b"/etc/apt/trusted.gpg".to_vec()];
    for dir in [
        &b"/etc/apt/trusted.gpg.d"[..],
        b"/etc/apt/keyrings",
        b"/usr/share/keyrings",
    ] {
        for entry in look.list(KEYRINGS, dir) {
            if entry.kind != Kind::Directory {
                paths.push(join(dir, &entry.name));
            }
        }
    }
    let named = sources.iter().flat_map(|source| &source.entries);
    let named = named.flat_map(|entry| &entry.signed_by);
    paths.extend(
        named
            .filter(|by| by.0.starts_with(b"/"))
            .map(|by| by.0.clone()),
    );
    paths.sort();
    paths.dedup();
    paths
        .iter()
        .filter_map(|path| keyring(look, path))
        .collect()
}

fn keyring(look: &Look<'_>, path: &[u8]) -> Option<Keyring> {
    let contents = look.read(KEYRINGS, path, look.limits.kept_bytes)?;
    if contents.cut {
        look.problem(KEYRINGS, ProblemKind::Cut, path, "it is too large");
    }
    let told = fingerprints(&contents.bytes);
    let mut file = kept(contents, true);
    let refusal = match &told {
        _ if file.withheld.is_some() => None,
        Ok(_) => None,
        Err(Refusal::Private) => Some(Withheld::PrivateKey),
        Err(Refusal::Malformed) => Some(Withheld::Unusable),
    };
    if refusal.is_some() {
        file.content = None;
        file.withheld = refusal;
    }
    if refusal == Some(Withheld::PrivateKey) {
        file.sha256 = None;
    }
    Some(Keyring {
        path: name(path),
        fingerprints: told.unwrap_or_default(),
        file,
    })
}

fn flatpak(look: &Look<'_>, users: &[User]) -> Vec<FlatpakRemote> {
    let mut places: Vec<(Option<&Name>, Vec<u8>)> =
        vec![(None, b"/var/lib/flatpak/repo/config".to_vec())];
    places.extend(users.iter().map(|user| {
        let config = join(&user.home.0, b".local/share/flatpak/repo/config");
        (Some(&user.name), config)
    }));
    let mut found = Vec::new();
    for (user, path) in places {
        if let Some(contents) = look.read(REMOTES, &path, look.limits.kept_bytes) {
            found.extend(parse_remotes(user, &contents.bytes));
        }
    }
    found.sort();
    found
}

/// `[remote "NAME"]` and below it `url=…`.
pub(super) fn parse_remotes(user: Option<&Name>, config: &[u8]) -> Vec<FlatpakRemote> {
    let mut found: Vec<FlatpakRemote> = Vec::new();
    let mut inside = false;
    for line in lines(config).map(<[u8]>::trim_ascii) {
        if line.starts_with(b"[") {
            let remote = line
                .strip_prefix(b"[remote \"")
                .and_then(|rest| rest.strip_suffix(b"\"]"));
            inside = remote.is_some();
            found.extend(remote.map(|remote| FlatpakRemote {
                user: user.cloned(),
                name: name(remote),
                url: None,
            }));
        } else if let Some((b"url", url)) = split(line, b'=')
            && inside
            && let Some(remote) = found.last_mut()
        {
            remote.url = Some(Name(without_passwords(url).0));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<Name> {
        all.iter().map(name).collect()
    }

    #[test]
    fn both_formats_of_sources_say_the_same() {
        let list = b"# deb http://no.lan x y\n\
            deb [arch=amd64 signed-by=/etc/apt/keyrings/a.gpg] https://apt.lan/ubuntu noble main extra # why\n\
            deb-src http://src.lan ./\nnonsense\ndeb http://short.lan\n";
        let deb822 = b"Types: deb\nURIs: https://apt.lan/ubuntu\nSuites: noble\nComponents: main\n extra\n\
            # why\nSigned-By: /etc/apt/keyrings/a.gpg\n\nTypes: deb-src\nURIs: http://src.lan\nSuites: ./\n\
            \nURIs: http://nothing.lan\n";
        let entries = parse_list(list);
        assert_eq!(entries, parse_deb822(deb822));
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].components, names(&["main", "extra"]));
        assert_eq!(entries[0].signed_by, names(&["/etc/apt/keyrings/a.gpg"]));
        let off = parse_deb822(b"Types: deb\nEnabled: No\nSigned-By:\n -----BEGIN PGP\n .\n x");
        assert!(!off[0].enabled);
        assert_eq!(off[0].signed_by, []);
    }

    #[test]
    fn remotes_of_flatpak_are_told_without_passwords() {
        let config = b"[core]\nurl=x\n[remote \"flathub\"]\nurl=https://dl.flathub.org/repo/\n\
            gpg-verify=true\n[remote \"own\"]\nurl=https://me:pw@flat.lan/\n[core]\nurl=y\n";
        let remotes = parse_remotes(None, config);
        assert_eq!(remotes.len(), 2);
        assert_eq!(remotes[0].url, Some(name("https://dl.flathub.org/repo/")));
        assert_eq!(remotes[1].url, Some(name("https://***@flat.lan/")));
    }
}
