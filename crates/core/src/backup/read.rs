//! Reading files: cut into chunks by readers, the chunks of large files stored by all threads.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, unbounded};

use crate::backup::assemble::ReadFile;
use crate::backup::source::Stream;
use crate::backup::{PathError, Saver, Tools, VirtualContent};
use crate::chunker::ChunkBuffer;
use crate::error::with_causes;
use crate::error::{Error, Result};
use crate::fs::{SourceDir, SourceFile, Stat};
use crate::id::Id;
use crate::index::BlobKind;
use crate::progress::Progress;
use crate::tree::Time;

/// Time stamps of a coarse kernel clock may be this much older than the moment they stand for.
const CLOCK_TICK_NANOS: i128 = 20_000_000;
/// Some file systems keep whole or even seconds only.
const WHOLE_SECONDS_NANOS: i128 = 2_000_000_000;

/// Each reader keeps so many buffers for chunks.
const SPARE_BUFFERS: usize = 2;

/// Of a file without a size no more is read than this, in bytes.
const MAX_UNSIZED: u64 = 64 << 20;

/// What comes of reading a file: nothing if it is gone.
pub(crate) type Outcome = Result<Option<ReadFile>, PathError>;

/// Something to read.
pub(crate) struct Job {
    pub what: What,
    pub path: Vec<u8>,
    pub reply: Sender<Outcome>,
}

pub(crate) enum What {
    File { dir: Arc<SourceDir>, name: Vec<u8> },
    Stream(Stream),
    Virtual(VirtualContent),
}

/// A chunk of a large file.
pub(crate) struct Piece {
    data: Vec<u8>,
    number: usize,
    reply: Sender<Answer>,
}

/// The number of a piece, the id of its chunk, and its buffer to be used again.
type Answer = (usize, Result<Id>, Vec<u8>);

/// Stores pieces until the readers have ended.
pub(crate) fn store_pieces(saver: &Saver<'_>, mut tools: Tools, pieces: &Receiver<Piece>) {
    for piece in pieces {
        let id = saver.save(BlobKind::Data, &piece.data, &mut tools);
        // A reader that has given up needs no answer.
        let _ = piece.reply.send((piece.number, id, piece.data));
    }
}

/// One reading thread.
pub(crate) struct Reader<'a, 'r> {
    pub saver: &'a Saver<'r>,
    pub tools: Tools,
    pub buffer: ChunkBuffer,
    /// Files up to this size are stored by this thread alone.
    pub small: u64,
    pub pieces: Sender<Piece>,
    pub started: Time,
    pub stop: &'a AtomicBool,
    pub progress: &'a dyn Progress,
    /// Buffers for pieces, used again.
    pub spare: Vec<Vec<u8>>,
}

impl Reader<'_, '_> {
    /// Reads until there are no more jobs. An error of the repository ends it early.
    pub fn run(&mut self, jobs: &Receiver<Job>) -> Result<()> {
        for job in jobs {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let outcome = match job.what {
                What::File { dir, name } => self.file(&dir, &name),
                What::Stream(stream) => self.stream(stream).map(|read| Ok(Some(read))),
                What::Virtual(content) => self.virtual_file(&content),
            };
            let outcome = outcome?.map_err(|error| PathError::new(&job.path, &with_causes(&error)));
            if outcome.is_ok() {
                self.progress.advance(1, 0);
            }
            // The assembler is gone only when the backup has failed.
            let _ = job.reply.send(outcome);
        }
        Ok(())
    }

