//! Hostile text, made fit to be shown.

/// At most so many characters, without control characters other than line ends and tabs, and
/// without marks that make text run backwards.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut characters = text.chars().filter(|c| is_shown(*c));
    let mut short: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// The same on one line.
pub(super) fn line(text: &str, most: usize) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    cut(text.trim(), most)
}

fn is_shown(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c == '\n' || c == '\t' || !(c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// For HTML, between tags and in attributes.
pub(super) fn html(text: &str) -> String {
    replace(text, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    })
}

/// For Slack, in which nothing but these three means anything in a `plain_text`, and `<!channel>`
/// would call everybody.
pub(super) fn slack(text: &str) -> String {
    replace(text, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
}

/// For Discord's Markdown: a backslash before whatever may mean something.
pub(super) fn discord(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && c != ',' && c != '.' && c != '/' {
            out.push('\\');
        }
        out.push(c);
        // Addresses would become links, and so name what the text does not.
        if c == '/' && out.ends_with("\\://") {
            out.insert(out.len() - 1, '\u{2060}');
        }
    }
    out
}

fn replace(text: &str, by: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match by(c) {
            Some(other) => out.push_str(other),
            None => out.push(c),
        }
    }
    out
}

/// The longest beginning whose escaped form has at most so many units, as `units` counts them, with
/// a mark if something is missing. Escaping is done last: a cut in the middle of an entity would
/// be seen.
pub(super) fn fit(
    text: &str,
    most: usize,
    escape: impl Fn(&str) -> String,
    units: impl Fn(&str) -> usize,
) -> String {
    let whole = escape(text);
    if units(&whole) <= most {
        return whole;
    }
    let room = most.saturating_sub(units("…"));
    // Cuts are between characters; escaping never makes a text shorter.
    let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let fitting = cuts.partition_point(|end| units(&escape(&text[..*end])) <= room);
    let end = fitting.checked_sub(1).map_or(0, |last| cuts[last]);
    escape(&text[..end]) + "…"
}

/// Characters.
pub(super) fn characters(text: &str) -> usize {
    text.chars().count()
}

/// Units of UTF-16, in which Telegram and Discord count.
pub(super) fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_but_what_is_seen_is_left() {
        let hostile = "a\0b\u{1b}[31m\r\nc\td\u{202e}e\u{2066}f\u{85}g\u{2028}h";
        assert_eq!(cut(hostile, 100), "ab[31m\nc\tdefgh");
        assert_eq!(line(hostile, 100), "a b [31m  c def gh");
        assert_eq!(line("\r\nBcc: x", 100), "Bcc: x");
        assert_eq!(
            (cut("äöü", 3), cut("äöü", 2)),
            ("äöü".to_owned(), "ä…".to_owned())
        );
    }

    #[test]
    fn no_medium_finds_a_mark_in_a_text() {
        let hostile = "<!channel> <b>&amp; @everyone **x** [a](https://b) `c` ||d|| <@1> # e ~~f~~ > g - h 1. i :j:";
        assert!(!slack(hostile).contains(['<', '>']));
        assert_eq!(
            html("<a href='\"'>&"),
            "&lt;a href=&#39;&quot;&#39;&gt;&amp;"
        );
        let escaped = discord(hostile);
        let bytes = escaped.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            if b"*_~`|<>[]()#-@:\\".contains(byte) && (at + 1 == bytes.len() || *byte != b'\\') {
                assert_eq!(bytes[at - 1], b'\\', "{} in {escaped}", char::from(*byte));
            }
        }
        assert!(!escaped.contains("://"));
    }

    proptest! {
        #[test]
        fn what_fits_is_whole_and_the_rest_is_the_longest_beginning(text in "[a-c<&\u{e4}\u{1f600}]{0,40}", most in 1..60_usize) {
            let fitted = fit(&text, most, html, utf16);
            prop_assert!(utf16(&fitted) <= most);
            if utf16(&html(&text)) <= most {
                prop_assert_eq!(fitted, html(&text));
            } else {
                let longest = (0..=text.len()).filter(|end| text.is_char_boundary(*end)).rev();
                let longest = longest.map(|end| html(&text[..end])).find(|part| utf16(part) < most);
                prop_assert_eq!(fitted, longest.unwrap() + "…");
            }
        }
    }
}
