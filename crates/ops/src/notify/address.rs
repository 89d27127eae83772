//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use super::NotifyError;

/// More addresses of one name are not tried.
pub(super) const MAX_ADDRESSES: usize = 16;

/// Whether an address is of the public Internet: not of private use, of this machine, of this link
/// or this network, for documents, tests or many receivers; by the IANA special-purpose address
/// registries (RFC 6890), those of IPv4 also where an IPv6 address stands for them.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Mapped and translated (RFC 4291, RFC 6052), and 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Protocol assignments with Teredo, documentation (RFC 3849, RFC 9637).
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // What is given to the Internet at all (RFC 4291, section 4).
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// How far connections of a target may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Public,
    Anywhere,
}

impl Reach {
    pub(super) fn new(allow_private: bool) -> Self {
        if allow_private {
            Self::Anywhere
        } else {
            Self::Public
        }
    }
}

/// The addresses of a host to connect to, checked. The caller connects to these and resolves nothing
/// again.
pub(super) fn resolve(
    host: &str,
    port: u16,
    reach: Reach,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, NotifyError> {
    let name = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let (sender, receiver) = mpsc::sync_channel(1);
    // The system's resolver has timeouts of its own, which nobody here can set.
    std::thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            let found = (&*name, port).to_socket_addrs();
            let _ = sender.send(found.map(|all| all.take(MAX_ADDRESSES).collect::<Vec<_>>()));
        })
        .map_err(|error| NotifyError::io(host, &error))?;
    let host = host.to_owned();
    let found = match receiver.recv_timeout(timeout) {
        Ok(Ok(found)) if !found.is_empty() => found,
        Ok(_) => return Err(NotifyError::NotFound { host }),
        Err(_) => return Err(NotifyError::Timeout { host }),
    };
    allowed(host, &found, reach)
}

fn allowed(
    host: String,
    found: &[SocketAddr],
    reach: Reach,
) -> Result<Vec<SocketAddr>, NotifyError> {
    let may = |address: &&SocketAddr| reach == Reach::Anywhere || is_public(address.ip());
    let allowed: Vec<_> = found.iter().filter(may).copied().collect();
    if allowed.is_empty() {
        return Err(NotifyError::Private { host });
    }
    Ok(allowed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_special_use_are_known() {
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in special {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.0.1",
            "100.128.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450::1",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn of_several_addresses_only_public_ones_are_left() {
        let both = [
            "10.0.0.1:80".parse().unwrap(),
            "1.1.1.1:80".parse().unwrap(),
        ];
        let found = allowed("h".to_owned(), &both, Reach::Public).unwrap();
        assert_eq!(found, both[1..]);
        assert_eq!(
            allowed("h".to_owned(), &both, Reach::Anywhere).unwrap(),
            both
        );
    }

    #[test]
    fn however_this_machine_is_written_it_is_known() {
        let patience = Duration::from_secs(30);
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0",
        ] {
            let refused = resolve(host, 80, Reach::Public, patience).unwrap_err();
            // A resolver may know some of these not at all.
            let is_kept_out = matches!(
                refused,
                NotifyError::Private { .. } | NotifyError::NotFound { .. }
            );
            assert!(is_kept_out, "{host}: {refused}");
        }
        let found = resolve("127.0.0.1", 80, Reach::Anywhere, patience).unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
    }
}
