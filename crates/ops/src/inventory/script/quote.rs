//! How anything gets into a script.

use std::fmt::Write;

/// One word of the shell, whatever is in it; a NUL, which no argument can hold, ends nothing and
/// is left out.
///
/// The result is ASCII without control characters: what is read in a terminal or an editor is what
/// runs, in every locale. What takes more than single quotes is `$'\ooo'` as bash has it.
pub(in super::super) fn quote(value: &[u8]) -> String {
    if value
        .iter()
        .all(|&byte| is_plain(byte) && !b"'\\".contains(&byte))
    {
        // Within single quotes nothing means anything but the quote itself.
        return format!("'{}'", String::from_utf8_lossy(value));
    }
    let mut quoted = String::from("$'");
    for &byte in value.iter().filter(|&&byte| byte != 0) {
        match byte {
            b'\'' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            byte if is_plain(byte) => quoted.push(char::from(byte)),
            // Three digits always: what follows cannot be taken for a fourth.
            byte => write!(quoted, "\\{byte:03o}").expect("text takes text"),
        }
    }
    quoted.push('\'');
    quoted
}

/// A comment of one line, whatever is in it.
pub(in super::super) fn comment(text: &[u8]) -> String {
    let mut line = String::from("# ");
    for &byte in text {
        match byte {
            b'\\' => line.push_str(r"\\"),
            byte if is_plain(byte) => line.push(char::from(byte)),
            byte => write!(line, "\\{byte:03o}").expect("text takes text"),
        }
    }
    // At the end of a line some programs take it for a continuation.
    if line.ends_with('\\') {
        line.push(' ');
    }
    // `shellcheck` takes orders from comments; so do editors.
    line.replace("shellcheck", "shell-check")
}

fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn bash(script: &str) -> Vec<u8> {
        let output = Command::new("bash")
            .args(["--norc", "-c", script])
            .output()
            .expect("bash is there");
        assert!(output.status.success(), "{script}");
        assert_eq!(output.stderr, b"", "{script}");
        output.stdout
    }

    #[test]
    fn names_are_quoted_so() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "''"),
            (b"curl", "'curl'"),
            (b"it's", r"$'it\'s'"),
            (b"$(x) `y` \"z\" \\", "$'$(x) `y` \"z\" \\\\'"),
            (b"a\nb", r"$'a\012b'"),
            (b"\x1b[2J'", r"$'\033[2J\''"),
            ("é".as_bytes(), r"$'\303\251'"),
            (b"\xff\\1", r"$'\377\\1'"),
            (b"a\0b", r"$'ab'"),
        ];
        for (value, expected) in cases {
            assert_eq!(quote(value), expected);
        }
        assert_eq!(comment(b"a\nrm -rf /\\"), r"# a\012rm -rf /\\ ");
        assert_eq!(
            comment(b"shellcheck disable=all"),
            "# shell-check disable=all"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn bash_reads_what_was_quoted(value in proptest::collection::vec(1_u8.., 0..60)) {
            let said = bash(&format!("printf %s {}", quote(&value)));
            prop_assert_eq!(said, value);
        }

        #[test]
        fn no_comment_is_run(text in "(\\PC|[\n\r\0\\\\]){0,40}(\ntouch /|\rexit 7|\\\\\nexit 7)?") {
            let said = bash(&format!("{}\nprintf end", comment(text.as_bytes())));
            prop_assert_eq!(said, b"end");
        }
    }
}
