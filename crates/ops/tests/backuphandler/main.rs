//! Backups of BackupHandler: genuine ones, and such as it never made.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod damage;
mod genuine;
mod hostile;
mod made;
mod zips;
