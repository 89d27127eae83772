//! Reading chunks back: find, fetch, open, expand, and compare with the id.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, RwLock};

use crate::compress::Expander;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{BlobKind, Encoding, Location};
use crate::keyring::Keyring;
use crate::object::{Header, SESSION_HEADER};
use crate::pack::{BLOB_HEAD, BlobCipher, BlobInfo};
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName, StorageError};
use crate::tree::Content;

/// Bounds `Content` against a hostile tree: 4 levels of lists already hold more than any file has.
pub(crate) const MAX_LEVEL: u8 = 4;

/// The id of a chunk: BLAKE3 keyed with the repository's id key over type and plaintext.
pub(crate) fn chunk_id(ring: &Keyring, kind: BlobKind, plaintext: &[u8]) -> Id {
    Id::from_bytes(ring.id_key.mac(&[&[kind as u8], plaintext]))
}

/// Opened session keys, so that each costs one X25519 operation however many packs it sealed.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    repository: [u8; 16],
    ring: Keyring,
    sessions: RwLock<HashMap<Vec<u8>, Arc<BlobCipher>>>,
    packs: RwLock<HashMap<Id, Arc<BlobCipher>>>,
}

/// Buffers of one reading thread.
pub(crate) struct Scratch {
    expander: Expander,
    sealed: Vec<u8>,
    plain: Vec<u8>,
}

impl Scratch {
    pub fn new() -> Result<Self> {
        let expander = Expander::new().map_err(Error::io("start", "zstd".as_ref()))?;
        Ok(Self {
            expander,
            sealed: Vec::new(),
            plain: Vec::new(),
        })
    }
}

/// Where the content of an opened blob is.
enum Opened {
    /// In the sealed bytes, in place.
    Raw(Range<usize>),
    /// In [`Scratch::plain`].
    Expanded,
}

impl ChunkReader {
    pub fn new(repository: [u8; 16], ring: Keyring) -> Self {
        Self {
            repository,
            ring,
            sessions: RwLock::default(),
            packs: RwLock::default(),
        }
    }

    /// The cipher for the blobs of the pack that begins with `header`.
    pub fn cipher(&self, header: &Header<'_>, object: &str) -> Result<Arc<BlobCipher>> {
        let lock = "no thread panics while it holds this lock";
        // The whole header is the key: a changed commitment or version must not find the old cipher.
        if let Some(found) = self.sessions.read().expect(lock).get(header.bytes()) {
            return Ok(found.clone());
        }
        let key = header.key(&self.ring, object)?;
        let cipher = Arc::new(BlobCipher::new(
            header.suite,
            self.repository,
            header.epoch,
            &key,
        ));
        self.sessions
            .write()
            .expect(lock)
            .insert(header.bytes().to_vec(), cipher.clone());
        Ok(cipher)
    }

    fn cipher_of_pack(
        &self,
        repository: &Repository,
        kind: BlobKind,
        pack: Id,
    ) -> Result<Arc<BlobCipher>> {
        let lock = "no thread panics while it holds this lock";
        if let Some(found) = self.packs.read().expect(lock).get(&pack) {
            return Ok(found.clone());
        }
        let name = ObjectName::new(ObjectKind::Pack, pack);
        let mut bytes = Vec::new();
        repository.read_of_pack(kind, pack, 0, SESSION_HEADER, &mut bytes)?;
        let object = name.to_string();
        let header = Header::parse(&bytes, ObjectKind::Pack, &self.repository, &object)?;
        let cipher = self.cipher(&header, &object)?;
        self.packs.write().expect(lock).insert(pack, cipher.clone());
        Ok(cipher)
    }
}

/// Opens, expands and verifies one sealed blob; what was stored is then in its place.
pub(crate) fn open_blob(
    cipher: &BlobCipher,
    ring: &Keyring,
    info: &BlobInfo,
    sealed: &mut [u8],
    scratch: &mut Scratch,
) -> Result<()> {
    open_verified(cipher, ring, info, sealed, scratch).map(drop)
}

