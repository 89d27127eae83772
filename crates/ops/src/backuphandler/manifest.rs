//! Manifests: what a run copied, skipped and could not copy.

use std::fmt;
use std::io::Read;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

use super::scan::Root;

/// A longer manifest is none: a million files take a third of it.
const MAX_MANIFEST: u64 = 1 << 30;
/// A longer path is none that a file system has.
const MAX_PATH: usize = 64 << 10;

/// Size and SHA-256 of a content; the latter is not there for links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub size: u64,
    pub checksum: Option<[u8; 32]>,
}

/// A file that was copied.
#[derive(Debug)]
pub(super) struct Copied {
    pub path: Vec<u8>,
    pub version: Version,
}

/// A manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    pub name: String,
    /// `YYYYMMDD_HHMMSS`, of its name.
    pub stamp: String,
    pub mode: String,
    pub copied: Vec<Copied>,
    pub skipped: Vec<Vec<u8>>,
    /// Paths with the reason.
    pub failed: Vec<(Vec<u8>, String)>,
}

/// Reads a manifest; or says in words why it is none.
pub(super) fn read(root: &Root, name: &str, stamp: &str) -> Result<Manifest, String> {
    let file = root
        .file(name.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_MANIFEST {
        return Err("it is longer than 1 GiB".to_owned());
    }
    parse(&bytes, name, stamp)
}

/// The manifest in some bytes.
pub(super) fn parse(bytes: &[u8], name: &str, stamp: &str) -> Result<Manifest, String> {
    let record: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut copied = Vec::with_capacity(record.copied.len());
    for file in record.copied {
        copied.push(Copied {
            path: checked(file.path)?,
            version: Version {
                size: file.size,
                checksum: file.checksum.map(|text| checksum(&text)).transpose()?,
            },
        });
    }
    let skipped = record.skipped.into_iter().map(|file| checked(file.path));
    let failed = record.failed.into_iter().map(|file| {
        let reason = String::from_utf8_lossy(&file.reason.0).into_owned();
        Ok((checked(file.path)?, reason))
    });
    Ok(Manifest {
        name: name.to_owned(),
        stamp: stamp.to_owned(),
        mode: record.mode,
        copied,
        skipped: skipped.collect::<Result<_, String>>()?,
        failed: failed.collect::<Result<_, String>>()?,
    })
}

fn checked(path: Text) -> Result<Vec<u8>, String> {
    match path.0.len() <= MAX_PATH {
        true => Ok(path.0),
        false => Err("a path in it is longer than 64 KiB".to_owned()),
    }
}

fn checksum(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| "a checksum in it is no SHA-256".to_owned())?;
    Ok(bytes)
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    mode: String,
    copied: Vec<CopiedRecord>,
    #[serde(default)]
    skipped: Vec<SkippedRecord>,
    #[serde(default)]
    failed: Vec<FailedRecord>,
}

#[derive(Deserialize)]
struct CopiedRecord {
    path: Text,
    size: u64,
    #[serde(default)]
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct SkippedRecord {
    path: Text,
}

#[derive(Deserialize)]
struct FailedRecord {
    path: Text,
    #[serde(default)]
    reason: Text,
}

/// A text of Python's, which writes bytes that are no UTF-8 as lone surrogates (PEP 383).
#[derive(Default)]
struct Text(Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, surrogates are let through.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Text, E> {
        let mut text = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at..] {
                // U+DC80 to U+DCFF stand for the bytes 80 to FF.
                [0xed, high @ (0xb2 | 0xb3), low @ 0x80..=0xbf, ..] => {
                    text.push(((high & 1) << 6) | (low & 0x3f) | 0x80);
                    at += 3;
                }
                _ => {
                    text.push(bytes[at]);
                    at += 1;
                }
            }
        }
        Ok(Text(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        self.visit_bytes(text.as_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, String> {
        super::parse(text.as_bytes(), "name", "stamp")
    }

    #[test]
    fn bytes_that_are_no_utf_8_come_back() {
        let text =
            r#"{"copied": [{"path": "caf\udce9/\u00e9/\ud83d\udcf7/\udc80\udcff", "size": 1}]}"#;
        let manifest = parse(text).unwrap();
        let expected = [
            b"caf\xe9/".as_slice(),
            "\u{e9}/\u{1f4f7}/".as_bytes(),
            b"\x80\xff",
        ];
        assert_eq!(manifest.copied[0].path, expected.concat());
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"copied": [{"path": "a"}]}"#,
            r#"{"copied": [{"path": "a", "size": -1}]}"#,
            r#"{"copied": [{"path": 1, "size": 1}]}"#,
            r#"{"copied": [{"path": "a", "size": 1, "checksum": "00"}]}"#,
            r#"{"copied": [], "skipped": ["a"]}"#,
        ] {
            parse(text).unwrap_err();
        }
        let long = format!(
            r#"{{"copied": [], "skipped": [{{"path": "{}"}}]}}"#,
            "a".repeat(65537)
        );
        assert_eq!(
            parse(&long).unwrap_err(),
            "a path in it is longer than 64 KiB"
        );
    }

    #[test]
    fn what_a_later_version_adds_is_let_through() {
        let text =
            r#"{"copied": [], "host": "x", "failed": [{"path": "a", "reason": "why", "code": 1}]}"#;
        assert_eq!(
            parse(text).unwrap().failed,
            [(b"a".to_vec(), "why".to_owned())]
        );
    }
}
