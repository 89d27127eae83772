//! Debian packages, from the files of dpkg and apt: dpkg's `status`, and `extended_states`, which
//! says what was brought by another package. `apt-mark` and `dpkg-query` say the same of them.

use std::collections::HashSet;

use keepwatch_core::Name;

use super::collect::Look;
use super::model::{AptPackage, ProblemKind};
use super::text::{lines, name, split, words};

const STATUS: &[u8] = b"/var/lib/dpkg/status";
const EXTENDED: &[u8] = b"/var/lib/apt/extended_states";
const SECTION: &str = "packages.apt";

/// The packages, and the architecture that is dpkg's own.
pub(super) fn packages(look: &Look<'_>) -> (Vec<AptPackage>, Option<Name>) {
    let Some(status) = look.read_list(SECTION, STATUS) else {
        return (Vec::new(), None);
    };
    let extended = look.read_list(SECTION, EXTENDED).unwrap_or_default();
    let found = parse(&status, &extended);
    if found.0.is_empty() && !status.trim_ascii().is_empty() {
        look.problem(
            SECTION,
            ProblemKind::Malformed,
            STATUS,
            "no package is in it",
        );
    }
    found
}

/// Fields of a stanza that begin a line; what continues them is left out, as are all but those
/// that are wanted.
fn stanzas<'a, const N: usize>(
    bytes: &'a [u8],
    wanted: [&'static str; N],
) -> impl Iterator<Item = [Option<&'a [u8]>; N]> {
    let mut lines = lines(bytes);
    std::iter::from_fn(move || {
        let mut fields = [None; N];
        let mut any = false;
        for line in lines.by_ref() {
            if line.is_empty() && any {
                return Some(fields);
            }
            any |= !line.is_empty();
            if line.first().is_some_and(u8::is_ascii_whitespace) {
                continue;
            }
            if let Some((key, value)) = split(line, b':') {
                for (place, wanted) in fields.iter_mut().zip(wanted) {
                    if key.eq_ignore_ascii_case(wanted.as_bytes()) {
                        *place = Some(value);
                    }
                }
            }
        }
        any.then_some(fields)
    })
}

pub(super) fn parse(status: &[u8], extended: &[u8]) -> (Vec<AptPackage>, Option<Name>) {
    let brought: HashSet<(&[u8], &[u8])> =
        stanzas(extended, ["Package", "Architecture", "Auto-Installed"])
            .filter_map(|[package, architecture, auto]| {
                (auto? == b"1").then_some((package?, architecture?))
            })
            .collect();
    let mut native = None;
    let mut found = Vec::new();
    for [package, architecture, version, status] in
        stanzas(status, ["Package", "Architecture", "Version", "Status"])
    {
        let (Some(package), Some(architecture), Some(status)) = (package, architecture, status)
        else {
            continue;
        };
        let mut status = words(status);
        let (wish, state) = (status.next(), status.nth(1));
        // Of what is removed, settings may be left.
        if matches!(
            state,
            None | Some(b"not-installed" | b"config-files" | b"half-installed")
        ) {
            continue;
        }
        if package == b"dpkg" {
            native = Some(architecture);
        }
        found.push((package, architecture, version.unwrap_or_default(), wish));
    }
    let mut packages: Vec<AptPackage> = found
        .into_iter()
        .map(|(package, architecture, version, wish)| {
            // apt notes packages for all architectures under its own.
            let noted = match native {
                Some(native) if architecture == b"all" => native,
                _ => architecture,
            };
            AptPackage {
                name: name(package),
                architecture: name(architecture),
                version: name(version),
                manual: !brought.contains(&(package, noted))
                    && !brought.contains(&(package, architecture)),
                held: wish == Some(b"hold"),
            }
        })
        .collect();
    packages.sort();
    packages.dedup();
    (packages, native.map(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    fn said(argv: &[&str]) -> String {
        let output = Command::new(argv[0])
            .args(&argv[1..])
            .env("LC_ALL", "C")
            .output()
            .expect("dpkg and apt are there");
        assert!(output.status.success(), "{argv:?}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// This machine's packages, as dpkg and apt tell of them.
    #[test]
    fn dpkg_and_apt_say_the_same() {
        let read = |path: &[u8]| {
            let path = std::str::from_utf8(path).expect("text");
            std::fs::read(path).unwrap_or_default()
        };
        let (packages, native) = parse(&read(STATUS), &read(EXTENDED));
        assert!(packages.len() > 50, "this is a Debian");
        let ours: BTreeSet<String> = packages
            .iter()
            .map(|package| {
                format!(
                    "{}\t{}\t{}",
                    package.name, package.architecture, package.version
                )
            })
            .collect();
        let format = "${Package}\t${Architecture}\t${Version}\t${db:Status-Status}\n";
        let theirs: BTreeSet<String> = said(&["dpkg-query", "-W", "-f", format])
            .lines()
            .filter_map(|line| line.rsplit_once('\t'))
            .filter(|(_, state)| {
                !["config-files", "not-installed", "half-installed"].contains(state)
            })
            .map(|(package, _)| package.to_owned())
            .collect();
        assert_eq!(ours, theirs);
        let native = native.expect("dpkg is a package").to_string();
        assert_eq!(said(&["dpkg", "--print-architecture"]).trim(), native);
        let marked = |which: fn(&AptPackage) -> bool| -> BTreeSet<String> {
            let marked = packages.iter().filter(|package| which(package));
            marked
                .map(|package| match package.architecture.to_string() {
                    own if own == native || own == "all" => package.name.to_string(),
                    other => format!("{}:{other}", package.name),
                })
                .collect()
        };
        let lines = |text: String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(
            marked(|package| package.manual),
            lines(said(&["apt-mark", "showmanual"]))
        );
        assert_eq!(
            marked(|package| package.held),
            lines(said(&["apt-mark", "showhold"]))
        );
    }

    #[test]
    fn holds_foreign_architectures_and_leftovers_are_told_apart() {
        let status = b"Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\n\
            Version: 1.21\nDescription: x\n Package: not-a-field\n\n\n\
            Package: wine32\nStatus: hold ok installed\nArchitecture: i386\nVersion: 8\n\n\
            Package: old\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
            Package: docs\r\nStatus: install ok unpacked\r\nArchitecture: all\r\nVersion: 2\r\n";
        let extended = b"Package: docs\nArchitecture: amd64\nAuto-Installed: 1\n\n\
            Package: wine32\nArchitecture: amd64\nAuto-Installed: 1\n";
        let (packages, native) = parse(status, extended);
        assert_eq!(native, Some(name("amd64")));
        let short: Vec<(String, bool, bool)> = packages
            .iter()
            .map(|package| (package.name.to_string(), package.manual, package.held))
            .collect();
        let expected = [
            ("docs", false, false),
            ("dpkg", true, false),
            ("wine32", true, true),
        ];
        assert_eq!(
            short,
            expected.map(|(name, manual, held)| (name.to_owned(), manual, held))
        );
    }
}
