//! Whether the keys are right, found out before the work begins.
//!
//! Of one file that does not open nobody can say whether it is damaged or the key is wrong. Of a few
//! that all do not, it is the key.

use keepwatch_crypto::Error as CryptoError;

use super::error::{Error, Result};

/// So many files are tried at most. Each may cost a derivation.
const TRIES: usize = 3;

/// How the opening of a file went.
pub(super) enum Tried {
    /// It opens.
    Opens,
    /// It does not, for whatever reason.
    Fails,
    /// It needs another kind of key.
    Other(CryptoError),
}

/// Tries the smallest of some files, which are given with their sizes, until one opens.
pub(super) fn probe<F>(
    mut files: Vec<(u64, &[u8], F)>,
    has_key: bool,
    open: impl Fn(&F) -> Tried,
) -> Result<()> {
    files.sort_by_key(|(size, path, _)| (*size, *path));
    let Some((_, first, _)) = files.first() else {
        return Ok(());
    };
    let file = String::from_utf8_lossy(first).into_owned();
    if !has_key {
        let more = files.len() - 1;
        return Err(Error::NeedsKey { file, more });
    }
    let mut other = None;
    for (_, path, which) in files.iter().take(TRIES) {
        match open(which) {
            Tried::Opens => return Ok(()),
            Tried::Fails => {}
            Tried::Other(source) => {
                let file = String::from_utf8_lossy(path).into_owned();
                other = Some(Error::OtherKey { file, source });
            }
        }
    }
    Err(other.unwrap_or(Error::WrongKey { file }))
}
