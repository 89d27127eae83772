//! The tree: what is where, without reading more of it than somebody asks for.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use keepwatch_core::tree::{Content, Node, NodeKind};
use keepwatch_core::{Error, Id, Repository};

use crate::chunks::ChunkCache;
use crate::error::Result;
use crate::file::OpenFile;
use crate::listing::{Listing, NodeCache, Nodes};
use crate::lru::Lru;
use crate::snapshots::{Shown, Snapshots, View};

/// How many directories are remembered by where their chunks begin, and in how many bytes.
const MAX_LISTINGS: usize = 4096;
const LISTINGS: usize = 64 << 20;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// Bytes of files' chunks that are kept.
    pub chunk_cache: usize,
    /// Bytes of directory entries that are kept.
    pub entry_cache: usize,
    /// How many bytes of a file that is read in order are read ahead.
    pub read_ahead: u64,
    /// Threads that read ahead; by default as many as the repository's storage is read with.
    pub threads: Option<usize>,
    /// After this time, somebody who looks makes us look for new snapshots.
    pub refresh: Duration,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            chunk_cache: 128 << 20,
            entry_cache: 64 << 20,
            read_ahead: 16 << 20,
            threads: None,
            refresh: Duration::from_secs(2),
        }
    }
}

/// The snapshots of a repository as a tree.
#[derive(Debug)]
pub struct Tree {
    repository: Arc<Repository>,
    snapshots: Snapshots,
    listings: Mutex<Lru<Id, Arc<Listing>>>,
    nodes: NodeCache,
    chunks: Arc<ChunkCache>,
    read_ahead: u64,
}

/// A directory of the tree. Cheap to copy.
#[derive(Clone, Debug)]
pub enum Dir {
    /// The top.
    Root,
    /// Snapshots by time.
    Snapshots,
    /// Snapshots by id.
    Ids,
    /// The hosts that snapshots are of.
    Hosts,
    /// The tags that snapshots have.
    Tags,
    /// Snapshots of a host, by time.
    Host(Arc<[u8]>),
    /// Snapshots with a tag, by time.
    Tag(Arc<[u8]>),
    /// A directory in a snapshot.
    Stored(Arc<Content>),
}

/// Something in a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, which need not be UTF-8.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum EntryKind {
    /// A directory that is not stored anywhere.
    View(Dir),
    /// A link to the newest snapshot: where it points, and the snapshot's directory and time.
    Latest {
        /// The path from the top.
        target: Vec<u8>,
        /// The snapshot's directory.
        dir: Dir,
        /// When the backup began.
        time: Timestamp,
    },
    /// The top of a snapshot.
    Snapshot {
        /// Its directory.
        dir: Dir,
        /// When the backup began.
        time: Timestamp,
    },
    /// Something in a snapshot.
    Stored(StoredEntry),
}

/// An entry of a snapshot, as one of those it is stored with.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    nodes: Nodes,
    at: usize,
}

impl Deref for StoredEntry {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.nodes[self.at]
    }
}

impl Entry {
    fn stored(nodes: Nodes, at: usize) -> Self {
        Self {
            name: nodes[at].name.clone(),
            kind: EntryKind::Stored(StoredEntry { nodes, at }),
        }
    }

    fn view(name: &[u8], dir: Dir) -> Self {
        Self {
            name: name.to_vec(),
            kind: EntryKind::View(dir),
        }
    }

    fn snapshot(name: &str, shown: &Shown) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            kind: EntryKind::Snapshot {
                dir: Dir::Stored(shown.root.clone()),
                time: shown.time,
            },
        }
    }

    /// The directory that it is, if it is one. A link is none.
    pub fn dir(&self) -> Option<Dir> {
        match &self.kind {
            EntryKind::View(dir) | EntryKind::Snapshot { dir, .. } => Some(dir.clone()),
            EntryKind::Latest { .. } => None,
            EntryKind::Stored(node) => match &node.kind {
                NodeKind::Dir { content, .. } => Some(Dir::Stored(Arc::new(content.clone()))),
                _ => None,
            },
        }
    }
}

/// An open directory.
#[derive(Clone, Debug)]
pub struct Entries(Source);

#[derive(Clone, Debug)]
enum Source {
    /// As it was when it was opened.
    Fixed(Arc<[Entry]>),
    Stored(Arc<Listing>),
}

impl Tree {
    /// Shows a repository.
    ///
    /// # Errors
    /// A writer's key, and threads that cannot be started.
    pub fn new(repository: Arc<Repository>, options: &TreeOptions) -> Result<Arc<Self>> {
        let threads = options
            .threads
            .unwrap_or_else(|| repository.threads().clamp(2, 16));
        let chunks = ChunkCache::new(repository.clone(), options.chunk_cache, threads)?;
        Ok(Arc::new(Self {
            snapshots: Snapshots::new(repository.clone(), options.refresh),
            repository,
            listings: Mutex::new(Lru::new(MAX_LISTINGS, LISTINGS)),
            nodes: NodeCache::new(options.entry_cache),
            chunks: Arc::new(chunks),
            // What is read ahead must not push itself out.
            read_ahead: options.read_ahead.min(options.chunk_cache as u64 / 4),
        }))
    }

    fn listing(&self, content: &Arc<Content>) -> Arc<Listing> {
        let mut bytes = vec![content.level];
        for id in &content.ids {
            bytes.extend_from_slice(id.as_bytes());
        }
        let key = Id::of(&bytes);
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let found = listings.get(&key);
        let listing = found.unwrap_or_else(|| Arc::new(Listing::new(content.clone())));
        // It has grown by what was read of it meanwhile.
        listings.insert(key, listing.clone(), listing.memory());
        listing
    }

