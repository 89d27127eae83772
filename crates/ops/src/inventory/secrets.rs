//! What is secret: only what was asked for, each kind for itself.

use super::collect::{Include, Look};
use super::home::is_history;
use super::model::{ProblemKind, SecretFile, Secrets, User};
use super::system::{Kind, join};
use super::text::{holds_private_key, name};

const SECTION: &str = "secrets";

/// None if nothing was asked for.
pub(super) fn secrets(look: &Look<'_>, users: &[User], include: Include) -> Option<Secrets> {
    let Include {
        private_keys,
        wifi_secrets,
        shell_history,
        ..
    } = include;
    (private_keys || wifi_secrets || shell_history).then(|| Secrets {
        private_keys: match private_keys {
            true => keys(look, users),
            false => Vec::new(),
        },
        wifi: match wifi_secrets {
            true => wifi(look),
            false => Vec::new(),
        },
        shell_history: match shell_history {
            true => histories(look, users),
            false => Vec::new(),
        },
    })
}

fn secret(look: &Look<'_>, path: &[u8], wanted: fn(&[u8]) -> bool) -> Option<SecretFile> {
    let contents = look.read(SECTION, path, look.limits.kept_bytes)?;
    if !wanted(&contents.bytes) {
        return None;
    }
    if contents.cut {
        look.problem(SECTION, ProblemKind::Cut, path, "it is too large");
    }
    Some(SecretFile {
        path: name(path),
        mode: contents.mode,
        content: name(contents.bytes),
        cut: contents.cut,
    })
}

fn files(look: &Look<'_>, dir: &[u8]) -> Vec<Vec<u8>> {
    let entries = look.list(SECTION, dir).into_iter();
    entries
        .filter(|entry| entry.kind != Kind::Directory)
        .map(|entry| join(dir, &entry.name))
        .collect()
}

fn keys(look: &Look<'_>, users: &[User]) -> Vec<SecretFile> {
    let mut dirs = vec![b"/etc/ssh".to_vec(), b"/etc/wireguard".to_vec()];
    dirs.extend(users.iter().map(|user| join(&user.home.0, b".ssh")));
    let files = dirs.iter().flat_map(|dir| files(look, dir));
    files
        .filter_map(|path| secret(look, &path, holds_private_key))
        .collect()
}

fn wifi(look: &Look<'_>) -> Vec<SecretFile> {
    let dirs: [&[u8]; 4] = [
        b"/etc/NetworkManager/system-connections",
        b"/etc/wpa_supplicant",
        b"/etc/netplan",
        b"/var/lib/iwd",
    ];
    let files = dirs.iter().flat_map(|dir| files(look, dir));
    files
        .filter(|path| !path.ends_with(b".sh"))
        .filter_map(|path| secret(look, &path, |_| true))
        .collect()
}

fn histories(look: &Look<'_>, users: &[User]) -> Vec<SecretFile> {
    let mut found = Vec::new();
    for user in users {
        for dir in [&b""[..], b".local/share/fish", b".config/fish"] {
            for path in files(look, &join(&user.home.0, dir)) {
                let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                if is_history(file) {
                    found.extend(history(look, &path));
                }
            }
        }
    }
    found
}

/// What was typed last is at the end, and is what is kept.
fn history(look: &Look<'_>, path: &[u8]) -> Option<SecretFile> {
    let contents = look.read(SECTION, path, look.limits.list_bytes)?;
    let from = contents.bytes.len().saturating_sub(look.limits.kept_bytes);
    let cut = contents.cut || from > 0;
    if cut {
        let why = format!("its last {} bytes are kept", look.limits.kept_bytes);
        look.problem(SECTION, ProblemKind::Cut, path, why);
    }
    Some(SecretFile {
        path: name(path),
        mode: contents.mode,
        content: name(&contents.bytes[from..]),
        cut,
    })
}
