//! Writing a directory as tree chunks.

use super::varint::{put, put_signed};
use super::{
    Content, FLAG_CHANGED, FLAG_EXTENTS, FLAG_GROUP, FLAG_HARDLINK, FLAG_PARTIAL, FLAG_USER,
    FLAG_XATTRS, MAX_ENTRY, MAX_LEVEL, MODE_MASK, NANOS_PER_SEC, Node, NodeKind, TYPE_BLOCK_DEVICE,
    TYPE_CHAR_DEVICE, TYPE_DIR, TYPE_FIFO, TYPE_FILE, TYPE_SOCKET, TYPE_SYMLINK, TreeError,
    VERSION, Xattr, extents_problem, name_problem,
};

/// No chunk but the last of a directory is smaller.
const MIN_CUT: usize = 64 << 10;
/// On average a chunk ends this many bytes after [`MIN_CUT`].
const MEAN_CUT: u64 = 192 << 10;
/// No chunk of more than one entry is larger.
const MAX_CUT: usize = 1 << 20;

/// Writes the entries of one directory as tree chunks.
///
/// Chunks are cut where the entries themselves say so, not at fixed sizes: one entry more in a
/// large directory changes one or two of its chunks and leaves the others as they were. An entry
/// ends a chunk of at least 64 KiB if the hash of its name falls below a bound in proportion to
/// its length, and so chunks have 256 KiB on average, whether entries are small or large.
#[derive(Debug, Default)]
pub struct TreeWriter {
    /// The chunk being filled, empty or with its version byte.
    chunk: Vec<u8>,
    /// The chunk is complete and goes before the next entry.
    complete: bool,
    body: Vec<u8>,
    /// The name of the last entry.
    last: Vec<u8>,
}

impl TreeWriter {
    /// A writer for an empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry; gives a chunk if one is complete.
    ///
    /// Extended attributes are sorted if they are not. Mode bits above the low 12 are left out.
    ///
    /// # Errors
    /// An entry whose name does not come after the last one's or cannot be a name at all, whose
    /// fields contradict each other, or that takes more than 8 MiB. The writer is unchanged then
    /// and may go on.
    pub fn push(&mut self, node: &Node) -> Result<Option<Vec<u8>>, TreeError> {
        let refuse = |problem| TreeError::BadEntry {
            name: String::from_utf8_lossy(&node.name).into_owned(),
            problem,
        };
        if let Some(problem) = name_problem(&node.name) {
            return Err(refuse(problem));
        }
        // No name is empty, so an empty one stands before the first.
        if node.name <= self.last {
            return Err(refuse("it does not come after the entry before it"));
        }
        self.body.clear();
        write_body(&mut self.body, node).map_err(refuse)?;
        if self.body.len() > MAX_ENTRY {
            return Err(refuse("it is larger than 8 MiB"));
        }
        self.last.clear();
        self.last.extend_from_slice(&node.name);

        let len = self.body.len() + varint_len(self.body.len() as u64);
        let mut done = None;
        if self.complete || (!self.chunk.is_empty() && self.chunk.len() + len > MAX_CUT) {
            let room = self.chunk.capacity().min(MAX_CUT);
            done = Some(std::mem::replace(&mut self.chunk, Vec::with_capacity(room)));
        }
        if self.chunk.is_empty() {
            self.chunk.push(VERSION);
        }
        put(&mut self.chunk, self.body.len() as u64);
        self.chunk.extend_from_slice(&self.body);
        self.complete = self.chunk.len() >= MIN_CUT && ends_chunk(&node.name, len as u64);
        Ok(done)
    }

    /// Ends the directory; gives the last chunk, or nothing for an empty directory.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.complete = false;
        self.last.clear();
        let chunk = std::mem::take(&mut self.chunk);
        (!chunk.is_empty()).then_some(chunk)
    }
}

/// Whether an entry of `len` bytes is one of those that end chunks.
fn ends_chunk(name: &[u8], len: u64) -> bool {
    let hash = blake3::hash(name);
    let [a, b, c, d, ..] = *hash.as_bytes();
    let bound = len.saturating_mul(u64::from(u32::MAX)) / MEAN_CUT;
    u64::from(u32::from_le_bytes([a, b, c, d])) < bound
}

fn varint_len(value: u64) -> usize {
    (value | 1).ilog2() as usize / 7 + 1
}

