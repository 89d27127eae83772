//! Which chunks snapshots reach: one bit for each entry of the local index.

use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{Bitmap, BlobKind, Frozen};
use crate::read::Scratch;
use crate::repository::Repository;
use crate::tree::{Content, NodeKind, TreeDecoder};

/// Walks trees and marks what they reach, in the index as it was at one moment: what is read may
/// bring the index of the repository up to date, and positions must not move meanwhile.
pub(crate) struct Marker<'r> {
    repository: &'r Repository,
    index: &'r Frozen,
    live: Bitmap,
    /// Tree chunks that were read as directories. Not the same as `live`: a hostile tree may name
    /// another's directory as a file, and must not make us skip what is beneath it.
    walked: Bitmap,
    scratch: Scratch,
}

impl<'r> Marker<'r> {
    pub fn new(repository: &'r Repository, index: &'r Frozen) -> Result<Self> {
        Ok(Self {
            repository,
            index,
            live: Bitmap::new(index.len()),
            walked: Bitmap::new(index.len()),
            scratch: Scratch::new()?,
        })
    }

    /// Marks everything beneath a directory.
    ///
    /// # Errors
    /// A chunk that is not in the index, and a tree that cannot be read.
    pub fn mark(&mut self, root: &Content) -> Result<()> {
        let mut todo = vec![root.clone()];
        while let Some(directory) = todo.pop() {
            let ids = self.lists_of(&directory)?;
            let mut fresh = false;
            for id in &ids {
                let position = self.set(id)?;
                fresh |= !self.walked.set(position);
            }
            if !fresh {
                continue;
            }
            // Names must be in order over the whole directory, so all of it is read again.
            let mut decoder = TreeDecoder::new();
            for id in ids {
                let chunk = self
                    .repository
                    .read_chunk(BlobKind::Tree, id, &mut self.scratch)?;
                let mut files = Vec::new();
                for node in decoder.decode_chunk(chunk)? {
                    match node.kind {
                        NodeKind::File { content, .. } => files.push(content),
                        NodeKind::Dir { content } => todo.push(content),
                        _ => {}
                    }
                }
                for file in files {
                    for id in self.lists_of(&file)? {
                        self.set(&id)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub fn into_bitmap(self) -> Bitmap {
        self.live
    }

    /// Sets a chunk's bit and gives its position.
    fn set(&mut self, id: &Id) -> Result<u64> {
        let position = self.index.position(id)?.ok_or_else(|| Error::Missing {
            object: format!("chunk {id}"),
        })?;
        self.live.set(position);
        Ok(position)
    }

    /// Marks the lists of a content and gives the ids of its chunks.
    fn lists_of(&mut self, content: &Content) -> Result<Vec<Id>> {
        if content.level > crate::read::MAX_LEVEL {
            return Err(Error::damaged(
                "a directory",
                "its lists are nested too deeply",
            ));
        }
        let mut ids = content.ids.clone();
        for _ in 0..content.level {
            for id in &ids {
                self.set(id)?;
            }
            ids = self
                .repository
                .content_ids(&Content { level: 1, ids }, &mut self.scratch)?;
        }
        Ok(ids)
    }
}