fn open_verified(
    cipher: &BlobCipher,
    ring: &Keyring,
    info: &BlobInfo,
    sealed: &mut [u8],
    scratch: &mut Scratch,
) -> Result<Opened> {
    let damaged = |detail: &str| Error::damaged(format_args!("chunk {}", info.id), detail);
    let content = cipher.open(info, sealed)?;
    let (opened, plain) = match info.encoding {
        Encoding::Raw if content.len() != info.raw_len as usize => {
            return Err(damaged("its length is wrong"));
        }
        Encoding::Raw => {
            let range = BLOB_HEAD..BLOB_HEAD + content.len();
            (Opened::Raw(range), &*content)
        }
        Encoding::Zstd => {
            scratch
                .expander
                .expand(content, info.raw_len as usize, &mut scratch.plain)
                .map_err(|error| damaged(&error.to_string()))?;
            (Opened::Expanded, scratch.plain.as_slice())
        }
    };
    // A writer's key suffices to store false content under an id: only this comparison finds it.
    if chunk_id(ring, info.kind, plain) != info.id {
        return Err(damaged("its content does not fit its id"));
    }
    Ok(opened)
}

impl Repository {
    /// The content of a chunk, verified.
    pub(crate) fn read_chunk<'a>(
        &self,
        kind: BlobKind,
        id: Id,
        scratch: &'a mut Scratch,
    ) -> Result<&'a [u8]> {
        // A collector may move chunks between our reading of the index and of the pack: look once more.
        let mut last = None;
        for attempt in 0..2 {
            if attempt > 0 {
                self.refresh_index()?;
            }
            let places = self.index()?.lookup_all(&id)?;
            for place in places {
                if place.kind != kind {
                    continue;
                }
                match self.read_at(&id, &place, scratch) {
                    Ok(Opened::Raw(range)) => return Ok(&scratch.sealed[range]),
                    Ok(Opened::Expanded) => return Ok(&scratch.plain),
                    Err(error) => last = Some(error),
                }
            }
            if !matches!(
                last,
                None | Some(Error::Storage(StorageError::NotFound { .. }))
            ) {
                break;
            }
        }
        Err(last.unwrap_or_else(|| Error::Missing {
            object: format!("chunk {id}"),
        }))
    }

    /// The length of a data chunk's content, as the index says.
    pub(crate) fn raw_len(&self, id: &Id) -> Result<u32> {
        for attempt in 0..2 {
            if attempt > 0 {
                self.refresh_index()?;
            }
            let places = self.index()?.lookup_all(id)?;
            if let Some(place) = places.iter().find(|place| place.kind == BlobKind::Data) {
                return Ok(place.raw_len);
            }
        }
        Err(Error::Missing {
            object: format!("chunk {id}"),
        })
    }

    fn read_at(&self, id: &Id, place: &Location, scratch: &mut Scratch) -> Result<Opened> {
        let opened = self.read_place(id, place, scratch);
        match (&opened, self.trees()) {
            // A copy on this machine can be damaged, too: what counts is what the storage has.
            (Err(error), Some(trees)) if error.is_damage() && trees.drop_pack(place.pack) => {
                self.read_place(id, place, scratch)
            }
            _ => opened,
        }
    }

    fn read_place(&self, id: &Id, place: &Location, scratch: &mut Scratch) -> Result<Opened> {
        let cipher = self.chunks().cipher_of_pack(self, place.kind, place.pack)?;
        let mut sealed = std::mem::take(&mut scratch.sealed);
        let (offset, len) = (u64::from(place.offset), place.stored_len as usize);
        self.read_of_pack(place.kind, place.pack, offset, len, &mut sealed)?;
        let info = BlobInfo {
            id: *id,
            kind: place.kind,
            encoding: place.encoding,
            raw_len: place.raw_len,
        };
        let opened = open_verified(&cipher, self.ring(), &info, &mut sealed, scratch);
        scratch.sealed = sealed;
        opened
    }

    /// A part of a pack, from a copy on this machine where there is one or will be.
    fn read_of_pack(
        &self,
        kind: BlobKind,
        pack: Id,
        offset: u64,
        len: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        if kind == BlobKind::Tree
            && let Some(trees) = self.trees()
            && trees.read(self.storage(), pack, offset, len, buffer)?
        {
            return Ok(());
        }
        let name = ObjectName::new(ObjectKind::Pack, pack);
        Ok(self.storage().read_range_into(&name, offset, len, buffer)?)
    }
}

