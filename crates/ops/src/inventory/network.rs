//! What networks are called. Of files that hold secrets nothing is kept but a few fields that are
//! none.

use super::collect::Look;
use super::model::{Connection, Network};
use super::system::{Kind, join};
use super::text::{lines, name, split, words};

const SECTION: &str = "network";
const CONNECTIONS: &[u8] = b"/etc/NetworkManager/system-connections";
const INTERFACES: &[u8] = b"/etc/network/interfaces";

/// Directories with files that set up networks, and how those end.
const FILES: [(&[u8], &[u8]); 5] = [
    (b"/etc/netplan", b".yaml"),
    (b"/etc/network/interfaces.d", b""),
    (b"/etc/systemd/network", b""),
    (b"/etc/wireguard", b".conf"),
    (b"/etc/wpa_supplicant", b".conf"),
];

pub(super) fn network(look: &Look<'_>) -> Network {
    let mut interfaces = Vec::new();
    if look.system.is_running() {
        let entries = look.list(SECTION, b"/sys/class/net");
        // `bonding_masters` is a file there.
        let entries = entries.into_iter().filter(|entry| entry.kind != Kind::File);
        interfaces.extend(entries.map(|entry| name(entry.name)));
    }
    if let Some(contents) = look.read(SECTION, INTERFACES, look.limits.kept_bytes) {
        for line in lines(&contents.bytes) {
            let mut words = words(line);
            if words.next() == Some(b"iface") {
                interfaces.extend(words.next().map(name));
            }
        }
    }
    interfaces.sort();
    interfaces.dedup();
    let mut connections = Vec::new();
    for entry in look.list(SECTION, CONNECTIONS) {
        let path = join(CONNECTIONS, &entry.name);
        if let Some(contents) = look.read(SECTION, &path, look.limits.kept_bytes) {
            connections.push(parse_connection(&entry.name, &contents.bytes));
        }
    }
    connections.sort();
    let mut files = Vec::new();
    for (dir, ending) in FILES {
        for entry in look.list(SECTION, dir) {
            if entry.name.ends_with(ending) && entry.kind != Kind::Directory {
                files.push(name(join(dir, &entry.name)));
            }
        }
    }
    files.sort();
    Network {
        interfaces,
        connections,
        files,
    }
}

/// A file of NetworkManager, nm-settings-keyfile(5).
pub(super) fn parse_connection(file: &[u8], bytes: &[u8]) -> Connection {
    let stem = file.strip_suffix(b".nmconnection").unwrap_or(file);
    let mut found = Connection {
        name: name(stem),
        kind: None,
        ssid: None,
        interface: None,
    };
    let mut section: &[u8] = b"";
    for line in lines(bytes).map(<[u8]>::trim_ascii) {
        if let Some(inner) = line.strip_prefix(b"[") {
            section = inner.strip_suffix(b"]").unwrap_or_default();
        } else if let Some((key, value)) = split(line, b'=') {
            match (section, key) {
                (b"connection", b"id") => found.name = name(value),
                (b"connection", b"type") => found.kind = Some(name(value)),
                (b"connection", b"interface-name") => found.interface = Some(name(value)),
                (b"wifi" | b"802-11-wireless", b"ssid") => found.ssid = Some(name(value)),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_connection_but_its_names_is_kept() {
        let file = b"[connection]\nid=Home\nuuid=1\ntype=wifi\ninterface-name=wlan0\n\
            [wifi]\nssid=barn\n[wifi-security]\npsk=hunter2hunter2\nid=psk\n[ipv4]\nmethod=auto\n";
        let connection = parse_connection(b"x.nmconnection", file);
        assert!(!format!("{connection:?}").contains(&hex::encode("hunter2")));
        assert_eq!(connection.name, name("Home"));
        assert_eq!(connection.ssid, Some(name("barn")));
        assert_eq!(connection.interface, Some(name("wlan0")));
        assert_eq!(parse_connection(b"old", b"[[[").name, name("old"));
    }
}
