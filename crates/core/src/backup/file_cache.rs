//! What the last backups saw of each file, so that what has not changed is not read again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::Result;
use crate::fs::Stat;
use crate::id::Id;
use crate::scrub::cache_error;
use crate::snapshot::Mode;
use crate::wal::use_wal;

const SCHEMA: i64 = 1;
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
const ROWS_AT_ONCE: usize = 2000;

/// Stands for the path of a directory.
pub(crate) type DirKey = [u8; 16];

/// A file as it was when it was last read.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    stat: Vec<u8>,
    /// The run that read it.
    run: i64,
    /// The chunks of its content, all of them: a list of chunks may outlive what it lists.
    pub ids: Vec<Id>,
    /// The extents that its chunks hold, if it is sparse.
    pub extents: Option<Vec<(u64, u64)>>,
}

impl Seen {
    /// Whether the file is the same by all that the file system says of it, and was read no later
    /// than `run`, if that matters.
    pub fn is_current(&self, stat: &Stat, read_by: Option<i64>) -> bool {
        self.stat == fingerprint(stat) && read_by.is_none_or(|run| self.run <= run)
    }
}

/// The last run of a set of paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub number: i64,
    pub snapshot: Id,
}

/// The database. Losing it costs time only.
pub(crate) struct FileCache {
    path: PathBuf,
    connection: Connection,
    run: i64,
    /// Rows are written together, so that other processes wait for milliseconds only.
    waiting: Vec<Row>,
}

impl FileCache {
    /// Opens the cache, or makes a new one if what is there cannot be used.
    pub fn open(path: &Path) -> Result<Self> {
        match Self::try_open(path) {
            Err(error) if is_unusable(&error) => {
                tracing::warn!(path = %path.display(), %error, "the file cache is made anew");
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    let _ = std::fs::remove_file(PathBuf::from(name));
                }
                Self::try_open(path)
            }
            result => result,
        }
        .map_err(|source| cache_error(path, source))
    }

    fn try_open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        use_wal(&connection, BUSY_TIMEOUT)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL;")?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != 0 && version != SCHEMA {
            return Err(rusqlite::Error::InvalidQuery);
        }
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS runs (
                 run INTEGER PRIMARY KEY AUTOINCREMENT, paths BLOB NOT NULL, full INTEGER NOT NULL, snapshot BLOB);
             CREATE TABLE IF NOT EXISTS files (
                 dir BLOB NOT NULL, name BLOB NOT NULL, stat BLOB NOT NULL, run INTEGER NOT NULL,
                 chunks BLOB NOT NULL, extents BLOB,
                 PRIMARY KEY (dir, name)) WITHOUT ROWID;
             PRAGMA user_version = {SCHEMA};"
        ))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            run: 0,
            waiting: Vec::new(),
        })
    }

    fn fail(&self) -> impl Fn(rusqlite::Error) -> crate::Error + '_ {
        |source| cache_error(&self.path, source)
    }

    /// The last run of this set that ended with a snapshot; the last full one if `full`.
    pub fn last_run(&self, set: &Id, full: bool) -> Result<Option<Run>> {
        self.connection
            .query_row(
                "SELECT run, snapshot FROM runs WHERE paths = ? AND snapshot IS NOT NULL AND full >= ? ORDER BY run DESC LIMIT 1",
                params![set.as_bytes().as_slice(), full],
                |row| {
                    Ok(Run {
                        number: row.get(0)?,
                        snapshot: Id::from_bytes(row.get(1)?),
                    })
                },
            )
            .optional()
            .map_err(self.fail())
    }

    /// Begins a run; what is remembered from now on belongs to it.
    pub fn begin(&mut self, set: &Id, mode: Mode) -> Result<()> {
        self.connection
            .execute(
                "INSERT INTO runs (paths, full) VALUES (?, ?)",
                params![set.as_bytes().as_slice(), mode == Mode::Full],
            )
            .map_err(self.fail())?;
        self.run = self.connection.last_insert_rowid();
        Ok(())
    }

    /// Ends the run with its snapshot.
    pub fn finish(&mut self, snapshot: &Id) -> Result<()> {
        self.flush()?;
        self.connection
            .execute(
                "UPDATE runs SET snapshot = ? WHERE run = ?",
                params![snapshot.as_bytes().as_slice(), self.run],
            )
            .map(drop)
            .map_err(self.fail())
    }

    /// Writes what was remembered so far. What a run learned of files stays even if it is interrupted.
    pub fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() {
            return Ok(());
        }
        let run = self.run;
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR REPLACE INTO files (dir, name, stat, run, chunks, extents) VALUES (?, ?, ?, ?, ?, ?)",
                )?;
                for row in rows {
                    let dir = row.dir.as_slice();
                    insert.execute(params![dir, row.name, row.stat, run, row.ids, row.extents])?;
                }
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(|source| cache_error(&self.path, source))
    }

    /// What is known of a file.
    pub fn get(&self, dir: &DirKey, name: &[u8]) -> Result<Option<Seen>> {
        self.connection
            .prepare_cached(
                "SELECT stat, run, chunks, extents FROM files WHERE dir = ? AND name = ?",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(params![dir.as_slice(), name], |row| {
                        let chunks = row.get_ref(2)?.as_blob()?;
                        let extents: Option<Vec<u8>> = row.get(3)?;
                        Ok(Seen {
                            stat: row.get(0)?,
                            run: row.get(1)?,
                            ids: chunks
                                .chunks_exact(32)
                                .map(|id| Id::from_bytes(id.try_into().expect("32 bytes")))
                                .collect(),
                            extents: extents.map(|bytes| decode_extents(&bytes)),
                        })
                    })
                    .optional()
            })
            .map_err(self.fail())
    }

    /// Remembers a file that was read in this run.
    ///
    /// Without a `stat` it counts as changed the next time, because nothing would show a change.
    pub fn put(
        &mut self,
        dir: &DirKey,
        name: &[u8],
        stat: Option<&Stat>,
        ids: &[Id],
        extents: Option<&[(u64, u64)]>,
    ) -> Result<()> {
        self.waiting.push(Row {
            dir: *dir,
            name: name.to_vec(),
            stat: stat.map(fingerprint).unwrap_or_default(),
            ids: ids.iter().flat_map(|id| *id.as_bytes()).collect(),
            extents: extents.map(encode_extents),
        });
        if self.waiting.len() >= ROWS_AT_ONCE {
            self.flush()
        } else {
            Ok(())
        }
    }
}

