//! Writing the content of a file, reusing what is there already.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use crate::backup::VirtualContent;
use crate::error::{Error, Result};
use crate::fs::{RestoreDir, Stat};
use crate::id::Id;
use crate::index::BlobKind;
use crate::read::{ContentIds, Scratch, chunk_id};
use crate::restore::{Overwrite, Shared};
use crate::tree::{Content, Node};

/// Content that is in no repository is copied in parts of this size.
const GIVEN_BUFFER: usize = 256 << 10;

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
    // Only what was asked to be compared is worth reading: a file of another time is other content.
    let large = wanted.content.level > 0 || wanted.content.ids.len() > 1;
    let compare = shared.overwrite == Overwrite::Always || large;
    let old_file = match old.filter(|_| compare) {
        Some(_) => dir.existing_file(&node.name).ok(),
        None => None,
    };
    let mut reuse = old_file.as_ref().map(|file| Reuse::new(file, extents));
    if old.is_some_and(|stat| stat.size == wanted.size) && wanted.extents.is_none() {
        let same = match &mut reuse {
            Some(reuse) => reuse.has_all(shared, wanted.content, scratch)?,
            None => wanted.content.ids.is_empty(),
        };
        if same {
            if !shared.dry_run {
                dir.set_existing_metadata(&node.name, &node.meta)
                    .map_err(failed("update"))?;
            }
            return Ok(Outcome::Same);
        }
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
    let mut ids = ContentIds::new(wanted.content)?;
    let mut at = 0;
    while let Some(id) = ids.next(shared.repository(), scratch)? {
        shared.go_on()?;
        let old = match &mut reuse {
            Some(reuse) => reuse.find(shared, &id, at)?,
            None => None,
        };
        let data = match old {
            Some(data) => data,
            None => shared
                .repository()
                .read_chunk(BlobKind::Data, id, scratch)?,
        };
        at += data.len() as u64;
        place.write(data)?;
        shared.progress.advance(0, data.len() as u64);
    }
    place.end()?;
    file.set_len(wanted.size).map_err(failed("size"))?;
    set_metadata(shared, dir, &file, node);
    temporary.kept = true;
    Ok(Outcome::Written(Some(std::mem::take(&mut temporary.name))))
}

/// Writes a content that is in no repository to a temporary file with the metadata of `node`; gives
/// its name and length.
pub(super) fn write_given(
    shared: &Shared<'_>,
    dir: &RestoreDir,
    node: &Node,
    given: &VirtualContent,
) -> Result<(Vec<u8>, u64)> {
    let mut reader = given.open().map_err(failed("read"))?;
    let (name, mut file) = dir.new_file().map_err(failed("create"))?;
    let mut temporary = Temporary {
        dir,
        name,
        kept: false,
    };
    let mut buffer = vec![0; GIVEN_BUFFER];
    let mut total = 0;
    loop {
        shared.go_on()?;
        let len = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed("read")(error)),
        };
        file.write_all(&buffer[..len]).map_err(failed("write"))?;
        total += len as u64;
        shared.progress.advance(0, len as u64);
    }
    set_metadata(shared, dir, &file, node);
    temporary.kept = true;
    Ok((std::mem::take(&mut temporary.name), total))
}

/// The content is right: it stays, and what is missing is told.
fn set_metadata(shared: &Shared<'_>, dir: &RestoreDir, file: &File, node: &Node) {
    if let Err(error) = dir.set_metadata(file.as_fd(), &node.meta) {
        shared.failed_io(&node.name, &error);
    }
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    Error::io(operation, "a file".as_ref())
}

/// Chunks that the old file has where the new one needs them.
struct Reuse<'f> {
    old: &'f File,
    extents: &'f [(u64, u64)],
    buffer: Vec<u8>,
}

impl<'f> Reuse<'f> {
    fn new(old: &'f File, extents: &'f [(u64, u64)]) -> Self {
        Self {
            old,
            extents,
            buffer: Vec::new(),
        }
    }

    /// The chunk, if the old file has it at this position of its joined extents.
    ///
    /// What is given is what was compared, whatever becomes of the file meanwhile.
    fn find(&mut self, shared: &Shared<'_>, id: &Id, at: u64) -> Result<Option<&[u8]>> {
        let repository = shared.repository();
        let places = repository.index()?.lookup_all(id)?;
        // If it is nowhere, reading it will say so.
        let Some(place) = places.first() else {
            return Ok(None);
        };
        self.buffer.resize(place.raw_len as usize, 0);
        let found = read_joined(self.old, self.extents, at, &mut self.buffer).is_ok()
            && chunk_id(repository.ring(), BlobKind::Data, &self.buffer) == *id;
        Ok(found.then_some(self.buffer.as_slice()))
    }

    fn has_all(
        &mut self,
        shared: &Shared<'_>,
        content: &Content,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let mut ids = ContentIds::new(content)?;
        let mut at = 0;
        while let Some(id) = ids.next(shared.repository(), scratch)? {
            shared.go_on()?;
            match self.find(shared, &id, at)? {
                Some(data) => at += data.len() as u64,
                None => return Ok(false),
            }
        }
        Ok(true)
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
