//! Directory trees on disk: made from a few words, and described so that two can be compared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use keepwatch_core::id::Id;

/// Everything about an entry that a backup keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct Described {
    /// `file`, `dir`, `symlink`, `fifo`, `socket`, `chardev` or `blockdev`.
    pub kind: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Modification time, seconds and nanoseconds.
    pub mtime: (i64, i64),
    /// Bytes of content.
    pub size: u64,
    /// Hash of the content, or the link's target.
    pub content: Vec<u8>,
    /// Device number of a device.
    pub device: u64,
    /// Extended attributes, sorted.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first path, in order, that is the same inode.
    pub linked_to: Option<PathBuf>,
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Described {
            kind,
            mode,
            owner,
            mtime,
            size,
            xattrs,
            linked_to,
            ..
        } = self;
        write!(
            f,
            "{kind} {mode:o} {owner:?} {mtime:?} {size} bytes, {xattrs:?} {linked_to:?}"
        )
    }
}

/// Describes everything beneath a directory, by path relative to it.
///
/// # Panics
///
/// When something cannot be read.
pub fn describe(root: &Path) -> BTreeMap<PathBuf, Described> {
    let mut found = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    let mut paths = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("the directory can be read").path();
            if fs::symlink_metadata(&path).expect("it is there").is_dir() {
                open.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let relative = path
            .strip_prefix(root)
            .expect("it is beneath the root")
            .to_owned();
        let meta = fs::symlink_metadata(&path).expect("it is there");
        let kind = meta.file_type();
        let linked_to = (meta.nlink() > 1 && !kind.is_dir()).then(|| {
            inodes
                .entry((meta.dev(), meta.ino()))
                .or_insert_with(|| relative.clone())
                .clone()
        });
        let (kind, content) = if kind.is_file() {
            (
                "file",
                Id::of(&fs::read(&path).expect("it can be read"))
                    .as_bytes()
                    .to_vec(),
            )
        } else if kind.is_dir() {
            ("dir", Vec::new())
        } else if kind.is_symlink() {
            (
                "symlink",
                fs::read_link(&path)
                    .expect("it is a link")
                    .into_os_string()
                    .into_vec(),
            )
        } else if kind.is_fifo() {
            ("fifo", Vec::new())
        } else if kind.is_socket() {
            ("socket", Vec::new())
        } else if kind.is_char_device() {
            ("chardev", Vec::new())
        } else {
            ("blockdev", Vec::new())
        };
        let described = Described {
            kind,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            size: if kind == "dir" { 0 } else { meta.size() },
            content,
            device: meta.rdev(),
            xattrs: xattrs(&path),
            linked_to,
        };
        found.insert(relative, described);
    }
    found
}

/// The extended attributes of a file, sorted.
///
/// # Panics
///
/// When they cannot be read.
pub fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut list = vec![0; 64 << 10];
    let len = match rustix::fs::llistxattr(path, list.as_mut_slice()) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let mut found: Vec<_> = list[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), value.as_mut_slice())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (name.to_vec(), value[..len].to_vec())
        })
        .collect();
    found.sort();
    found
}

/// Asserts that two directories hold the same, metadata included.
///
/// # Panics
///
/// With the first differences, when they do not.
pub fn assert_same_tree(expected: &Path, found: &Path) {
    let (expected, found) = (describe(expected), describe(found));
    let mut differences = Vec::new();
    for (path, was) in &expected {
        match found.get(path) {
            None => differences.push(format!("{} is missing", path.display())),
            Some(is) if is != was => {
                differences.push(format!("{}: {was:?} became {is:?}", path.display()));
            }
            Some(_) => {}
        }
    }
    for path in found.keys().filter(|path| !expected.contains_key(*path)) {
        differences.push(format!("{} is too much", path.display()));
    }
    let count = differences.len();
    differences.truncate(10);
    assert!(
        count == 0,
        "{count} differences:\n{}",
        differences.join("\n")
    );
}

/// Reproducible bytes that do not compress.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = crate::random::Random::new(seed);
    let mut bytes: Vec<u8> = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Writes a file, and the directories above it.
///
/// # Panics
///
/// When it cannot.
pub fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(path);
    let parent = path.parent().expect("a file has a directory");
    fs::create_dir_all(parent).unwrap_or_else(|e| panic!("{}: {e}", parent.display()));
    fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}
