//! Entry points for the fuzz targets: each takes bytes that a person may have written or pasted, or
//! that somebody else's file, photograph or network may hold.
//!
//! Beside *no crash* each checks what must hold of what is accepted.

mod galleries;
mod networks;
mod plates;

pub use galleries::{gallery, photograph, securevision_gallery};
pub use networks::network_outputs;
pub use plates::{plate_list, plate_text};
