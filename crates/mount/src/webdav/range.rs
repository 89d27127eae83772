//! `Range` (RFC 9110, section 14): one range of bytes.

use std::ops::Range;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: also when a range is malformed or there are several, as a server may.
    All,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes that there are not.
    Beyond,
}

/// What a header asks for, of `size` bytes.
pub(super) fn parse(header: &str, size: u64) -> Wanted {
    let Some(range) = header.trim().strip_prefix("bytes=") else {
        return Wanted::All;
    };
    let Some((first, last)) = range.trim().split_once('-') else {
        return Wanted::All;
    };
    let (first, last) = (first.trim(), last.trim());
    let (Ok(start), Ok(end)) = (number(first), number(last)) else {
        return Wanted::All;
    };
    match (start, end) {
        (None, None) => Wanted::All,
        (Some(start), Some(last)) if last < start => Wanted::All,
        (Some(start), _) if start >= size => Wanted::Beyond,
        (Some(start), last) => {
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            Wanted::Part(start..end)
        }
        (None, Some(0)) => Wanted::Beyond,
        (None, Some(_)) if size == 0 => Wanted::Beyond,
        (None, Some(count)) => Wanted::Part(size.saturating_sub(count)..size),
    }
}

/// A number, or none where nothing stands. More than any file has is still a number.
fn number(text: &str) -> Result<Option<u64>, ()> {
    match text {
        "" => Ok(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(text.parse().unwrap_or(u64::MAX)))
        }
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |range| Wanted::Part(range);
        for (header, expected) in [
            ("bytes=0-0", part(0..1)),
            ("bytes=2-", part(2..10)),
            ("bytes=-3", part(7..10)),
            ("bytes=-30", part(0..10)),
            ("bytes=9-99999999999999999999999", part(9..10)),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=3-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("lines=1-2", Wanted::All),
        ] {
            assert_eq!(parse(header, 10), expected, "{header}");
        }
        assert_eq!(parse("bytes=-5", 0), Wanted::Beyond);
    }
}
