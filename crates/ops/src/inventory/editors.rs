//! Extensions of VS Code and those like it, plugins of Vim and Neovim: directories in homes.

use serde::Deserialize;

use keepwatch_core::Name;

use super::collect::Look;
use super::model::{Editors, Extension, Plugin, ProblemKind, User};
use super::system::{Kind, join};
use super::text::{lines, name, split, without_passwords};

const EXTENSIONS: &str = "editors.extensions";
const PLUGINS: &str = "editors.plugins";

/// Where extensions are, and the command of their editor.
const EDITORS: [(&[u8], &str); 4] = [
    (b".vscode/extensions", "code"),
    (b".vscode-insiders/extensions", "code-insiders"),
    (b".vscode-oss/extensions", "codium"),
    (b".cursor/extensions", "cursor"),
];

/// Where plugins are; `*` is any directory.
const VIM: [&str; 9] = [
    ".vim/pack/*/start/*",
    ".vim/pack/*/opt/*",
    ".vim/bundle/*",
    ".vim/plugged/*",
    ".config/nvim/pack/*/start/*",
    ".local/share/nvim/plugged/*",
    ".local/share/nvim/lazy/*",
    ".local/share/nvim/site/pack/*/start/*",
    ".local/share/nvim/site/pack/*/opt/*",
];

pub(super) fn editors(look: &Look<'_>, users: &[User]) -> Editors {
    let mut found = Editors {
        extensions: Vec::new(),
        plugins: Vec::new(),
    };
    for user in users {
        for (dir, editor) in EDITORS {
            let list = join(&join(&user.home.0, dir), b"extensions.json");
            let Some(json) = look.read_list(EXTENSIONS, &list) else {
                continue;
            };
            match parse_extensions(&user.name, editor, &json) {
                Ok(extensions) => found.extensions.extend(extensions),
                Err(error) => look.problem(EXTENSIONS, ProblemKind::Malformed, list, error),
            }
        }
        for pattern in VIM {
            for path in matching(look, &user.home.0, pattern) {
                let config = join(&join(&user.home.0, &path), b".git/config");
                let config = look.read(PLUGINS, &config, look.limits.kept_bytes);
                found.plugins.push(Plugin {
                    user: user.name.clone(),
                    origin: config.and_then(|config| parse_origin(&config.bytes)),
                    path: name(path),
                });
            }
        }
    }
    found.extensions.sort();
    found.extensions.dedup();
    found.plugins.sort();
    found
}

/// Directories in a home whose path is such.
fn matching(look: &Look<'_>, home: &[u8], pattern: &str) -> Vec<Vec<u8>> {
    let mut found = vec![Vec::new()];
    for part in pattern.split('/') {
        let mut next = Vec::new();
        for dir in found {
            if part != "*" {
                next.push(join(&dir, part.as_bytes()));
                continue;
            }
            for entry in look.list(PLUGINS, &join(home, &dir)) {
                if entry.kind == Kind::Directory {
                    next.push(join(&dir, &entry.name));
                }
            }
        }
        found = next;
    }
    found
}

#[derive(Deserialize)]
struct Listed {
    identifier: Identifier,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Identifier {
    id: String,
}

pub(super) fn parse_extensions(
    user: &Name,
    editor: &str,
    json: &[u8],
) -> serde_json::Result<Vec<Extension>> {
    let listed: Vec<Listed> = serde_json::from_slice(json)?;
    let listed = listed.into_iter();
    Ok(listed
        .map(|extension| Extension {
            user: user.clone(),
            editor: name(editor),
            id: name(extension.identifier.id),
            version: name(extension.version),
        })
        .collect())
}

/// The address of the remote `origin`.
pub(super) fn parse_origin(config: &[u8]) -> Option<Name> {
    let mut inside = false;
    for line in lines(config).map(<[u8]>::trim_ascii) {
        if line.starts_with(b"[") {
            inside = line == b"[remote \"origin\"]";
        } else if let Some((b"url", url)) = split(line, b'=')
            && inside
        {
            return Some(Name(without_passwords(url).0));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // As VS Code 1.92 writes it, shortened.
    #[test]
    fn extensions_are_understood() {
        let json =
            br#"[{"identifier":{"id":"rust-lang.rust-analyzer","uuid":"x"},"version":"0.4.2094",
            "location":{"path":"/x"},"metadata":{}},{"identifier":{"id":"a.b"}}]"#;
        let extensions = parse_extensions(&name("ada"), "code", json).expect("it is JSON");
        assert_eq!(extensions.len(), 2);
        assert_eq!(extensions[0].id, name("rust-lang.rust-analyzer"));
        parse_extensions(&name("ada"), "code", b"{}").expect_err("it is no list");
    }

    #[test]
    fn a_plugin_comes_from_its_origin() {
        let config = b"[core]\n\tbare = false\n[remote \"up\"]\n\turl = https://no.lan\n\
            [remote \"origin\"]\n\turl = https://token@git.lan/x.git\n";
        assert_eq!(
            parse_origin(config),
            Some(name("https://***@git.lan/x.git"))
        );
        assert_eq!(parse_origin(b"[remote \"up\"]\nurl=x"), None);
    }
}
