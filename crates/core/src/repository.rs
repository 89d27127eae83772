//! Opening a repository, and the objects in it.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use keepwatch_crypto::{Credential, Lock, Suite, random_bytes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::cache::{Cache, CachePlace};
use crate::chunker::{ChunkerId, ChunkerParams};
use crate::config::{ChunkerConfig, Config, Padding};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{Frozen, LocalIndex, Segment};
use crate::keyring::{Keyring, Role};
use crate::keyslot::KeySlot;
use crate::keyslots::{read_key_slots, sort_key_slots};
use crate::object::{self, Session};
use crate::parallel::{join, map};
use crate::read::ChunkReader;
use crate::snapshot::{Snapshot, Trashed};
use crate::storage::{ObjectKind, ObjectName, Storage, StorageError};
use crate::tree_packs::TreePacks;

/// The version of snapshot, trash, pending and gc records.
const RECORD_VERSION: u64 = 1;

/// What a new repository is like.
#[derive(Clone, Copy, Debug)]
pub struct InitOptions {
    /// What seals its data; by default the faster one on this machine.
    pub suite: Suite,
    /// How content is cut.
    pub chunker: ChunkerId,
    /// The sizes of chunks.
    pub params: ChunkerParams,
    /// The size in bytes at which a pack is closed.
    pub pack_size: u32,
    /// Whether packs are padded.
    pub padding: Padding,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            suite: Suite::recommended(),
            chunker: ChunkerId::GearKeyed,
            params: ChunkerParams::default(),
            pack_size: 16 << 20,
            padding: Padding::None,
        }
    }
}

/// The whole index at one moment. It stays as it is, whatever others read or write meanwhile.
pub(crate) struct FrozenIndex {
    pub entries: Frozen,
    /// The index objects that it was made of.
    pub covered: Vec<Id>,
    /// Packs with their sizes in bytes.
    pub packs: HashMap<Id, u64>,
    pub published: HashSet<Id>,
    pub forgotten: HashSet<Id>,
}

/// Objects that cannot be used, and what is wrong with them.
pub(crate) type Problems = Vec<(ObjectName, Error)>;

/// An open repository.
///
/// All methods take `&self` and may be called from several threads.
#[derive(Debug)]
pub struct Repository {
    storage: Arc<dyn Storage>,
    config: Config,
    ring: Keyring,
    /// The key slot that it was opened with.
    slot: [u8; 16],
    cache: Cache,
    index: RwLock<LocalIndex>,
    index_read: AtomicBool,
    chunks: ChunkReader,
    /// Copies of packs of trees, where the storage is far away.
    trees: Option<TreePacks>,
}

impl Repository {
    /// Makes a repository in empty storage and opens it.
    ///
    /// `lock` becomes the first key slot, with full rights.
    ///
    /// # Errors
    /// [`Error::RepositoryExists`] when there is one.
    pub fn init(
        storage: Arc<dyn Storage>,
        lock: &Lock<'_>,
        label: &str,
        options: &InitOptions,
        now: Timestamp,
        cache: &CachePlace,
    ) -> Result<Self> {
        if has_objects(&*storage)? {
            return Err(Error::RepositoryExists {
                location: storage.location(),
            });
        }
        let config = Config::new(
            random_bytes()?,
            now,
            options.suite,
            ChunkerConfig::new(options.chunker, options.params),
            options.pack_size,
            options.padding,
        )?;
        let config_bytes = config.to_bytes();
        let ring = Keyring::generate(Config::hash(&config_bytes))?;
        let created = now.as_second().max(0).unsigned_abs();
        let slot = KeySlot::create(
            lock,
            config.suite(),
            config.id(),
            Role::Full,
            label,
            created,
            &ring,
        )?;
        let mut leftovers = Vec::new();
        storage.list(ObjectKind::Key, &mut |id, _| leftovers.push(id))?;
        // The config comes last: with it the repository exists.
        let key = ObjectName::new(ObjectKind::Key, Id::of(slot.bytes()));
        storage.create(&key, &[slot.bytes()])?;
        match storage.create(&ObjectName::config(), &[&config_bytes]) {
            Ok(()) => {}
            Err(StorageError::AlreadyExists { .. }) => {
                storage.remove(&key)?;
                return Err(Error::RepositoryExists {
                    location: storage.location(),
                });
            }
            Err(error) => return Err(error.into()),
        }
        // Slots of an `init` that was interrupted open nothing, now that there is another config.
        for id in leftovers {
            storage.remove(&ObjectName::new(ObjectKind::Key, id))?;
        }
        Self::assemble(storage, config, ring, slot.slot_id, cache)
    }

