//! Reading key files, identities and passphrases.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Passphrases and key files longer than this are a mistake.
const MAX_SECRET: u64 = 1 << 20;

/// The content of a small file, wiped when dropped; of a long one its first MiB.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    // Large enough from the start: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    File::open(path)
        .and_then(|file| file.take(MAX_SECRET).read_to_end(&mut bytes))
        .map_err(Error::io("read", path))?;
    Ok(bytes)
}
