//! Writing the content of a file, reusing what is there already.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use crate::error::{Error, Result};
use crate::fs::{RestoreDir, Stat};
use crate::id::Id;
use crate::index::BlobKind;
use crate::read::{Scratch, chunk_id};
use crate::restore::{Overwrite, Shared};
use crate::tree::{Content, Node};

/// The content a file is to have.
pub(super) struct Wanted<'a> {
    pub size: u64,
    pub content: &'a Content,
    pub extents: Option<&'a [(u64, u64)]>,
}

/// What became of it.
pub(super) enum Outcome {
    /// The file that is there has this content.
    Same,
    /// The name of the temporary file it was written to; nothing in a dry run.
    Written(Option<Vec<u8>>),
}

/// Removes the temporary file unless it is kept.
struct Temporary<'d> {
    dir: &'d RestoreDir,
    name: Vec<u8>,
    kept: bool,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let _ = self.dir.remove(&self.name);
        }
    }
}

/// Writes the content to a temporary file with the metadata of `node`.
///
/// Chunks that the old file has in the same place are taken from there; if it has all of them
/// and no more, it stays.
pub(super) fn restore(
    shared: &Shared<'_>,
    dir: &RestoreDir,
    node: &Node,
    wanted: &Wanted<'_>,
    old: Option<&Stat>,
    scratch: &mut Scratch,
) -> Result<Outcome> {
    let whole = [(0, wanted.size)];
    let extents = wanted.extents.unwrap_or(&whole);
    let ids = shared.repository.content_ids(wanted.content, scratch)?;
    // Only what was asked to be compared is worth reading: a file of another time is other content.
    let compare = shared.overwrite == Overwrite::Always || ids.len() > 1;
    let old_file = match old.filter(|_| compare) {
        Some(_) => dir.existing_file(&node.name).ok(),
        None => None,
    };
    let reuse = Reuse::find(shared, &ids, extents, old_file.as_ref())?;
    if let (Some(stat), true) = (old, reuse.is_all() && wanted.extents.is_none())
        && stat.size == wanted.size
    {
        if !shared.dry_run {
            dir.set_existing_metadata(&node.name, &node.meta)
                .map_err(failed("update"))?;
        }
        return Ok(Outcome::Same);
    }
    if shared.dry_run {
        return Ok(Outcome::Written(None));
    }
    let (name, file) = dir.new_file().map_err(failed("create"))?;
    let mut temporary = Temporary {
        dir,
        name,
        kept: false,
    };
    let mut place = Placer::new(&file, extents);
    for (number, id) in ids.iter().enumerate() {
        if let (Some(len), Some(old)) = (reuse.len_at(number), &old_file) {
            place.copy(old, len).map_err(failed("copy"))?;
            shared.progress.advance(0, len);
            continue;
        }
        let data = shared.repository.read_chunk(BlobKind::Data, *id, scratch)?;
        place.write(data)?;
        shared.progress.advance(0, data.len() as u64);
    }
    place.end()?;
    file.set_len(wanted.size).map_err(failed("size"))?;
    dir.set_metadata(file.as_fd(), &node.meta)
        .or_else(|error| {
            // The content is right: it stays, and what is missing is told.
            shared.failed_io(&node.name, &error);
            Ok::<(), Error>(())
        })?;
    temporary.kept = true;
    Ok(Outcome::Written(Some(std::mem::take(&mut temporary.name))))
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    Error::io(operation, "a file".as_ref())
}

/// Which chunks the old file has where the new one needs them.
struct Reuse {
    lens: Vec<Option<u64>>,
}