    /// Opens a repository with the first slot that answers to the credential.
    ///
    /// Costs one key derivation for each passphrase slot that it has to try.
    ///
    /// # Errors
    /// [`Error::NoRepository`], [`Error::WrongKey`], or [`Error::Damaged`] if what the slot
    /// holds does not fit the repository.
    pub fn open(
        storage: Arc<dyn Storage>,
        credential: &Credential,
        cache: &CachePlace,
    ) -> Result<Self> {
        // Each of the two is a question and a wait.
        let (config_bytes, keys) = join(
            storage.parallelism(),
            || read_config(&*storage),
            || read_key_slots(&*storage),
        );
        let config_bytes = config_bytes?;
        let config = Config::parse(&config_bytes)?;
        let mut problem = None;
        // The newest keys first: a crash in a rotation may have left a slot twice, and what is
        // written under the old keys can be read by whoever the rotation was to keep out.
        let slots = sort_key_slots(keys?, &config);
        if slots.own.is_empty() && !slots.foreign.is_empty() {
            problem = Some(Error::damaged("config", "no key slot belongs to it"));
        }
        let mut work = 0;
        for (_, slot) in slots.own {
            let opened = slot.and_then(|slot| {
                if matches!(credential, Credential::Passphrase(_)) {
                    work += slot.work;
                }
                // An interrupted rotation leaves every slot twice.
                if work > 2 * keepwatch_crypto::slot::MAX_WORK {
                    return Err(Error::damaged(
                        "keys",
                        "the key slots ask for too much work",
                    ));
                }
                let ring = slot.open(credential)?;
                Ok(ring.map(|ring| (ring, slot.slot_id)))
            });
            match opened {
                Ok(Some((ring, slot))) if ring.config == Config::hash(&config_bytes) => {
                    return Self::assemble(storage, config, ring, slot, cache);
                }
                Ok(Some(_)) => {
                    problem = Some(Error::damaged(
                        "config",
                        "it is not what the key slot vouches for",
                    ));
                }
                Ok(None) => {}
                // One damaged slot must not keep out who has another.
                Err(error) => problem = Some(error),
            }
        }
        Err(match problem {
            Some(error @ (Error::Damaged { .. } | Error::Storage(_))) => error,
            _ => Error::WrongKey {
                location: storage.location(),
            },
        })
    }

    fn assemble(
        storage: Arc<dyn Storage>,
        config: Config,
        ring: Keyring,
        slot: [u8; 16],
        place: &CachePlace,
    ) -> Result<Self> {
        let cache = Cache::open(place, config.id())?;
        let index = LocalIndex::open(cache.index_dir())?;
        Ok(Self {
            chunks: ChunkReader::new(*config.id(), ring.clone()),
            trees: storage.is_far().then(|| TreePacks::new(cache.trees_dir())),
            storage,
            config,
            ring,
            slot,
            cache,
            index: RwLock::new(index),
            index_read: AtomicBool::new(false),
        })
    }

    /// What every client agrees on.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the key that opened it may do.
    pub fn role(&self) -> Role {
        self.ring.role()
    }

    /// Where it is, for messages.
    pub fn location(&self) -> String {
        self.storage.location()
    }

