//! What can be backed up: paths, streams that appear as files, and virtual trees.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::backup::VirtualTree;
use crate::error::Error;
use crate::fs::plain_path;
use crate::snapshot::Name;

/// Tells after its last byte whether a stream was whole, or what went wrong.
pub type Finish = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// Content that does not come from a file, like the output of a command.
pub struct Stream {
    /// Its path in the snapshot.
    pub path: PathBuf,
    /// The content.
    pub reader: Box<dyn Read + Send>,
    /// Asked when the content has ended; an error means that there will be no snapshot.
    pub finish: Finish,
}

impl Stream {
    /// A path for a stream: it must be that of a file, and lead nowhere else.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse_path(text: &str) -> Result<PathBuf, String> {
        let path = PathBuf::from(text);
        let mut names = path.components().filter(|part| *part != Component::RootDir);
        let normal = names.all(|part| matches!(part, Component::Normal(_)));
        if text.ends_with('/') || !normal || path.file_name().is_none() {
            return Err("it is no name of a file".to_owned());
        }
        Ok(path)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// One thing to back up.
#[derive(Debug)]
pub enum Source {
    /// A file or directory with all that is in it.
    Path(PathBuf),
    /// A stream; taken when it has been read.
    Stream(Option<Stream>, PathBuf),
    /// What is at the second path, in the snapshot under the first: [`Source::read_from`].
    Placed(PathBuf, PathBuf),
    /// A tree that is no directory of this machine, and where it is to be in the snapshot.
    Tree(VirtualTree, PathBuf),
}

impl Source {
    /// What is at a path, made absolute as [`plain_path`] does it.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made so.
    pub fn at(path: &Path) -> crate::error::Result<Self> {
        let plain = plain_path(path).map_err(Error::io("find", path))?;
        Ok(Source::Path(plain))
    }

    /// What is to be at `path` in the snapshot, and is read at `place`: the same file or directory
    /// as it was at one moment, in a snapshot that the file system holds.
    ///
    /// Patterns, errors and what is remembered of files go by `path`, as if it had been read there;
    /// files of which the file system says the same at both are not read again. Directories on the
    /// way to `path` are those of this machine.
    ///
    /// # Errors
    /// [`Error::Io`] when `path` cannot be made absolute; [`Error::Invalid`] when `place` is not
    /// absolute or has no name.
    pub fn read_from(path: &Path, place: &Path) -> crate::error::Result<Self> {
        let plain = plain_path(path).map_err(Error::io("find", path))?;
        if !place.is_absolute() || place.file_name().is_none() {
            return Err(Error::Invalid {
                what: "source",
                problem: format!("{} is no place to read from", place.display()),
            });
        }
        Ok(Source::Placed(plain, place.to_owned()))
    }

    /// A source that reads a stream.
    pub fn stream(stream: Stream) -> Self {
        let path = stream.path.clone();
        Source::Stream(Some(stream), path)
    }

    fn path(&self) -> &Path {
        match self {
            Source::Path(path)
            | Source::Placed(path, _)
            | Source::Stream(_, path)
            | Source::Tree(_, path) => path,
        }
    }

    /// The path of files in the snapshot, and where they are read.
    pub(crate) fn file_path(&self) -> Option<(&Path, &Path)> {
        match self {
            Source::Path(path) => Some((path, path)),
            Source::Placed(path, place) => Some((path, place)),
            Source::Stream(..) | Source::Tree(..) => None,
        }
    }

    /// Where it is read, if that is not its path.
    pub(crate) fn place(&self) -> Option<&Path> {
        match self {
            Source::Placed(_, place) => Some(place),
            Source::Path(_) | Source::Stream(..) | Source::Tree(..) => None,
        }
    }

    pub(crate) fn tree(&self) -> Option<&VirtualTree> {
        match self {
            Source::Tree(tree, _) => Some(tree),
            Source::Path(_) | Source::Placed(..) | Source::Stream(..) => None,
        }
    }

    pub(crate) fn name(&self) -> Name {
        Name(self.path().as_os_str().as_bytes().to_vec())
    }

    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Source::Stream(..))
    }

    /// The components under which it appears in the snapshot.
    ///
    /// Names only: a root, `.` and a prefix say nothing, and `..` was resolved by the caller.
    pub(crate) fn components(&self) -> Vec<Vec<u8>> {
        self.path()
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name.as_bytes().to_vec()),
                _ => None,
            })
            .collect()
    }
}
