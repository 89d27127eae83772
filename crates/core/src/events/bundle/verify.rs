//! Checking a bundle, without any store or key, and taking it apart.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::manifest::{BundlePart, FIXED, Manifest, SIGNATURE, bad};
use crate::error::{Error, Result};
use crate::events::files;
use crate::events::model::Event;

/// What a bundle proves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BundleReport {
    /// The id of the store.
    #[serde(with = "hex::serde")]
    pub store: [u8; 16],
    /// The ed25519 public key that signed it. It proves who only to somebody who knows the key.
    #[serde(with = "hex::serde")]
    pub signer: [u8; 32],
    /// The event, as the store recorded it last.
    pub event: Event,
    /// The number of its record in the chain.
    pub seq: u64,
    /// When the store signed the chain with the event in it, by its own clock.
    pub signed_at: Timestamp,
    /// When the bundle was made.
    pub exported_at: Timestamp,
    /// The files in it.
    pub parts: Vec<BundlePart>,
}

/// Verifies a bundle, in constant memory for files of any length.
///
/// With `expected_signer`, the public key of the store as known from elsewhere, it proves that this
/// store recorded the event; without, only that the bundle is consistent.
///
/// # Errors
/// [`Error::Damaged`] when one bit of it was changed; [`Error::WrongSigner`].
pub fn verify_bundle(reader: impl Read, expected_signer: Option<[u8; 32]>) -> Result<BundleReport> {
    read_bundle(reader, expected_signer, &mut |part, content| {
        read_part(part, content, &mut io::sink())
    })
}

/// Verifies a bundle as [`verify_bundle`] does, and writes the event and its files to a folder,
/// which is made if need be: `event.json`, `clip.mp4`, `snapshot.jpg`.
///
/// Files have their names only when all of the bundle was verified; none is replaced.
///
/// # Errors
/// As [`verify_bundle`], and when a file cannot be written.
pub fn extract_bundle(
    reader: impl Read,
    expected_signer: Option<[u8; 32]>,
    dir: &Path,
) -> Result<BundleReport> {
    files::make_dir(dir)?;
    let mut written = Written::default();
    let report = read_bundle(reader, expected_signer, &mut |part, content| {
        let path = dir.join(part.kind.file_name());
        let mut file = written.start(path)?;
        read_part(part, content, &mut file)?;
        file.sync_all().map_err(Error::io("sync", dir))
    })?;
    let path = dir.join("event.json");
    let json = serde_json::to_vec_pretty(&report.event).expect("an event is plain JSON");
    let mut file = written.start(path.clone())?;
    file.write_all(&json)
        .and_then(|()| file.sync_all())
        .map_err(Error::io("write", &path))?;
    written.publish()?;
    Ok(report)
}

/// Files that do not have their names yet; dropped, they go.
#[derive(Default)]
struct Written(Vec<(PathBuf, PathBuf)>);

impl Written {
    fn start(&mut self, path: PathBuf) -> Result<File> {
        let temporary = files::temporary_beside(&path)?;
        let file = files::new_file(&temporary).map_err(Error::io("create", &path))?;
        self.0.push((temporary, path));
        Ok(file)
    }

    fn publish(self) -> Result<()> {
        for (temporary, path) in &self.0 {
            files::publish(temporary, path).map_err(Error::io("write", path))?;
        }
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for (temporary, _) in &self.0 {
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Takes a part, given a reader of exactly its length.
type OnPart<'a> = &'a mut dyn FnMut(&BundlePart, &mut dyn Read) -> Result<()>;

fn read_bundle(
    mut reader: impl Read,
    expected: Option<[u8; 32]>,
    on_part: OnPart<'_>,
) -> Result<BundleReport> {
    let mut bytes = vec![0; FIXED];
    read_exact(&mut reader, &mut bytes)?;
    let head: &[u8; FIXED] = bytes.first_chunk().expect("just made of this length");
    let len = Manifest::length(head)?;
    // It grows with what is there, not with what is promised.
    let wanted = (len + SIGNATURE) as u64;
    let got = reader
        .by_ref()
        .take(wanted)
        .read_to_end(&mut bytes)
        .map_err(reading())?;
    if got as u64 != wanted {
        return Err(bad("it is cut off"));
    }
    let (manifest, event) = Manifest::verify(&bytes, expected)?;
    for part in &manifest.parts {
        on_part(part, &mut reader.by_ref().take(part.bytes))?;
    }
    if reader.read(&mut [0]).map_err(reading())? != 0 {
        return Err(bad("something follows its end"));
    }
    Ok(BundleReport {
        store: manifest.store,
        signer: manifest.signer,
        event,
        seq: manifest.seq,
        signed_at: manifest.checkpoint.at,
        exported_at: manifest.exported_at,
        parts: manifest.parts,
    })
}

fn read_part(part: &BundlePart, content: &mut dyn Read, out: &mut dyn Write) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut buf = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let count = match content.read(&mut buf) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading()(error)),
        };
        hasher.update(&buf[..count]);
        bytes += count as u64;
        out.write_all(&buf[..count])
            .map_err(Error::io("write", part.kind.file_name().as_ref()))?;
    }
    if bytes != part.bytes {
        return Err(bad("it is cut off"));
    }
    if *hasher.finalize().as_bytes() != part.blake3 {
        return Err(bad("a file in it was changed"));
    }
    Ok(())
}

fn read_exact(reader: &mut impl Read, buf: &mut [u8]) -> Result<()> {
    match reader.read_exact(buf) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(bad("it is cut off")),
        result => result.map_err(reading()),
    }
}

fn reading() -> impl FnOnce(io::Error) -> Error {
    Error::io("read", "the evidence bundle".as_ref())
}