    /// So many threads read packs at once: all cores, and more where reading is waiting.
    pub fn threads(&self) -> usize {
        cores().max(self.storage.parallelism())
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// The id of the key slot that it was opened with.
    pub(crate) fn slot(&self) -> &[u8; 16] {
        &self.slot
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn chunks(&self) -> &ChunkReader {
        &self.chunks
    }

    pub(crate) fn trees(&self) -> Option<&TreePacks> {
        self.trees.as_ref()
    }

    pub(crate) fn needs_full(&self, operation: &'static str) -> Result<()> {
        match self.role() {
            Role::Full => Ok(()),
            Role::Writer => Err(Error::NeedsFullKey { operation }),
        }
    }

    pub(crate) fn session(&self) -> Result<Session> {
        Session::start(self.config.suite(), *self.config.id(), self.ring.current())
    }

    // Objects.

    /// Reads an object and compares it with its name.
    pub(crate) fn read_raw(&self, name: &ObjectName) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_raw_into(name, &mut bytes)?;
        Ok(bytes)
    }

    /// As [`Repository::read_raw`], into a buffer that is used again.
    pub(crate) fn read_raw_into(&self, name: &ObjectName, buffer: &mut Vec<u8>) -> Result<()> {
        self.storage.read_into(name, buffer)?;
        if Id::of(buffer) != name.id {
            return Err(Error::damaged(name, "its content does not fit its name"));
        }
        Ok(())
    }

    pub(crate) fn read_object(&self, kind: ObjectKind, id: Id) -> Result<Zeroizing<Vec<u8>>> {
        let name = ObjectName::new(kind, id);
        let bytes = self.read_raw(&name)?;
        object::open(
            &bytes,
            kind,
            self.config.id(),
            &self.ring,
            &name.to_string(),
        )
    }

    pub(crate) fn read_record<T: DeserializeOwned>(&self, kind: ObjectKind, id: Id) -> Result<T> {
        #[derive(serde::Deserialize)]
        struct Version {
            version: u64,
        }
        let json = self.read_object(kind, id)?;
        let name = ObjectName::new(kind, id);
        let damaged = |error| Error::damaged(name, error);
        let Version { version } = serde_json::from_slice(&json).map_err(damaged)?;
        if version != RECORD_VERSION {
            return Err(Error::Unsupported {
                what: "record version",
                value: version.to_string(),
            });
        }
        serde_json::from_slice(&json).map_err(damaged)
    }

    /// All records of a kind that can be read, and what is wrong with the others.
    ///
    /// A record that another process removes meanwhile is left out.
    pub(crate) fn read_records<T: DeserializeOwned + Send>(
        &self,
        kind: ObjectKind,
    ) -> Result<(Vec<(Id, T)>, Problems)> {
        let ids = self.list(kind)?;
        self.read_listed(kind, &ids)
    }

    /// As [`Repository::read_records`], of those that were listed.
    pub(crate) fn read_listed<T: DeserializeOwned + Send>(
        &self,
        kind: ObjectKind,
        ids: &[Id],
    ) -> Result<(Vec<(Id, T)>, Problems)> {
        let (mut records, mut problems) = (Vec::new(), Vec::new());
        let read = map(ids, self.storage.parallelism(), |id| {
            self.read_record(kind, *id)
        });
        for (&id, record) in ids.iter().zip(read) {
            match record {
                Ok(record) => records.push((id, record)),
                Err(Error::Storage(StorageError::NotFound { .. })) => {}
                Err(error @ Error::NeedsFullKey { .. }) => return Err(error),
                Err(error) => problems.push((ObjectName::new(kind, id), error)),
            }
        }
        Ok((records, problems))
    }

    pub(crate) fn list(&self, kind: ObjectKind) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        self.storage.list(kind, &mut |id, _| ids.push(id))?;
        Ok(ids)
    }

    /// Writes a record under the index key.
    pub(crate) fn write_indexed(&self, kind: ObjectKind, plaintext: &[u8]) -> Result<Id> {
        let bytes = object::seal_indexed(
            kind,
            self.config.suite(),
            self.config.id(),
            &self.ring,
            plaintext,
        )?;
        self.write_raw(kind, &bytes)
    }

