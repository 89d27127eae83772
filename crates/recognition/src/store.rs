//! The gallery of an event store, which is encrypted with the store's key.

use keepwatch_core::events::{PrivateStamp, Store};

use crate::error::Result;
use crate::face::Gallery;

/// Its name among the private files of the store.
const NAME: &str = "faces";

/// Reads the gallery. None if nobody was enrolled ever.
///
/// # Errors
/// [`Error::Store`](crate::Error::Store), and [`Error::Gallery`](crate::Error::Gallery) for what is none.
pub fn read_gallery(store: &Store) -> Result<Option<Gallery>> {
    let bytes = store.read_private(NAME)?;
    bytes.map(|bytes| Gallery::from_bytes(&bytes)).transpose()
}

/// Changes the gallery: `change` gets what there is, changes it or puts another in its place, and
/// says something of it. Who is removed is in no file of the store any more.
///
/// # Errors
/// As [`read_gallery`], and whatever `change` says: then nothing has changed.
pub fn change_gallery<T>(
    store: &Store,
    change: impl FnOnce(&mut Option<Gallery>) -> Result<T>,
) -> Result<T> {
    let mut said = None;
    store.change_private(NAME, |bytes| -> Result<Option<Vec<u8>>> {
        let mut gallery = bytes.map(Gallery::from_bytes).transpose()?;
        said = Some(change(&mut gallery)?);
        Ok(gallery.as_ref().map(Gallery::to_bytes))
    })?;
    Ok(said.expect("it was changed"))
}

/// Which state of the gallery there is: another one after each change.
///
/// # Errors
/// [`Error::Store`](crate::Error::Store).
pub fn gallery_stamp(store: &Store) -> Result<Option<PrivateStamp>> {
    Ok(store.private_stamp(NAME)?)
}