fn write_body(out: &mut Vec<u8>, node: &Node) -> Result<(), &'static str> {
    let meta = &node.meta;
    put_bytes(out, &node.name);
    out.push(match &node.kind {
        NodeKind::File { .. } => TYPE_FILE,
        NodeKind::Dir { .. } => TYPE_DIR,
        NodeKind::Symlink { .. } => TYPE_SYMLINK,
        NodeKind::CharDevice { .. } => TYPE_CHAR_DEVICE,
        NodeKind::BlockDevice { .. } => TYPE_BLOCK_DEVICE,
        NodeKind::Fifo => TYPE_FIFO,
        NodeKind::Socket => TYPE_SOCKET,
    });
    put(out, flags(node));
    put(out, u64::from(meta.mode & MODE_MASK));
    put(out, u64::from(meta.uid));
    put(out, u64::from(meta.gid));
    if meta.mtime.nanos >= NANOS_PER_SEC {
        return Err("its time has a second or more of nanoseconds");
    }
    put_signed(out, meta.mtime.secs);
    put(out, u64::from(meta.mtime.nanos));
    if let Some(user) = &meta.user {
        put_bytes(out, user);
    }
    if let Some(group) = &meta.group {
        put_bytes(out, group);
    }
    if let Some((device, inode)) = meta.hardlink {
        put(out, device);
        put(out, inode);
    }
    if !meta.xattrs.is_empty() {
        write_xattrs(out, &meta.xattrs)?;
    }
    match &node.kind {
        NodeKind::File {
            size,
            content,
            extents,
            ..
        } => {
            put(out, *size);
            write_content(out, content)?;
            if let Some(extents) = extents {
                if let Some(problem) = extents_problem(extents, *size) {
                    return Err(problem);
                }
                put(out, extents.len() as u64);
                for &(offset, len) in extents {
                    put(out, offset);
                    put(out, len);
                }
            }
        }
        NodeKind::Dir { content, .. } => write_content(out, content)?,
        NodeKind::Symlink { target } => put_bytes(out, target),
        NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
            put(out, u64::from(*major));
            put(out, u64::from(*minor));
        }
        NodeKind::Fifo | NodeKind::Socket => {}
    }
    Ok(())
}

fn flags(node: &Node) -> u64 {
    let meta = &node.meta;
    let (sparse, changed) = match &node.kind {
        NodeKind::File {
            extents, changed, ..
        } => (extents.is_some(), *changed),
        _ => (false, false),
    };
    let partial = matches!(node.kind, NodeKind::Dir { partial: true, .. });
    [
        (meta.user.is_some(), FLAG_USER),
        (meta.group.is_some(), FLAG_GROUP),
        (meta.hardlink.is_some(), FLAG_HARDLINK),
        (!meta.xattrs.is_empty(), FLAG_XATTRS),
        (sparse, FLAG_EXTENTS),
        (changed, FLAG_CHANGED),
        (partial, FLAG_PARTIAL),
    ]
    .into_iter()
    .filter_map(|(set, flag)| set.then_some(flag))
    .sum()
}

fn write_xattrs(out: &mut Vec<u8>, xattrs: &[Xattr]) -> Result<(), &'static str> {
    let mut sorted = Vec::new();
    if !xattrs.is_sorted_by(|a, b| a.0 <= b.0) {
        sorted.extend_from_slice(xattrs);
        sorted.sort();
    }
    let xattrs = if sorted.is_empty() { xattrs } else { &sorted };
    put(out, xattrs.len() as u64);
    let mut last: &[u8] = b"";
    for (name, value) in xattrs {
        if name.is_empty() {
            return Err("an extended attribute has no name");
        }
        if name.as_slice() == last {
            return Err("it has an extended attribute twice");
        }
        last = name;
        put_bytes(out, name);
        put_bytes(out, value);
    }
    Ok(())
}

fn write_content(out: &mut Vec<u8>, content: &Content) -> Result<(), &'static str> {
    if content.level > MAX_LEVEL {
        return Err("its lists of chunks are nested too deeply");
    }
    put(out, u64::from(content.level));
    put(out, content.ids.len() as u64);
    out.reserve(content.ids.len() * 32);
    for id in &content.ids {
        out.extend_from_slice(id.as_bytes());
    }
    Ok(())
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
