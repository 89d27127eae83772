//! The store that keeps events.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keepwatch_core::events::{
    self, EventFilter, EventId, EventKind, EventStore as _, MediaRef, Store, StoreOptions,
    StoreRole, VerifyOptions,
};
use keepwatch_core::fs::AtomicFile;
use keepwatch_crypto::{Credential, Kdf, NewLock};
use pyo3::prelude::*;

use crate::credential::{
    IdentitySource, KeySource, Secret, borrowed, credential, kdf, new_locks, one_of,
    parse_recipient,
};
use crate::crypto::replace;
use crate::errors::{Raise, Result};
use crate::event::Event;
use crate::handle::Handle;
use crate::record::{FilePath, Moment, Strings, Time, Tuple, Whole, record, timestamp};
use crate::stream::BinaryReader;
use crate::work::{self, Stop, Stoppable};

record! {
    /// Something that is wrong with an event store.
    Finding {
        /// What kind of fault.
        kind: String,
        /// The record.
        seq: Option<u64>,
        /// The event or segment.
        id: Option<String>,
        /// In words.
        detail: String,
    }
}

record! {
    /// What a verification of an event store saw; true if nothing is wrong.
    VerifyReport {
        /// Whether nothing is wrong.
        ok: bool,
        /// Records that are there.
        records: u64,
        /// Good signatures.
        checkpoints: u64,
        /// Records after the last signature: their order is proven by the next one only.
        unsigned: u64,
        /// The last record; 0 if there is none.
        head_seq: u64,
        /// Its link. Kept elsewhere, it proves later that the chain was not cut off.
        head_link: String,
        /// The ed25519 public key of the signatures, in hexadecimal digits.
        signer: String,
        /// Runs of records that were purged, and signed for.
        gaps: u64,
        /// How many records they had.
        purged: u64,
        /// Media files that were looked at.
        media: u64,
        /// Media files that a crash cut off, as their events say.
        incomplete_media: u64,
        /// What is wrong, up to a thousand of them.
        findings: Tuple,
        /// How many more there are.
        more_findings: u64,
    }
}

#[pymethods]
impl VerifyReport {
    fn __bool__(&self) -> bool {
        self.ok
    }
}

impl VerifyReport {
    fn new(py: Python<'_>, report: &events::VerifyReport) -> Result<Self> {
        let findings: Vec<Finding> = report
            .findings
            .iter()
            .map(|finding| Finding {
                kind: word(&finding.kind),
                seq: finding.seq,
                id: finding.id.map(|id| id.to_string()),
                detail: finding.detail.clone(),
            })
            .collect();
        Ok(Self {
            ok: report.is_ok(),
            records: report.records,
            checkpoints: report.checkpoints,
            unsigned: report.unsigned,
            head_seq: report.head_seq,
            head_link: hex::encode(report.head_link),
            signer: hex::encode(report.signer),
            gaps: report.gaps,
            purged: report.purged,
            media: report.media,
            incomplete_media: report.incomplete_media,
            findings: Tuple::new(py, findings)?,
            more_findings: report.more_findings,
        })
    }
}

/// The word that JSON has for a unit variant.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

record! {
    /// What was exported.
    ExportReport {
        /// The event.
        event: Py<Event>,
        /// The file that was written.
        file: PathBuf,
        /// Its length in bytes.
        bytes: u64,
        /// Whether the recording in it was written to its end.
        complete: bool,
    }
}

record! {
    /// What an evidence bundle proves.
    EvidenceReport {
        /// The id of the store.
        store: String,
        /// The ed25519 public key that signed it. It proves who only to somebody who knows the key.
        signer: String,
        /// The event, as the store recorded it last.
        event: Py<Event>,
        /// The number of its record in the chain.
        seq: u64,
        /// When the store signed the chain with the event in it, by its own clock.
        signed_at: Time,
        /// When the bundle was made.
        exported_at: Time,
    }
}

