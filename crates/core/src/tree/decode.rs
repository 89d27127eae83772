//! Reading tree chunks, which may be damaged or hostile.

use super::{
    Content, FLAG_CHANGED, FLAG_EXTENTS, FLAG_GROUP, FLAG_HARDLINK, FLAG_PARTIAL, FLAG_USER,
    FLAG_XATTRS, FLAGS_OF_ALL, FLAGS_OF_DIRS, FLAGS_OF_FILES, MAX_CHUNK, MAX_ENTRY, MAX_LEVEL,
    MODE_MASK, Metadata, NANOS_PER_SEC, Node, NodeKind, TYPE_BLOCK_DEVICE, TYPE_CHAR_DEVICE,
    TYPE_DIR, TYPE_FIFO, TYPE_FILE, TYPE_SOCKET, TYPE_SYMLINK, Time, TreeError, VERSION, Xattr,
    extents_problem, name_problem, varint,
};
use crate::id::Id;

/// Reads the chunks of one directory in order.
#[derive(Debug, Default)]
pub struct TreeDecoder {
    /// The name of the last entry: names are in order over all chunks of the directory.
    last: Vec<u8>,
}

impl TreeDecoder {
    /// A decoder for the first chunk of a directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entries of the directory's next chunk.
    ///
    /// # Errors
    /// Whatever breaks the format. What is allocated is bounded by the length of the chunk.
    pub fn decode_chunk(&mut self, chunk: &[u8]) -> Result<Vec<Node>, TreeError> {
        let mut reader = Reader {
            input: chunk,
            at: 0,
            end: chunk.len(),
        };
        if chunk.len() > MAX_CHUNK {
            return Err(reader.malformed("it is larger than any chunk"));
        }
        let version = reader.byte()?;
        if version != VERSION {
            return Err(TreeError::Unsupported {
                what: "version",
                value: u64::from(version),
            });
        }
        let mut nodes = Vec::new();
        while reader.at < chunk.len() {
            let len = reader.len(1)?;
            if len > MAX_ENTRY {
                return Err(reader.malformed("an entry is larger than 8 MiB"));
            }
            reader.end = reader.at + len;
            let node = reader.node(&self.last)?;
            if reader.at != reader.end {
                return Err(reader.malformed("an entry is longer than what it holds"));
            }
            reader.end = chunk.len();
            self.last.clear();
            self.last.extend_from_slice(&node.name);
            nodes.push(node);
        }
        Ok(nodes)
    }
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    /// Where what is being read must end: the entry, or the chunk between entries.
    end: usize,
}

