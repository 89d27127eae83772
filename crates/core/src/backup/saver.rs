//! Storing chunks: each once, in packs that are uploaded while the next ones fill.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::compress::{Compression, Squeezer};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::BlobKind;
use crate::object::Session;
use crate::pack::{BLOB_HEAD, BLOB_TAIL, BlobCipher, BlobInfo, PackBuilder, PackedBlob};
use crate::read::chunk_id;
use crate::repository::Repository;
use crate::segment::SegmentBuilder;
use crate::snapshot::Pending;
use crate::storage::{ObjectKind, ObjectName, StorageError};

/// An index object is published, and the work so far made safe, after this many packs.
const PACKS_TO_CHECKPOINT: usize = 16;
/// Or after this many chunks: what is not yet in the index is held in memory.
const CHUNKS_TO_CHECKPOINT: usize = 1 << 16;

/// So many packs are written at once, where that is worth it. Each is in memory meanwhile.
const MOST_UPLOADS: usize = 4;

/// Enough for the trailer of a pack of 16 MiB with chunks of some KiB, in bytes.
const TRAILER_ROOM: usize = 512 << 10;

/// Who makes the backup, as it stands in pending objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub client: [u8; 16],
    pub set: Id,
}

/// What one thread needs to store chunks.
pub(crate) struct Tools {
    squeezer: Squeezer,
    buffer: Vec<u8>,
}

impl Tools {
    pub fn new(compression: Compression) -> Result<Self> {
        Ok(Self {
            squeezer: Squeezer::new(compression).map_err(Error::io("start", "zstd".as_ref()))?,
            buffer: Vec::new(),
        })
    }
}

/// Stores chunks for one backup. Shared by all its threads.
pub(crate) struct Saver<'r> {
    repository: &'r Repository,
    session: Session,
    header: Vec<u8>,
    cipher: BlobCipher,
    /// Nothing when collectors need not be kept off.
    owner: Option<Owner>,
    dry_run: bool,
    packs_to_checkpoint: usize,
    /// Chunks of this session that the local index does not know yet.
    claimed: Mutex<HashSet<Id>>,
    /// Packs that a collector names: to be treated as absent.
    avoid: HashSet<Id>,
    /// Only these are stored, when there are such.
    wanted: Option<Arc<HashSet<Id>>>,
    /// Packs of earlier sessions that hold chunks of this backup.
    used: Mutex<HashSet<Id>>,
    open: [Mutex<Option<PackBuilder>>; 2],
    full: Sender<Option<PackBuilder>>,
    uploads: Receiver<Option<PackBuilder>>,
    /// Buffers of packs that were written, to be filled again.
    spare: Mutex<Vec<Vec<u8>>>,
    /// Threads of [`Saver::upload`].
    uploaders: usize,
    failed: AtomicBool,
    written: Mutex<Written>,
    new_bytes: AtomicU64,
    stored_bytes: AtomicU64,
}

#[derive(Default)]
struct Written {
    packs: Vec<Id>,
    segment: SegmentBuilder,
    since_checkpoint: usize,
    pending: Option<Id>,
}

impl<'r> Saver<'r> {
    pub fn new(
        repository: &'r Repository,
        owner: Option<Owner>,
        avoid: HashSet<Id>,
        dry_run: bool,
    ) -> Result<Self> {
        let session = repository.session()?;
        let cipher = BlobCipher::new(
            repository.config().suite(),
            *repository.config().id(),
            session.epoch(),
            session.key(),
        );
        // One pack waits while others are written and two fill: that bounds the memory.
        let (full, uploads) = bounded(1);
        Ok(Self {
            header: session.header(ObjectKind::Pack)?,
            repository,
            session,
            cipher,
            owner,
            dry_run,
            packs_to_checkpoint: PACKS_TO_CHECKPOINT,
            claimed: Mutex::default(),
            avoid,
            wanted: None,
            used: Mutex::default(),
            open: [const { Mutex::new(None) }; 2],
            full,
            uploads,
            spare: Mutex::default(),
            uploaders: repository.storage().parallelism().clamp(1, MOST_UPLOADS),
            failed: AtomicBool::new(false),
            written: Mutex::default(),
            new_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
        })
    }

    /// Makes every pack safe from collectors as soon as it is written, so that a backup that one of
    /// them has thwarted succeeds the next time.
    #[must_use]
    pub fn cautious(mut self) -> Self {
        self.packs_to_checkpoint = 1;
        self
    }

