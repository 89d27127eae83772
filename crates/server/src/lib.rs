//! The door.

mod accounts;
mod error;
mod permission;
mod principal;
