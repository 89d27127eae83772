//! Fingerprints of the keys in a keyring of OpenPGP (RFC 9580), armoured or not.
//!
//! Nothing is verified here: fingerprints tell people and programs which keys a machine trusts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::Sha256;

const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";

/// Packet types: RFC 9580, section 5.
const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;
const SECRET_SUBKEY: u8 = 7;

/// Why a file is no keyring that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is a private key in it.
    Private,
    /// It is no keyring.
    Malformed,
}

/// The fingerprints of the primary keys in it, in the order of the file.
pub(super) fn fingerprints(keyring: &[u8]) -> Result<Vec<String>, Refusal> {
    if super::text::holds_private_key(keyring) {
        return Err(Refusal::Private);
    }
    let blocks = match keyring.windows(BEGIN.len()).any(|part| part == BEGIN) {
        true => dearmoured(keyring)?,
        false => vec![keyring.to_vec()],
    };
    let mut found = Vec::new();
    for block in blocks {
        let mut rest = block.as_slice();
        while !rest.is_empty() {
            let (tag, body, after) = packet(rest).ok_or(Refusal::Malformed)?;
            match tag {
                SECRET_KEY | SECRET_SUBKEY => return Err(Refusal::Private),
                PUBLIC_KEY => found.push(fingerprint(body).ok_or(Refusal::Malformed)?),
                _ => {}
            }
            rest = after;
        }
    }
    match found.is_empty() {
        true => Err(Refusal::Malformed),
        false => Ok(found),
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

/// What is in each block of armour: RFC 9580, section 6.2. The checksum is optional there, and not
/// looked at.
fn dearmoured(mut text: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut blocks = Vec::new();
    while let Some(begin) = find(text, BEGIN) {
        let block = &text[begin + BEGIN.len()..];
        let end = find(block, END).ok_or(Refusal::Malformed)?;
        let mut digits = Vec::new();
        let mut headers = true;
        for line in super::text::lines(&block[..end]).skip(1) {
            let line = line.trim_ascii();
            if headers {
                // A line without anything ends them; some leave out both.
                headers = !line.is_empty() && line.contains(&b':');
                if headers || line.is_empty() {
                    continue;
                }
            }
            if line.starts_with(b"=") {
                break;
            }
            digits.extend_from_slice(line);
        }
        blocks.push(STANDARD.decode(&digits).map_err(|_| Refusal::Malformed)?);
        text = &block[end..];
    }
    Ok(blocks)
}

/// Type, body and what follows: RFC 9580, section 4.2.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return None;
    }
    let number = |count: usize| -> Option<usize> {
        let digits = rest.get(..count)?;
        let value = digits
            .iter()
            .fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        usize::try_from(value).ok()
    };
    let (tag, head, length) = if first & 0x40 != 0 {
        let tag = first & 0x3f;
        match *rest.first()? {
            short @ 0..=191 => (tag, 1, usize::from(short)),
            two @ 192..=223 => {
                let low = usize::from(*rest.get(1)?);
                (tag, 2, (usize::from(two) - 192) * 256 + low + 192)
            }
            255 => {
                let digits: [u8; 4] = rest.get(1..5)?.try_into().ok()?;
                (tag, 5, usize::try_from(u32::from_be_bytes(digits)).ok()?)
            }
            // Parts are for data, never for keys.
            _ => return None,
        }
    } else {
        let tag = (first >> 2) & 0x0f;
        match first & 3 {
            0 => (tag, 1, number(1)?),
            1 => (tag, 2, number(2)?),
            2 => (tag, 4, number(4)?),
            _ => return None,
        }
    };
    let body = rest.get(head..)?.get(..length)?;
    Some((tag, body, &rest[head + length..]))
}