    /// Stores these chunks alone, and computes the ids of all others.
    #[must_use]
    pub fn only(mut self, wanted: Arc<HashSet<Id>>) -> Self {
        self.wanted = Some(wanted);
        self
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Whether the repository has the chunk, in a pack that may be relied on.
    pub fn has(&self, id: &Id) -> Result<bool> {
        let found = self
            .repository
            .index()?
            .lookup_where(id, &|pack| !self.avoid.contains(pack))?;
        if let Some(place) = found {
            lock(&self.used).insert(place.pack);
            return Ok(true);
        }
        Ok(lock(&self.claimed).contains(id))
    }

    /// Stores a chunk unless it is there, and gives its id.
    pub fn save(&self, kind: BlobKind, plaintext: &[u8], tools: &mut Tools) -> Result<Id> {
        let id = chunk_id(self.repository.ring(), kind, plaintext);
        if self.wanted.as_ref().is_some_and(|all| !all.contains(&id)) {
            return Ok(id);
        }
        // The claim comes before the look into the index: at a checkpoint a chunk enters the index
        // before it leaves the claims, so it is always seen in one of them.
        if !lock(&self.claimed).insert(id) {
            return Ok(id);
        }
        let found = self
            .repository
            .index()?
            .lookup_where(&id, &|pack| !self.avoid.contains(pack))?;
        if let Some(place) = found {
            lock(&self.used).insert(place.pack);
            lock(&self.claimed).remove(&id);
            return Ok(id);
        }
        self.store(id, kind, plaintext, tools)?;
        Ok(id)
    }

    fn store(&self, id: Id, kind: BlobKind, plaintext: &[u8], tools: &mut Tools) -> Result<()> {
        let (encoding, len) = tools
            .squeezer
            .squeeze(plaintext, &mut tools.buffer, BLOB_HEAD)
            .map_err(Error::io("compress", "a chunk".as_ref()))?;
        let info = BlobInfo {
            id,
            kind,
            encoding,
            raw_len: plaintext.len() as u32,
        };
        self.new_bytes
            .fetch_add(plaintext.len() as u64, Ordering::Relaxed);
        self.seal_and_push(&info, len, &mut tools.buffer)
    }

    /// Copies a chunk from another pack as it was encoded there.
    pub fn copy(&self, info: &BlobInfo, content: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(BLOB_HEAD, 0);
        buffer.extend_from_slice(content);
        self.seal_and_push(info, content.len(), buffer)
    }

    fn seal_and_push(&self, info: &BlobInfo, len: usize, buffer: &mut Vec<u8>) -> Result<()> {
        let total = BLOB_HEAD + len + BLOB_TAIL;
        self.stored_bytes.fetch_add(total as u64, Ordering::Relaxed);
        if self.dry_run {
            return Ok(());
        }
        if buffer.len() < total {
            buffer.resize(total, 0);
        }
        self.cipher.seal(info, &mut buffer[..total])?;
        let target = self.repository.config().pack_size() as usize;
        let finished = {
            let mut open = lock(&self.open[info.kind as usize]);
            let pack = open.get_or_insert_with(|| self.new_pack());
            pack.push(*info, &buffer[..total]);
            if pack.len() < target {
                None
            } else {
                open.take()
            }
        };
        if let Some(pack) = finished {
            self.hand_over(Some(pack));
        }
        if self.failed.load(Ordering::Relaxed) {
            // The uploading threads have the reason.
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    fn new_pack(&self) -> PackBuilder {
        let config = self.repository.config();
        let spare = lock(&self.spare).pop();
        // Room for the chunk that fills it and the trailer: growing would copy all of it.
        let room = (config.pack_size() + config.chunker().max) as usize + TRAILER_ROOM;
        PackBuilder::new(
            &self.header,
            spare.unwrap_or_else(|| Vec::with_capacity(room)),
        )
    }

    fn hand_over(&self, pack: Option<PackBuilder>) {
        self.full
            .send(pack)
            .expect("the saver itself holds the receiver");
    }

    /// Writes packs until [`Saver::close`], as many at once as the storage is best used with.
    ///
    /// After an error it goes on taking packs, so that nobody waits for it for ever.
    pub fn upload(&self) -> Result<()> {
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.uploaders)
                .map(|_| scope.spawn(|| self.upload_one_by_one()))
                .collect();
            let mut result = self.upload_one_by_one();
            for other in others {
                let other = other.join().expect("an uploading thread does not panic");
                result = result.and(other);
            }
            result
        })
    }

    fn upload_one_by_one(&self) -> Result<()> {
        let mut result = Ok(());
        while let Ok(Some(pack)) = self.uploads.recv() {
            // Nothing will rest on what is written after a failure.
            if !self.failed.load(Ordering::Relaxed) {
                result = self.write_pack(pack);
                if result.is_err() {
                    self.failed.store(true, Ordering::Relaxed);
                }
            }
        }
        result
    }

    /// Sends what is left to the uploading threads and tells them to end.
    pub fn close(&self) {
        for open in &self.open {
            if let Some(pack) = lock(open).take() {
                self.hand_over(Some(pack));
            }
        }
        self.end_uploads();
    }

    /// Tells the uploading threads to end without what is left: nothing will rest on it.
    pub fn abandon(&self) {
        for open in &self.open {
            lock(open).take();
        }
        self.end_uploads();
    }

