//! The addresses of this machine, one for each network that is asked.

use std::net::Ipv4Addr;

/// The kernel's table of routes, which holds the machine's own addresses.
const TABLE: &str = "/proc/net/fib_trie";

/// More networks than this are not asked.
const MAX_ADDRESSES: usize = 32;

/// The machine's IPv4 addresses other than loopback. None where the kernel does not tell.
pub fn local_addresses() -> Vec<Ipv4Addr> {
    let table = std::fs::read_to_string(TABLE).unwrap_or_default();
    in_table(&table)
}

/// An address stands on one line, and that it is the machine's own on the next.
fn in_table(table: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in table.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !address.is_loopback()
            && !found.contains(&address)
            && found.len() < MAX_ADDRESSES
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_found_once_and_without_loopback() {
        let table = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.168.7.0/24 2 0 2
        |-- 192.168.7.0
           /24 link UNICAST
        |-- 192.168.7.20
           /32 host LOCAL
        |-- 192.168.7.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
        |-- 192.168.7.20
           /32 host LOCAL
        |-- 10.0.0.4
           /32 host LOCAL
";
        let expected = [Ipv4Addr::new(192, 168, 7, 20), Ipv4Addr::new(10, 0, 0, 4)];
        assert_eq!(in_table(table), expected);
        assert!(in_table("anything\n/32 host LOCAL\n").is_empty());
    }
}
