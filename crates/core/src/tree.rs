//! Directory trees: entries with their metadata, written as streams of tree chunks
//! (FORMAT.md, section 4.10).
//!
//! [`TreeWriter`] turns the entries of one directory into chunks, [`TreeDecoder`] turns the chunks
//! back into entries and believes nothing that it reads.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod varint;

pub use decode::TreeDecoder;
pub use encode::TreeWriter;

use crate::id::Id;

/// The version of tree chunks that this code reads and writes.
const VERSION: u8 = 1;
/// The longest name of an entry.
const MAX_NAME: usize = 255;
/// The highest [`Content::level`].
const MAX_LEVEL: u8 = 4;
/// The longest body of an entry: far below the largest chunk, far above what file systems allow.
const MAX_ENTRY: usize = 8 << 20;
/// The largest plaintext of a chunk.
const MAX_CHUNK: usize = 16 << 20;
/// Mode is the permission bits with set-user-id, set-group-id and sticky; the type stands apart.
const MODE_MASK: u32 = 0o7777;
const NANOS_PER_SEC: u32 = 1_000_000_000;

const FLAG_USER: u64 = 1;
const FLAG_GROUP: u64 = 1 << 1;
const FLAG_HARDLINK: u64 = 1 << 2;
const FLAG_XATTRS: u64 = 1 << 3;
const FLAG_EXTENTS: u64 = 1 << 4;
const FLAG_CHANGED: u64 = 1 << 5;
/// The same bit, on directories.
const FLAG_PARTIAL: u64 = FLAG_CHANGED;
const FLAGS_OF_ALL: u64 = FLAG_USER | FLAG_GROUP | FLAG_HARDLINK | FLAG_XATTRS;
const FLAGS_OF_FILES: u64 = FLAGS_OF_ALL | FLAG_EXTENTS | FLAG_CHANGED;
const FLAGS_OF_DIRS: u64 = FLAGS_OF_ALL | FLAG_PARTIAL;

const TYPE_FILE: u8 = 1;
const TYPE_DIR: u8 = 2;
const TYPE_SYMLINK: u8 = 3;
const TYPE_CHAR_DEVICE: u8 = 4;
const TYPE_BLOCK_DEVICE: u8 = 5;
const TYPE_FIFO: u8 = 6;
const TYPE_SOCKET: u8 = 7;

/// The stream of a file or directory, as chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Content {
    /// 0: `ids` are the chunks of the stream. Above: `ids` are tree chunks that list the ids of
    /// the level below. At most 4.
    pub level: u8,
    /// The chunks in order. An empty stream has none.
    pub ids: Vec<Id>,
}

/// Name and value of an extended attribute.
type Xattr = (Vec<u8>, Vec<u8>);

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub secs: i64,
    /// Nanoseconds after that, below 1 000 000 000.
    pub nanos: u32,
}

/// What entries of all types have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The low 12 bits of the mode; others are not stored.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Time,
    /// The owner's name on the machine it comes from.
    pub user: Option<Vec<u8>>,
    /// The group's name on the machine it comes from.
    pub group: Option<Vec<u8>>,
    /// Device and inode, if the entry is one of several names of the inode.
    pub hardlink: Option<(u64, u64)>,
    /// Extended attributes as names and values, ACLs among them, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name: 1 to 255 bytes without `/` and NUL, neither `.` nor `..`.
    pub name: Vec<u8>,
    /// Owner, times and the like.
    pub meta: Metadata,
    /// What it is.
    pub kind: NodeKind,
}

/// What an entry is, with what only its type has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
        /// Its data.
        content: Content,
        /// For a sparse file, offset and length in bytes of what its chunks hold, in order; all
        /// else reads as zero.
        extents: Option<Vec<(u64, u64)>>,
        /// It changed while it was read.
        changed: bool,
    },
    /// A directory.
    Dir {
        /// Its entries.
        content: Content,
        /// Not everything in it was backed up: something was excluded, could not be read, or is
        /// on another file system.
        partial: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: Vec<u8>,
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A directory that breaks the format, whether it is being written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// An entry cannot be stored.
    #[error("the entry {name:?} cannot be stored: {problem}")]
    BadEntry {
        /// The entry's name, lossily.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A tree chunk is not one.
    #[error("a tree chunk is malformed at byte {at}: {problem}")]
    Malformed {
        /// Where in the chunk, in bytes.
        at: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// Something that a later version may have written.
    #[error("a tree chunk has {what} {value}, which this version does not know")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// The value found.
        value: u64,
    },
}

/// Why a name cannot be one, if it cannot.
pub(crate) fn name_problem(name: &[u8]) -> Option<&'static str> {
    match name {
        [] => Some("its name is empty"),
        b"." | b".." => Some("its name is `.` or `..`"),
        _ if name.len() > MAX_NAME => Some("its name is longer than 255 bytes"),
        _ if name.iter().any(|byte| matches!(byte, 0 | b'/')) => {
            Some("its name holds `/` or a zero byte")
        }
        _ => None,
    }
}

/// Why extents cannot be those of a file of `size` bytes, if they cannot.
fn extents_problem(extents: &[(u64, u64)], size: u64) -> Option<&'static str> {
    let mut end = 0;
    for &(offset, len) in extents {
        if len == 0 {
            return Some("an extent is empty");
        }
        if offset < end {
            return Some("its extents overlap or are not in order");
        }
        end = match offset.checked_add(len) {
            Some(end) if end <= size => end,
            _ => return Some("an extent lies beyond its end"),
        };
    }
    None
}