struct Row {
    dir: DirKey,
    name: Vec<u8>,
    stat: Vec<u8>,
    ids: Vec<u8>,
    extents: Option<Vec<u8>>,
}

fn encode_extents(extents: &[(u64, u64)]) -> Vec<u8> {
    extents
        .iter()
        .flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()])
        .flatten()
        .collect()
}

fn is_unusable(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        rusqlite::Error::InvalidQuery => true,
        error => matches!(
            error.sqlite_error_code(),
            Some(DatabaseCorrupt | NotADatabase)
        ),
    }
}

/// All that tells whether a file has changed: not its mode or owner, which change without its content,
/// and not the number of its device. That is another one for each snapshot of a file system and after
/// each reboot with disks found in another order, and where another file system takes the place of
/// one, inode and change time to the nanosecond tell its files from those.
fn fingerprint(stat: &Stat) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend_from_slice(&stat.size.to_le_bytes());
    bytes.extend_from_slice(&stat.ino.to_le_bytes());
    for time in [&stat.mtime, &stat.ctime] {
        bytes.extend_from_slice(&time.secs.to_le_bytes());
        bytes.extend_from_slice(&time.nanos.to_le_bytes());
    }
    bytes
}

fn decode_extents(bytes: &[u8]) -> Vec<(u64, u64)> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    bytes
        .chunks_exact(16)
        .map(|pair| (number(&pair[..8]), number(&pair[8..])))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn a_new_cache_may_be_opened_by_several_at_once() {
        for _ in 0..40 {
            let dir = tempfile::tempdir().expect("there is room");
            let path = dir.path().join("files.sqlite");
            let start = Barrier::new(6);
            std::thread::scope(|scope| {
                let openers: Vec<_> = (0..6)
                    .map(|number| {
                        let (path, start) = (&path, &start);
                        scope.spawn(move || {
                            start.wait();
                            let mut cache = FileCache::open(path)?;
                            cache.begin(&Id::from_bytes([number; 32]), Mode::Full)
                        })
                    })
                    .collect();
                for opener in openers {
                    let opened = opener.join().expect("nobody panics");
                    opened.expect("it is opened");
                }
            });
        }
    }
}
