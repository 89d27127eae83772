//! The system an inventory is taken of.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, ResolveFlags, fstat, openat, openat2,
    readlinkat, statat,
};
use rustix::io::Errno;

use super::{Error, Result};
use crate::process::ask::{Answer, Bounds, Runner, directories};

/// A system: its files, and its programs if it is the one that runs.
#[derive(Debug)]
pub struct System {
    root: OwnedFd,
    programs: Programs,
}

#[derive(Debug)]
enum Programs {
    Run(Runner),
    Noted(BTreeMap<Vec<String>, Answer>),
}

/// A file that was read.
pub(super) struct Contents {
    pub bytes: Vec<u8>,
    pub mode: RawMode,
    /// The number of the user to whom it belongs.
    pub owner: u32,
    /// How large it is, which may be more than was read.
    pub size: u64,
    pub cut: bool,
}

/// What a directory holds.
pub(super) struct Listed {
    pub entries: Vec<Entry>,
    pub cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub name: Vec<u8>,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

impl System {
    /// The running machine. `search` is where its programs are, as in `PATH`; `environment` is all
    /// that they get to see of the environment, which is at least `HOME` for most.
    ///
    /// # Errors
    /// The root directory cannot be opened.
    pub fn running(
        search: &OsStr,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        let mut environment: BTreeMap<_, _> = environment.into_iter().collect();
        environment.insert("PATH".into(), search.into());
        Ok(Self {
            root: open_root(Path::new("/"))?,
            programs: Programs::Run(Runner {
                search: directories(search),
                environment,
            }),
        })
    }

    /// A system whose files are beneath a directory: a mounted disk, a container, a restored
    /// backup. Its links lead to where they would lead there, and none leads out of it. None of its
    /// programs is run.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn mounted(root: &Path) -> Result<Self> {
        Ok(Self {
            root: open_root(root)?,
            programs: Programs::Noted(BTreeMap::new()),
        })
    }

