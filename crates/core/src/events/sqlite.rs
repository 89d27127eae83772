//! The event store on SQLite with SQLCipher.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_crypto::{Credential, Key, Lock, PublicKey};
use rusqlite::types::Value;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
    params_from_iter,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::chain::{Chain, Gap, RecordKind, START, Signer, checkpoint};
use super::layout::{Description, Layout, StoreOptions, StoreRole};
use super::media::MediaStore;
use super::model::{Event, EventFilter, EventId, Segment, check_camera_name};
use super::schema;
use super::slots::Keys;
use super::store::EventStore;
use crate::error::{Error, Result};

/// How long a process waits for another that writes.
const BUSY: Duration = Duration::from_secs(10);

/// Larger records are refused.
const MAX_BODY: usize = 1 << 20;

/// A checkpoint is signed after so many records, or after this time with one at least.
pub(super) const CHECKPOINT_RECORDS: u64 = 64;
const CHECKPOINT_SECONDS: i64 = 60;

/// An event store in a directory.
///
/// Several processes may write to it and read from it at once.
pub struct Store {
    pub(super) layout: Layout,
    pub(super) description: Description,
    keys: Keys,
    pub(super) chain: Chain,
    pub(super) signer: Signer,
    media: MediaStore,
    connection: Mutex<Connection>,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// On what, with what result.
    pub detail: serde_json::Value,
}