/// Refuses the address of a database, and does not repeat it: it may hold a password.
pub fn refuse_database(name: &'static str, path: &Path) -> Result<()> {
    let is_one = |text: &str| text.starts_with("postgres") && text.contains(":/");
    match path.to_str().is_some_and(is_one) {
        true => Err(Raise::value(
            name,
            "it is a database; from Python event stores are opened in directories",
        )),
        false => Ok(()),
    }
}

/// Events and their recordings, encrypted and signed, in a directory.
#[pyclass(frozen, module = "keepwatch")]
pub struct EventStore {
    store: Handle<Store>,
    path: PathBuf,
}

impl EventStore {
    fn new(store: Store, path: PathBuf) -> Self {
        Self {
            store: Handle::new(store, "the event store"),
            path,
        }
    }

    /// The store, unless it is closed.
    pub fn open_store(&self, py: Python<'_>) -> Result<Arc<Store>> {
        self.store.get(py)
    }

    /// Where it is.
    pub fn place(&self) -> &Path {
        &self.path
    }
}

#[pymethods]
impl EventStore {
    /// Makes a store in an empty or missing directory, and opens it.
    ///
    /// What is recorded opens with the store's own key, and with the identities of `recipients`;
    /// with those alone if `own_key` is false.
    #[staticmethod]
    #[pyo3(signature = (path, *, passphrase=None, key_file=None, recipients=None, own_key=true, kdf="argon2id"))]
    fn create(
        py: Python<'_>,
        path: FilePath,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        recipients: Option<Strings>,
        own_key: bool,
        kdf: &str,
    ) -> Result<Self> {
        refuse_database("path", &path)?;
        let kdf = self::kdf(kdf)?;
        let locks = new_locks(passphrase, key_file, None)?;
        let recipients = recipients.unwrap_or_default().0;
        let options = StoreOptions {
            recipients: recipients
                .iter()
                .map(|text| parse_recipient(text))
                .collect::<Result<_>>()?,
            own_identity: own_key,
            ..StoreOptions::default()
        };
        Ok(Self::new(
            make_store(py, &path, &locks, kdf, &options)?,
            path.0,
        ))
    }

    /// Opens a store; for reading only unless `writable`.
    #[staticmethod]
    #[pyo3(signature = (path, *, passphrase=None, key_file=None, identity=None, writable=false))]
    fn open(
        py: Python<'_>,
        path: FilePath,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        identity: Option<IdentitySource>,
        writable: bool,
    ) -> Result<Self> {
        refuse_database("path", &path)?;
        let credential = credential(passphrase, key_file, identity)?;
        let store = work::run(py, &Stop::default(), || match writable {
            true => Store::open(&path, &credential),
            false => Store::open_read_only(&path, &credential),
        })??;
        Ok(Self::new(store, path.0))
    }

