//! Small files that belong to a store and are for nobody else: who is known by their face
//! (FORMAT.md, section 7.6).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use keepwatch_crypto::{Cipher, Suite};
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use super::database::Database;
#[cfg(feature = "postgres")]
use super::database::Mode;
use super::files;
use super::media::is_plain_name;
use super::shelf::Shelf;
use super::store::{Store, read_only};
use crate::error::{Error, Result};
use crate::fs::{AtomicFile, Replace};

const MAGIC: &[u8; 4] = b"KWPF";
const VERSION: u8 = 1;
/// Magic, version, suite, two zeros, the id of the store.
const HEAD: usize = 24;
const CONTEXT: &str = "keepwatch v1 event store private file";
const LOCK: &str = ".lock";
/// The largest of them, in bytes.
pub const MAX_PRIVATE: usize = 1 << 30;

/// Which state of a private file it is; another one after each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateStamp([u64; 4]);

impl Store {
    /// Reads a private file of the store. None if there is none of the name.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it was changed, or is that of another store or name.
    pub fn read_private(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let path = path(name)?;
        let bytes = self.shelf(|shelf| shelf.read(&path, MAX_PRIVATE as u64 + 1))?;
        bytes
            .map(|bytes| self.open_private(name, &bytes))
            .transpose()
    }

    fn open_private(&self, name: &str, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let bad = |problem: &str| Error::damaged(format!("the private file {name:?}"), problem);
        if bytes.len() > MAX_PRIVATE {
            return Err(bad("it is too large"));
        }
        if bytes.len() < HEAD || !bytes.starts_with(MAGIC) {
            return Err(bad("it is none"));
        }
        if bytes[4] != VERSION || bytes[6..8] != [0; 2] {
            return Err(Error::Unsupported {
                what: "private file version",
                value: bytes[4].to_string(),
            });
        }
        let suite = Suite::from_byte(bytes[5])?;
        if &bytes[8..HEAD] != self.id() {
            return Err(bad("it belongs to another store"));
        }
        let (head, sealed) = bytes.split_at(HEAD);
        let opened = self.private_cipher(suite).open(&aad(head, name), sealed);
        opened.map_err(|_| bad("it was changed"))
    }

    /// Changes a private file: `change` gets what is there, and says what shall be there instead, or
    /// none for no file. What was there is unlinked, not overwritten.
    ///
    /// Whoever else changes one waits meanwhile, in this process or another one: `change` must not
    /// change one itself.
    ///
    /// # Errors
    /// As [`Store::read_private`], whatever `change` says, and when it cannot be written: then
    /// nothing has changed.
    pub fn change_private<E: From<Error>>(
        &self,
        name: &str,
        change: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        let path = path(name)?;
        if !self.is_writable() {
            return Err(read_only().into());
        }
        match &self.database {
            Database::Sqlite(_) => self.change_file(name, &path, change),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {
                // What writes events does not wait for it.
                let db = self.database.connect(Mode::Write)?;
                db.change_files(|tx| {
                    let old = Shelf::Table(tx).read(&path, MAX_PRIVATE as u64 + 1)?;
                    let old = old.map(|old| self.open_private(name, &old)).transpose()?;
                    let new = change(old.as_ref().map(|old| old.as_slice()))?;
                    if old.is_some() {
                        Shelf::Table(tx).remove(&path)?;
                    }
                    if let Some(new) = new.map(Zeroizing::new) {
                        let sealed = self.seal_private(name, &new)?;
                        Shelf::Table(tx).write_new(&path, &sealed)?;
                    }
                    Ok(())
                })
            }
        }
    }

    fn change_file<E: From<Error>>(
        &self,
        name: &str,
        path: &str,
        change: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        let folder = self.dir().join(files::PRIVATE);
        files::make_dir(&folder)?;
        let lock = folder.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(Error::io("open", &lock))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(io::Error::from)
            .map_err(Error::io("lock", &folder))?;
        let old = self.read_private(name)?;
        let new = change(old.as_ref().map(|old| old.as_slice()))?.map(Zeroizing::new);
        match new {
            Some(new) => {
                let path = self.dir().join(path);
                let sealed = self.seal_private(name, &new)?;
                let mut file = AtomicFile::create(&path, Replace::Files)?;
                file.write_all(&sealed).map_err(Error::io("write", &path))?;
                Ok(file.commit()?)
            }
            None if old.is_none() => Ok(()),
            None => Ok(Shelf::Folder(self.dir()).remove(path)?),
        }
    }

    fn seal_private(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        if bytes.len() > MAX_PRIVATE - 1024 {
            return Err(Error::Invalid {
                what: "private file",
                problem: format!("{name:?} would have {} bytes", bytes.len()),
            });
        }
        let suite = self.header.suite;
        let mut sealed = MAGIC.to_vec();
        sealed.extend_from_slice(&[VERSION, suite.byte(), 0, 0]);
        sealed.extend_from_slice(self.id());
        let content = self
            .private_cipher(suite)
            .seal(&aad(&sealed, name), bytes)?;
        sealed.extend_from_slice(&content);
        Ok(sealed)
    }

