//! Names of databases as names of files.

use std::fmt::Write;

/// A name of a file for a database: it leads nowhere else, and is none of those that mean something
/// else. What would, is written as in an address (`a/b` is `a%2fb`).
pub(super) fn file_name(database: &str, reserved: &[&str]) -> String {
    let is_reserved = reserved.contains(&database);
    let mut name = String::new();
    for (at, letter) in database.chars().enumerate() {
        let first = at == 0 && (letter == '.' || is_reserved);
        if first || matches!(letter, '%' | '/') || letter.is_control() {
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                // A text takes all that is written.
                let _ = write!(name, "%{byte:02x}");
            }
        } else {
            name.push(letter);
        }
    }
    name
}

/// The database whose file has this name; none if no file would have it.
pub(super) fn database_name(file: &str) -> Option<String> {
    let mut name = Vec::new();
    let mut rest = file.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            name.extend(hex::decode(digits).ok()?);
            rest = after;
        } else {
            name.push(*byte);
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lead_nowhere_else() {
        let name = |database| file_name(database, &["all", "users"]);
        assert_eq!(name("shop"), "shop");
        assert_eq!(name("Käse-1.2"), "Käse-1.2");
        assert_eq!(name("../a"), "%2e.%2fa");
        assert_eq!(name("/etc"), "%2fetc");
        assert_eq!(name("users"), "%75sers");
        assert_eq!(name("50%"), "50%25");
        assert_eq!(database_name("%7"), None);
        assert_eq!(database_name("%zz"), None);
        assert_eq!(database_name("%ff"), None);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(database in "\\PC{1,20}|[./%a-c\\x00-\\x1f]{1,10}|all|users") {
            let file = file_name(&database, &["all", "users"]);
            prop_assert!(!file.contains(['/', '\0']) && !file.starts_with('.'));
            prop_assert!(file != "all" && file != "users");
            prop_assert_eq!(database_name(&file), Some(database));
        }
    }
}
