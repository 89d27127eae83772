//! INI files as Python's `configparser` reads them: sections, `key = value` or `key: value`, values that
//! go on in indented lines, `[DEFAULT]` for all sections, and `%(key)s` within values.

use std::collections::BTreeMap;

/// A longer file is none.
const MAX_LEN: usize = 1 << 20;
/// As deep as values may refer to each other, in Python too.
const MAX_DEPTH: usize = 10;
/// The longest that a value may become by what it refers to.
const MAX_VALUE: usize = 64 << 10;
/// Its values are those of every section.
const DEFAULT: &str = "DEFAULT";

/// Why a file is no INI file of BackupHandler. No value is ever repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IniError {
    /// A line that is neither section nor key.
    #[error("line {line}: {problem}")]
    Line {
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A value that cannot be used.
    #[error("{key} {problem}")]
    Value {
        /// `SECTION.key`.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file is too long.
    #[error("it is longer than 1 MiB")]
    TooLong,
    /// SecureVision's settings.
    #[error("these are settings of SecureVision, which are read from the environment as they are")]
    OfSecureVision,
    /// Somebody else's file.
    #[error("it has no section that BackupHandler knows")]
    OfOthers,
}

impl IniError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OfSecureVision => {
                Some("start `keepwatch watch` or `keepwatch serve` with these variables set")
            }
            Self::OfOthers => Some("name BackupHandler's config.ini"),
            _ => None,
        }
    }
}

/// The sections of a file. Keys are in small letters.
#[derive(Debug)]
pub(super) struct Ini(BTreeMap<String, BTreeMap<String, String>>);