    fn file(&mut self, dir: &SourceDir, name: &[u8]) -> Result<io::Result<Option<ReadFile>>> {
        let mut source = match dir.file(name) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let before = source.stat;
            let (read, after) = match self.content(&source)? {
                Ok(read) => match source.stat_again() {
                    Ok(after) => (read, after),
                    Err(error) => return Ok(Err(error)),
                },
                Err(error) => return Ok(Err(error)),
            };
            let steady = before.same_content(&after);
            let (ids, size, extents) = read;
            // What changes while it is read is read once more; what changes then is marked.
            if steady || source.again {
                let remember = steady && !is_fresh(&before, self.started);
                return Ok(Ok(Some(ReadFile {
                    size,
                    ids,
                    extents,
                    changed: !steady,
                    mtime: Some(before.mtime),
                    remember: remember.then_some(before),
                })));
            }
            source.stat = after;
            source.again = true;
        }
    }

    #[allow(
        clippy::type_complexity,
        reason = "ids, size and extents, taken apart at once"
    )]
    fn content(
        &mut self,
        source: &SourceFile,
    ) -> Result<io::Result<(Vec<Id>, u64, Option<Vec<(u64, u64)>>)>> {
        let extents = match source.extents() {
            Ok(extents) => extents,
            Err(error) => return Ok(Err(error)),
        };
        let size = source.stat.size;
        // Files that the kernel makes up say that they are empty, and are not.
        let whole = [(0, if size == 0 { MAX_UNSIZED } else { size })];
        // The size is fixed, so that a file that grows faster than we read has an end.
        let reader = ExtentReader::new(&source.file, extents.as_deref().unwrap_or(&whole));
        let (ids, read) = match self.cut(reader, size > self.small)? {
            Ok(done) => done,
            Err(error) => return Ok(Err(error)),
        };
        if size == 0 && read == MAX_UNSIZED {
            let problem = "it says that it is empty and has more than 64 MiB";
            return Ok(Err(io::Error::other(problem)));
        }
        Ok(Ok(match extents {
            Some(extents) => match cut_off(extents, read) {
                (extents, None) => (ids, size, Some(extents)),
                (extents, Some(end)) => (ids, end, Some(extents)),
            },
            None => (ids, read, None),
        }))
    }

    fn virtual_file(&mut self, content: &VirtualContent) -> Result<io::Result<Option<ReadFile>>> {
        let read = match content.open() {
            Ok(reader) => self.cut(reader, content.size() > self.small)?,
            Err(error) => Err(error),
        };
        Ok(read.map(|(ids, size)| {
            Some(ReadFile {
                size,
                ids,
                extents: None,
                changed: false,
                mtime: None,
                remember: None,
            })
        }))
    }

    fn stream(&mut self, stream: Stream) -> Result<ReadFile> {
        let failed = |problem: String| Error::SourceFailed {
            name: stream.path.display().to_string(),
            problem,
        };
        let (ids, size) = self
            .cut(stream.reader, true)?
            .map_err(|error| failed(error.to_string()))?;
        (stream.finish)().map_err(failed)?;
        Ok(ReadFile {
            size,
            ids,
            extents: None,
            changed: false,
            mtime: None,
            remember: None,
        })
    }

    /// Stores everything that a reader gives; the outer error is the repository's.
    fn cut(&mut self, reader: impl Read, share: bool) -> Result<io::Result<(Vec<Id>, u64)>> {
        let (reply, replies) = unbounded();
        let mut ids = Vec::new();
        let (mut size, mut waiting) = (0, 0);
        let mut stream = self.buffer.stream(reader);
        let ended = loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let chunk = match stream.next_chunk() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            size += chunk.len() as u64;
            self.progress.advance(0, chunk.len() as u64);
            let number = ids.len();
            ids.push(Id::ZERO);
            if !share {
                ids[number] = self.saver.save(BlobKind::Data, chunk, &mut self.tools)?;
                continue;
            }
            // Answers are taken as they come: they hold the buffers of what was stored.
            while let Ok(answer) = replies.try_recv() {
                waiting -= 1;
                take(answer, &mut ids, &mut self.spare)?;
            }
            let mut data = self.spare.pop().unwrap_or_default();
            data.clear();
            data.extend_from_slice(chunk);
            let piece = Piece {
                data,
                number,
                reply: reply.clone(),
            };
            match self.pieces.try_send(piece) {
                Ok(()) => waiting += 1,
                // Everybody is busy: this thread works too instead of waiting.
                Err(TrySendError::Full(piece) | TrySendError::Disconnected(piece)) => {
                    ids[number] = self
                        .saver
                        .save(BlobKind::Data, &piece.data, &mut self.tools)?;
                    self.spare.push(piece.data);
                }
            }
        };
        drop(reply);
        for _ in 0..waiting {
            let answer = replies.recv().map_err(|_| Error::Interrupted)?;
            take(answer, &mut ids, &mut self.spare)?;
        }
        Ok(ended.map(|()| (ids, size)))
    }
}

fn take(answer: Answer, ids: &mut [Id], spare: &mut Vec<Vec<u8>>) -> Result<()> {
    let (number, id, data) = answer;
    ids[number] = id?;
    if spare.len() < SPARE_BUFFERS {
        spare.push(data);
    }
    Ok(())
}

/// The extents that `read` bytes fill, and where the file ended if it shrank meanwhile.
fn cut_off(extents: Vec<(u64, u64)>, read: u64) -> (Vec<(u64, u64)>, Option<u64>) {
    let mut left = read;
    let mut filled = Vec::with_capacity(extents.len());
    for (at, len) in extents {
        let here = len.min(left);
        left -= here;
        if here > 0 {
            filled.push((at, here));
        }
        if here < len {
            return (filled, Some(at + here));
        }
    }
    (filled, None)
}

/// Whether a file may change again without its time stamps showing it.
fn is_fresh(stat: &Stat, started: Time) -> bool {
    let nanos = |time: Time| i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    let newest = stat.mtime.max(stat.ctime);
    let margin = if stat.mtime.nanos == 0 && stat.ctime.nanos == 0 {
        WHOLE_SECONDS_NANOS
    } else {
        CLOCK_TICK_NANOS
    };
    nanos(newest) + margin >= nanos(started)
}

/// Reads the extents of a file, one after the other.
struct ExtentReader<'f> {
    file: &'f File,
    extents: std::slice::Iter<'f, (u64, u64)>,
    at: u64,
    left: u64,
}

impl<'f> ExtentReader<'f> {
    fn new(file: &'f File, extents: &'f [(u64, u64)]) -> Self {
        Self {
            file,
            extents: extents.iter(),
            at: 0,
            left: 0,
        }
    }
}

impl Read for ExtentReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.left == 0 {
            match self.extents.next() {
                Some(&(at, len)) => (self.at, self.left) = (at, len),
                None => return Ok(0),
            }
        }
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let read = self.file.read_at(&mut buf[..wanted], self.at)?;
        self.at += read as u64;
        // At the end of the file nothing more comes, whatever its size was before.
        self.left = if read == 0 {
            0
        } else {
            self.left - read as u64
        };
        Ok(read)
    }
}