/// RFC 9580, section 5.5.4.
fn fingerprint(body: &[u8]) -> Option<String> {
    match body.first()? {
        4 => {
            let length = u16::try_from(body.len()).ok()?;
            let digest = Sha1::new()
                .chain_update([0x99])
                .chain_update(length.to_be_bytes())
                .chain_update(body)
                .finalize();
            Some(hex::encode_upper(digest))
        }
        version @ (5 | 6) => {
            let prefix = if *version == 5 { 0x9a } else { 0x9b };
            let length = u32::try_from(body.len()).ok()?;
            let digest = Sha256::new()
                .chain_update([prefix])
                .chain_update(length.to_be_bytes())
                .chain_update(body)
                .finalize();
            Some(hex::encode_upper(digest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of Debian, which each Debian has, as its own package's documentation names them:
    /// <https://ftp-master.debian.org/keys.html>.
    #[test]
    fn the_keys_of_debian_are_told() {
        let known = [
            (
                "bookworm-automatic",
                "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
            ),
            (
                "bookworm-security-automatic",
                "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0",
            ),
            (
                "bookworm-stable",
                "4D64FEC119C2029067D6E791F8D2585B8783D481",
            ),
        ];
        for (file, expected) in known {
            for ending in [
                format!("/usr/share/keyrings/debian-archive-{file}.gpg"),
                format!("/etc/apt/trusted.gpg.d/debian-archive-{file}.asc"),
            ] {
                let keyring = std::fs::read(&ending).expect("this is a Debian");
                assert_eq!(
                    fingerprints(&keyring),
                    Ok(vec![expected.to_owned()]),
                    "{ending}"
                );
            }
        }
        let all = std::fs::read("/usr/share/keyrings/debian-archive-keyring.gpg");
        let all = fingerprints(&all.expect("this is a Debian")).expect("it is a keyring");
        assert!(all.len() > 3, "{all:?}");
    }

    /// RFC 9580, appendix A.3: the certificate and its fingerprint.
    #[test]
    fn keys_of_version_six_are_told() {
        let armoured = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n\
xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laPCsQYf\n\
GwoAAABCBYJjh3/jAwsJBwUVCg4IDAIWAAKbAwIeCSIhBssYbE8GCaaX5NUt+mxy\n\
KwwfHifBilZwj2Ul7Ce62azJBScJAgcCAAAAAK0oIBA+LX0ifsDm185Ecds2v8lw\n\
gyU2kCcUmKfvBXbAf6rhRYWzuQOwEn7E/aLwIwRaLsdry0+VcallHhSu4RN6HWaE\n\
QsiPlR4zxP/TP7mhfVEe7XWPxtnMUMtf15OyA51YBM4qBmOHf+MZAAAAIIaTJINn\n\
+eUBXbki+PSAld2nhJh/LVmFsS+60WyvXkQ1wpsGGBsKAAAALAWCY4d/4wKbDCIh\n\
BssYbE8GCaaX5NUt+mxyKwwfHifBilZwj2Ul7Ce62azJAAAAAAQBIKbpGG2dWTX8\n\
j+VjFM21J0hqWlEg+bdiojWnKfA5AQpWUWtnNwDEM0g12vYxoWM8Y81W+bHBw805\n\
I8kWVkXU6vFOi+HWvv/ira7ofJu16NnoUkhclkUrk0mXubZvyl4GBg==\n\
-----END PGP PUBLIC KEY BLOCK-----\n";
        let expected = "CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9";
        assert_eq!(fingerprints(armoured), Ok(vec![expected.to_owned()]));
    }

    #[test]
    fn private_keys_and_other_files_are_refused() {
        let armoured = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxUsG\n";
        assert_eq!(fingerprints(armoured), Err(Refusal::Private));
        for tag in [SECRET_KEY, SECRET_SUBKEY] {
            assert_eq!(fingerprints(&[0xc0 | tag, 1, 4]), Err(Refusal::Private));
            assert_eq!(
                fingerprints(&[0x80 | tag << 2, 1, 4]),
                Err(Refusal::Private)
            );
        }
        for other in [
            &b""[..],
            b"text",
            &[0xc6, 200],
            &[0xc6, 255, 255, 255, 255, 255],
            &[0xc6, 1, 9],
        ] {
            assert_eq!(fingerprints(other), Err(Refusal::Malformed), "{other:?}");
        }
    }
}
