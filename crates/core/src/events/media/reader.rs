//! Reading the plaintext of a sealed file, also of one that a crash cut off.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Chain, Read, Seek, SeekFrom};

use keepwatch_crypto::sealed::{SealedReader, StreamReader};
use keepwatch_crypto::{Credential, Error as CryptoError};

use crate::error::{Error, Result};
use crate::events::model::MediaRef;

/// The plaintext of a media file.
///
/// A complete file can be read at any place. One that a crash cut off is read from its beginning,
/// in constant memory, up to its last whole chunk; it cannot seek, and its length is not known.
pub struct MediaReader {
    source: Source,
}

enum Source {
    Whole(Box<SealedReader<File>>),
    /// Ends where no chunk opens any more.
    Cut(Box<StreamReader<Chain<BufReader<File>, &'static [u8]>>>),
    Ended,
}

impl MediaReader {
    pub(super) fn open(file: File, media: &MediaRef, credential: &Credential) -> Result<Self> {
        let failed = |error| match error {
            CryptoError::Open | CryptoError::OtherCredential { .. } => Error::WrongKey {
                location: media.path.clone(),
            },
            error => Error::Crypto(error),
        };
        let again = file
            .try_clone()
            .map_err(Error::io("open", media.path.as_ref()))?;
        match SealedReader::open(file, credential) {
            Ok(sealed) => Ok(Self {
                source: Source::Whole(Box::new(sealed)),
            }),
            Err(error) if media.complete => Err(failed(error)),
            // The crash may have come after the last byte, and then the file was whole above.
            Err(_) => {
                let mut file = again;
                file.rewind()
                    .map_err(Error::io("read", media.path.as_ref()))?;
                // With one byte behind them, whole chunks are not taken for the last, which is the
                // one that is cut off.
                let cut = BufReader::new(file).chain(&[0][..]);
                let stream = StreamReader::open(cut, credential).map_err(failed)?;
                Ok(Self {
                    source: Source::Cut(Box::new(stream)),
                })
            }
        }
    }

    /// The length of the plaintext; none of a file that was cut off.
    #[allow(clippy::len_without_is_empty, reason = "it may not be known")]
    pub fn len(&self) -> Option<u64> {
        match &self.source {
            Source::Whole(sealed) => Some(sealed.len()),
            Source::Cut(_) | Source::Ended => None,
        }
    }
}

impl Read for MediaReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let stream = match &mut self.source {
            Source::Whole(sealed) => return sealed.read(out),
            Source::Ended => return Ok(0),
            Source::Cut(stream) => stream,
        };
        match stream.read(out) {
            Err(error) if is_end(&error) => {
                self.source = Source::Ended;
                Ok(0)
            }
            result => result,
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(CryptoError::Open))
}

impl Seek for MediaReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.source {
            Source::Whole(sealed) => sealed.seek(to),
            Source::Cut(_) | Source::Ended => Err(io::Error::new(
                io::ErrorKind::NotSeekable,
                "a recording that was cut off cannot seek",
            )),
        }
    }
}

impl fmt::Debug for MediaReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaReader")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
