//! The small files of a store, wherever they are: header, key slots, private files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

#[cfg(feature = "postgres")]
use super::database::{Connection, Value};
use super::files;
use crate::error::{Error, Result};

/// Where they are. A name may have one folder.
pub(crate) enum Shelf<'a> {
    /// In the folder of the store.
    Folder(&'a Path),
    /// In a table.
    #[cfg(feature = "postgres")]
    Table(&'a Connection),
}

impl Shelf<'_> {
    /// Reads a file, up to `max` bytes of it; none if there is none.
    pub fn read(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
        match self {
            Shelf::Folder(dir) => {
                let path = dir.join(name);
                let mut bytes = Vec::new();
                let read =
                    File::open(&path).and_then(|file| file.take(max).read_to_end(&mut bytes));
                match read {
                    Ok(_) => Ok(Some(bytes)),
                    Err(error) if is_absent(&error) => Ok(None),
                    Err(error) => Err(Error::io("read", &path)(error)),
                }
            }
            #[cfg(feature = "postgres")]
            Shelf::Table(db) => {
                let max = i64::try_from(max).unwrap_or(i64::MAX);
                let row = db.first(
                    "SELECT substring(bytes FROM 1 FOR ?) FROM files WHERE name = ?",
                    &[max.into(), name.to_owned().into()],
                )?;
                row.map(|row| row.blob(0).map(<[u8]>::to_vec)).transpose()
            }
        }
    }

    /// The names in a folder, without it.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        match self {
            Shelf::Folder(dir) => {
                let path = dir.join(folder);
                let mut names = Vec::new();
                for entry in fs::read_dir(&path).map_err(Error::io("read", &path))? {
                    let entry = entry.map_err(Error::io("read", &path))?;
                    names.extend(entry.file_name().into_string());
                }
                Ok(names)
            }
            #[cfg(feature = "postgres")]
            Shelf::Table(db) => {
                let prefix = format!("{folder}/");
                let rows = db.query("SELECT name FROM files", &[])?;
                let names = rows.iter().map(|row| row.text(0));
                let names = names.filter_map(|name| {
                    let inside = |name: &str| name.strip_prefix(&prefix).map(str::to_owned);
                    name.map(inside).transpose()
                });
                names.collect()
            }
        }
    }

    /// Writes a file that is whole, durable and new, or not there.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Shelf::Folder(dir) => files::write_new(&dir.join(name), bytes),
            #[cfg(feature = "postgres")]
            Shelf::Table(db) => {
                let added = db.execute(
                    "INSERT INTO files (name, stamp, bytes) VALUES (?, ?, ?)
                     ON CONFLICT (name) DO NOTHING",
                    &[name.to_owned().into(), stamp()?, bytes.to_vec().into()],
                )?;
                match added {
                    1 => Ok(()),
                    _ => Err(Error::FileExists { path: name.into() }),
                }
            }
        }
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self {
            Shelf::Folder(dir) => {
                let path = dir.join(name);
                let removed = fs::remove_file(&path).and_then(|()| files::sync_parent(&path));
                removed.map_err(Error::io("remove", &path))
            }
            #[cfg(feature = "postgres")]
            Shelf::Table(db) => {
                let text = "DELETE FROM files WHERE name = ?";
                db.execute(text, &[name.to_owned().into()]).map(drop)
            }
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// What tells one state of a file in a table from another.
#[cfg(feature = "postgres")]
pub(super) fn stamp() -> Result<Value> {
    let bytes = keepwatch_crypto::random_bytes()?;
    Ok(i64::from_le_bytes(bytes).into())
}
