//! Which chunks snapshots reach: one bit for each entry of the local index.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::{Bitmap, BlobKind, Frozen};
use crate::read::{ContentIds, MAX_LEVEL, Scratch};
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
    /// The same of lists of tree chunks, by their level. Few directories are so large.
    walked_lists: HashSet<(u8, Id)>,
    /// Lists of files' chunks.
    marked_lists: HashSet<(u8, Id)>,
    scratch: Scratch,
    stop: &'r dyn Fn() -> bool,
}

impl<'r> Marker<'r> {
    /// Marks until `stop` says to end early.
    pub fn new(
        repository: &'r Repository,
        index: &'r Frozen,
        stop: &'r dyn Fn() -> bool,
    ) -> Result<Self> {
        Ok(Self {
            repository,
            index,
            live: Bitmap::new(index.len()),
            walked: Bitmap::new(index.len()),
            walked_lists: HashSet::new(),
            marked_lists: HashSet::new(),
            scratch: Scratch::new()?,
            stop,
        })
    }

    /// Marks everything beneath a directory.
    ///
    /// # Errors
    /// A chunk that is not in the index, a tree that cannot be read, and [`Error::Interrupted`].
    pub fn mark(&mut self, root: &Content) -> Result<()> {
        let mut todo = vec![root.clone()];
        while let Some(directory) = todo.pop() {
            if !self.is_new(&directory)? {
                continue;
            }
            // Lists that repeat each other come to an end, because names must be in order over the
            // whole directory.
            let mut decoder = TreeDecoder::new();
            let mut ids = ContentIds::new(&directory)?;
            let (repository, index, live) = (self.repository, self.index, &mut self.live);
            let mut files = Vec::new();
            let mut mark = |id: &Id| set(index, live, id).map(drop);
            while let Some(id) = ids.next_with(repository, &mut self.scratch, &mut mark)? {
                mark(&id)?;
                if (self.stop)() {
                    return Err(Error::Interrupted);
                }
                let chunk = repository.read_chunk(BlobKind::Tree, id, &mut self.scratch)?;
                for node in decoder.decode_chunk(chunk)? {
                    match node.kind {
                        NodeKind::File { content, .. } => files.push(content),
                        NodeKind::Dir { content, .. } => todo.push(content),
                        _ => {}
                    }
                }
            }
            for file in files {
                self.mark_file(file)?;
            }
        }
        Ok(())
    }

    /// Whether a directory has not been marked before; from now on it counts as marked.
    fn is_new(&mut self, directory: &Content) -> Result<bool> {
        let mut new = false;
        for id in &directory.ids {
            if directory.level > 0 {
                new |= self.walked_lists.insert((directory.level, *id));
            } else {
                let position = set(self.index, &mut self.live, id)?;
                new |= !self.walked.set(position);
            }
        }
        Ok(new)
    }

    /// Marks the lists and chunks of a file, each list once.
    pub fn mark_file(&mut self, content: Content) -> Result<()> {
        if content.level > MAX_LEVEL {
            let detail = "its lists are nested too deeply";
            return Err(Error::damaged("a file", detail));
        }
        let mut todo = vec![(content.level, content.ids)];
        while let Some((level, ids)) = todo.pop() {
            for id in ids {
                set(self.index, &mut self.live, &id)?;
                if level > 0 && self.marked_lists.insert((level, id)) {
                    let list = self.repository.read_list(id, &mut self.scratch)?;
                    todo.push((level - 1, list));
                }
            }
        }
        Ok(())
    }

    pub fn into_bitmap(self) -> Bitmap {
        self.live
    }
}

/// Sets a chunk's bit and gives its position.
fn set(index: &Frozen, live: &mut Bitmap, id: &Id) -> Result<u64> {
    let position = index.position(id)?.ok_or_else(|| Error::Missing {
        object: format!("chunk {id}"),
    })?;
    live.set(position);
    Ok(position)
}