    fn private_cipher(&self, suite: Suite) -> Cipher {
        Cipher::new(suite, &self.secrets.store.derive(CONTEXT))
    }

    /// Which state of a private file there is. None if there is none of the name.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn private_stamp(&self, name: &str) -> Result<Option<PrivateStamp>> {
        let path = path(name)?;
        match &self.database {
            Database::Sqlite(_) => file_stamp(&self.dir().join(path)),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {
                let text = "SELECT stamp FROM files WHERE name = ?";
                let row = self.reader()?.first(text, &[path.into()])?;
                row.map(|row| Ok(PrivateStamp([row.number(0)?, 0, 0, 0])))
                    .transpose()
            }
        }
    }
}

fn file_stamp(path: &Path) -> Result<Option<PrivateStamp>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(PrivateStamp([
            meta.ino(),
            meta.len(),
            meta.mtime() as u64,
            meta.mtime_nsec() as u64,
        ]))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

/// Where a private file is.
fn path(name: &str) -> Result<String> {
    if !is_plain_name(name, 64) {
        return Err(Error::Invalid {
            what: "name of a private file",
            problem: format!("{name:?} is not made of letters, digits, `.`, `_` and `-`"),
        });
    }
    Ok(format!("{}/{name}", files::PRIVATE))
}

/// Neither another store's file nor one of another name is taken for it.
fn aad(head: &[u8], name: &str) -> Vec<u8> {
    [head, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use keepwatch_crypto::{Credential, Key, Lock};

    use super::*;
    use crate::events::{StoreOptions, StoreRole};

    fn store(dir: &Path, key: &Key) -> Store {
        let lock = Lock::KeyFile(key);
        let options = StoreOptions::default();
        Store::create(dir, &[(lock, StoreRole::Full)], &options).expect("it can be made")
    }

    fn put(store: &Store, name: &str, bytes: &[u8]) -> Result<()> {
        store.change_private(name, |_| Ok::<_, Error>(Some(bytes.to_vec())))
    }

    #[test]
    fn what_is_written_is_read_again_and_nobody_else_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::generate().expect("random bytes");
        let made = store(&folder.path().join("store"), &key);
        assert_eq!(made.read_private("faces").expect("none is fine"), None);
        assert_eq!(made.private_stamp("faces").expect("none is fine"), None);
        put(&made, "faces", b"Ada").expect("it can be written");
        let first = made.private_stamp("faces").expect("it is there");
        put(&made, "faces", b"Ada and Zoe").expect("it can be replaced");
        assert_ne!(made.private_stamp("faces").expect("it is there"), first);
        let path = folder.path().join("store/private/faces");
        let bytes = fs::read(&path).expect("it is there");
        assert!(!bytes.windows(3).any(|window| window == b"Ada"));
        drop(made);
        let credential = Credential::KeyFile(key);
        let again = Store::open_read_only(&folder.path().join("store"), &credential);
        let again = again.expect("the key opens it");
        let read = again.read_private("faces").expect("it is whole");
        assert_eq!(read.expect("it is there").as_slice(), b"Ada and Zoe");
        assert!(matches!(
            put(&again, "faces", b""),
            Err(Error::Invalid { .. })
        ));
    }

    #[test]
    fn what_was_changed_or_moved_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::generate().expect("random bytes");
        let store_a = store(&folder.path().join("a"), &key);
        let store_b = store(&folder.path().join("b"), &key);
        put(&store_a, "faces", b"Ada").expect("it can be written");
        let path = folder.path().join("a/private/faces");
        let good = fs::read(&path).expect("it is there");
        fs::create_dir(folder.path().join("b/private")).expect("it can be made");
        for other in ["a/private/lists", "b/private/faces"] {
            fs::write(folder.path().join(other), &good).expect("it can be copied");
        }
        let damaged = |result: Result<_>| matches!(result, Err(Error::Damaged { .. }));
        assert!(damaged(store_a.read_private("lists").map(drop)));
        assert!(damaged(store_b.read_private("faces").map(drop)));
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).expect("it can be written");
            store_a
                .read_private("faces")
                .expect_err("a bit was changed");
            fs::write(&path, &good[..at]).expect("it can be written");
            store_a.read_private("faces").expect_err("it is cut off");
        }
    }

    #[test]
    fn a_change_that_fails_changes_nothing_and_none_removes() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = store(
            &folder.path().join("store"),
            &Key::generate().expect("random"),
        );
        put(&made, "faces", b"Ada").expect("it can be written");
        let failed = made.change_private("faces", |old| {
            assert_eq!(old, Some(&b"Ada"[..]));
            Err::<Option<Vec<u8>>, _>(read_only())
        });
        assert!(failed.is_err());
        assert!(made.read_private("faces").expect("it is whole").is_some());
        made.change_private("faces", |_| Ok::<_, Error>(None))
            .expect("it can be removed");
        assert_eq!(made.read_private("faces").expect("none is fine"), None);
        for name in ["", "..", ".lock", "a/b", "\0"] {
            assert!(put(&made, name, b"").is_err(), "{name:?}");
        }
    }
}
