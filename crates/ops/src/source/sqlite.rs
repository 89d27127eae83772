//! SQLite, by its online backup, which reads a database while others write to it.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use keepwatch_core::fs::{AtomicFile, Replace};
use keepwatch_core::{Source, with_causes};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::settings::SqliteSettings;
use super::{Ended, RestoreTarget, SourceError, told_by};

/// The first bytes of a database (<https://sqlite.org/fileformat2.html>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// So many pages are copied before writers have their turn.
const PAGES: i32 = 2000;
const PAUSE: Duration = Duration::from_millis(5);
/// So long a lock is waited for.
const BUSY: Duration = Duration::from_secs(60);

/// The copy is made when it is read, and its file has no name from then on.
struct Copy {
    path: PathBuf,
    scratch: PathBuf,
    content: Option<BufReader<File>>,
    ended: Ended,
}

pub(super) fn stream(
    settings: &SqliteSettings,
    folder: &Path,
    scratch: &Path,
) -> Result<Source, SourceError> {
    let name = settings.path.file_name().ok_or(SourceError::Settings {
        problem: "path: it names no file",
    })?;
    let ended = Ended::default();
    let reader = Copy {
        path: settings.path.clone(),
        scratch: scratch.to_owned(),
        content: None,
        ended: ended.clone(),
    };
    Ok(told_by(folder.join(name), reader, ended))
}

impl Read for Copy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let content = match &mut self.content {
            Some(content) => content,
            None => {
                let file = copy(&self.path, &self.scratch)
                    .map_err(|error| io::Error::other(with_causes(&error)))?;
                self.content.insert(BufReader::with_capacity(1 << 18, file))
            }
        };
        let length = content.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(()));
        }
        Ok(length)
    }
}

/// A copy of one moment, looked at.
fn copy(path: &Path, scratch: &Path) -> Result<File, SourceError> {
    let dir = tempfile::Builder::new()
        .prefix("keepwatch-sqlite-")
        .tempdir_in(scratch)
        .map_err(SourceError::file("make a directory in", scratch))?;
    let place = dir.path().join("copy");
    let source = open(path)?;
    let mut target = Connection::open(&place).map_err(SourceError::sqlite("write", &place))?;
    copy_all(&source, &mut target, path)?;
    drop(source);
    // A copy is read by itself: with a log beside it, it would not be.
    let found: String = target
        .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
        .and_then(|_: String| target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))
        .map_err(SourceError::sqlite("check a copy of", path))?;
    if found != "ok" {
        return Err(SourceError::Failed {
            program: path.display().to_string(),
            problem: format!("the database is damaged: {found}"),
        });
    }
    drop(target);
    File::open(&place).map_err(SourceError::file("read", &place))
}

/// Copies page after page. SQLite begins anew whenever another process has written in between, so
/// that with one that never rests it would never end: where there is a write-ahead log, a transaction
/// keeps the moment and disturbs nobody; elsewhere writers wait in the end, until all is copied.
fn copy_all(source: &Connection, target: &mut Connection, path: &Path) -> Result<(), SourceError> {
    let failed = || SourceError::sqlite("copy", path);
    let mode: String = source
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .map_err(failed())?;
    if mode == "wal" {
        source.execute_batch("BEGIN").map_err(failed())?;
        // It begins with what it reads first.
        source
            .query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(failed())?;
    }
    let backup = Backup::new(source, target).map_err(failed())?;
    let mut pages = PAGES;
    let mut steps = 0;
    loop {
        match backup.step(pages).map_err(failed())? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // The lock was waited for already.
            _ => {
                return Err(SourceError::Failed {
                    program: path.display().to_string(),
                    problem: format!("somebody keeps the database locked for {BUSY:?}"),
                });
            }
        }
        steps += 1;
        if steps > 2 * (backup.progress().pagecount / PAGES + 1) {
            pages = -1;
        } else {
            std::thread::sleep(PAUSE);
        }
    }
}

fn open(path: &Path) -> Result<Connection, SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(SourceError::sqlite("open", path))?;
    connection
        .busy_timeout(BUSY)
        .map_err(SourceError::sqlite("open", path))?;
    Ok(connection)
}

pub(super) fn probe(settings: &SqliteSettings) -> Result<(), SourceError> {
    let path = &settings.path;
    open(path)?
        .query_row("PRAGMA schema_version", [], |_| Ok(()))
        .map_err(SourceError::sqlite("read", path))
}

/// Writes a copy to a directory of its own, checks it, and counts its tables.
pub(super) fn rehearse(dump: impl Read, scratch: &Path) -> Result<u64, SourceError> {
    let dir = tempfile::Builder::new()
        .prefix("keepwatch-sqlite-")
        .tempdir_in(scratch)
        .map_err(SourceError::file("make a directory in", scratch))?;
    let path = dir.path().join("copy");
    let settings = SqliteSettings { path: path.clone() };
    restore(&settings, dump, &RestoreTarget::default())?;
    let copy = open(&path)?;
    let failed = || SourceError::sqlite("check", &path);
    let found: String = copy
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed())?;
    if found != "ok" {
        return Err(SourceError::Failed {
            program: "SQLite".to_owned(),
            problem: format!("the database is damaged: {found}"),
        });
    }
    let tables = copy.query_row(
        "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        [],
        |row| row.get::<_, u32>(0),
    );
    tables.map(u64::from).map_err(failed())
}

/// Writes the file anew, whole or not at all.
pub(super) fn restore(
    settings: &SqliteSettings,
    mut dump: impl Read,
    target: &RestoreTarget,
) -> Result<(), SourceError> {
    let into = target.into.as_ref().map(PathBuf::from);
    let path = into.unwrap_or_else(|| settings.path.clone());
    let exists = std::fs::symlink_metadata(&path).is_ok();
    if exists && !target.force {
        return Err(SourceError::Taken {
            what: path.display().to_string(),
        });
    }
    for log in ["-wal", "-journal"] {
        let mut beside = path.clone().into_os_string();
        beside.push(log);
        if Path::new(&beside).exists() {
            return Err(SourceError::Failed {
                program: path.display().to_string(),
                problem: format!(
                    "{} is there: somebody has the database open, or has left it so",
                    Path::new(&beside).display()
                ),
            });
        }
    }
    let mut begin = [0; 16];
    let what = || path.display().to_string();
    dump.read_exact(&mut begin)
        .map_err(|_| SourceError::NoDump { what: what() })?;
    if begin != *MAGIC {
        return Err(SourceError::NoDump { what: what() });
    }
    let mut file = AtomicFile::create(&path, Replace::Files)?;
    file.write_all(&begin)
        .and_then(|()| io::copy(&mut dump, &mut file))
        .map_err(SourceError::file("write", &path))?;
    Ok(file.commit()?)
}
