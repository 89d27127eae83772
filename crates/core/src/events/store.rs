//! The event store in a directory: an encrypted database beside sealed files.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use keepwatch_crypto::{Credential, Lock, PublicKey, Suite, ct_eq};

use super::beginning::Beginning;
use super::chain::{Appender, Chain, RecordKind};
use super::database::{Connection, Database, Hold, Mode, SqliteFile, Value};
use super::event_store::EventStore;
use super::files;
use super::follow::{self, Pulse, Watch};
use super::header::{Header, refuse_content};
use super::labels;
use super::media::{self, MediaStore};
use super::model::{Event, EventFilter, EventId, EventKind, Segment};
use super::pool::{Lent, Pool};
use super::query;
use super::shelf::Shelf;
use super::slots::{self, Secrets};
use super::turns::{Turn, Turns};
use crate::error::{Error, Result};
use crate::keyring::Role;

/// How long who writes waits for others of this process that do. With what the database itself waits
/// for others it is less than clients of a server wait for an answer.
const TURN: Duration = Duration::from_secs(15);
/// So many events are added by the same statements.
const BATCH: usize = 64;

/// How a store is made.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Who can open what is recorded, beside the store itself.
    pub recipients: Vec<PublicKey>,
    /// Whether the store's own key, which full keys hold, opens what is recorded. It must when
    /// there are no recipients.
    pub own_identity: bool,
    /// The cipher suite of key slots and media.
    pub suite: Suite,
}

impl Default for StoreOptions {
    /// What is recorded opens with a full key of the store.
    fn default() -> Self {
        Self {
            recipients: Vec::new(),
            own_identity: true,
            suite: Suite::recommended(),
        }
    }
}

/// Events, their chain and their media, in a directory.
///
/// Any number of processes may use one store at once. Everything that is added extends a signed
/// hash chain, which [`Store::verify`] checks. It may be shared between threads.
pub struct Store {
    dir: PathBuf,
    pub(super) header: Header,
    pub(super) secrets: Secrets,
    pub(super) signing: SigningKey,
    pub(super) chain: Chain,
    pub(super) database: Database,
    /// None of a store that is only read.
    writer: Option<Turns<Writer>>,
    readers: Pool<Connection>,
    pulse: Pulse,
    /// Opened by whoever first waits.
    watch: Mutex<Option<Watch>>,
    media: MediaStore,
    pub(super) recording: Mutex<Recording>,
}

/// The events that this process has begun and not ended.
pub(super) struct Recording {
    /// None where the database keeps the lock.
    pub lock: Option<File>,
    pub open: HashSet<EventId>,
}

/// What writes.
struct Writer {
    /// None when it is gone; the next one who writes connects anew.
    connection: Option<Connection>,
    /// What it holds, or shall hold when it is there again.
    hold: Hold,
}

