//! Reading at any place of a sealed file.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use super::chunk::{ChunkCipher, Layout, Place};
use super::header::Header;
use crate::credential::Credential;
use crate::error::{Error, Result};

/// The plaintext of a sealed file, with random access.
///
/// One chunk is kept: reading in order opens each chunk once.
pub struct SealedReader<R> {
    reader: R,
    cipher: ChunkCipher,
    header_len: u64,
    layout: Layout,
    position: u64,
    buf: Zeroizing<Vec<u8>>,
    /// The chunk whose plaintext is in `buf`, and the length of it.
    loaded: Option<(u64, usize)>,
}

impl<R: Read + Seek> SealedReader<R> {
    /// Opens the sealed file that `reader` holds from its beginning to its end.
    ///
    /// The header and the last chunk are authenticated here, and with them the length; every other
    /// chunk when it is read. Blocks for as long as the key derivation of the slots takes that the
    /// credential is tried on.
    ///
    /// # Errors
    /// [`Error::Open`] for a wrong key or changed bytes, [`Error::OtherCredential`] when no slot is
    /// of the credential's kind.
    pub fn open(mut reader: R, credential: &Credential) -> Result<Self> {
        let file_len = reader.seek(SeekFrom::End(0)).map_err(Error::reading)?;
        reader.rewind().map_err(Error::reading)?;
        let header = Header::read(&mut reader)?;
        let header_len = header.bytes().len() as u64;
        let cipher = header.unlock(credential)?;
        let body = file_len.checked_sub(header_len).ok_or(Error::Open)?;
        let layout = Layout::of(body, cipher.chunk_size).ok_or(Error::Open)?;
        let mut this = Self {
            reader,
            buf: Zeroizing::new(vec![0; cipher.stride()]),
            cipher,
            header_len,
            layout,
            position: 0,
            loaded: None,
        };
        this.load(layout.chunks - 1)?;
        Ok(this)
    }

    /// The length of the plaintext in bytes.
    pub fn len(&self) -> u64 {
        self.layout.plaintext
    }

    /// Whether there is no plaintext at all.
    pub fn is_empty(&self) -> bool {
        self.layout.plaintext == 0
    }

    /// Gives the reader back, at no particular position.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Makes `buf` hold the plaintext of a chunk, and gives its length.
    fn load(&mut self, number: u64) -> Result<usize> {
        if let Some((loaded, len)) = self.loaded
            && loaded == number
        {
            return Ok(len);
        }
        self.loaded = None;
        let stride = self.cipher.stride() as u64;
        let chunk_size = self.cipher.chunk_size as u64;
        let plaintext_left = self.layout.plaintext - number * chunk_size;
        let len = plaintext_left.min(chunk_size) as usize;
        let chunk = &mut self.buf[..len + crate::cipher::TAG_LEN];
        let at = SeekFrom::Start(self.header_len + number * stride);
        self.reader.seek(at).map_err(Error::reading)?;
        self.reader.read_exact(chunk).map_err(Error::reading)?;
        let place = Place {
            number,
            last: number + 1 == self.layout.chunks,
        };
        self.cipher.open(place, chunk)?;
        self.loaded = Some((number, len));
        Ok(len)
    }
}

impl<R: Read + Seek> Read for SealedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.layout.plaintext || out.is_empty() {
            return Ok(0);
        }
        let chunk_size = self.cipher.chunk_size as u64;
        let len = self.load(self.position / chunk_size)?;
        let from = (self.position % chunk_size) as usize;
        let part = &self.buf[from..len];
        let count = part.len().min(out.len());
        out[..count].copy_from_slice(&part[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for SealedReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.layout.plaintext.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a seek to before the beginning",
            )
        })?;
        Ok(self.position)
    }
}

impl<R> fmt::Debug for SealedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedReader")
            .field("len", &self.layout.plaintext)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
