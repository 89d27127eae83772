//! The plaintext of a `.enc` file, to be read bit by bit.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use super::gcm::Gcm;
use super::{BUFFER, HEAD_LEN, LegacyKey, NONCE_LEN, check_tag, for_each_part, plain_len};
use crate::error::{Error, Result};
use crate::passphrase::SALT_LEN;

/// The plaintext of a file whose tag was found right before the first byte is given out.
pub struct Plaintext<R> {
    reader: R,
    gcm: Gcm,
    len: u64,
    /// Bytes of ciphertext that were not yet read.
    left: u64,
    buf: Zeroizing<Vec<u8>>,
    /// What of `buf` is plaintext that was not yet given out.
    ready: std::ops::Range<usize>,
}

impl<R: Read + Seek> Plaintext<R> {
    /// Reads the whole file that `reader` holds and checks its tag; the plaintext comes of a second
    /// reading.
    ///
    /// # Errors
    /// [`Error::Open`] for a key of another salt, a wrong one or changed bytes.
    pub fn of_file(mut reader: R, key: &LegacyKey) -> Result<Self> {
        let len = plain_len(&mut reader)?;
        let mut salt = [0; SALT_LEN];
        reader.read_exact(&mut salt).map_err(Error::reading)?;
        if salt != key.salt {
            return Err(Error::Open);
        }
        let mut nonce = [0; NONCE_LEN];
        reader.read_exact(&mut nonce).map_err(Error::reading)?;
        let mut check = Gcm::new(&key.key, &nonce);
        for_each_part(&mut reader, len, |part| {
            check.authenticate(part);
            Ok(())
        })?;
        check_tag(&mut reader, &check)?;
        reader
            .seek(SeekFrom::Start(HEAD_LEN as u64))
            .map_err(Error::reading)?;
        let mut plaintext = Self {
            reader,
            gcm: Gcm::new(&key.key, &nonce),
            len,
            left: len,
            buf: Zeroizing::new(vec![0; BUFFER]),
            ready: 0..0,
        };
        if len == 0 {
            check_tag(&mut plaintext.reader, &plaintext.gcm)?;
        }
        Ok(plaintext)
    }

    /// How many bytes of plaintext the file has.
    #[allow(clippy::len_without_is_empty, reason = "a file, not a collection")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The next bytes, or nothing at the end.
    ///
    /// The tag is looked at once more before the last of them: should the file be changed between the
    /// two readings, the end is never given out.
    pub(super) fn next_part(&mut self) -> Result<Option<&[u8]>> {
        self.fill()?;
        let ready = std::mem::take(&mut self.ready);
        Ok((!ready.is_empty()).then(|| &self.buf[ready]))
    }

    fn fill(&mut self) -> Result<()> {
        if !self.ready.is_empty() || self.left == 0 {
            return Ok(());
        }
        let len = self.left.min(BUFFER as u64) as usize;
        let part = &mut self.buf[..len];
        self.reader.read_exact(part).map_err(Error::reading)?;
        self.left -= len as u64;
        self.gcm.decrypt(part);
        if self.left == 0 {
            check_tag(&mut self.reader, &self.gcm)?;
        }
        self.ready = 0..len;
        Ok(())
    }
}

impl<R: Read + Seek> Read for Plaintext<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let len = out.len().min(self.ready.len());
        let start = self.ready.start;
        out[..len].copy_from_slice(&self.buf[start..start + len]);
        self.ready.start += len;
        Ok(len)
    }
}

impl<R> fmt::Debug for Plaintext<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plaintext")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
