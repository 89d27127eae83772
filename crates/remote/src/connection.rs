//! Connections: one program each, which speaks SFTP for one operation at a time.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use keepwatch_core::storage::RemoteFault;
use openssh_sftp_client::error::SftpErrorKind;
use openssh_sftp_client::file::File;
use openssh_sftp_client::{Error as SftpError, Sftp, SftpOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use crate::launch::{Launcher, Manners};
use crate::moved::Moved;
use crate::options::Options;
use crate::pace::Pace;
use crate::retry::Fault;
use crate::sftp::is_missing;
use crate::stop::Stop;

/// So many requests are on their way at once, at most.
const MOST_REQUESTS: u16 = 16;
/// So many directories are listed at once.
const LISTINGS: usize = 8;
/// So much of what a program says is kept, in bytes.
const SAID: usize = 4096;

/// Connections that are opened when they are needed, and used again.
pub(crate) struct Lines {
    launcher: Launcher,
    stall: Duration,
    stop: Stop,
    upload: Option<Arc<Pace>>,
    download: Option<Arc<Pace>>,
    most: usize,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    sftp: Sftp,
    child: Child,
    said: Said,
}

/// A connection in use.
pub(crate) struct Connection {
    sftp: Sftp,
    child: Child,
    said: Said,
    manners: Manners,
    stall: Duration,
    stop: Stop,
    upload: Option<Arc<Pace>>,
    download: Option<Arc<Pace>>,
    _permit: OwnedSemaphorePermit,
}

/// Why an operation failed.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub fault: RemoteFault,
    pub text: String,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What `ssh` and `rclone` say of what is wrong with their settings, or with the server's: it stays
/// so. Whatever rclone cannot begin with besides may be the network's fault.
const LASTING: [&str; 7] = [
    "subsystem request failed",
    "didn't find section in config file",
    "didn't find backend called",
    "Failed to load config file",
    "password not set in config file",
    "failed to decrypt password",
    "empty token found",
];

/// The last of what a program said.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<VecDeque<u8>>>);

impl Lines {
    pub fn new(launcher: Launcher, options: &Options, most: usize) -> Self {
        let limits = &options.limits;
        Self {
            launcher,
            stall: limits.stall,
            stop: options.stop.clone(),
            upload: Pace::new(limits.upload).map(Arc::new),
            download: Pace::new(limits.download).map(Arc::new),
            most,
            free: Arc::new(Semaphore::new(most)),
            idle: Mutex::default(),
        }
    }

    /// How many there can be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// A connection, when one is free.
    pub async fn take(&self) -> Result<Connection, Fault<Trouble>> {
        let permit = self.free.clone().acquire_owned().await;
        let permit = permit.expect("it is never closed");
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let idle = match idle {
            Some(idle) => idle,
            None => self.connect().await?,
        };
        Ok(Connection {
            sftp: idle.sftp,
            child: idle.child,
            said: idle.said,
            manners: self.launcher.manners,
            stall: match self.launcher.manners.stands_between {
                true => self.stall * 10,
                false => self.stall,
            },
            stop: self.stop.clone(),
            upload: self.upload.clone(),
            download: self.download.clone(),
            _permit: permit,
        })
    }

    /// A connection on which nothing is under way can be used again.
    pub fn give_back(&self, line: Connection) {
        let idle = Idle {
            sftp: line.sftp,
            child: line.child,
            said: line.said,
        };
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(idle);
    }

    async fn connect(&self) -> Result<Idle, Fault<Trouble>> {
        let program = self.launcher.program;
        let mut child = self.launcher.start().map_err(|error| {
            Fault::Lasting(Trouble {
                fault: RemoteFault::Refused,
                text: format!("cannot start {program}: {error}"),
            })
        })?;
        let said = Said::default();
        let (Some(stdin), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three are piped");
        };
        let listener = said.clone();
        let listening = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                listener.add(&buffer[..read]);
            }
        });
        let options = SftpOptions::new()
            .max_pending_requests(NonZeroU16::MIN.saturating_add(MOST_REQUESTS))
            .requests_buffer_size(NonZeroUsize::MIN.saturating_add(64 << 10))
            .responses_buffer_size(NonZeroUsize::MIN.saturating_add(64 << 10));
        let answer = Sftp::new(stdin, stdout, options);
        match self.stop.within(self.stall, answer).await {
            Some(Ok(sftp)) => Ok(Idle { sftp, child, said }),
            Some(Err(error)) => {
                // It ends by itself, and says why before.
                let ended = self.stop.within(self.stall, child.wait()).await;
                if ended.is_some() {
                    self.stop.within(self.stall, listening).await;
                }
                Err(said.explain(program, &error.to_string()))
            }
            None => Err(said.explain(program, "it does not answer")),
        }
    }
}