impl Store {
    /// Makes a store in an empty or missing directory.
    ///
    /// Each lock opens it in a role. A *writer* can add events and read them, and open no media
    /// that is sealed to the store's own key; there must be a *full* key if anything is.
    ///
    /// # Errors
    /// [`Error::StoreExists`] when there is something in the directory; [`Error::Invalid`] when
    /// nobody could open the store or what is recorded.
    pub fn create(dir: &Path, locks: &[(Lock<'_>, Role)], options: &StoreOptions) -> Result<Self> {
        let Beginning {
            header,
            secrets,
            slots,
        } = Beginning::new(locks, options)?;
        files::make_dir(dir)?;
        refuse_content(dir)?;
        files::make_dir(&dir.join(files::KEYS))?;
        files::make_dir(&dir.join(files::MEDIA))?;
        let shelf = Shelf::Folder(dir);
        for (name, slot) in slots {
            shelf.write_new(&slots::path(&name), &slot)?;
        }
        let database = SqliteFile::new(dir.join(files::DATABASE), &secrets.store);
        files::new_file(&database.path).map_err(Error::io("create", &database.path))?;
        drop(database.connect(Mode::Create)?);
        files::new_file(&dir.join(files::RECORDING)).map_err(Error::io("create", dir))?;
        // What makes it a store comes last: before, it can be made again in an empty folder only.
        shelf.write_new(files::STORE, &header.to_bytes(&secrets.store))?;
        Self::in_directory(dir, header, secrets, Mode::Write)
    }

    /// Opens a store for reading and writing.
    ///
    /// # Errors
    /// [`Error::NoStore`] when none is there, [`Error::WrongKey`] when no key of it opens,
    /// [`Error::Damaged`] when what opens it was changed.
    pub fn open(dir: &Path, credential: &Credential) -> Result<Self> {
        Self::open_as(dir, credential, Mode::Write)
    }

    /// Opens a store for reading, also while another process writes.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_read_only(dir: &Path, credential: &Credential) -> Result<Self> {
        Self::open_as(dir, credential, Mode::Read)
    }

    /// Whether a directory holds an event store.
    pub fn exists(dir: &Path) -> bool {
        let header = Header::read(&Shelf::Folder(dir), &dir.display());
        header.is_ok_and(|bytes| Header::parse(&bytes).is_ok())
    }

    fn open_as(dir: &Path, credential: &Credential, mode: Mode) -> Result<Self> {
        let shelf = Shelf::Folder(dir);
        let (header, secrets) = Self::unlock(&shelf, &dir.display(), credential)?;
        Self::in_directory(dir, header, secrets, mode)
    }

    /// What a credential opens of the store at `location`.
    pub(super) fn unlock(
        shelf: &Shelf<'_>,
        location: &dyn std::fmt::Display,
        credential: &Credential,
    ) -> Result<(Header, Secrets)> {
        let bytes = Header::read(shelf, location)?;
        let header = Header::parse(&bytes)?;
        let secrets = slots::open(shelf, location, &header.id, credential)?;
        Header::authenticate(&bytes, &secrets.store)?;
        Ok((header, secrets))
    }

    fn in_directory(dir: &Path, header: Header, secrets: Secrets, mode: Mode) -> Result<Self> {
        let path = dir.join(files::RECORDING);
        let database = Database::Sqlite(SqliteFile::new(dir.join(files::DATABASE), &secrets.store));
        let lock = || {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map(Some)
                .map_err(Error::io("open", &path))
        };
        Self::assemble(dir, header, secrets, mode, database, lock)
    }

    pub(super) fn assemble(
        dir: &Path,
        header: Header,
        secrets: Secrets,
        mode: Mode,
        database: Database,
        lock: impl FnOnce() -> Result<Option<File>>,
    ) -> Result<Self> {
        let signing = SigningKey::from_bytes(secrets.signing.expose());
        let identity_fits = secrets
            .identity
            .as_ref()
            .is_none_or(|identity| identity.public() == header.identity);
        if !ct_eq(signing.verifying_key().as_bytes(), &header.signer) || !identity_fits {
            return Err(Error::damaged("a key slot", "its keys are not the store's"));
        }
        let writer = match mode {
            Mode::Read => None,
            _ => Some(Turns::new(Writer {
                connection: Some(database.connect(Mode::Write)?),
                hold: Hold::Nothing,
            })),
        };
        let readers = Pool::new(Connection::is_alive, Connection::still_works);
        // What cannot be read is not opened.
        drop(readers.take(|| database.connect(Mode::Read))?);
        let lock = lock()?;
        let recipients = header.media_recipients();
        Ok(Self {
            media: MediaStore::at(dir, recipients, header.suite)?,
            chain: Chain::new(header.id),
            dir: dir.to_owned(),
            header,
            secrets,
            signing,
            database,
            writer,
            readers,
            pulse: Pulse::new(),
            watch: Mutex::new(None),
            recording: Mutex::new(Recording {
                lock,
                open: HashSet::new(),
            }),
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The id, 16 random bytes.
    pub fn id(&self) -> &[u8; 16] {
        &self.header.id
    }

    /// The ed25519 public key that signs checkpoints and evidence.
    pub fn signer(&self) -> &[u8; 32] {
        &self.header.signer
    }

    /// Whom media is sealed to.
    pub fn recipients(&self) -> Vec<PublicKey> {
        self.header.media_recipients()
    }

    /// What the key that opened the store may do.
    pub fn role(&self) -> Role {
        match self.secrets.identity {
            Some(_) => Role::Full,
            None => Role::Writer,
        }
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.writer.is_some()
    }

    /// The sealed files.
    pub fn media(&self) -> MediaStore {
        self.media.clone()
    }

    /// What opens media that is sealed to the store itself; only full keys have it.
    pub fn clip_credential(&self) -> Option<Credential> {
        let identity = self.secrets.identity.clone()?;
        self.header.own_identity.then(|| Credential::from(identity))
    }

    /// Signs the end of the chain and closes the store. Dropping it does the same, and tells
    /// nobody when that fails.
    ///
    /// # Errors
    /// When the signature cannot be stored.
    pub fn close(self) -> Result<()> {
        self.sign_end()
    }

    fn sign_end(&self) -> Result<()> {
        if self.writer.is_none() {
            return Ok(());
        }
        self.append(|chain, _| chain.checkpoint())
    }

    /// Runs `work` in a transaction that extends the chain.
    pub(super) fn append<T>(
        &self,
        work: impl FnOnce(&mut Appender<'_>, &Connection) -> Result<T>,
    ) -> Result<T> {
        self.writing(|db| {
            let (result, head) = db.write(|tx| {
                let mut appender = Appender::new(tx, &self.chain, &self.signing, Timestamp::now())?;
                let before = appender.last();
                let result = work(&mut appender, tx)?;
                let head = appender.finish()?;
                if head > before {
                    tx.tell(head)?;
                }
                Ok::<_, Error>((result, head))
            })?;
            self.pulse.grow(head);
            Ok(result)
        })
    }

    /// Runs `work` on the connection for writing.
    pub(super) fn writing<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.turn()?;
        writer.connection.take_if(|db| !db.still_works());
        if writer.connection.is_none() {
            let db = self.database.connect(Mode::Write)?;
            db.hold(writer.hold)?;
            writer.connection = Some(db);
        }
        let db = writer.connection.as_ref().expect("it is there now");
        let result = work(db);
        if !db.is_alive() {
            writer.connection = None;
        }
        result
    }

    /// A turn to write.
    fn turn(&self) -> Result<Turn<'_, Writer>> {
        let writer = self.writer.as_ref().ok_or_else(read_only)?;
        writer.take(TURN).ok_or_else(|| Error::Unavailable {
            what: format!("the database {}", self.database.name()),
            source: None,
        })
    }

    /// Changes what the connection for writing holds of the lock of those who record.
    pub(super) fn hold_on_server(&self, wanted: Hold) -> Result<bool> {
        if self.is_writable() && wanted != Hold::Alone {
            self.turn()?.hold = wanted;
        }
        self.writing(|db| db.hold(wanted))
    }

    /// A connection for reading.
    pub(super) fn reader(&self) -> Result<Lent<'_, Connection>> {
        self.readers.take(|| self.database.connect(Mode::Read))
    }

    /// Gives the numbers of the records.
    pub(super) fn store_events(
        chain: &mut Appender<'_>,
        tx: &Connection,
        events: &[Event],
    ) -> Result<Vec<u64>> {
        let body = |event: &Event| serde_json::to_vec(event).expect("an event is plain JSON");
        let bodies: Vec<_> = events.iter().map(|event| (event.id, body(event))).collect();
        let seqs = chain.append_events(&bodies)?;
        // Of several states the last one counts.
        let states: BTreeMap<EventId, (&Event, u64)> = events
            .iter()
            .zip(&seqs)
            .map(|(event, seq)| (event.id, (event, *seq)))
            .collect();
        let row = |(event, seq): &(&Event, u64)| {
            [
                event.id.as_bytes().to_vec().into(),
                event.camera.clone().into(),
                event.kind.name().to_owned().into(),
                nanoseconds(event.started_at).into(),
                event
                    .ended_at
                    .map(nanoseconds)
                    .map_or(Value::Null, Value::from),
                seq.cast_signed().into(),
            ]
        };
        tx.insert(
            "events (id, camera, kind, started, ended, seq)",
            states.values().map(row).collect(),
            " ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, kind = excluded.kind,
             started = excluded.started, ended = excluded.ended, seq = excluded.seq",
        )?;
        let events: Vec<&Event> = states.values().map(|(event, _)| *event).collect();
        labels::store(tx, &events)?;
        Ok(seqs)
    }
}

impl EventStore for Store {
    fn put(&self, events: &[Event]) -> Result<()> {
        for event in events {
            media::check_camera_name(&event.camera)?;
            check_numbers(event)?;
        }
        if events.is_empty() {
            return Ok(());
        }
        self.note_open(events)?;
        self.append(|chain, tx| {
            // Few enough for their bodies to be held.
            events
                .chunks(BATCH)
                .try_for_each(|events| Self::store_events(chain, tx, events).map(drop))
        })
    }

    fn put_segment(&self, segment: &Segment) -> Result<()> {
        media::check_camera_name(&segment.camera)?;
        let body = serde_json::to_vec(segment).expect("a segment is plain JSON");
        self.append(|chain, tx| {
            let seq = chain.append(RecordKind::Segment, Some(segment.id), &body)?;
            tx.execute(
                "INSERT INTO segments (id, camera, started, ended, bytes, seq)
                 VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT (id) DO UPDATE SET camera = excluded.camera,
                 started = excluded.started, ended = excluded.ended, bytes = excluded.bytes,
                 seq = excluded.seq",
                &[
                    segment.id.as_bytes().to_vec().into(),
                    segment.camera.clone().into(),
                    nanoseconds(segment.media.started_at).into(),
                    nanoseconds(segment.ended_at).into(),
                    segment.media.bytes.cast_signed().into(),
                    seq.cast_signed().into(),
                ],
            )?;
            Ok(())
        })
    }

    fn get(&self, id: EventId) -> Result<Option<Event>> {
        let db = self.reader()?;
        let row = db.first(
            "SELECT r.seq, r.body FROM events e JOIN records r ON r.seq = e.seq WHERE e.id = ?",
            &[id.as_bytes().to_vec().into()],
        )?;
        row.map(|row| Ok(query::numbered(&db, row)?.1)).transpose()
    }

    fn get_numbered(&self, number: u64) -> Result<Option<Event>> {
        self.numbered(number)
    }

    fn list_numbered(&self, filter: &EventFilter) -> Result<Vec<(u64, Event)>> {
        query::list_numbered(&*self.reader()?, filter)
    }

    fn count(&self, filter: &EventFilter) -> Result<BTreeMap<EventKind, u64>> {
        query::count(&*self.reader()?, filter)
    }

    fn head(&self) -> Result<u64> {
        follow::last_seq(&*self.reader()?)
    }

    fn changes(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>> {
        query::changes(&*self.reader()?, after, limit)
    }

    fn wait(&self, seen: u64, timeout: Duration) -> Result<u64> {
        self.pulse.wait(seen, timeout, |time| {
            let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            let found = match &mut *watch {
                Some(watch) => watch.look(time),
                none => none
                    .insert(Watch::open(&self.database)?)
                    .look(Duration::ZERO),
            };
            if watch.as_ref().is_some_and(|watch| !watch.is_alive()) {
                *watch = None;
            }
            found
        })
    }
}

/// What a store that is only read says to changes.
pub(super) fn read_only() -> Error {
    Error::Invalid {
        what: "event store",
        problem: "it was opened for reading only".to_owned(),
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.sign_end() {
            tracing::warn!(%error, "the end of the event chain is not signed");
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .field("role", &self.role())
            .finish_non_exhaustive()
    }
}

/// JSON has no infinite numbers, and what is written as none could not be read again.
pub(super) fn check_numbers(event: &Event) -> Result<()> {
    let finite = event.observations.iter().all(|seen| {
        let region = seen.region.unwrap_or_default();
        [seen.score, region.x, region.y, region.w, region.h]
            .iter()
            .all(|number| number.is_finite())
    });
    finite.then_some(()).ok_or_else(|| Error::Invalid {
        what: "observation",
        problem: "a number in it is not finite".to_owned(),
    })
}

/// Nanoseconds since 1970 as the database has them; what lies outside of 1677 to 2262 is cut off.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    let nanoseconds = at.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// What a record holds.
pub(super) fn parse_body<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|_| Error::damaged("a record of the event store", "it is not readable"))
}