    /// The same with what a program said while that system ran. It is not used for the running
    /// machine, which is asked.
    #[must_use]
    pub fn with_answer(mut self, argv: &[&str], answer: Answer) -> Self {
        if let Programs::Noted(noted) = &mut self.programs {
            let argv = argv.iter().map(|arg| (*arg).to_owned()).collect();
            noted.insert(argv, answer);
        }
        self
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.programs, Programs::Run(_))
    }

    pub(super) fn ask(&self, argv: &[&str], bounds: Bounds) -> Answer {
        match &self.programs {
            Programs::Run(runner) => runner.run(argv, bounds),
            Programs::Noted(noted) => {
                let argv: Vec<String> = argv.iter().map(|arg| (*arg).to_owned()).collect();
                noted.get(&argv).cloned().unwrap_or(Answer::NotRun)
            }
        }
    }

    fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        // A device is not waited for, and no terminal becomes ours.
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = OsStr::from_bytes(path);
        loop {
            match openat2(&self.root, path, flags, Mode::empty(), resolve) {
                // Somebody renamed something on the way meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }

    /// Reads at most so many bytes of a regular file; none if there is no such file.
    pub(super) fn read(&self, path: &[u8], limit: usize) -> io::Result<Option<Contents>> {
        let file = match self.open(path, OFlags::empty()) {
            Ok(file) => file,
            // Nobody listens at a socket or pipe, which is no file then.
            Err(error) if is_absent(error) || error == Errno::NXIO => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        File::from(file)
            .take(limit as u64 + 1)
            .read_to_end(&mut bytes)?;
        let cut = bytes.len() > limit;
        bytes.truncate(limit);
        Ok(Some(Contents {
            // Files of /proc and /sys are as large as what is in them, whatever they say.
            size: u64::try_from(stat.st_size)
                .unwrap_or(0)
                .max(bytes.len() as u64),
            bytes,
            mode: stat.st_mode & 0o7777,
            owner: stat.st_uid,
            cut,
        }))
    }

    /// The names in a directory, sorted, at most so many; none if there is no such directory.
    pub(super) fn list(&self, path: &[u8], limit: usize) -> io::Result<Option<Listed>> {
        let dir = match self.open(path, OFlags::DIRECTORY) {
            Ok(dir) => dir,
            Err(error) if is_absent(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut entries = Vec::new();
        let mut cut = false;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() == limit {
                cut = true;
                break;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                match statat(&dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => kind = FileType::from_raw_mode(stat.st_mode),
                    // It is gone by now.
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            entries.push(Entry {
                name: name.to_vec(),
                kind: match kind {
                    FileType::RegularFile => Kind::File,
                    FileType::Directory => Kind::Directory,
                    FileType::Symlink => Kind::Link,
                    _ => Kind::Other,
                },
            });
        }
        entries.sort_unstable();
        Ok(Some(Listed { entries, cut }))
    }

    /// The number of the user to whom a directory belongs, if it is there.
    pub(super) fn owner(&self, dir: &[u8]) -> Option<u32> {
        let dir = self.open(dir, OFlags::DIRECTORY).ok()?;
        Some(fstat(&dir).ok()?.st_uid)
    }

    /// Where a link leads.
    pub(super) fn link(&self, dir: &[u8], name: &[u8]) -> io::Result<Vec<u8>> {
        let dir = self.open(dir, OFlags::DIRECTORY)?;
        Ok(readlinkat(&dir, OsStr::from_bytes(name), Vec::new())?.into_bytes())
    }
}

fn is_absent(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG
    )
}

fn open_root(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|error| Error::io("open", path)(error.into()))
}

/// `dir/name`.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    PathBuf::from(OsStr::from_bytes(dir))
        .join(OsStr::from_bytes(name))
        .into_os_string()
        .into_vec()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_in_the_system() {
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("secret"), "outside").expect("it writes");
        let root = outside.path().join("root");
        fs::create_dir_all(root.join("etc")).expect("it makes a directory");
        fs::write(root.join("secret"), "inside").expect("it writes");
        symlink("../../../../secret", root.join("etc/up")).expect("it links");
        symlink("/secret", root.join("etc/absolute")).expect("it links");
        symlink("loop", root.join("etc/loop")).expect("it links");
        let system = System::mounted(&root).expect("it opens");
        let read = |path: &str| {
            let contents = system.read(path.as_bytes(), 100).expect("it reads");
            contents.map(|contents| contents.bytes)
        };
        assert_eq!(read("/etc/up"), Some(b"inside".to_vec()));
        assert_eq!(read("/etc/absolute"), Some(b"inside".to_vec()));
        assert_eq!(read("/etc/../../secret"), Some(b"inside".to_vec()));
        assert_eq!(read("/etc/loop"), None);
        assert_eq!(read("/etc"), None);
        assert_eq!(read("/etc/up/more"), None);
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let root = tempfile::tempdir().expect("a directory");
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(CWD, root.path().join("pipe"), mode).expect("it makes a pipe");
        let system = System::mounted(root.path()).expect("it opens");
        assert!(system.read(b"/pipe", 10).expect("it reads").is_none());
    }

    #[test]
    fn what_is_too_much_is_cut_and_told() {
        let root = tempfile::tempdir().expect("a directory");
        for name in ["a", "b", "c"] {
            fs::write(root.path().join(name), "12345").expect("it writes");
        }
        let system = System::mounted(root.path()).expect("it opens");
        let read = |limit| {
            let contents = system.read(b"/a", limit).expect("it reads");
            contents.expect("it is there")
        };
        assert_eq!(
            (read(4).bytes.len(), read(4).cut, read(4).size),
            (4, true, 5)
        );
        assert_eq!((read(5).bytes.len(), read(5).cut), (5, false));
        let list = |limit| system.list(b"/", limit).expect("it lists").expect("there");
        assert_eq!((list(2).entries.len(), list(2).cut), (2, true));
        assert_eq!((list(3).entries.len(), list(3).cut), (3, false));
    }
}