impl Connection {
    /// What an error means, and whether this connection may be used again.
    pub async fn explain(mut self, error: SftpError, lines: &Lines) -> Fault<Trouble> {
        if let SftpError::SftpError(kind, said) = &error {
            let fault = match kind {
                SftpErrorKind::PermDenied => RemoteFault::Denied,
                _ => RemoteFault::Refused,
            };
            let text = format!("{said}");
            let passes = self.manners.stands_between && matches!(kind, SftpErrorKind::Failure);
            lines.give_back(self);
            return match passes {
                true => Fault::Passing(Trouble {
                    fault: RemoteFault::Unavailable,
                    text,
                }),
                false => Fault::Lasting(Trouble { fault, text }),
            };
        }
        // It is no more, or in an unknown state.
        self.child.start_kill().ok();
        timeout(Duration::from_secs(1), self.child.wait())
            .await
            .ok();
        let program = lines.launcher.program;
        match self.said.explain(program, &error.to_string()) {
            // What an earlier connection was let do is not forbidden now: it broke off.
            Fault::Lasting(trouble) | Fault::Passing(trouble) => Fault::Passing(Trouble {
                fault: RemoteFault::Unavailable,
                ..trouble
            }),
        }
    }

    async fn within<T>(
        &self,
        act: impl Future<Output = Result<T, SftpError>>,
    ) -> Result<T, SftpError> {
        self.while_moving(&Moved::now(), act).await
    }

