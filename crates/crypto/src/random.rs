//! Random bytes and comparison in constant time.

use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// [`Error::Random`] when there is none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(Error::Random)
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
