//! Names of hosts, tags and times as names of directories.

use jiff::Timestamp;
use keepwatch_core::Id;

/// The longest name that file systems have.
const MAX_NAME: usize = 255;

/// A text as the name of a directory: the same for the same text, another for another.
pub(crate) fn of_text(text: &str) -> Vec<u8> {
    let name = match text {
        "" => "%".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        text => text.chars().map(in_name).collect(),
    };
    if name.len() <= MAX_NAME {
        return name.into_bytes();
    }
    let digits = Id::of(text.as_bytes()).to_string();
    let mut end = MAX_NAME - 40;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}%%{}", &name[..end], &digits[..32]).into_bytes()
}

/// A character, or what stands for one that cannot be in a name, or marks such.
fn in_name(c: char) -> String {
    match c {
        c if c.is_ascii_control() || "/%\\".contains(c) => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    }
}

/// A time in UTC. Without colons, which Windows has no names with.
pub(crate) fn of_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_names() {
        let texts = [
            "", ".", "..", "/", "a/../b", "a\0b", "%", "%2E", "a\nb", "\\", "ä/ö",
        ];
        let mut names: Vec<_> = texts.iter().map(|text| of_text(text)).collect();
        names.push(of_text(&"ü".repeat(4000)));
        names.push(of_text(&format!("{}x", "ü".repeat(4000))));
        for name in &names {
            assert!(!name.is_empty() && name.len() <= MAX_NAME);
            assert!(!name.iter().any(|byte| matches!(byte, b'/' | 0)));
            assert!(name != b"." && name != b"..");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "two texts have one name");
        assert_eq!(of_text("web-1 ü"), "web-1 ü".as_bytes());
    }

    #[test]
    fn times_sort() {
        let name = of_time(
            "2026-03-01T09:08:07.5+01:00"
                .parse()
                .expect("it is well formed"),
        );
        assert_eq!(name, "2026-03-01T08-08-07Z");
    }
}
