//! Trees that are no directories of this machine: what an archive holds, or another program's backup.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::tree::{Metadata, name_problem};

/// Opens the content of a file from its beginning; may be called again, and by any thread.
type Open = Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>;

/// Where the content of a file comes from. Nothing is opened before it is read.
#[derive(Clone)]
pub struct VirtualContent {
    size: u64,
    open: Open,
}

impl VirtualContent {
    /// Content of `size` bytes, as far as that is known beforehand: how much a reader gives decides.
    ///
    /// A reader that ends in an error makes the file one that could not be read, and nothing of it
    /// is kept. A backup that meets a collector opens files a second time.
    pub fn new(
        size: u64,
        open: impl Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            size,
            open: Arc::new(open),
        }
    }

    /// How many bytes are expected.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Opens it at its beginning.
    ///
    /// # Errors
    /// What its maker says.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        (self.open)()
    }
}

impl fmt::Debug for VirtualContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualContent")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum VirtualKind {
    /// A directory.
    Dir,
    /// A regular file.
    File(VirtualContent),
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: Vec<u8>,
    },
}

/// An entry of a tree.
#[derive(Clone, Debug)]
pub struct VirtualEntry {
    /// Its path beneath the top of the tree: names joined by `/`.
    pub path: Vec<u8>,
    /// Owner, times and the like. Entries with the same [`Metadata::hardlink`] are one file.
    pub meta: Metadata,
    /// What it is.
    pub kind: VirtualKind,
}

impl VirtualEntry {
    /// Its last name.
    pub(crate) fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or(&[])
    }

    pub(crate) fn is_dir(&self) -> bool {
        matches!(self.kind, VirtualKind::Dir)
    }
}

/// A tree of entries, checked and in the order in which directories are written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VirtualTree {
    top: Metadata,
    entries: Arc<[VirtualEntry]>,
}

impl VirtualTree {
    /// A tree with these entries in any order, beneath a directory that is like `top`. Directories
    /// that no entry stands for are like it too.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path that could lead elsewhere (an empty name, `.`, `..`, a zero
    /// byte), for two entries of one path, and for an entry beneath one that is no directory.
    pub fn new(top: Metadata, mut entries: Vec<VirtualEntry>) -> Result<Self> {
        for entry in &entries {
            for name in entry.path.split(|byte| *byte == b'/') {
                if let Some(problem) = name_problem(name) {
                    return Err(refused(&entry.path, problem));
                }
            }
        }
        entries.sort_by(|one, other| in_order(&one.path, &other.path));
        let mut made = Vec::new();
        let mut open: Vec<(&[u8], bool)> = Vec::new();
        for entry in &entries {
            while open
                .last()
                .is_some_and(|(path, _)| !lies_in(&entry.path, path))
            {
                open.pop();
            }
            let above = open.last().map_or(0, |(path, _)| path.len());
            if above == entry.path.len() {
                return Err(refused(&entry.path, "two entries have this path"));
            }
            if open.last().is_some_and(|(_, is_dir)| !is_dir) {
                return Err(refused(
                    &entry.path,
                    "it lies in an entry that is no directory",
                ));
            }
            let first = if above == 0 { 0 } else { above + 1 };
            for at in first..entry.path.len() {
                if entry.path[at] == b'/' {
                    open.push((&entry.path[..at], true));
                    made.push(VirtualEntry {
                        path: entry.path[..at].to_vec(),
                        meta: top.clone(),
                        kind: VirtualKind::Dir,
                    });
                }
            }
            open.push((&entry.path, entry.is_dir()));
        }
        if !made.is_empty() {
            entries.append(&mut made);
            entries.sort_by(|one, other| in_order(&one.path, &other.path));
        }
        Ok(Self {
            top,
            entries: entries.into(),
        })
    }

    /// What the directory at its top is like.
    pub fn top(&self) -> &Metadata {
        &self.top
    }

    /// Its entries, those of a directory right after it, sorted bytewise by name.
    pub fn entries(&self) -> &[VirtualEntry] {
        &self.entries
    }

