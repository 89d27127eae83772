//! A directory of a snapshot, read as far as somebody looked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keepwatch_core::tree::{Content, Node, NodeKind};
use keepwatch_core::{DirectoryReader, Error, Id, Repository, Result};

use crate::lru::Lru;

/// Entries that are stored together.
pub(crate) type Nodes = Arc<Vec<Node>>;

/// Entries of directories that were used last.
#[derive(Debug)]
pub(crate) struct NodeCache(Mutex<Lru<Id, Nodes>>);

impl NodeCache {
    pub fn new(bytes: usize) -> Self {
        Self(Mutex::new(Lru::new(usize::MAX, bytes)))
    }

    fn keep(&self, id: Id, nodes: &Nodes) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(id, nodes.clone(), nodes.iter().map(memory).sum());
    }

    fn get(&self, id: Id, repository: &Repository) -> Result<Nodes> {
        let found = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id);
        if let Some(nodes) = found {
            return Ok(nodes);
        }
        let nodes = Arc::new(repository.directory_chunk(id)?);
        self.keep(id, &nodes);
        Ok(nodes)
    }
}

/// How many bytes of memory an entry takes, about.
fn memory(node: &Node) -> usize {
    let content = match &node.kind {
        NodeKind::File {
            content, extents, ..
        } => 32 * content.ids.len() + 16 * extents.as_ref().map_or(0, Vec::len),
        NodeKind::Dir { content, .. } => 32 * content.ids.len(),
        NodeKind::Symlink { target } => target.len(),
        _ => 0,
    };
    let xattrs: usize = node
        .meta
        .xattrs
        .iter()
        .map(|(name, value)| name.len() + value.len() + 48)
        .sum();
    size_of::<Node>() + node.name.len() + content + xattrs
}

/// One directory. What is kept of it is where each chunk of it begins and ends.
#[derive(Debug)]
pub(crate) struct Listing {
    content: Arc<Content>,
    known: Mutex<Known>,
    /// How many bytes it takes, about.
    memory: AtomicUsize,
}

/// Buffers of a directory that is not read to its end yet, about.
const READER: usize = 1 << 20;

#[derive(Debug, Default)]
struct Known {
    reader: Option<DirectoryReader>,
    parts: Vec<Part>,
    /// How many entries they have.
    count: u64,
    complete: bool,
}

#[derive(Debug)]
struct Part {
    id: Id,
    first: Box<[u8]>,
    last: Box<[u8]>,
    /// The number of its first entry.
    start: u64,
}

impl Known {
    fn memory(&self) -> usize {
        let parts = self.parts.iter();
        let parts: usize = parts
            .map(|part| size_of::<Part>() + part.first.len() + part.last.len())
            .sum();
        let reader = if self.reader.is_some() { READER } else { 0 };
        size_of::<Listing>() + parts + reader
    }

    /// Reads one more chunk; gives whether there was one.
    fn extend(
        &mut self,
        repository: &Arc<Repository>,
        content: &Content,
        cache: &NodeCache,
    ) -> Result<bool> {
        if self.complete {
            return Ok(false);
        }
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => repository.open_directory(content)?,
        };
        match reader.next_chunk() {
            Ok(Some(chunk)) => {
                let (Some(first), Some(last)) = (chunk.nodes.first(), chunk.nodes.last()) else {
                    // Any number of them could be listed in a few bytes.
                    *self = Self::default();
                    return Err(Error::Damaged {
                        object: format!("chunk {}", chunk.id),
                        detail: "it is a directory's and has no entries".to_owned(),
                    });
                };
                self.parts.push(Part {
                    id: chunk.id,
                    first: first.name.as_slice().into(),
                    last: last.name.as_slice().into(),
                    start: self.count,
                });
                self.count += chunk.nodes.len() as u64;
                cache.keep(chunk.id, &Arc::new(chunk.nodes));
                self.reader = Some(reader);
                Ok(true)
            }
            Ok(None) => {
                self.complete = true;
                Ok(false)
            }
            Err(error) => {
                // What cannot be read is not skipped: the next one to look begins anew.
                *self = Self::default();
                Err(error)
            }
        }
    }
}

impl Listing {
    pub fn new(content: Arc<Content>) -> Self {
        Self {
            content,
            known: Mutex::default(),
            memory: AtomicUsize::new(size_of::<Self>()),
        }
    }

    /// How many bytes it takes, about.
    pub fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    fn extend(
        &self,
        known: &mut Known,
        repository: &Arc<Repository>,
        cache: &NodeCache,
    ) -> Result<bool> {
        let more = known.extend(repository, &self.content, cache);
        self.memory.store(known.memory(), Ordering::Relaxed);
        more
    }

    /// The entry of this name: what it is stored with, and where it is among that.
    pub fn find(
        &self,
        name: &[u8],
        repository: &Arc<Repository>,
        cache: &NodeCache,
    ) -> Result<Option<(Nodes, usize)>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let n = known.parts.partition_point(|part| *part.last < *name);
            if let Some(part) = known.parts.get(n) {
                if *part.first > *name {
                    return Ok(None);
                }
                let id = part.id;
                drop(known);
                let nodes = cache.get(id, repository)?;
                let at = nodes.binary_search_by(|node| node.name.as_slice().cmp(name));
                return Ok(at.ok().map(|at| (nodes, at)));
            }
            if !self.extend(&mut known, repository, cache)? {
                return Ok(None);
            }
        }
    }

    /// Entries from the n-th on, as many as are stored together; nothing after the last.
    pub fn from(
        &self,
        n: u64,
        repository: &Arc<Repository>,
        cache: &NodeCache,
    ) -> Result<Option<(Nodes, usize)>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        while known.count <= n {
            if !self.extend(&mut known, repository, cache)? {
                return Ok(None);
            }
        }
        let part = &known.parts[known.parts.partition_point(|part| part.start <= n) - 1];
        let (id, at) = (part.id, (n - part.start) as usize);
        drop(known);
        Ok(Some((cache.get(id, repository)?, at)))
    }
}
