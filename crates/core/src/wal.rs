//! How our databases are switched to a write-ahead log.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Switches to a write-ahead log, waiting for others that do the same.
///
/// `busy_timeout` does not cover this: whoever reads the header of a new database and then needs it
/// for itself is told `SQLITE_BUSY` at once, because two who waited for each other would wait for
/// ever (<https://www.sqlite.org/c3ref/busy_handler.html>).
pub(crate) fn use_wal(connection: &Connection, timeout: Duration) -> rusqlite::Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL;") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => return result,
        }
    }
}
