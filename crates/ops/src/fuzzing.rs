//! Entry points for the fuzz targets: each takes bytes that a machine or a file may hold.

pub use crate::inventory::fuzzing::inventory;