    /// How many files it has, and how many bytes are expected in them.
    pub fn totals(&self) -> (u64, u64) {
        self.entries
            .iter()
            .fold((0, 0), |(files, bytes), entry| match &entry.kind {
                VirtualKind::File(content) => (files + 1, bytes + content.size),
                _ => (files, bytes),
            })
    }
}

/// The order of trees: name by name, so that `a/b` comes before `a.b`.
fn in_order(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    let names = |path| <[u8]>::split(path, |byte: &u8| *byte == b'/');
    names(one).cmp(names(other))
}

/// Whether a path is another one or leads through it.
fn lies_in(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn refused(path: &[u8], problem: &str) -> Error {
    Error::Invalid {
        what: "entry",
        problem: format!("{:?}: {problem}", String::from_utf8_lossy(path)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &str, kind: VirtualKind) -> VirtualEntry {
        VirtualEntry {
            path: path.as_bytes().to_vec(),
            meta: Metadata::default(),
            kind,
        }
    }

    fn file(path: &str) -> VirtualEntry {
        let content = VirtualContent::new(0, || Ok(Box::new(io::empty())));
        entry(path, VirtualKind::File(content))
    }

    fn paths(tree: &VirtualTree) -> Vec<String> {
        let text = |entry: &VirtualEntry| String::from_utf8_lossy(&entry.path).into_owned();
        tree.entries().iter().map(text).collect()
    }

    fn parent(path: &str) -> Option<&str> {
        path.rsplit_once('/').map(|(above, _)| above)
    }

    fn tree(entries: Vec<VirtualEntry>) -> Result<VirtualTree> {
        VirtualTree::new(Metadata::default(), entries)
    }

    #[test]
    fn entries_are_put_in_order_with_the_directories_above_them() {
        let entries = ["b", "a.b", "a/z/x", "a/b", "a-"].map(file).to_vec();
        assert_eq!(
            paths(&tree(entries).unwrap()),
            ["a", "a/b", "a/z", "a/z/x", "a-", "a.b", "b"]
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for path in ["", "/a", "a//b", "a/", "..", "a/../b", "./a", "a\0b"] {
            let error = tree(vec![file(path)]).unwrap_err().to_string();
            assert!(error.starts_with("entry: "), "{error}");
        }
        tree(vec![file(&"n".repeat(255))]).unwrap();
        tree(vec![file(&"n".repeat(256))]).unwrap_err();
    }

    #[test]
    fn two_of_one_path_are_refused() {
        for other in [file("a/b"), entry("a/b", VirtualKind::Dir)] {
            let error = tree(vec![file("a/b"), other]).unwrap_err().to_string();
            assert_eq!(error, "entry: \"a/b\": two entries have this path");
        }
    }

    #[test]
    fn nothing_lies_in_a_file_or_link() {
        let link = VirtualKind::Symlink {
            target: b"/etc".to_vec(),
        };
        for above in [file("a"), entry("a", link)] {
            let error = tree(vec![above, file("a/b")]).unwrap_err().to_string();
            assert_eq!(
                error,
                "entry: \"a/b\": it lies in an entry that is no directory"
            );
        }
        let above = entry("a", VirtualKind::Dir);
        assert_eq!(
            paths(&tree(vec![file("a/b"), above]).unwrap()),
            ["a", "a/b"]
        );
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_in_order_and_complete(
            given in proptest::collection::vec("[ab.-]{1,2}(/[ab.-]{1,2}){0,3}", 0..12)
        ) {
            let Ok(tree) = tree(given.iter().map(|path| file(path)).collect()) else {
                return Ok(());
            };
            let paths = paths(&tree);
            for path in &given {
                prop_assert!(paths.contains(path));
            }
            for pair in paths.windows(2) {
                prop_assert!(in_order(pair[0].as_bytes(), pair[1].as_bytes()).is_lt());
            }
            for above in paths.iter().filter_map(|path| parent(path)) {
                let entry = tree.entries().iter().find(|entry| entry.path == above.as_bytes());
                prop_assert!(entry.is_some_and(VirtualEntry::is_dir));
            }
        }
    }
}