impl Reuse {
    fn find(
        shared: &Shared<'_>,
        ids: &[Id],
        extents: &[(u64, u64)],
        old: Option<&File>,
    ) -> Result<Self> {
        let mut lens = vec![None; ids.len()];
        let Some(old) = old else {
            return Ok(Self { lens });
        };
        let repository = shared.repository;
        let mut at = 0;
        let mut buffer = Vec::new();
        for (len, id) in lens.iter_mut().zip(ids) {
            let place = repository.index()?.lookup_all(id)?.into_iter().next();
            let Some(place) = place else {
                // Reading it will say that it is missing.
                break;
            };
            buffer.resize(place.raw_len as usize, 0);
            if read_joined(old, extents, at, &mut buffer).is_ok()
                && chunk_id(repository.ring(), BlobKind::Data, &buffer) == *id
            {
                *len = Some(u64::from(place.raw_len));
            }
            at += u64::from(place.raw_len);
        }
        Ok(Self { lens })
    }

    fn is_all(&self) -> bool {
        self.lens.iter().all(Option::is_some)
    }

    fn len_at(&self, number: usize) -> Option<u64> {
        self.lens[number]
    }
}

/// Reads bytes at a position of the joined extents of a file.
fn read_joined(
    file: &File,
    extents: &[(u64, u64)],
    mut at: u64,
    mut out: &mut [u8],
) -> io::Result<()> {
    for &(start, len) in extents {
        if out.is_empty() {
            break;
        }
        if at >= len {
            at -= len;
            continue;
        }
        let here = (len - at).min(out.len() as u64) as usize;
        let (now, later) = out.split_at_mut(here);
        file.read_exact_at(now, start + at)?;
        out = later;
        at = 0;
    }
    if out.is_empty() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Writes joined chunks to where extents say.
struct Placer<'f> {
    file: &'f File,
    extents: std::slice::Iter<'f, (u64, u64)>,
    at: u64,
    left: u64,
}

impl<'f> Placer<'f> {
    fn new(file: &'f File, extents: &'f [(u64, u64)]) -> Self {
        Self {
            file,
            extents: extents.iter(),
            at: 0,
            left: 0,
        }
    }

    /// Calls `each` with the place of each part of the next `len` bytes, and its offset in them.
    fn parts(
        &mut self,
        len: u64,
        mut each: impl FnMut(&File, u64, u64, u64) -> io::Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < len {
            while self.left == 0 {
                let Some(&(at, extent)) = self.extents.next() else {
                    return Err(Error::damaged(
                        "a file",
                        "it has more content than its size",
                    ));
                };
                (self.at, self.left) = (at, extent);
            }
            let part = self.left.min(len - done);
            each(self.file, self.at, done, part).map_err(failed("write"))?;
            self.at += part;
            self.left -= part;
            done += part;
        }
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.parts(data.len() as u64, |file, at, from, len| {
            file.write_all_at(&data[from as usize..(from + len) as usize], at)
        })
    }

    fn copy(&mut self, old: &File, len: u64) -> Result<(), io::Error> {
        let copied = self.parts(len, |file, at, _, len| copy_range(old, file, at, len));
        copied.map_err(|error| match error {
            Error::Io { source, .. } => source,
            other => io::Error::other(other),
        })
    }

    fn end(self) -> Result<()> {
        if self.left == 0 && self.extents.len() == 0 {
            return Ok(());
        }
        // An empty file has one extent of no bytes.
        match self.extents.as_slice() {
            [(_, 0)] if self.left == 0 => Ok(()),
            _ => Err(Error::damaged(
                "a file",
                "it has less content than its size",
            )),
        }
    }
}

/// Copies bytes to the same place of another file, by reference where the file system can.
fn copy_range(from: &File, to: &File, at: u64, len: u64) -> io::Result<()> {
    let (mut read_at, mut write_at, mut left) = (at, at, len);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), wanted)
        {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => left -= copied as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return copy_by_hand(from, to, read_at, left),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, to: &File, mut at: u64, mut left: u64) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    while left > 0 {
        let part = left.min(buffer.len() as u64) as usize;
        from.read_exact_at(&mut buffer[..part], at)?;
        to.write_all_at(&buffer[..part], at)?;
        at += part as u64;
        left -= part as u64;
    }
    Ok(())
}