    fn end_uploads(&self) {
        for _ in 0..self.uploaders {
            self.hand_over(None);
        }
    }

    fn write_pack(&self, pack: PackBuilder) -> Result<()> {
        let config = self.repository.config();
        let (id, bytes, blobs): (Id, Vec<u8>, Vec<PackedBlob>) = pack.finish(
            config.suite(),
            self.repository.ring(),
            self.session.epoch(),
            config.padding(),
        )?;
        self.repository
            .storage()
            .create(&ObjectName::new(ObjectKind::Pack, id), &[&bytes])?;
        let mut written = lock(&self.written);
        written.segment.add(id, bytes.len() as u64, &blobs);
        lock(&self.spare).push(bytes);
        written.packs.push(id);
        written.since_checkpoint += 1;
        if written.since_checkpoint >= self.packs_to_checkpoint
            || written.segment.len() >= CHUNKS_TO_CHECKPOINT
        {
            self.checkpoint(&mut written)?;
        }
        Ok(())
    }

    /// Publishes the index of what was written, and a pending object so that no collector takes it.
    fn checkpoint(&self, written: &mut Written) -> Result<()> {
        self.publish_segment(written)?;
        let packs = written.packs.clone();
        self.replace_pending(written, packs, None)
    }

    fn publish_segment(&self, written: &mut Written) -> Result<()> {
        let segment = std::mem::take(&mut written.segment).build();
        written.since_checkpoint = 0;
        if segment.entries.is_empty() {
            return Ok(());
        }
        self.repository.publish_index(&segment)?;
        let mut claimed = lock(&self.claimed);
        for entry in &segment.entries {
            claimed.remove(&entry.id);
        }
        Ok(())
    }

    fn replace_pending(
        &self,
        written: &mut Written,
        packs: Vec<Id>,
        snapshot: Option<Id>,
    ) -> Result<()> {
        let Some(owner) = &self.owner else {
            return Ok(());
        };
        let pending = self.repository.write_record(
            ObjectKind::Pending,
            &Pending {
                version: 1,
                client: owner.client,
                set: owner.set,
                packs,
                snapshot,
            },
        )?;
        if let Some(old) = written.pending.replace(pending) {
            self.repository.remove(ObjectKind::Pending, old)?;
        }
        Ok(())
    }

    /// Publishes the index of everything that was written. All threads have ended.
    pub fn finish_index(&self) -> Result<()> {
        self.publish_segment(&mut lock(&self.written))
    }

    /// Makes what an interrupted backup has stored last until the next one.
    pub fn save_progress(&self) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        self.checkpoint(&mut lock(&self.written))
    }

    /// Announces the snapshot; from now on no collector takes a pack it rests on.
    pub fn announce(&self, snapshot: Id) -> Result<()> {
        let mut written = lock(&self.written);
        let mut packs: Vec<Id> = self.rests_on(&written).into_iter().collect();
        packs.sort();
        self.replace_pending(&mut written, packs, Some(snapshot))
    }

    fn rests_on(&self, written: &Written) -> HashSet<Id> {
        let mut packs = lock(&self.used).clone();
        packs.extend(&written.packs);
        packs
    }

    /// Packs that the backup rests on and that a collector is removing or has removed.
    ///
    /// Called after [`Saver::announce`], and in this order: first what collectors say, then what
    /// is there. A collector that is already gone has removed its packs before its word.
    pub fn conflicts(&self) -> Result<HashSet<Id>> {
        let named = self.repository.doomed_packs()?;
        let mut missing = self.rests_on(&lock(&self.written));
        let mut conflicts: HashSet<Id> = missing.intersection(&named).copied().collect();
        self.repository
            .storage()
            .list(ObjectKind::Pack, &mut |id, _| {
                missing.remove(&id);
            })?;
        conflicts.extend(missing);
        Ok(conflicts)
    }

    /// Whether the pending object is still there. If so, whoever removes it later sees the snapshot
    /// that was published before this was asked.
    pub fn is_announced(&self) -> Result<bool> {
        let pending = lock(&self.written).pending;
        let Some(id) = pending else {
            return Ok(true);
        };
        let name = ObjectName::new(ObjectKind::Pending, id);
        match self.repository.storage().size(&name) {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the pending object away: it stays until the caller removes it.
    pub fn take_pending(&self) -> Option<Id> {
        lock(&self.written).pending.take()
    }

    /// Takes back the pending object: the snapshot is there.
    pub fn release(&self) -> Result<()> {
        match self.take_pending() {
            Some(pending) => self.repository.remove(ObjectKind::Pending, pending),
            None => Ok(()),
        }
    }

    /// Bytes of plaintext that the repository did not have.
    pub fn new_bytes(&self) -> u64 {
        self.new_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that they take in packs.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no thread panics while it holds this lock")
}
