//! Reading the directories of snapshots in pieces, for whoever shows them as a file system.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::id::Id;
use crate::index::BlobKind;
use crate::read::Scratch;
use crate::repository::Repository;
use crate::tree::{Content, Node, TreeDecoder};
use crate::walk::Directory;

/// Some entries of a directory that are stored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryChunk {
    /// What [`Repository::directory_chunk`] reads them by again.
    pub id: Id,
    /// The entries, in the order of their names' bytes.
    pub nodes: Vec<Node>,
}

/// Reads a directory from its beginning, a chunk at a time.
///
/// Names are in order over all of its chunks, so that a name can be searched without keeping them
/// in memory: the first name of each chunk says which one has it.
pub struct DirectoryReader {
    repository: Arc<Repository>,
    directory: Directory,
    scratch: Scratch,
}

impl Repository {
    /// Opens a directory: [`Snapshot::root`](crate::Snapshot), or what an entry of one has.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`](crate::Error::NeedsFullKey), and content that is none.
    pub fn open_directory(self: &Arc<Self>, content: &Content) -> Result<DirectoryReader> {
        self.needs_full("reading a directory")?;
        Ok(DirectoryReader {
            repository: self.clone(),
            directory: Directory::open(content)?,
            scratch: Scratch::new()?,
        })
    }

    /// The entries of one chunk of a directory.
    ///
    /// # Errors
    /// A chunk that is missing, damaged, or no directory's.
    pub fn directory_chunk(&self, id: Id) -> Result<Vec<Node>> {
        self.needs_full("reading a directory")?;
        let mut scratch = Scratch::new()?;
        let chunk = self.read_chunk(BlobKind::Tree, id, &mut scratch)?;
        Ok(TreeDecoder::new().decode_chunk(chunk)?)
    }
}

impl DirectoryReader {
    /// The next entries, or nothing after the last.
    ///
    /// # Errors
    /// A chunk that is missing or damaged. Reading on then skips it.
    pub fn next_chunk(&mut self) -> Result<Option<DirectoryChunk>> {
        let next = self
            .directory
            .next_chunk(&self.repository, &mut self.scratch)?;
        Ok(next.map(|(id, nodes)| DirectoryChunk { id, nodes }))
    }
}

impl fmt::Debug for DirectoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryReader").finish_non_exhaustive()
    }
}