impl<'a> Reader<'a> {
    fn malformed(&self, problem: &'static str) -> TreeError {
        TreeError::Malformed {
            at: self.at,
            problem,
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.input[self.at..self.end]
    }

    fn byte(&mut self) -> Result<u8, TreeError> {
        let byte = *self
            .rest()
            .first()
            .ok_or_else(|| self.malformed("it is cut off"))?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, TreeError> {
        let (value, len) = varint::get(self.rest()).map_err(|problem| self.malformed(problem))?;
        self.at += len;
        Ok(value)
    }

    fn varint_u32(&mut self) -> Result<u32, TreeError> {
        u32::try_from(self.varint()?).map_err(|_| self.malformed("a number is too large"))
    }

    /// A number of things that take at least `each` bytes, so that the rest has room for them.
    fn len(&mut self, each: usize) -> Result<usize, TreeError> {
        let count = self.varint()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.rest().len() / each)
            .ok_or_else(|| self.malformed("it is cut off"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], TreeError> {
        let len = self.len(1)?;
        let bytes = &self.rest()[..len];
        self.at += len;
        Ok(bytes)
    }

    fn node(&mut self, last: &[u8]) -> Result<Node, TreeError> {
        let name = self.bytes()?;
        if let Some(problem) = name_problem(name) {
            return Err(self.malformed(problem));
        }
        if name <= last {
            return Err(self.malformed("names are not in order"));
        }
        let kind = self.byte()?;
        let known = match kind {
            TYPE_FILE => FLAGS_OF_FILES,
            TYPE_DIR => FLAGS_OF_DIRS,
            TYPE_SYMLINK..=TYPE_SOCKET => FLAGS_OF_ALL,
            _ => {
                return Err(TreeError::Unsupported {
                    what: "an entry of type",
                    value: u64::from(kind),
                });
            }
        };
        let flags = self.varint()?;
        if flags & !known != 0 {
            return Err(TreeError::Unsupported {
                what: "an entry with flags",
                value: flags,
            });
        }
        let meta = self.metadata(flags)?;
        let kind = match kind {
            TYPE_FILE => self.file(flags)?,
            TYPE_DIR => NodeKind::Dir {
                content: self.content()?,
                partial: flags & FLAG_PARTIAL != 0,
            },
            TYPE_SYMLINK => NodeKind::Symlink {
                target: self.bytes()?.to_vec(),
            },
            TYPE_CHAR_DEVICE => NodeKind::CharDevice {
                major: self.varint_u32()?,
                minor: self.varint_u32()?,
            },
            TYPE_BLOCK_DEVICE => NodeKind::BlockDevice {
                major: self.varint_u32()?,
                minor: self.varint_u32()?,
            },
            TYPE_FIFO => NodeKind::Fifo,
            _ => NodeKind::Socket,
        };
        Ok(Node {
            name: name.to_vec(),
            meta,
            kind,
        })
    }

    fn metadata(&mut self, flags: u64) -> Result<Metadata, TreeError> {
        let mode = self.varint_u32()?;
        if mode & !MODE_MASK != 0 {
            return Err(self.malformed("a mode has more than 12 bits"));
        }
        let (uid, gid) = (self.varint_u32()?, self.varint_u32()?);
        let secs = varint::signed(self.varint()?);
        let nanos = self.varint_u32()?;
        if nanos >= NANOS_PER_SEC {
            return Err(self.malformed("a time has a second or more of nanoseconds"));
        }
        let mut meta = Metadata {
            mode,
            uid,
            gid,
            mtime: Time { secs, nanos },
            ..Metadata::default()
        };
        if flags & FLAG_USER != 0 {
            meta.user = Some(self.bytes()?.to_vec());
        }
        if flags & FLAG_GROUP != 0 {
            meta.group = Some(self.bytes()?.to_vec());
        }
        if flags & FLAG_HARDLINK != 0 {
            meta.hardlink = Some((self.varint()?, self.varint()?));
        }
        if flags & FLAG_XATTRS != 0 {
            meta.xattrs = self.xattrs()?;
        }
        Ok(meta)
    }

    fn xattrs(&mut self) -> Result<Vec<Xattr>, TreeError> {
        let count = self.len(3)?;
        if count == 0 {
            return Err(self.malformed("an entry has a list of no extended attributes"));
        }
        // Grown as they come: an attribute takes 3 bytes here and many times that in memory.
        let mut xattrs = Vec::new();
        let mut last: &[u8] = b"";
        for _ in 0..count {
            let name = self.bytes()?;
            if name <= last {
                return Err(self.malformed("extended attributes are not in order"));
            }
            last = name;
            xattrs.push((name.to_vec(), self.bytes()?.to_vec()));
        }
        Ok(xattrs)
    }

    fn file(&mut self, flags: u64) -> Result<NodeKind, TreeError> {
        let size = self.varint()?;
        let content = self.content()?;
        let mut extents = None;
        if flags & FLAG_EXTENTS != 0 {
            let count = self.len(2)?;
            let list = (0..count)
                .map(|_| Ok((self.varint()?, self.varint()?)))
                .collect::<Result<Vec<_>, TreeError>>()?;
            if let Some(problem) = extents_problem(&list, size) {
                return Err(self.malformed(problem));
            }
            extents = Some(list);
        }
        Ok(NodeKind::File {
            size,
            content,
            extents,
            changed: flags & FLAG_CHANGED != 0,
        })
    }

    fn content(&mut self) -> Result<Content, TreeError> {
        let level = self.varint()?;
        let level = u8::try_from(level)
            .ok()
            .filter(|level| *level <= MAX_LEVEL)
            .ok_or_else(|| self.malformed("lists of chunks are nested too deeply"))?;
        let count = self.len(32)?;
        let bytes = &self.rest()[..count * 32];
        self.at += bytes.len();
        let ids = bytes
            .chunks_exact(32)
            .map(|id| Id::from_bytes(id.try_into().expect("32 bytes")))
            .collect();
        Ok(Content { level, ids })
    }
}