    /// Waits for one of several answers that come one after the other: all the time that one of them
    /// takes, the others wait.
    async fn while_moving<T>(
        &self,
        moved: &Moved,
        act: impl Future<Output = Result<T, SftpError>>,
    ) -> Result<T, SftpError> {
        tokio::select! {
            done = act => {
                moved.touch(Instant::now());
                done
            }
            () = moved.stalled(self.stall, &self.stop) => {
                Err(SftpError::IOError(std::io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// The size of a file.
    pub async fn size(&mut self, path: &Path) -> Result<Option<u64>, SftpError> {
        let mut fs = self.sftp.fs();
        match self.within(fs.metadata(path)).await {
            Ok(found) if found.file_type().is_some_and(|kind| kind.is_file()) => Ok(found.len()),
            Ok(_) => Ok(None),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes that can still be written, if the server tells.
    pub async fn free_space(&mut self, path: &Path) -> Result<Option<u64>, SftpError> {
        if !self.sftp.support_statvfs() {
            return Ok(None);
        }
        let mut fs = self.sftp.fs();
        let found = self.within(fs.statvfs(path)).await?;
        Ok(Some(found.bavail.saturating_mul(found.frsize)))
    }

    /// Writes a new file and makes it durable. The directory is made when it is missing.
    pub async fn write_draft(&mut self, path: &Path, content: Bytes) -> Result<File, SftpError> {
        let mut options = self.sftp.options();
        options.write(true).create_new(true);
        let file = match self.within(options.open(path)).await {
            Err(error) if is_missing(&error) => {
                self.make_parents(path).await?;
                self.within(options.open(path)).await?
            }
            opened => opened?,
        };
        self.write_pieces(&file, content).await?;
        let mut file = file;
        if self.sftp.support_fsync() {
            self.within(file.sync_all()).await?;
        }
        Ok(file)
    }

    async fn write_pieces(&self, file: &File, content: Bytes) -> Result<(), SftpError> {
        let Manners { piece, window, .. } = self.manners;
        let moved = &Moved::now();
        let pieces = (0..content.len()).step_by(piece).map(|at| {
            let piece = content.slice(at..content.len().min(at + piece));
            let mut file = file.clone();
            async move {
                file.seek(std::io::SeekFrom::Start(at as u64)).await?;
                if let Some(pace) = &self.upload {
                    sleep_until(pace.reserve(piece.len(), Instant::now())).await;
                    moved.touch(Instant::now());
                }
                let mut piece = [piece];
                let writing = file.write_all_zero_copy(&mut piece);
                self.while_moving(moved, writing).await
            }
        });
        let window = if self.upload.is_some() { 1 } else { window };
        let mut writing = pin!(stream::iter(pieces).buffer_unordered(window));
        while writing.try_next().await?.is_some() {}
        Ok(())
    }

    /// Gives a draft its name. False when the name is taken.
    pub async fn commit(
        &mut self,
        mut file: File,
        draft: &Path,
        path: &Path,
    ) -> Result<bool, SftpError> {
        let mut fs = self.sftp.fs();
        if !(self.manners.links && self.sftp.support_hardlink()) {
            self.within(file.close()).await?;
            if self.size(path).await?.is_some() {
                return Ok(false);
            }
            return match self.within(fs.rename(draft, path)).await {
                Err(error) if is_missing(&error) => {
                    self.make_parents(path).await?;
                    self.within(fs.rename(draft, path)).await.map(|()| true)
                }
                renamed => renamed.map(|()| true),
            };
        }
        let linked = match self.within(fs.hard_link(draft, path)).await {
            Err(error) if is_missing(&error) => {
                self.make_parents(path).await?;
                self.within(fs.hard_link(draft, path)).await
            }
            linked => linked,
        };
        if let Err(error) = linked {
            // Of all that can be wrong with a link the protocol has one word.
            let taken = matches!(error, SftpError::SftpError(..)) && self.exists(path).await?;
            return if taken { Ok(false) } else { Err(error) };
        }
        // The name is part of what a sync of the file makes durable, on all common file systems.
        if self.sftp.support_fsync() {
            self.within(file.sync_all()).await?;
        }
        self.within(file.close()).await?;
        Ok(true)
    }

    async fn exists(&mut self, path: &Path) -> Result<bool, SftpError> {
        let mut fs = self.sftp.fs();
        match self.within(fs.symlink_metadata(path)).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the directories above a file.
    async fn make_parents(&mut self, path: &Path) -> Result<(), SftpError> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(directory) = next.filter(|path| !path.as_os_str().is_empty()) {
            if self.exists(directory).await? {
                break;
            }
            missing.push(directory);
            next = directory.parent();
        }
        let mut fs = self.sftp.fs();
        for directory in missing.into_iter().rev() {
            match self.within(fs.create_dir(directory)).await {
                // Somebody else has made it meanwhile.
                Err(SftpError::SftpError(..)) if self.exists(directory).await? => {}
                made => made?,
            }
        }
        Ok(())
    }

    /// Reads a part of a file.
    pub async fn read(&mut self, path: &Path, offset: u64, len: u64) -> Result<Vec<u8>, SftpError> {
        let file = self.within(self.sftp.open(path)).await?;
        let bytes = self.read_pieces(&file, offset, len).await?;
        self.within(file.close()).await?;
        Ok(bytes)
    }

    async fn read_pieces(&self, file: &File, offset: u64, len: u64) -> Result<Vec<u8>, SftpError> {
        let Manners { piece, window, .. } = self.manners;
        let moved = Moved::now();
        let pieces = (0..len).step_by(piece).map(|at| {
            let wanted = (len - at).min(piece as u64) as usize;
            self.read_piece(file.clone(), offset + at, wanted, &moved)
        });
        let window = if self.download.is_some() { 1 } else { window };
        let mut reading = pin!(stream::iter(pieces).buffered(window));
        let mut bytes = Vec::with_capacity(len as usize);
        while let Some(piece) = reading.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Servers may give less than was asked for.
    async fn read_piece(
        &self,
        mut file: File,
        offset: u64,
        wanted: usize,
        moved: &Moved,
    ) -> Result<BytesMut, SftpError> {
        if let Some(pace) = &self.download {
            sleep_until(pace.reserve(wanted, Instant::now())).await;
            moved.touch(Instant::now());
        }
        let mut piece = BytesMut::with_capacity(wanted);
        while piece.len() < wanted {
            let left = (wanted - piece.len()) as u32;
            let start = offset + piece.len() as u64;
            file.seek(std::io::SeekFrom::Start(start)).await?;
            let reading = file.read(left, BytesMut::new());
            match self.while_moving(moved, reading).await? {
                Some(more) if !more.is_empty() => piece.extend_from_slice(&more),
                _ => {
                    let ended = std::io::ErrorKind::UnexpectedEof;
                    return Err(SftpError::IOError(ended.into()));
                }
            }
        }
        Ok(piece)
    }

    /// Removes a file, if it is there.
    pub async fn remove(&mut self, path: &Path) -> Result<(), SftpError> {
        let mut fs = self.sftp.fs();
        match self.within(fs.remove_file(path)).await {
            Err(error) if is_missing(&error) => Ok(()),
            removed => removed,
        }
    }

    /// Files in a directory, and in those in it so many levels down, by their paths beneath it.
    pub async fn list(
        &mut self,
        top: &Path,
        levels: usize,
    ) -> Result<Vec<(String, u64)>, SftpError> {
        let mut found = Vec::new();
        let mut level = vec![String::new()];
        for depth in 0..=levels {
            let this = &*self;
            let listings = level.into_iter().map(|inside| async move {
                let entries = this.entries(&top.join(&inside)).await?;
                Ok::<_, SftpError>((inside, entries))
            });
            let mut listings = pin!(stream::iter(listings).buffer_unordered(LISTINGS));
            let mut below = Vec::new();
            while let Some((inside, entries)) = listings.try_next().await? {
                for (name, size, is_directory) in entries {
                    let path = match inside.is_empty() {
                        true => name,
                        false => format!("{inside}/{name}"),
                    };
                    match is_directory {
                        true if depth < levels => below.push(path),
                        true => {}
                        false => found.push((path, size)),
                    }
                }
            }
            level = below;
        }
        Ok(found)
    }

    /// Removes the files of a directory that were last written before a time, and counts them.
    pub async fn remove_older(
        &mut self,
        directory: &Path,
        before: SystemTime,
    ) -> Result<u64, SftpError> {
        let mut removed = 0;
        for (name, _) in self.list(directory, 0).await? {
            let path = directory.join(name);
            let mut fs = self.sftp.fs();
            let found = match self.within(fs.metadata(&path)).await {
                Err(error) if is_missing(&error) => continue,
                found => found?,
            };
            if found
                .modified()
                .is_some_and(|time| time.as_system_time() < before)
            {
                self.remove(&path).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn entries(&self, path: &Path) -> Result<Vec<(String, u64, bool)>, SftpError> {
        let mut fs = self.sftp.fs();
        let directory = match self.within(fs.open_dir(path)).await {
            Ok(directory) => directory,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        let mut reading = pin!(directory.read_dir());
        while let Some(entry) = self.within(reading.try_next()).await? {
            let Some(name) = entry.filename().to_str() else {
                continue;
            };
            let Some(kind) = entry.file_type().filter(|_| !matches!(name, "." | "..")) else {
                continue;
            };
            if kind.is_file() || kind.is_dir() {
                let size = entry.metadata().len().unwrap_or(0);
                entries.push((name.to_owned(), size, kind.is_dir()));
            }
        }
        Ok(entries)
    }
}

impl Said {
    fn add(&self, bytes: &[u8]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(bytes);
        let surplus = said.len().saturating_sub(SAID);
        said.drain(..surplus);
    }

    /// Why a program could not connect, by what it said.
    fn explain(&self, program: &str, otherwise: &str) -> Fault<Trouble> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = said.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let last = lines.iter().rev().find(|line| !line.is_empty());
        let told = |fault, text: &str| Trouble {
            fault,
            text: format!("{program}: {text}"),
        };
        let has = |part: &str| text.contains(part);
        if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            let problem = "the host has another key than the one that is known: either it was set \
                           up anew, or somebody else answers";
            return Fault::Lasting(told(RemoteFault::Denied, problem));
        }
        if has("Host key verification failed") {
            let problem = "the host's key is not among the known ones; compare it with what its \
                           owner says and add it to known_hosts";
            return Fault::Lasting(told(RemoteFault::Denied, problem));
        }
        if has("Permission denied") || has("Too many authentication failures") {
            let problem = last.unwrap_or(&"it was denied");
            return Fault::Lasting(told(RemoteFault::Denied, problem));
        }
        if has("most likely wrong password") {
            let problem = "the password of its configuration is wrong";
            return Fault::Lasting(told(RemoteFault::Denied, problem));
        }
        if has("not allowed to ask for password") {
            let problem = "its configuration is encrypted, and no password for it is given";
            return Fault::Lasting(told(RemoteFault::Denied, problem));
        }
        if LASTING.iter().any(|part| has(part)) {
            let problem = last.unwrap_or(&"it is not there");
            return Fault::Lasting(told(RemoteFault::Refused, problem));
        }
        let problem = last.copied().unwrap_or(otherwise);
        Fault::Passing(told(RemoteFault::Unavailable, problem))
    }
}
