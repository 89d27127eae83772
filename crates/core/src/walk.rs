//! Walking the trees of a snapshot, one tree chunk in memory at a time for each level.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::index::BlobKind;
use crate::read::{ContentIds, Scratch};
use crate::repository::Repository;
use crate::tree::{Content, Node, NodeKind, TreeDecoder};

/// The entries of one directory, in order.
pub(crate) struct Directory {
    ids: ContentIds,
    decoder: TreeDecoder,
    nodes: VecDeque<Node>,
}

impl Directory {
    pub fn open(content: &Content) -> Result<Self> {
        Ok(Self {
            ids: ContentIds::new(content)?,
            decoder: TreeDecoder::new(),
            nodes: VecDeque::new(),
        })
    }

    pub fn next(&mut self, repository: &Repository, scratch: &mut Scratch) -> Result<Option<Node>> {
        loop {
            if let Some(node) = self.nodes.pop_front() {
                return Ok(Some(node));
            }
            match self.next_chunk(repository, scratch)? {
                Some((_, nodes)) => self.nodes.extend(nodes),
                None => return Ok(None),
            }
        }
    }

    /// All entries of the next chunk, and its id.
    pub fn next_chunk(
        &mut self,
        repository: &Repository,
        scratch: &mut Scratch,
    ) -> Result<Option<(Id, Vec<Node>)>> {
        let Some(id) = self.ids.next(repository, scratch)? else {
            return Ok(None);
        };
        let chunk = repository.read_chunk(BlobKind::Tree, id, scratch)?;
        Ok(Some((id, self.decoder.decode_chunk(chunk)?)))
    }
}

/// Walks a tree depth first, directories before what is in them.
pub(crate) struct Walk<'r> {
    repository: &'r Repository,
    scratch: Scratch,
    stack: Vec<(Directory, usize)>,
    path: Vec<u8>,
    /// The directory given last, entered unless the caller declines.
    enter: Option<Content>,
}

impl<'r> Walk<'r> {
    pub fn new(repository: &'r Repository, root: &Content) -> Result<Self> {
        let scratch = Scratch::new()?;
        let top = Directory::open(root)?;
        Ok(Self {
            repository,
            scratch,
            stack: vec![(top, 0)],
            path: Vec::new(),
            enter: None,
        })
    }

    /// The next entry with its path, `/` before every component.
    pub fn next(&mut self) -> Result<Option<(&[u8], Node)>> {
        if let Some(content) = self.enter.take() {
            let directory = Directory::open(&content)?;
            self.stack.push((directory, self.path.len()));
        }
        while let Some((directory, prefix)) = self.stack.last_mut() {
            self.path.truncate(*prefix);
            if let Some(node) = directory.next(self.repository, &mut self.scratch)? {
                self.path.push(b'/');
                self.path.extend_from_slice(&node.name);
                if let NodeKind::Dir { content, .. } = &node.kind {
                    self.enter = Some(content.clone());
                }
                return Ok(Some((&self.path, node)));
            }
            self.stack.pop();
        }
        Ok(None)
    }

    /// The path of the entry given last, or of what could not be read.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Does not go into the directory that was given last.
    pub fn skip(&mut self) {
        self.enter = None;
    }
}

impl Repository {
    /// The entry at a path of a snapshot; nothing for the top itself.
    pub(crate) fn node_at(&self, root: &Content, path: &[u8]) -> Result<Option<Node>> {
        let mut scratch = Scratch::new()?;
        let mut content = root.clone();
        let mut found: Option<Node> = None;
        for component in components(path) {
            let missing = || Error::NoSuchPath {
                path: String::from_utf8_lossy(path).into_owned(),
            };
            if let Some(node) = found.take() {
                let NodeKind::Dir { content: below, .. } = node.kind else {
                    return Err(missing());
                };
                content = below;
            }
            let mut directory = Directory::open(&content)?;
            while let Some(node) = directory.next(self, &mut scratch)? {
                if node.name == component {
                    found = Some(node);
                    break;
                }
            }
            if found.is_none() {
                return Err(missing());
            }
        }
        Ok(found)
    }

    /// The directory at a path of a snapshot.
    pub(crate) fn dir_at(&self, root: &Content, path: &[u8]) -> Result<Content> {
        match self.node_at(root, path)? {
            None => Ok(root.clone()),
            Some(Node {
                kind: NodeKind::Dir { content, .. },
                ..
            }) => Ok(content),
            Some(_) => Err(Error::Invalid {
                what: "path",
                problem: format!("{} is no directory", String::from_utf8_lossy(path)),
            }),
        }
    }
}

/// The components of a path, without empty ones and `.`.
pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
}
