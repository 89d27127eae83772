//! What can be backed up: paths, and streams that appear as files.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use crate::snapshot::Name;
use std::os::unix::ffi::OsStrExt;

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
}

impl Source {
    /// A source that reads a stream.
    pub fn stream(stream: Stream) -> Self {
        let path = stream.path.clone();
        Source::Stream(Some(stream), path)
    }

    fn path(&self) -> &Path {
        match self {
            Source::Path(path) | Source::Stream(_, path) => path,
        }
    }

    pub(crate) fn file_path(&self) -> Option<&Path> {
        match self {
            Source::Path(path) => Some(path),
            Source::Stream(..) => None,
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
