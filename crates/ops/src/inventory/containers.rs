//! Containers, images and files of Compose, by their names.

use super::collect::{Look, sha256};
use super::model::{ComposeFile, Container, Containers, Image, User};
use super::text::{lines, name};

const SECTION: &str = "containers";
/// So deep beneath homes, `/opt` and `/srv` files of Compose are looked for.
const DEPTH: usize = 3;

pub(super) fn containers(look: &Look<'_>, users: &[User]) -> Containers {
    let mut found = Containers {
        images: Vec::new(),
        containers: Vec::new(),
        compose_files: compose_files(look, users),
    };
    for engine in ["docker", "podman"] {
        let images = [
            engine,
            "image",
            "ls",
            "--format",
            "{{.Repository}}:{{.Tag}}",
        ];
        if let Some(said) = look.ask(SECTION, &images) {
            found.images.extend(parse_images(engine, &said));
        } else {
            // One that fails would fail again.
            continue;
        }
        let list = [
            engine,
            "container",
            "ls",
            "--all",
            "--no-trunc",
            "--format",
            "{{.Names}}\t{{.Image}}",
        ];
        if let Some(said) = look.ask(SECTION, &list) {
            found.containers.extend(parse_containers(engine, &said));
        }
    }
    found.images.sort();
    found.images.dedup();
    found.containers.sort();
    found
}

pub(super) fn parse_images(engine: &str, said: &[u8]) -> Vec<Image> {
    lines(said)
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.windows(6).any(|part| part == b"<none>"))
        .map(|line| Image {
            engine: name(engine),
            name: name(line),
        })
        .collect()
}

pub(super) fn parse_containers(engine: &str, said: &[u8]) -> Vec<Container> {
    lines(said)
        .filter_map(|line| {
            let tab = line.iter().position(|&byte| byte == b'\t')?;
            Some(Container {
                engine: name(engine),
                name: name(&line[..tab]),
                image: name(&line[tab + 1..]),
            })
        })
        .collect()
}

fn compose_files(look: &Look<'_>, users: &[User]) -> Vec<ComposeFile> {
    let mut tops = vec![b"/opt".to_vec(), b"/srv".to_vec()];
    tops.extend(users.iter().map(|user| user.home.0.clone()));
    let mut found = Vec::new();
    for top in tops {
        let enter = |dir: &[u8]| !dir.starts_with(b".") && dir != b"node_modules";
        for path in look.find(SECTION, &top, DEPTH, enter, is_compose_file) {
            let contents = look.read(SECTION, &path, look.limits.kept_bytes);
            let whole = contents.filter(|contents| !contents.cut);
            found.push(ComposeFile {
                path: name(&path),
                sha256: whole.map(|contents| sha256(&contents.bytes)),
            });
        }
    }
    found.sort();
    found.dedup();
    found
}

/// `compose.yaml`, `docker-compose.yml`, `compose.override.yml`, `docker-compose-test.yml`.
fn is_compose_file(file: &[u8]) -> bool {
    let stem = file.strip_prefix(b"docker-").unwrap_or(file);
    let Some(rest) = stem.strip_prefix(b"compose") else {
        return false;
    };
    let ends = rest.ends_with(b".yml") || rest.ends_with(b".yaml");
    ends && matches!(rest[0], b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    // As Docker 28 prints them.
    #[test]
    fn images_and_containers_have_names() {
        let images = parse_images(
            "docker",
            b"debian:12\n<none>:<none>\nghcr.io/x/y:<none>\n\n",
        );
        assert_eq!(images.len(), 1);
        let containers = parse_containers("podman", b"db\tpostgres:16\nodd\n");
        assert_eq!(containers.len(), 1);
        assert_eq!(containers[0].image, name("postgres:16"));
    }

    #[test]
    fn files_of_compose_are_known_by_name() {
        let yes = [
            "compose.yaml",
            "docker-compose.yml",
            "compose.override.yml",
            "docker-compose-x.yaml",
        ];
        let no = [
            "composer.yml",
            "compose",
            "my-compose.yml",
            "docker-compose.json",
        ];
        assert!(yes.iter().all(|file| is_compose_file(file.as_bytes())));
        assert!(!no.iter().any(|file| is_compose_file(file.as_bytes())));
    }
}
