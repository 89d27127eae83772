//! Turning the stream of entries that the scan finds into trees, bottom up.

use crossbeam_channel::Receiver;

use crate::backup::file_cache::{DirKey, FileCache};
use crate::backup::read::Outcome;
use crate::backup::saver::{Saver, Tools};
use crate::backup::{FileCounts, PathError};
use crate::error::{Error, Result};
use crate::fs::Stat;
use crate::id::Id;
use crate::index::BlobKind;
use crate::tree::{Content, Metadata, Node, NodeKind, Time, TreeWriter};

/// Contents with more chunks than this are kept as lists of their own, not in the directory.
const MAX_DIRECT: usize = 1024;

/// What the scan sends, in the order of the tree.
pub(crate) enum Item {
    /// A directory begins.
    Enter { name: Vec<u8>, meta: Metadata },
    /// Something in the directory that began last is left out.
    LeftOut,
    /// The directory that began last ends.
    Leave,
    /// An entry that is no file.
    Node(Node),
    /// A file whose content is in the repository already.
    Known(Box<KnownFile>),
    /// A file that is being read.
    File(Box<FileItem>),
    /// A file whose content is being copied from another repository.
    Copied(Box<CopiedFile>),
    /// Something that could not be read at all.
    Failed(PathError),
}

/// A file that comes as it was in another repository, but for the ids of its chunks.
pub(crate) struct CopiedFile {
    pub name: Vec<u8>,
    pub meta: Metadata,
    pub size: u64,
    pub extents: Option<Vec<(u64, u64)>>,
    pub changed: bool,
    pub ids: Receiver<Vec<Id>>,
}

/// A file that has not changed since it was last read.
pub(crate) struct KnownFile {
    pub name: Vec<u8>,
    pub meta: Metadata,
    pub size: u64,
    pub ids: Vec<Id>,
    pub extents: Option<Vec<(u64, u64)>>,
    pub verdict: Verdict,
}

/// A file on its way: everything but the content.
pub(crate) struct FileItem {
    pub path: Vec<u8>,
    pub name: Vec<u8>,
    pub meta: Metadata,
    pub dir: DirKey,
    /// Its content at the last run, to tell changed from touched.
    pub before: Option<Vec<Id>>,
    pub read: Receiver<Outcome>,
}

/// A file that was read.
pub(crate) struct ReadFile {
    pub size: u64,
    pub ids: Vec<Id>,
    pub extents: Option<Vec<(u64, u64)>>,
    /// It changed while it was read, twice.
    pub changed: bool,
    /// Its modification time when it was read; nothing for streams.
    pub mtime: Option<Time>,
    /// What to remember it by; nothing if it may change again without showing it.
    pub remember: Option<Stat>,
}

/// What a file is compared with the last backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    Changed,
    Unmodified,
}

/// What was put into the trees.
#[derive(Default)]
pub(crate) struct Assembled {
    pub root: Content,
    pub files: FileCounts,
    pub dirs: u64,
    pub bytes: u64,
    pub errors: Vec<PathError>,
}

/// Builds trees until the scan ends. Runs in a thread of its own.
pub(crate) struct Assembler<'a, 'r> {
    pub saver: &'a Saver<'r>,
    pub tools: Tools,
    pub cache: Option<&'a mut FileCache>,
}

struct Open {
    partial: bool,
    name: Vec<u8>,
    meta: Metadata,
    writer: TreeWriter,
    ids: Vec<Id>,
}

