//! A consistent copy of the database while it is in use.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;

use super::database::Mode;
use super::files;
use super::store::Store;
use crate::error::{Error, Result};

/// So many pages are copied between two looks at what others want.
const STEP_PAGES: i32 = 1000;

impl Store {
    /// Copies the database to a new file, encrypted with the same key, readable by its owner only.
    ///
    /// It is the state at one moment, whatever is written meanwhile. With the store's `store` file
    /// and `keys` it makes a store again.
    ///
    /// # Errors
    /// [`Error::Io`] when there is a file at `path`.
    pub fn backup_to(&self, path: &Path) -> Result<()> {
        let temporary = files::temporary_beside(path)?;
        let result = self.copy(&temporary).and_then(|()| {
            std::fs::File::open(&temporary)
                .and_then(|file| file.sync_all())
                .and_then(|()| files::publish(&temporary, path))
                .map_err(Error::io("write", path))
        });
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        result
    }

    fn copy(&self, temporary: &Path) -> Result<()> {
        drop(files::new_file(temporary).map_err(Error::io("create", temporary))?);
        let file = self.database.file()?;
        let target = file.at(temporary);
        // A connection of its own: what reads meanwhile does not wait.
        let source = file.connect(Mode::Read)?.db;
        let copy = || -> rusqlite::Result<()> {
            // One moment of the log for all steps: otherwise each write begins the copy anew.
            source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
            let mut copy = target.connect_empty()?;
            Backup::new(&source, &mut copy)?.run_to_completion(STEP_PAGES, Duration::ZERO, None)?;
            copy.execute_batch("PRAGMA journal_mode = DELETE;")
        };
        copy().map_err(target.failed())
    }
}
