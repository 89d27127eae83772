//! From the path of a request to names in the tree, and back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path that names nothing anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPath;

/// The names in a path. What is encoded stays within its name: `%2f` makes no new one.
pub(super) fn names(path: &str) -> Result<Vec<Vec<u8>>, BadPath> {
    let mut names = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if has_broken_escape(part) {
            return Err(BadPath);
        }
        let name: Vec<u8> = percent_decode_str(part).collect();
        if name == b"." || name == b".." || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
            return Err(BadPath);
        }
        names.push(name);
    }
    Ok(names)
}

fn has_broken_escape(part: &str) -> bool {
    part.split('%').skip(1).any(|rest| {
        let digits = rest.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// A name as a part of a path.
pub(super) fn encode(name: &[u8]) -> String {
    percent_encode(name, RESERVED).to_string()
}

/// A text between tags or in quotes, of HTML and of XML.
pub(super) fn escape(text: &[u8]) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no such characters, and those that turn text around lie about names.
            c if c.is_control() => out.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_top() {
        for bad in [
            "/..",
            "/%2e%2e/x",
            "/a/..%2f..%2fetc",
            "/%2E",
            "/a%00b",
            "/a%2fb",
            "/%",
            "/%2",
            "/%zz",
        ] {
            assert_eq!(names(bad), Err(BadPath), "{bad}");
        }
        let good = names("//a//%ff%20b/...%25/").expect("it is well formed");
        assert_eq!(good, [b"a".to_vec(), b"\xff b".to_vec(), b"...%".to_vec()]);
        assert_eq!(
            names("/").expect("it is well formed"),
            Vec::<Vec<u8>>::new()
        );
    }

    #[test]
    fn names_come_back() {
        let name: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
        assert_eq!(names(&encode(&name)).expect("it is well formed"), [name]);
    }

    #[test]
    fn nothing_is_markup() {
        assert_eq!(
            escape(b"<a b='c' d=\"&\">\x01"),
            "&lt;a b=&#39;c&#39; d=&quot;&amp;&quot;&gt;\u{fffd}"
        );
    }
}