    /// The entry of this name in a directory, if there is one.
    ///
    /// # Errors
    /// What is missing or damaged.
    pub fn lookup(&self, dir: &Dir, name: &[u8]) -> Result<Option<Entry>> {
        if let Dir::Stored(content) = dir {
            let found = self
                .listing(content)
                .find(name, &self.repository, &self.nodes)?;
            return Ok(found.map(|(nodes, at)| Entry::stored(nodes, at)));
        }
        let view = self.snapshots.view()?;
        let by_time = |among: &[usize]| {
            let (n, shown) = view.by_time(name)?;
            among
                .binary_search(&n)
                .is_ok()
                .then(|| Entry::snapshot(&shown.name, shown))
        };
        Ok(match dir {
            Dir::Root => top(&view).into_iter().find(|entry| entry.name == name),
            Dir::Snapshots => view
                .by_time(name)
                .map(|(_, shown)| Entry::snapshot(&shown.name, shown)),
            Dir::Ids => view
                .by_id(name)
                .map(|shown| Entry::snapshot(&shown.short, shown)),
            Dir::Hosts => view
                .hosts
                .contains_key(name)
                .then(|| Entry::view(name, Dir::Host(name.into()))),
            Dir::Tags => view
                .tags
                .contains_key(name)
                .then(|| Entry::view(name, Dir::Tag(name.into()))),
            Dir::Host(host) => view.hosts.get(&**host).and_then(|among| by_time(among)),
            Dir::Tag(tag) => view.tags.get(&**tag).and_then(|among| by_time(among)),
            Dir::Stored(_) => None,
        })
    }

    /// Opens a directory.
    ///
    /// # Errors
    /// Snapshots that cannot be listed.
    pub fn open_dir(&self, dir: &Dir) -> Result<Entries> {
        if let Dir::Stored(content) = dir {
            return Ok(Entries(Source::Stored(self.listing(content))));
        }
        let view = self.snapshots.view()?;
        let some = |among: Option<&Vec<usize>>| {
            among
                .into_iter()
                .flatten()
                .map(|n| Entry::snapshot(&view.all[*n].name, &view.all[*n]))
                .collect()
        };
        let entries: Vec<Entry> = match dir {
            Dir::Root => top(&view),
            Dir::Snapshots => view
                .all
                .iter()
                .map(|shown| Entry::snapshot(&shown.name, shown))
                .collect(),
            Dir::Ids => view
                .all
                .iter()
                .map(|shown| Entry::snapshot(&shown.short, shown))
                .collect(),
            Dir::Hosts => view
                .hosts
                .keys()
                .map(|name| Entry::view(name, Dir::Host(name.as_slice().into())))
                .collect(),
            Dir::Tags => view
                .tags
                .keys()
                .map(|name| Entry::view(name, Dir::Tag(name.as_slice().into())))
                .collect(),
            Dir::Host(host) => some(view.hosts.get(&**host)),
            Dir::Tag(tag) => some(view.tags.get(&**tag)),
            Dir::Stored(_) => Vec::new(),
        };
        Ok(Entries(Source::Fixed(entries.into())))
    }

    /// Entries of an open directory from the n-th on, some of them; none after the last.
    ///
    /// # Errors
    /// What is missing or damaged.
    pub fn read_dir(&self, entries: &Entries, n: u64) -> Result<Vec<Entry>> {
        match &entries.0 {
            Source::Fixed(all) => {
                let n = usize::try_from(n).unwrap_or(usize::MAX).min(all.len());
                Ok(all[n..].to_vec())
            }
            Source::Stored(listing) => {
                let Some((nodes, at)) = listing.from(n, &self.repository, &self.nodes)? else {
                    return Ok(Vec::new());
                };
                Ok((at..nodes.len())
                    .map(|at| Entry::stored(nodes.clone(), at))
                    .collect())
            }
        }
    }

    /// The entry at a path from the top; nothing for the top itself, and for what is not there.
    ///
    /// Of links, only `latest` is followed.
    ///
    /// # Errors
    /// What is missing or damaged.
    pub fn find(&self, path: &[&[u8]]) -> Result<Option<Entry>> {
        let mut dir = Dir::Root;
        let mut found = None;
        for (n, name) in path.iter().enumerate() {
            let Some(mut entry) = self.lookup(&dir, name)? else {
                return Ok(None);
            };
            if let EntryKind::Latest { dir, time, .. } = entry.kind {
                entry.kind = EntryKind::Snapshot { dir, time };
            }
            match entry.dir() {
                Some(below) => dir = below,
                None if n + 1 == path.len() => {}
                None => return Ok(None),
            }
            found = Some(entry);
        }
        Ok(found)
    }

    /// Opens a file of a snapshot.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no file.
    pub fn open_file(&self, node: &Node) -> Result<OpenFile, Error> {
        let reader = self.repository.open_node(node)?;
        Ok(OpenFile::new(self.chunks.clone(), reader, self.read_ahead))
    }
}

/// What is at the top.
fn top(view: &View) -> Vec<Entry> {
    let mut entries = vec![
        Entry::view(b"hosts", Dir::Hosts),
        Entry::view(b"ids", Dir::Ids),
        Entry::view(b"snapshots", Dir::Snapshots),
        Entry::view(b"tags", Dir::Tags),
    ];
    if let Some(newest) = view.all.last() {
        let latest = Entry {
            name: b"latest".to_vec(),
            kind: EntryKind::Latest {
                target: format!("snapshots/{}", newest.name).into_bytes(),
                dir: Dir::Stored(newest.root.clone()),
                time: newest.time,
            },
        };
        entries.insert(2, latest);
    }
    entries
}