    /// The events that answer to all of what is given, newest first.
    ///
    /// `since` and `until` are aware datetimes; `after` is the id of the last event of the page
    /// before.
    #[pyo3(signature = (
        *, cameras=None, kinds=None, since=None, until=None, after=None, oldest_first=false,
        limit=None
    ))]
    fn query(
        &self,
        py: Python<'_>,
        cameras: Option<Strings>,
        kinds: Option<Strings>,
        since: Option<Moment<'_>>,
        until: Option<Moment<'_>>,
        after: Option<&str>,
        oldest_first: bool,
        limit: Option<Whole<usize>>,
    ) -> Result<Vec<Event>> {
        let store = self.open_store(py)?;
        let names = EventKind::ALL.map(EventKind::name);
        let filter = EventFilter {
            cameras: cameras.unwrap_or_default().0,
            kinds: kinds
                .unwrap_or_default()
                .0
                .iter()
                .map(|name| name.parse().map_err(|_| one_of("kinds", name, &names)))
                .collect::<Result<_>>()?,
            since: since.map(|at| timestamp("since", &at)).transpose()?,
            until: until.map(|at| timestamp("until", &at)).transpose()?,
            after: after.map(|id| parse_id("after", id)).transpose()?,
            oldest_first,
            limit: limit.map(|limit| limit.0),
            ..EventFilter::default()
        };
        let found = work::run(py, &Stop::default(), || store.list(&filter))??;
        let events = found.iter().map(|event| Event::new(py, event));
        Ok(events.collect::<PyResult<_>>()?)
    }

    /// The event of an id.
    #[pyo3(signature = (id, /))]
    fn get(&self, py: Python<'_>, id: &str) -> Result<Event> {
        let store = self.open_store(py)?;
        let id = parse_id("id", id)?;
        let found = py.detach(|| store.get(id))?;
        let event = found.ok_or(keepwatch_core::Error::NoSuchEvent { id })?;
        Ok(Event::new(py, &event)?)
    }

    /// Verifies the chain of events and its signatures, and with `media` every recording.
    ///
    /// `expect` is `(head_seq, head_link)` of an earlier report, kept elsewhere: only this finds
    /// that the end of the chain was cut off.
    #[pyo3(signature = (*, media=false, expect=None))]
    fn verify(
        &self,
        py: Python<'_>,
        media: bool,
        expect: Option<(u64, String)>,
    ) -> Result<VerifyReport> {
        let store = self.open_store(py)?;
        let expect = match expect {
            Some((seq, link)) => Some((seq, parse_hex("expect", &link)?)),
            None => None,
        };
        let options = VerifyOptions { media, expect };
        let report = work::run(py, &Stop::default(), || store.verify(&options))??;
        VerifyReport::new(py, &report)
    }

    /// Writes an event to a file: the signed evidence `bundle` with its recording, or only the
    /// `clip` (MP4) or the `snapshot` (JPEG).
    ///
    /// `identity` opens recordings that are sealed to a recipient and not to the store's own key.
    #[pyo3(signature = (id, target, *, part="bundle", identity=None, overwrite=false))]
    fn export(
        &self,
        py: Python<'_>,
        id: &str,
        target: FilePath,
        part: &str,
        identity: Option<IdentitySource>,
        overwrite: bool,
    ) -> Result<ExportReport> {
        let store = self.open_store(py)?;
        let id = parse_id("id", id)?;
        let part = Part::parse(part)?;
        let credential = media_credential(&store, identity)?;
        let stop = Stop::default();
        let stopping = stop.clone();
        let (event, bytes, complete) = work::run(py, &stop, || {
            let mut out = Stoppable::new(
                AtomicFile::create(&target, replace(overwrite))?,
                stopping.clone(),
            );
            let done = match part {
                Part::Bundle => {
                    let report = store.export_bundle(id, &credential, &mut out)?;
                    let complete = report.event.clip.as_ref().is_none_or(|clip| clip.complete);
                    (report.event, out.count(), complete)
                }
                part => {
                    let event = find(&store, id)?;
                    let media = part.of(&event)?;
                    let mut reader = store.media().open(media, &credential)?;
                    let bytes = io::copy(&mut reader, &mut out)?;
                    let complete = media.complete;
                    (event, bytes, complete)
                }
            };
            out.into_inner().commit()?;
            Ok::<_, Raise>(done)
        })??;
        Ok(ExportReport {
            event: Py::new(py, Event::new(py, &event)?)?,
            file: target.0,
            bytes,
            complete,
        })
    }

    /// Opens the `clip` or the `snapshot` of an event as a binary file.
    #[pyo3(signature = (id, part="clip", *, identity=None))]
    fn open_media(
        &self,
        py: Python<'_>,
        id: &str,
        part: &str,
        identity: Option<IdentitySource>,
    ) -> Result<BinaryReader> {
        let store = self.open_store(py)?;
        let id = parse_id("id", id)?;
        let part = match Part::parse(part)? {
            Part::Bundle => return Err(one_of("part", "bundle", &["clip", "snapshot"])),
            part => part,
        };
        let credential = media_credential(&store, identity)?;
        let (reader, name) = py.detach(|| {
            let event = find(&store, id)?;
            let media = part.of(&event)?;
            let reader = store.media().open(media, &credential)?;
            Ok::<_, Raise>((reader, media.path.clone()))
        })?;
        Ok(BinaryReader::new(reader, name))
    }

    /// The ed25519 public key that signs, in hexadecimal digits: who verifies evidence should have
    /// it from here, not from the evidence.
    #[getter]
    fn signer(&self, py: Python<'_>) -> Result<String> {
        Ok(hex::encode(self.open_store(py)?.signer()))
    }

    /// Where it is.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Ends the use of it.
    fn close(&self, py: Python<'_>) -> Result<()> {
        // Another thread may be using it; then it closes when that has ended.
        match self.store.take().and_then(Arc::into_inner) {
            Some(store) => Ok(py.detach(|| store.close())?),
            None => Ok(()),
        }
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.store.is_closed()
    }

    fn __enter__(slf: PyRef<'_, Self>) -> Result<PyRef<'_, Self>> {
        slf.open_store(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> Result<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let closed = if self.closed() { ", closed" } else { "" };
        format!("<EventStore {:?}{closed}>", self.path.display().to_string())
    }
}

/// Makes a store that each of the locks opens wholly.
pub fn make_store(
    py: Python<'_>,
    path: &Path,
    locks: &[NewLock],
    kdf: Kdf,
    options: &StoreOptions,
) -> Result<Store> {
    let locks: Vec<_> = borrowed(locks, kdf)
        .into_iter()
        .map(|lock| (lock, StoreRole::Full))
        .collect();
    Ok(work::run(py, &Stop::default(), || {
        Store::create(path, &locks, options)
    })??)
}

/// Verifies an evidence bundle without the store; `signer` is the key that must have signed it.
#[pyfunction]
#[pyo3(signature = (path, *, signer=None))]
pub fn verify_evidence(
    py: Python<'_>,
    path: FilePath,
    signer: Option<&str>,
) -> Result<EvidenceReport> {
    let signer = signer.map(|text| parse_hex("signer", text)).transpose()?;
    let stop = Stop::default();
    let stopping = stop.clone();
    let report = work::run(py, &stop, || {
        let file = std::fs::File::open(&path).map_err(Raise::file("read", &path))?;
        let reader = io::BufReader::new(Stoppable::new(file, stopping.clone()));
        Ok::<_, Raise>(events::verify_bundle(reader, signer)?)
    })??;
    Ok(EvidenceReport {
        store: hex::encode(report.store),
        signer: hex::encode(report.signer),
        event: Py::new(py, Event::new(py, &report.event)?)?,
        seq: report.seq,
        signed_at: Time(report.signed_at),
        exported_at: Time(report.exported_at),
    })
}

/// What of an event is asked for.
#[derive(Clone, Copy)]
enum Part {
    Bundle,
    Clip,
    Snapshot,
}

impl Part {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "bundle" => Ok(Part::Bundle),
            "clip" => Ok(Part::Clip),
            "snapshot" => Ok(Part::Snapshot),
            _ => Err(one_of("part", name, &["bundle", "clip", "snapshot"])),
        }
    }

    fn of(self, event: &events::Event) -> Result<&MediaRef> {
        let (media, name) = match self {
            Part::Snapshot => (&event.snapshot, "snapshot"),
            _ => (&event.clip, "clip"),
        };
        media
            .as_ref()
            .ok_or_else(|| Raise::value("part", format!("event {} has no {name}", event.id)))
    }
}

fn find(store: &Store, id: EventId) -> Result<events::Event> {
    Ok(store
        .get(id)?
        .ok_or(keepwatch_core::Error::NoSuchEvent { id })?)
}

fn media_credential(store: &Store, identity: Option<IdentitySource>) -> Result<Credential> {
    match identity {
        Some(identity) => credential(None, None, Some(identity)),
        None => store.clip_credential().ok_or_else(|| {
            Raise::value(
                "identity",
                "the recordings are sealed to a recipient, and its identity is needed",
            )
        }),
    }
}

fn parse_id(argument: &'static str, text: &str) -> Result<EventId> {
    text.parse()
        .map_err(|_| Raise::value(argument, format!("{text:?} is no event id")))
}

fn parse_hex(argument: &'static str, text: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Raise::value(argument, "64 hexadecimal digits are needed")),
    }
}