    pub(crate) fn write_raw(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Id> {
        let id = Id::of(bytes);
        self.storage.create(&ObjectName::new(kind, id), &[bytes])?;
        Ok(id)
    }

    pub(crate) fn write_record<T: Serialize>(&self, kind: ObjectKind, record: &T) -> Result<Id> {
        self.write_indexed(kind, &to_json(record))
    }

    pub(crate) fn remove(&self, kind: ObjectKind, id: Id) -> Result<()> {
        Ok(self.storage.remove(&ObjectName::new(kind, id))?)
    }

    /// All packs with their sizes in bytes.
    pub(crate) fn list_packs(&self) -> Result<HashMap<Id, u64>> {
        let mut packs = HashMap::new();
        self.storage.list(ObjectKind::Pack, &mut |id, size| {
            packs.insert(id, size);
        })?;
        Ok(packs)
    }

    // Index.

    /// The local index, brought up to date the first time it is asked for.
    pub(crate) fn index(&self) -> Result<RwLockReadGuard<'_, LocalIndex>> {
        if !self.index_read.load(Ordering::Acquire) {
            self.refresh_index()?;
        }
        Ok(self
            .index
            .read()
            .expect("no thread panics while it changes the index"))
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, LocalIndex> {
        self.index
            .write()
            .expect("no thread panics while it changes the index")
    }

    /// Brings the local index up to date; gives the index objects that cannot be used.
    pub(crate) fn refresh_index(&self) -> Result<Problems> {
        let mut index = self.index_mut();
        let mut problems;
        loop {
            problems = Vec::new();
            let present: HashSet<Id> = self.list(ObjectKind::Index)?.into_iter().collect();
            index.retain(&|id| present.contains(id))?;
            let covered: HashSet<Id> = index.covered().collect();
            let mut vanished = false;
            let new: Vec<Id> = present.difference(&covered).copied().collect();
            // No more of them in memory than are fetched at once.
            let at_once = self.storage.parallelism();
            for ids in new.chunks(at_once) {
                let read = map(ids, at_once, |id| self.read_object(ObjectKind::Index, *id));
                for (&id, object) in ids.iter().zip(read) {
                    match object {
                        Ok(bytes) => match Segment::decode(&bytes) {
                            Ok(segment) => index.add(&[id], &segment)?,
                            Err(error) => {
                                let name = ObjectName::new(ObjectKind::Index, id);
                                problems.push((name, Error::damaged(name, error)));
                            }
                        },
                        // A collector has just replaced it by another one.
                        Err(Error::Storage(StorageError::NotFound { .. })) => vanished = true,
                        Err(error) => {
                            problems.push((ObjectName::new(ObjectKind::Index, id), error));
                        }
                    }
                }
            }
            if !vanished {
                break;
            }
        }
        for (name, error) in &problems {
            tracing::warn!(object = %name, %error, "an index object is left out");
        }
        self.index_read.store(true, Ordering::Release);
        if let Some(trees) = &self.trees
            && problems.is_empty()
        {
            trees.sweep(&|| index.packs().map(|(id, _)| id).collect());
        }
        Ok(problems)
    }

    /// The index as it was last read, in one piece.
    pub(crate) fn frozen_index(&self) -> Result<FrozenIndex> {
        let mut index = self.index_mut();
        index.merge_all()?;
        Ok(FrozenIndex {
            entries: index.frozen()?,
            covered: index.covered().collect(),
            packs: index.packs().collect(),
            published: index.published(),
            forgotten: index.forgotten(),
        })
    }

    /// Publishes an index object and knows its content from now on.
    pub(crate) fn publish_index(&self, segment: &Segment) -> Result<Id> {
        let id = self.write_indexed(ObjectKind::Index, &segment.encode())?;
        self.index_mut().add(&[id], segment)?;
        Ok(id)
    }

    // Snapshots.

    /// All snapshots that can be read, oldest first, and what is wrong with the others.
    #[allow(clippy::type_complexity, reason = "callers see what it is")]
    pub fn snapshots(&self) -> Result<(Vec<(Id, Snapshot)>, Vec<(ObjectName, Error)>)> {
        let (mut snapshots, problems) = self.read_records::<Snapshot>(ObjectKind::Snapshot)?;
        snapshots.sort_by_key(|(id, snapshot)| (snapshot.time, *id));
        Ok((snapshots, problems))
    }

    /// All snapshots in the trash, the first forgotten first.
    pub fn trash(&self) -> Result<Vec<(Id, Trashed)>> {
        let (mut trash, problems) = self.read_records::<Trashed>(ObjectKind::Trash)?;
        if let Some((_, error)) = problems.into_iter().next() {
            return Err(error);
        }
        trash.sort_by_key(|(id, trashed)| (trashed.forgotten, *id));
        Ok(trash)
    }

    /// The ids of all snapshots, in no order. Costs no more than listing names.
    ///
    /// # Errors
    /// What the storage says.
    pub fn snapshot_ids(&self) -> Result<Vec<Id>> {
        self.list(ObjectKind::Snapshot)
    }

    /// One snapshot.
    ///
    /// # Errors
    /// A snapshot that is gone or cannot be read, and [`Error::NeedsFullKey`].
    pub fn snapshot(&self, id: Id) -> Result<Snapshot> {
        self.read_record(ObjectKind::Snapshot, id)
    }

    /// The snapshot that `name` means: `latest`, a whole id, or the first digits of one.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`] and [`Error::AmbiguousSnapshot`].
    pub fn find_snapshot(&self, name: &str) -> Result<(Id, Snapshot)> {
        let missing = || Error::NoSuchSnapshot {
            name: name.to_owned(),
        };
        if name == "latest" {
            let (mut snapshots, problems) = self.snapshots()?;
            return match snapshots.pop() {
                Some(found) => Ok(found),
                None => Err(problems
                    .into_iter()
                    .next()
                    .map_or_else(missing, |(_, error)| error)),
            };
        }
        if name.len() < 4 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let prefix = name.to_ascii_lowercase();
        let mut found: Vec<Id> = self.list(ObjectKind::Snapshot)?;
        found.retain(|id| id.to_string().starts_with(&prefix));
        match found.as_slice() {
            [] => Err(missing()),
            [id] => Ok((*id, self.read_record(ObjectKind::Snapshot, *id)?)),
            several => Err(Error::AmbiguousSnapshot {
                name: name.to_owned(),
                count: several.len(),
            }),
        }
    }
}

/// How many threads can compute at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

pub(crate) fn to_json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records are plain JSON")
}

fn has_objects(storage: &dyn Storage) -> Result<bool> {
    match storage.size(&ObjectName::config()) {
        Ok(_) => return Ok(true),
        Err(StorageError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let mut any = false;
    for kind in [ObjectKind::Pack, ObjectKind::Snapshot, ObjectKind::Index] {
        storage.list(kind, &mut |_, _| any = true)?;
    }
    Ok(any)
}

fn read_config(storage: &dyn Storage) -> Result<Vec<u8>> {
    storage
        .read(&ObjectName::config())
        .map_err(|error| match error {
            StorageError::NotFound { .. } => Error::NoRepository {
                location: storage.location(),
            },
            error => error.into(),
        })
}
