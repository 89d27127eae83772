//! Addresses of cameras on the command line.

use keepwatch_core::crypto::zeroize::Zeroizing;
use keepwatch_vision::CameraUrl;

use crate::exit::Failure;

/// An argument that is read later: what clap cannot read it repeats, and this may hold a password.
pub type Unread = Zeroizing<String>;

/// Takes any text.
#[allow(clippy::unnecessary_wraps, reason = "clap wants it so")]
pub fn unread(text: &str) -> Result<Unread, String> {
    Ok(Zeroizing::new(text.to_owned()))
}

/// Reads an address; the error does not repeat it.
pub fn url_of(text: &str) -> Result<CameraUrl, Failure> {
    text.parse()
        .map_err(|error: keepwatch_vision::Error| Failure::usage(error.to_string()))
}
