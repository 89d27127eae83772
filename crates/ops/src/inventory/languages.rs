//! What the package managers of programming languages have installed.

use std::collections::BTreeMap;

use keepwatch_core::Name;
use serde::Deserialize;

use super::collect::Look;
use super::model::{
    CargoPackage, GoProgram, NpmPackage, PipPackage, PipxPackage, ProblemKind, User,
};
use super::system::{Kind, join};
use super::text::{lines, name, without_passwords};

const PIP: &str = "packages.pip";

/// What pip has put into `/usr/local` and into homes, from the directories that describe it
/// (<https://packaging.python.org/en/latest/specifications/recording-installed-packages/>).
pub(super) fn pip(look: &Look<'_>, users: &[User]) -> Vec<PipPackage> {
    let mut found = Vec::new();
    let mut places: Vec<(Option<&Name>, Vec<u8>)> = vec![(None, b"/usr/local/lib".to_vec())];
    places.extend(users.iter().map(|user| {
        let lib = join(&user.home.0, b".local/lib");
        (Some(&user.name), lib)
    }));
    for (user, lib) in places {
        for python in look.list(PIP, &lib) {
            if !python.name.starts_with(b"python") || python.kind == Kind::File {
                continue;
            }
            for packages in [&b"site-packages"[..], b"dist-packages"] {
                let dir = join(&join(&lib, &python.name), packages);
                for entry in look.list(PIP, &dir) {
                    let Some((package, version)) = parse_dist_info(&entry.name) else {
                        continue;
                    };
                    let requested = join(&join(&dir, &entry.name), b"REQUESTED");
                    found.push(PipPackage {
                        user: user.cloned(),
                        python: name(&python.name),
                        name: package,
                        version,
                        requested: look.read(PIP, &requested, 0).is_some(),
                    });
                }
            }
        }
    }
    found.sort();
    found
}

/// `NAME-VERSION.dist-info`.
pub(super) fn parse_dist_info(entry: &[u8]) -> Option<(Name, Name)> {
    let stem = entry.strip_suffix(b".dist-info")?;
    let dash = stem.iter().position(|&byte| byte == b'-')?;
    let (package, version) = (&stem[..dash], &stem[dash + 1..]);
    (!package.is_empty() && !version.is_empty()).then(|| (name(package), name(version)))
}

