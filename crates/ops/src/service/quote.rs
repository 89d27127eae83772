//! Texts in the languages of service managers.

use std::path::Path;

use super::ServiceError;

/// Longer ones are no paths (`PATH_MAX`).
const MAX_PATH: usize = 4096;

/// Refuses what is no plain part of a file's name.
pub(super) fn name(name: &str) -> Result<(), ServiceError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain);
    match good {
        true => Ok(()),
        false => Err(ServiceError::Name {
            name: name.chars().take(64).collect(),
        }),
    }
}

/// A path as text, if it can stand in a file that people and parsers read.
pub(super) fn path<'a>(what: &'static str, path: &'a Path) -> Result<&'a str, ServiceError> {
    let bad = |problem| refused(what, path, problem);
    let text = path.to_str().ok_or_else(|| bad("is no UTF-8"))?;
    if text.len() > MAX_PATH {
        return Err(bad("is too long"));
    }
    // Line breaks would begin a setting of their own. XML has no way to write the others.
    let bad_char = |c: char| c.is_control() || ('\u{fffe}'..='\u{ffff}').contains(&c);
    if text.contains(bad_char) {
        return Err(bad("has a control character"));
    }
    Ok(text)
}

/// The same for a path of Unix, from the root and without detours: systemd ignores what has them.
pub(super) fn unix_path<'a>(what: &'static str, of: &'a Path) -> Result<&'a str, ServiceError> {
    let text = path(what, of)?;
    if !text.starts_with('/') {
        return Err(refused(what, of, "does not begin at the root"));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(refused(what, of, "has a \"..\""));
    }
    Ok(text)
}

/// What is wrong with a path.
pub(super) fn refused(what: &'static str, path: &Path, problem: &'static str) -> ServiceError {
    ServiceError::Path {
        what,
        path: path.to_string_lossy().chars().take(256).collect(),
        problem,
    }
}

/// A text in an element or attribute of XML.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}