impl Store {
    /// Makes a store in an empty or new directory, which each of the locks opens. One of them has
    /// to be [`StoreRole::Full`].
    ///
    /// Blocks for as long as the locks' key derivations take.
    ///
    /// # Errors
    /// [`Error::StoreExists`] when the directory is not empty.
    pub fn create(
        root: &Path,
        locks: &[(Lock<'_>, StoreRole)],
        options: &StoreOptions,
    ) -> Result<Self> {
        let mut made = None;
        let (layout, description, keys) =
            Layout::create(root, locks, options, |layout, _, keys| {
                made = Some(connect(&layout.database(), &keys.database, true)?);
                Ok(())
            })?;
        let connection = made.expect("it was prepared");
        Self::with(layout, description, keys, connection)
    }

    /// Opens a store.
    ///
    /// Blocks for as long as the key derivations of the slots take that the credential is tried on.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::WrongKey`], [`Error::Damaged`].
    pub fn open(root: &Path, credential: &Credential) -> Result<Self> {
        let (layout, description, keys) = Layout::open(root, credential)?;
        let connection = connect(&layout.database(), &keys.database, false)?;
        Self::with(layout, description, keys, connection)
    }

    fn with(
        layout: Layout,
        description: Description,
        keys: Keys,
        connection: Connection,
    ) -> Result<Self> {
        Ok(Self {
            chain: Chain::new(&description.id),
            signer: Signer::new(&keys.signing),
            media: MediaStore::new(layout.media(), description.recipients()?),
            connection: Mutex::new(connection),
            layout,
            description,
            keys,
        })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// Its clips and pictures.
    pub fn media(&self) -> MediaStore {
        self.media.clone()
    }

    /// Who can open new clips and pictures.
    pub fn recipients(&self) -> Result<Vec<PublicKey>> {
        self.description.recipients()
    }

    /// The public key that it signs with.
    pub fn signer(&self) -> &[u8; 32] {
        &self.description.signer
    }

    /// Opens the clips that are sealed to the store itself; none without a full key.
    pub fn clip_credential(&self) -> Option<Credential> {
        let own = self.keys.own.clone()?;
        Some(Credential::Identities(vec![own]))
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`] for a full key when only a writer key opened the store.
    pub fn add_key(&self, lock: &Lock<'_>, role: StoreRole) -> Result<String> {
        self.layout
            .add_slot(lock, role, &self.description, &self.keys)
    }

    /// Names and roles of its keys.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn keys(&self) -> Result<Vec<(String, StoreRole)>> {
        self.layout.slot_roles()
    }

    /// Adds to the audit log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn audit(&self, actor: &str, action: &str, detail: serde_json::Value) -> Result<()> {
        let entry = AuditEntry {
            at: Timestamp::now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            detail,
        };
        self.write(|writer| writer.audit(&entry))
    }

    /// The last lines of the audit log, newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn audit_log(&self, limit: usize) -> Result<Vec<AuditEntry>> {
        let connection = self.lock();
        let sql = "SELECT body FROM record WHERE kind = ?1 ORDER BY seq DESC LIMIT ?2";
        let query = || -> rusqlite::Result<Vec<Vec<u8>>> {
            let mut statement = connection.prepare_cached(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![RecordKind::Audit as u8, limit], |row| {
                row.get::<_, Vec<u8>>(0)
            })?;
            rows.collect()
        };
        let bodies = query().map_err(self.sql())?;
        bodies.iter().map(|body| from_json(body)).collect()
    }

    /// Signs the newest record, unless that is done.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn checkpoint(&self) -> Result<()> {
        self.write(|writer| writer.checkpoint())
    }

    /// A consistent copy of the database, encrypted as it is, while it is in use.
    ///
    /// # Errors
    /// When the copy cannot be written; there is none then.
    pub fn backup_to(&self, path: &Path) -> Result<()> {
        let temporary = path.with_extension("part");
        let copy = || -> Result<()> {
            let failed = |source| Error::Database {
                path: temporary.clone(),
                source,
            };
            let mut to = open_database(&temporary, &self.keys.database, true)?;
            // A connection of its own, so that writers here do not wait.
            let from = open_database(&self.layout.database(), &self.keys.database, false)?;
            let backup = rusqlite::backup::Backup::new(&from, &mut to).map_err(failed)?;
            backup
                .run_to_completion(1024, Duration::from_millis(1), None)
                .map_err(failed)?;
            drop(backup);
            drop(to);
            let file = std::fs::File::open(&temporary).map_err(Error::io("open", &temporary))?;
            file.sync_all().map_err(Error::io("sync", &temporary))?;
            std::fs::rename(&temporary, path).map_err(Error::io("rename", &temporary))
        };
        let copied = copy();
        if copied.is_err() {
            // The error is what matters.
            let _ = std::fs::remove_file(&temporary);
        }
        copied
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sql(&self) -> impl Fn(rusqlite::Error) -> Error + '_ {
        |source| sql_error(&self.layout.database(), source)
    }

    /// Runs one transaction that extends the chain.
    pub(super) fn write<T>(&self, f: impl FnOnce(&mut Writer<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(self.sql())?;
        let mut writer = Writer {
            store: self,
            head: head(&transaction).map_err(self.sql())?,
            transaction,
        };
        let result = f(&mut writer)?;
        writer.checkpoint_if_due()?;
        writer.transaction.commit().map_err(self.sql())?;
        Ok(result)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the event store is closed without a checkpoint");
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("root", &self.layout.root)
            .finish_non_exhaustive()
    }
}

impl EventStore for Store {
    fn put(&self, events: &[Event]) -> Result<()> {
        for event in events {
            check_camera_name(&event.camera)?;
        }
        self.write(|writer| events.iter().try_for_each(|event| writer.event(event)))
    }

    fn put_segment(&self, segment: &Segment) -> Result<()> {
        check_camera_name(&segment.camera)?;
        self.write(|writer| writer.segment(segment))
    }

    fn get(&self, id: EventId) -> Result<Option<Event>> {
        let connection = self.lock();
        let sql = "SELECT body FROM record JOIN event USING (seq) WHERE event.id = ?1";
        let body: Option<Vec<u8>> = connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement
                    .query_row([id.as_bytes()], |row| row.get(0))
                    .optional()
            })
            .map_err(self.sql())?;
        body.map(|body| from_json(&body)).transpose()
    }

    fn list(&self, filter: &EventFilter) -> Result<Vec<Event>> {
        let connection = self.lock();
        let (sql, values) = select(filter);
        let query = || -> rusqlite::Result<Vec<Vec<u8>>> {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
            rows.collect()
        };
        let bodies = query().map_err(self.sql())?;
        bodies.iter().map(|body| from_json(body)).collect()
    }
}

/// Extends the chain within a transaction.
pub(super) struct Writer<'a> {
    store: &'a Store,
    pub transaction: Transaction<'a>,
    pub head: (u64, [u8; 32]),
}

impl Writer<'_> {
    fn record(
        &mut self,
        kind: RecordKind,
        object: Option<&EventId>,
        body: &impl Serialize,
    ) -> Result<i64> {
        let body = serde_json::to_vec(body).expect("it is plain data");
        if body.len() > MAX_BODY {
            return Err(Error::Invalid {
                what: "event",
                problem: format!("it takes more than {MAX_BODY} bytes"),
            });
        }
        let salt = Chain::salt()?;
        let chain = &self.store.chain;
        let seq = self.head.0 + 1;
        let link = chain.link(&self.head.1, seq, &chain.digest(kind, &salt, &body));
        let number = i64::try_from(seq).expect("nobody writes that many records");
        self.execute(
            "INSERT INTO record (seq, kind, object, body, salt, link)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                number,
                kind as u8,
                object.map(|id| id.as_bytes()),
                body,
                salt,
                link
            ],
        )?;
        self.head = (seq, link);
        Ok(number)
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        let seq = self.record(RecordKind::Event, Some(&event.id), event)?;
        self.execute(
            "INSERT OR REPLACE INTO event (id, camera, kind, started, ended, seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                event.id.as_bytes(),
                event.camera,
                event.kind.name(),
                event.started_at.as_microsecond(),
                event.ended_at.map(|ended| ended.as_microsecond()),
                seq
            ],
        )
    }

    fn segment(&mut self, segment: &Segment) -> Result<()> {
        let seq = self.record(RecordKind::Segment, Some(&segment.id), segment)?;
        self.execute(
            "INSERT OR REPLACE INTO segment (id, camera, started, ended, bytes, seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                segment.id.as_bytes(),
                segment.camera,
                segment.media.started_at.as_microsecond(),
                segment.ended_at.as_microsecond(),
                i64::try_from(segment.media.bytes).unwrap_or(i64::MAX),
                seq
            ],
        )
    }

    pub fn audit(&mut self, entry: &AuditEntry) -> Result<()> {
        self.record(RecordKind::Audit, None, entry).map(|_| ())
    }

    fn checkpoint_if_due(&mut self) -> Result<()> {
        let last = self.last_checkpoint()?;
        let now = Timestamp::now().as_microsecond();
        let due = match last {
            None => true,
            Some((seq, at)) => {
                let records = self.head.0.saturating_sub(seq);
                let age = (now - at) / 1_000_000;
                records >= CHECKPOINT_RECORDS
                    || (records > 0 && !(0..CHECKPOINT_SECONDS).contains(&age))
            }
        };
        if due { self.checkpoint() } else { Ok(()) }
    }

    pub fn checkpoint(&mut self) -> Result<()> {
        let (seq, link) = self.head;
        let signed = self.last_checkpoint()?.is_some_and(|(last, _)| last == seq);
        if seq == 0 || signed {
            return Ok(());
        }
        let at = Timestamp::now();
        let statement = checkpoint(&self.store.description.id, seq, &link, at);
        let signature = self.store.signer.sign(&statement);
        self.execute(
            "INSERT OR REPLACE INTO checkpoint (seq, link, at, signature) VALUES (?1, ?2, ?3, ?4)",
            params![seq as i64, link, at.as_microsecond(), signature],
        )
    }

    fn last_checkpoint(&self) -> Result<Option<(u64, i64)>> {
        let sql = "SELECT seq, at FROM checkpoint ORDER BY seq DESC LIMIT 1";
        let query = || -> rusqlite::Result<Option<(i64, i64)>> {
            let mut statement = self.transaction.prepare_cached(sql)?;
            statement
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        };
        let last = query().map_err(self.store.sql())?;
        Ok(last.map(|(seq, at)| (seq as u64, at)))
    }

    /// For `map_err` on queries.
    pub fn store_sql(&self) -> impl Fn(rusqlite::Error) -> Error + '_ {
        self.store.sql()
    }

    /// Signs for a gap.
    pub fn sign_gap(&self, gap: &Gap) -> [u8; 64] {
        let statement = gap.statement(&self.store.description.id);
        self.store.signer.sign(&statement)
    }

    pub fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map(|_| ())
            .map_err(self.store.sql())
    }
}

/// The last record's number and link, or those of the gap after it.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<(u64, [u8; 32])> {
    let sql = "SELECT seq, link FROM (
                   SELECT seq, link FROM (SELECT seq, link FROM record ORDER BY seq DESC LIMIT 1)
                   UNION ALL
                   SELECT last, link_after FROM
                       (SELECT last, link_after FROM gap ORDER BY first DESC LIMIT 1)
               ) ORDER BY seq DESC LIMIT 1";
    let head: Option<(i64, [u8; 32])> = connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(head.map_or((0, START), |(seq, link)| (seq as u64, link)))
}

fn select(filter: &EventFilter) -> (String, Vec<Value>) {
    let mut sql = "SELECT body FROM record JOIN event USING (seq) WHERE 1".to_owned();
    let mut values: Vec<Value> = Vec::new();
    let mut among = |column: &str, names: Vec<String>, values: &mut Vec<Value>| {
        if !names.is_empty() {
            let marks = vec!["?"; names.len()].join(", ");
            sql.push_str(&format!(" AND event.{column} IN ({marks})"));
            values.extend(names.into_iter().map(Value::Text));
        }
    };
    among("camera", filter.cameras.clone(), &mut values);
    let kinds = filter.kinds.iter().map(|kind| kind.name().to_owned());
    among("kind", kinds.collect(), &mut values);
    for (condition, time) in [
        ("started >= ?", filter.since),
        ("started < ?", filter.until),
    ] {
        if let Some(time) = time {
            sql.push_str(&format!(" AND {condition}"));
            values.push(Value::Integer(time.as_microsecond()));
        }
    }
    if filter.open {
        sql.push_str(" AND ended IS NULL");
    }
    let (comparison, order) = match filter.oldest_first {
        true => (">", "ASC"),
        false => ("<", "DESC"),
    };
    if let Some(after) = filter.after {
        sql.push_str(&format!(
            " AND (started, id) {comparison} (SELECT started, id FROM event WHERE id = ?)"
        ));
        values.push(Value::Blob(after.as_bytes().to_vec()));
    }
    sql.push_str(&format!(" ORDER BY started {order}, id {order} LIMIT ?"));
    let limit = filter
        .limit
        .map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
    values.push(Value::Integer(limit));
    (sql, values)
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::damaged("an event", error))
}

fn connect(path: &Path, key: &Key, new: bool) -> Result<Connection> {
    let mut connection = open_database(path, key, new)?;
    let failed = |source| sql_error(path, source);
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(failed)?;
    schema::migrate(&mut connection).map_err(|error| error.or_sql(failed))?;
    Ok(connection)
}

fn open_database(path: &Path, key: &Key, new: bool) -> Result<Connection> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if new {
        // SQLite would make it for everyone to read.
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::io("create", path))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let hex = Zeroizing::new(hex::encode(key.expose()));
        let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", *hex));
        connection.execute_batch(&pragma)?;
        // Durable once committed, also over a loss of power.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        Ok(connection)
    };
    open().map_err(|source| sql_error(path, source))
}

/// Damage is told apart from what else can go wrong.
fn sql_error(path: &Path, source: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, NotADatabase};
    match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            Error::damaged(path.display(), "the database is not what was written")
        }
        Some(DatabaseBusy) => Error::Busy {
            what: "another process that writes events".to_owned(),
        },
        _ => Error::Database {
            path: path.to_owned(),
            source,
        },
    }
}