#[derive(Deserialize)]
struct PipxMetadata {
    main_package: PipxMain,
    #[serde(default)]
    injected_packages: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct PipxMain {
    package: Option<String>,
    package_or_url: Option<String>,
    #[serde(default)]
    package_version: String,
}

/// What pipx has written down of each of its environments.
pub(super) fn pipx(look: &Look<'_>, users: &[User]) -> Vec<PipxPackage> {
    const SECTION: &str = "packages.pipx";
    let mut found = Vec::new();
    for user in users {
        for venvs in [&b".local/share/pipx/venvs"[..], b".local/pipx/venvs"] {
            let dir = join(&user.home.0, venvs);
            for venv in look.list(SECTION, &dir) {
                let path = join(&join(&dir, &venv.name), b"pipx_metadata.json");
                let Some(contents) = look.read(SECTION, &path, look.limits.kept_bytes) else {
                    continue;
                };
                match parse_pipx(&user.name, &venv.name, &contents.bytes) {
                    Ok(package) => found.push(package),
                    Err(error) => look.problem(SECTION, ProblemKind::Malformed, path, error),
                }
            }
        }
    }
    found.sort();
    found
}

pub(super) fn parse_pipx(user: &Name, venv: &[u8], json: &[u8]) -> serde_json::Result<PipxPackage> {
    let metadata: PipxMetadata = serde_json::from_slice(json)?;
    let main = metadata.main_package;
    let package = main.package_or_url.or(main.package).unwrap_or_default();
    Ok(PipxPackage {
        user: user.clone(),
        name: name(venv),
        package: Name(without_passwords(package.as_bytes()).0),
        version: name(main.package_version),
        injected: metadata.injected_packages.into_keys().map(name).collect(),
    })
}

const NPM: &[&str] = &["npm", "ls", "--global", "--depth=0", "--json", "--offline"];

const NPM_PREFIX: &[&str] = &["npm", "prefix", "--global"];

/// Global packages: what npm says on the running machine; else what is in the directories that it
/// uses.
pub(super) fn npm(look: &Look<'_>, users: &[User]) -> Vec<NpmPackage> {
    const SECTION: &str = "packages.npm";
    let said = look.ask(SECTION, NPM);
    let mut found = said.map_or_else(Vec::new, |said| {
        parse_npm(&said).unwrap_or_else(|error| {
            look.problem(SECTION, ProblemKind::Malformed, NPM.join(" "), error);
            Vec::new()
        })
    });
    if !found.is_empty() {
        // What is global for npm may be in somebody's home, as with nvm.
        let prefix = look.ask(SECTION, NPM_PREFIX).unwrap_or_default();
        let owner = users
            .iter()
            .find(|user| is_beneath(prefix.trim_ascii(), &user.home.0));
        for package in &mut found {
            package.user = owner.map(|user| user.name.clone());
        }
    }
    let mut places: Vec<(Option<&Name>, Vec<u8>)> = Vec::new();
    if !look.system.is_running() {
        places.push((None, b"/usr/local/lib/node_modules".to_vec()));
        places.push((None, b"/usr/lib/node_modules".to_vec()));
    }
    places.extend(users.iter().map(|user| {
        let dir = join(&user.home.0, b".npm-global/lib/node_modules");
        (Some(&user.name), dir)
    }));
    for (user, dir) in places {
        for package in node_modules(look, SECTION, &dir) {
            let path = join(&join(&dir, &package), b"package.json");
            let contents = look.read(SECTION, &path, look.limits.kept_bytes);
            let version = contents.and_then(|contents| {
                let package: NpmDependency = serde_json::from_slice(&contents.bytes).ok()?;
                package.version
            });
            found.push(NpmPackage {
                user: user.cloned(),
                name: name(package),
                version: version.map(name),
            });
        }
    }
    found.sort();
    // What npm names already because its prefix is that directory.
    found.dedup();
    found
}

fn is_beneath(path: &[u8], home: &[u8]) -> bool {
    path.strip_prefix(home)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

/// Packages, and those of scopes.
fn node_modules(look: &Look<'_>, section: &str, dir: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    for entry in look.list(section, dir) {
        if entry.name.starts_with(b".") || entry.kind == Kind::File {
            continue;
        }
        if entry.name.starts_with(b"@") {
            let scope = look.list(section, &join(dir, &entry.name));
            names.extend(scope.iter().map(|one| join(&entry.name, &one.name)));
        } else {
            names.push(entry.name);
        }
    }
    names
}

#[derive(Deserialize)]
struct NpmList {
    #[serde(default)]
    dependencies: BTreeMap<String, NpmDependency>,
}

#[derive(Deserialize)]
struct NpmDependency {
    version: Option<String>,
}

pub(super) fn parse_npm(said: &[u8]) -> serde_json::Result<Vec<NpmPackage>> {
    let list: NpmList = serde_json::from_slice(said)?;
    let packages = list.dependencies.into_iter();
    Ok(packages
        .map(|(package, about)| NpmPackage {
            user: None,
            name: name(package),
            version: about.version.map(name),
        })
        .collect())
}

#[derive(Deserialize)]
struct CrateList {
    installs: BTreeMap<String, serde_json::Value>,
}

/// What Cargo has written down in each home.
pub(super) fn cargo(look: &Look<'_>, users: &[User]) -> Vec<CargoPackage> {
    const SECTION: &str = "packages.cargo";
    let mut found = Vec::new();
    for user in users {
        let path = join(&user.home.0, b".cargo/.crates2.json");
        let Some(json) = look.read_list(SECTION, &path) else {
            continue;
        };
        match parse_cargo(&user.name, &json) {
            Ok(packages) => found.extend(packages),
            Err(error) => look.problem(SECTION, ProblemKind::Malformed, path, error),
        }
    }
    found.sort();
    found
}

pub(super) fn parse_cargo(user: &Name, json: &[u8]) -> serde_json::Result<Vec<CargoPackage>> {
    let list: CrateList = serde_json::from_slice(json)?;
    let parse = |key: &String| {
        let (package, rest) = key.split_once(' ')?;
        let (version, source) = rest.split_once(' ').unwrap_or((rest, ""));
        let source = source.trim_start_matches('(').trim_end_matches(')');
        Some(CargoPackage {
            user: user.clone(),
            name: name(package),
            version: name(version),
            source: Name(without_passwords(source.as_bytes()).0),
        })
    };
    Ok(list.installs.keys().filter_map(parse).collect())
}

/// The programs in `go/bin` of each home, and what `go` says of them.
pub(super) fn go(look: &Look<'_>, users: &[User]) -> Vec<GoProgram> {
    const SECTION: &str = "packages.go";
    let mut found = Vec::new();
    for user in users {
        let dir = join(&user.home.0, b"go/bin");
        let mut programs: Vec<GoProgram> = look
            .list(SECTION, &dir)
            .into_iter()
            .filter(|entry| entry.kind == Kind::File)
            .map(|entry| GoProgram {
                user: user.name.clone(),
                name: name(entry.name),
                package: None,
                version: None,
            })
            .collect();
        // An argument that begins with a slash is no option.
        if let Ok(dir) = std::str::from_utf8(&dir)
            && !programs.is_empty()
            && let Some(said) = look.ask(SECTION, &["go", "version", "-m", dir])
        {
            add_modules(&mut programs, dir.as_bytes(), &said);
        }
        found.append(&mut programs);
    }
    found.sort();
    found
}

/// `FILE: go1.x`, then lines with a tab each: `path PACKAGE`, `mod MODULE VERSION SUM`.
pub(super) fn add_modules(programs: &mut [GoProgram], dir: &[u8], said: &[u8]) {
    let mut current = None;
    for line in lines(said) {
        if !line.starts_with(b"\t") {
            let path = line
                .windows(2)
                .rposition(|two| two == b": ")
                .map(|at| &line[..at]);
            let file = path.and_then(|path| path.strip_prefix(dir)?.strip_prefix(b"/"));
            current = programs
                .iter_mut()
                .find(|program| file == Some(&program.name.0));
            continue;
        }
        let Some(program) = &mut current else {
            continue;
        };
        let fields: Vec<&[u8]> = line[1..].split(|&byte| byte == b'\t').collect();
        match fields[..] {
            [b"path", package] => program.package = Some(name(package)),
            [b"mod", _, version, ..] => program.version = Some(name(version)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_pip_are_names_and_versions() {
        let cases: [(&str, Option<(&str, &str)>); 5] = [
            (
                "typing_extensions-4.12.2.dist-info",
                Some(("typing_extensions", "4.12.2")),
            ),
            ("x-1.0+local.dist-info", Some(("x", "1.0+local"))),
            ("x.dist-info", None),
            ("-1.dist-info", None),
            ("x-1.egg-info", None),
        ];
        for (entry, expected) in cases {
            let expected = expected.map(|(package, version)| (name(package), name(version)));
            assert_eq!(parse_dist_info(entry.as_bytes()), expected, "{entry}");
        }
    }

    #[test]
    fn what_is_in_a_home_is_beneath_it() {
        assert!(is_beneath(b"/home/ada/.nvm/versions", b"/home/ada"));
        assert!(!is_beneath(b"/home/adam/x", b"/home/ada"));
        assert!(!is_beneath(b"/usr", b"/home/ada"));
    }

    // As npm 11 prints it.
    #[test]
    fn npm_is_understood() {
        let said = br#"{
  "name": "lib",
  "dependencies": {
    "@scope/tool": { "version": "1.0.0", "overridden": false },
    "corepack": { "version": "0.34.6", "overridden": false },
    "broken": { "missing": true }
  }
}"#;
        let packages = parse_npm(said).expect("it is JSON");
        let names: Vec<String> = packages.iter().map(|one| one.name.to_string()).collect();
        assert_eq!(names, ["@scope/tool", "broken", "corepack"]);
        assert_eq!(packages[1].version, None);
        assert_eq!(parse_npm(b"{}").expect("it is JSON"), []);
        parse_npm(b"npm ERR!").expect_err("it is no JSON");
    }

    // As Cargo 1.95 writes it, shortened.
    #[test]
    fn cargo_is_understood() {
        let json = br#"{"installs":{
            "cargo-deny 0.20.2 (registry+https://github.com/rust-lang/crates.io-index)":{"bins":["cargo-deny"]},
            "own 0.1.0 (git+https://me:pw@git.lan/own#abc)":{"bins":["own"]},
            "odd":{}}}"#;
        let packages = parse_cargo(&name("ada"), json).expect("it is JSON");
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].version, name("0.20.2"));
        assert_eq!(packages[1].source, name("git+https://***@git.lan/own#abc"));
    }

    // As pipx 1.7 writes it, shortened.
    #[test]
    fn pipx_is_understood() {
        let json = br#"{"main_package":{"package":"black","package_or_url":"black","package_version":"24.8.0"},
            "injected_packages":{"colorama":{}},"python_version":"Python 3.11.2"}"#;
        let package = parse_pipx(&name("ada"), b"black", json).expect("it is JSON");
        assert_eq!(
            (package.package, package.version),
            (name("black"), name("24.8.0"))
        );
        assert_eq!(package.injected, [name("colorama")]);
    }

    // As `go version -m` of Go 1.22 prints it, shortened.
    #[test]
    fn go_is_understood() {
        let program = |file: &str| GoProgram {
            user: name("ada"),
            name: name(file),
            package: None,
            version: None,
        };
        let mut programs = [program("gopls"), program("odd: one"), program("unknown")];
        let said = b"/home/ada/go/bin/gopls: go1.22.1\n\tpath\tgolang.org/x/tools/gopls\n\
            \tmod\tgolang.org/x/tools/gopls\tv0.15.3\th1:zbdxGIGbCN7\n\tdep\tx\tv9\th1:x\n\
            /home/ada/go/bin/odd: one: go1.22.1\n\tpath\texample.org/odd\n";
        add_modules(&mut programs, b"/home/ada/go/bin", said);
        assert_eq!(programs[0].version, Some(name("v0.15.3")));
        assert_eq!(programs[1].package, Some(name("example.org/odd")));
        assert_eq!(programs[2].package, None);
    }
}