impl Ini {
    pub fn parse(text: &str) -> Result<Self, IniError> {
        if text.len() > MAX_LEN {
            return Err(IniError::TooLong);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut section: Option<String> = None;
        let mut key: Option<(String, usize)> = None;
        for (number, line) in text.lines().enumerate() {
            let bad = |problem| IniError::Line {
                line: number + 1,
                problem,
            };
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            if let (Some(section), Some((key, of_key))) = (&section, &key)
                && indent > *of_key
            {
                let values = sections.get_mut(section).expect("it was begun");
                let value = values.get_mut(key).expect("it was begun");
                value.push('\n');
                value.push_str(trimmed);
                continue;
            }
            if let Some(name) = trimmed.strip_prefix('[') {
                let name = name
                    .split_once(']')
                    .ok_or_else(|| bad("a section has no end"))?
                    .0;
                if sections.contains_key(name) {
                    return Err(bad("the section is there twice"));
                }
                sections.insert(name.to_owned(), BTreeMap::new());
                section = Some(name.to_owned());
                key = None;
                continue;
            }
            let current = section
                .as_ref()
                .ok_or_else(|| bad("a key comes before any section"))?;
            let (name, value) = trimmed
                .split_once(['=', ':'])
                .ok_or_else(|| bad("it is neither a section nor a key with a value"))?;
            let name = name.trim().to_lowercase();
            if name.is_empty() {
                return Err(bad("a value has no key"));
            }
            let values = sections.get_mut(current).expect("it was begun");
            if values
                .insert(name.clone(), value.trim().to_owned())
                .is_some()
            {
                return Err(bad("the key is there twice"));
            }
            key = Some((name, indent));
        }
        Ok(Self(sections))
    }

    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All sections and keys, without those that a section has from `[DEFAULT]`.
    pub fn keys(&self) -> impl Iterator<Item = (String, String)> {
        let all = self.0.iter();
        all.flat_map(|(section, values)| values.keys().map(|key| (section.clone(), key.clone())))
    }

    /// A value, with what it refers to in its place.
    pub fn get(&self, section: &str, key: &str) -> Result<Option<String>, IniError> {
        let bad = |problem| IniError::Value {
            key: format!("{section}.{key}"),
            problem,
        };
        let Some(value) = self.raw(section, key) else {
            return Ok(None);
        };
        // BackupHandler reads a value with `${…}` without the other kind of reference first.
        let mut out = String::new();
        self.interpolate(section, value, MAX_DEPTH, &mut out)
            .map_err(bad)?;
        Ok(Some(out))
    }

    fn raw(&self, section: &str, key: &str) -> Option<&str> {
        let of = |section: &str| self.0.get(section)?.get(key).map(String::as_str);
        of(section).or_else(|| of(DEFAULT))
    }

    fn interpolate(
        &self,
        section: &str,
        value: &str,
        depth: usize,
        out: &mut String,
    ) -> Result<(), &'static str> {
        if depth == 0 {
            return Err("refers to others that refer to others, too deeply");
        }
        let mut rest = value;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let (name, after) = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(")s"))
                .ok_or("has a `%` that is followed by neither `%` nor `(`")?;
            let other = self
                .raw(section, &name.to_lowercase())
                .ok_or("refers to a key that is not there")?;
            self.interpolate(section, other, depth - 1, out)?;
            rest = after;
            if out.len() > MAX_VALUE {
                return Err("becomes too long by what it refers to");
            }
        }
        out.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    fn get(text: &str, key: &str) -> Result<Option<String>, IniError> {
        Ini::parse(text)?.get("S", key)
    }

    fn value(text: &str, key: &str) -> String {
        get(text, key).unwrap().unwrap()
    }

    /// What Python 3.11's configparser gives for the same.
    #[test]
    fn values_are_as_python_reads_them() {
        assert_eq!(value("[S]\nA_Key = a = b # c", "a_key"), "a = b # c");
        assert_eq!(value("[S]\nk: v:w", "k"), "v:w");
        assert_eq!(value("[S]\nk =", "k"), "");
        assert_eq!(
            value(
                "[S]\n; no\n# no\nk = one,\n  two\n\n  # no\n  three\nl = x",
                "k"
            ),
            "one,\ntwo\nthree"
        );
        assert_eq!(value("[DEFAULT]\nk = d\n[S]\nl = 1", "k"), "d");
        assert_eq!(value("[DEFAULT]\nk = d\n[S]\nk = s", "k"), "s");
        assert_eq!(
            value("[S]\nbase = /srv\nk = %(BASE)s/x 100%%", "k"),
            "/srv/x 100%"
        );
        assert_eq!(get("[S]\nk = 1", "none"), Ok(None));
        assert_eq!(value("\u{feff}[S]\nk = 1", "k"), "1");
    }

    #[test]
    fn what_python_refuses_is_refused() {
        let line = |text: &str| match Ini::parse(text).unwrap_err() {
            IniError::Line { line, .. } => line,
            other => panic!("{other}"),
        };
        assert_eq!(line("k = 1"), 1);
        assert_eq!(line("[S]\nk"), 2);
        assert_eq!(line("[S]\n= 1"), 2);
        assert_eq!(line("[S"), 1);
        assert_eq!(line("[S]\nk = 1\nK = 2"), 3);
        assert_eq!(line("[S]\n[T]\n[S]"), 3);
        for text in ["[S]\nk = 5%", "[S]\nk = %(gone)s", "[S]\nk = %(k)s"] {
            assert!(
                matches!(get(text, "k"), Err(IniError::Value { .. })),
                "{text}"
            );
        }
        let long = "x".repeat(MAX_LEN + 1);
        assert_eq!(Ini::parse(&long).unwrap_err(), IniError::TooLong);
    }

    #[test]
    fn references_that_multiply_have_an_end() {
        let mut text = format!("[S]\nk0 = {}\n", "x".repeat(1000));
        for number in 1..9 {
            text.push_str(&format!(
                "k{number} = {}\n",
                format!("%(k{})s", number - 1).repeat(60)
            ));
        }
        assert!(matches!(get(&text, "k8"), Err(IniError::Value { .. })));
    }
}