/// The ids of the chunks that a content stands for, in order, one list in memory for each level.
///
/// Lists may repeat each other, so that few bytes stand for more ids than any memory holds: they
/// are never joined.
pub(crate) struct ContentIds {
    level: u8,
    lists: Vec<std::vec::IntoIter<Id>>,
}

impl ContentIds {
    pub fn new(content: &Content) -> Result<Self> {
        if content.level > MAX_LEVEL {
            let detail = "its lists are nested too deeply";
            return Err(Error::damaged("a directory", detail));
        }
        Ok(Self {
            level: content.level,
            lists: vec![content.ids.clone().into_iter()],
        })
    }

    pub fn next(&mut self, repository: &Repository, scratch: &mut Scratch) -> Result<Option<Id>> {
        self.next_with(repository, scratch, &mut |_| Ok(()))
    }

    /// As [`ContentIds::next`]; calls `list` with the id of every list that is read for it.
    pub fn next_with(
        &mut self,
        repository: &Repository,
        scratch: &mut Scratch,
        list: &mut dyn FnMut(&Id) -> Result<()>,
    ) -> Result<Option<Id>> {
        while let Some(last) = self.lists.last_mut() {
            let Some(id) = last.next() else {
                self.lists.pop();
                continue;
            };
            if self.lists.len() > usize::from(self.level) {
                return Ok(Some(id));
            }
            list(&id)?;
            let ids = repository.read_list(id, scratch)?;
            self.lists.push(ids.into_iter());
        }
        Ok(None)
    }
}

impl Repository {
    /// The ids in a tree chunk that is a list.
    pub(crate) fn read_list(&self, id: Id, scratch: &mut Scratch) -> Result<Vec<Id>> {
        let list = self.read_chunk(BlobKind::Tree, id, scratch)?;
        if list.len() % 32 != 0 {
            let chunk = format_args!("chunk {id}");
            return Err(Error::damaged(chunk, "it is no list of ids"));
        }
        Ok(list
            .chunks_exact(32)
            .map(|id| Id::from_bytes(id.try_into().expect("32 bytes")))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::backup::{Saver, Tools};
    use crate::compress::Compression;
    use crate::mark::Marker;
    use crate::repository::tests::in_memory;

    #[test]
    fn lists_of_lists_of_lists_take_little_memory_and_time() {
        const FAN: usize = 4096;
        let (_dir, repository) = in_memory();
        let saver = Saver::new(&repository, None, HashSet::new(), false).expect("saver");
        let mut tools = Tools::new(Compression::Fast).expect("tools");
        let data = saver
            .save(BlobKind::Data, b"one chunk", &mut tools)
            .expect("save");
        let mut id = data;
        for _ in 0..4 {
            let list = id.as_bytes().repeat(FAN);
            id = saver.save(BlobKind::Tree, &list, &mut tools).expect("save");
        }
        std::thread::scope(|scope| {
            let uploading = scope.spawn(|| saver.upload());
            saver.close();
            uploading.join().expect("no panic").expect("upload");
        });
        saver.finish_index().expect("index");

        // 2^48 ids in all.
        let content = Content {
            level: 4,
            ids: vec![id],
        };
        let mut scratch = Scratch::new().expect("scratch");
        let mut ids = ContentIds::new(&content).expect("ids");
        for _ in 0..2 * FAN {
            let next = ids.next(&repository, &mut scratch).expect("next");
            assert_eq!(next, Some(data));
        }
        let held: usize = ids.lists.iter().map(ExactSizeIterator::len).sum();
        assert!(held <= 5 * FAN, "{held}");

        let index = repository.frozen_index().expect("index");
        let mut marker = Marker::new(&repository, &index.entries, &|| false).expect("marker");
        marker.mark_file(content).expect("mark");
        let live = marker.into_bitmap();
        assert!((0..index.entries.len()).all(|position| live.get(position)));
    }
}