impl Assembler<'_, '_> {
    pub fn run(&mut self, items: &Receiver<Item>) -> Result<Assembled> {
        let mut done = Assembled::default();
        let mut stack = vec![Open {
            partial: true,
            name: Vec::new(),
            meta: Metadata::default(),
            writer: TreeWriter::new(),
            ids: Vec::new(),
        }];
        for item in items {
            match item {
                Item::Enter { name, meta } => {
                    done.dirs += 1;
                    stack.push(Open {
                        partial: false,
                        name,
                        meta,
                        writer: TreeWriter::new(),
                        ids: Vec::new(),
                    });
                }
                Item::LeftOut => partial(&mut stack),
                Item::Leave => {
                    let open = stack.pop().expect("every end has a beginning");
                    let node = self.close(open)?;
                    self.push(&mut stack, &node)?;
                }
                Item::Node(node) => self.push(&mut stack, &node)?,
                Item::Known(file) => {
                    done.count(file.verdict);
                    done.bytes += file.size;
                    let node = Node {
                        name: file.name,
                        meta: file.meta,
                        kind: NodeKind::File {
                            size: file.size,
                            content: self.content(file.ids)?,
                            extents: file.extents,
                            changed: false,
                        },
                    };
                    self.push(&mut stack, &node)?;
                }
                Item::File(file) => {
                    // A reader that ends without an answer has failed, and says why itself.
                    match file.read.recv().map_err(|_| Error::Interrupted)? {
                        Err(error) => {
                            partial(&mut stack);
                            done.failed(error);
                        }
                        Ok(None) => {}
                        Ok(Some(read)) => {
                            let node = self.file(&mut done, *file, read)?;
                            self.push(&mut stack, &node)?;
                        }
                    }
                }
                Item::Copied(file) => {
                    // Who copies and fails says why itself.
                    let ids = file.ids.recv().map_err(|_| Error::Interrupted)?;
                    let node = Node {
                        name: file.name,
                        meta: file.meta,
                        kind: NodeKind::File {
                            size: file.size,
                            content: self.content(ids)?,
                            extents: file.extents,
                            changed: file.changed,
                        },
                    };
                    self.push(&mut stack, &node)?;
                }
                Item::Failed(error) => {
                    partial(&mut stack);
                    done.failed(error);
                }
            }
        }
        // When the scan stopped early directories are still open: the root is then not used.
        let root = stack.swap_remove(0);
        let NodeKind::Dir { content, .. } = self.close(root)?.kind else {
            unreachable!("directories are closed as directories");
        };
        done.root = content;
        Ok(done)
    }

    fn file(&mut self, done: &mut Assembled, file: FileItem, read: ReadFile) -> Result<Node> {
        done.count(match &file.before {
            None => Verdict::New,
            Some(before) if *before == read.ids => Verdict::Unmodified,
            Some(_) => Verdict::Changed,
        });
        done.bytes += read.size;
        if let Some(cache) = &mut self.cache {
            let (stat, extents) = (read.remember.as_ref(), read.extents.as_deref());
            cache.put(&file.dir, &file.name, stat, &read.ids, extents)?;
        }
        if read.changed {
            done.errors
                .push(PathError::new(&file.path, "it changed while it was read"));
        }
        let mut meta = file.meta;
        meta.mtime = read.mtime.unwrap_or(meta.mtime);
        Ok(Node {
            name: file.name,
            meta,
            kind: NodeKind::File {
                size: read.size,
                content: self.content(read.ids)?,
                extents: read.extents,
                changed: read.changed,
            },
        })
    }

    fn push(&mut self, stack: &mut [Open], node: &Node) -> Result<()> {
        let open = stack.last_mut().expect("the root stays open");
        if let Some(chunk) = open.writer.push(node)? {
            open.ids
                .push(self.saver.save(BlobKind::Tree, &chunk, &mut self.tools)?);
        }
        Ok(())
    }

    fn close(&mut self, mut open: Open) -> Result<Node> {
        if let Some(chunk) = open.writer.finish() {
            open.ids
                .push(self.saver.save(BlobKind::Tree, &chunk, &mut self.tools)?);
        }
        Ok(Node {
            name: open.name,
            meta: open.meta,
            kind: NodeKind::Dir {
                content: self.content(open.ids)?,
                partial: open.partial,
            },
        })
    }

    /// Chunk ids as a content: directly if they are few, else as chunks that list them.
    fn content(&mut self, mut ids: Vec<Id>) -> Result<Content> {
        let mut level = 0;
        while ids.len() > MAX_DIRECT {
            let mut lists = Vec::with_capacity(ids.len() / MAX_DIRECT + 1);
            for part in ids.chunks(MAX_DIRECT * 4) {
                let bytes: Vec<u8> = part.iter().flat_map(|id| *id.as_bytes()).collect();
                lists.push(self.saver.save(BlobKind::Tree, &bytes, &mut self.tools)?);
            }
            ids = lists;
            level += 1;
        }
        Ok(Content { level, ids })
    }
}

fn partial(stack: &mut [Open]) {
    stack.last_mut().expect("the root stays open").partial = true;
}

impl Assembled {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::New => self.files.new += 1,
            Verdict::Changed => self.files.changed += 1,
            Verdict::Unmodified => self.files.unmodified += 1,
        }
    }

    fn failed(&mut self, error: PathError) {
        self.files.failed += 1;
        self.errors.push(error);
    }
}
