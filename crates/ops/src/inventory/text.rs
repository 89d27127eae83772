//! Bytes that are nearly text.

use keepwatch_core::Name;

pub(super) fn name(bytes: impl AsRef<[u8]>) -> Name {
    Name(bytes.as_ref().to_vec())
}

/// Lines without their ends.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Words between blanks.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

/// The two sides of the first such byte, without blanks around them.
pub(super) fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|&byte| byte == at)?;
    Some((bytes[..place].trim_ascii(), bytes[place + 1..].trim_ascii()))
}

/// Whether there is a private key in it, as its own marks say.
pub(super) fn holds_private_key(bytes: &[u8]) -> bool {
    const MARKS: [&[u8]; 4] = [
        b"PRIVATE KEY",
        b"AGE-SECRET-KEY-",
        b"PuTTY-User-Key-File",
        // WireGuard.
        b"PrivateKey",
    ];
    MARKS
        .iter()
        .any(|mark| bytes.windows(mark.len()).any(|part| part == *mark))
}

/// The text with `***` where an address has a user and password; whether there was one.
pub(super) fn without_passwords(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut found = false;
    let mut rest = bytes;
    while let Some(at) = rest.windows(3).position(|part| part == b"://") {
        let (before, after) = rest.split_at(at + 3);
        kept.extend_from_slice(before);
        let end = after
            .iter()
            .position(|&byte| byte == b'/' || byte.is_ascii_whitespace() || byte == b'"')
            .unwrap_or(after.len());
        rest = after;
        if let Some(at) = after[..end].iter().rposition(|&byte| byte == b'@') {
            kept.extend_from_slice(b"***");
            rest = &after[at..];
            found = true;
        }
    }
    kept.extend_from_slice(rest);
    (kept, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_hidden() {
        let cases: [(&str, &str); 5] = [
            ("deb https://apt.lan/x y", "deb https://apt.lan/x y"),
            (
                "deb [a=b] https://me:pw@apt.lan/x y",
                "deb [a=b] https://***@apt.lan/x y",
            ),
            ("https://me:p@w@apt.lan", "https://***@apt.lan"),
            (
                "https://apt.lan/~x@y http://token@z",
                "https://apt.lan/~x@y http://***@z",
            ),
            ("://@", "://***@"),
        ];
        for (text, expected) in cases {
            let (kept, found) = without_passwords(text.as_bytes());
            assert_eq!(String::from_utf8(kept).expect("text"), expected);
            assert_eq!(found, text != expected);
        }
    }
}
