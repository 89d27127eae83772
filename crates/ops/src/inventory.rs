//! What a machine has that a backup of its files does not put in order again: packages and where
//! they come from, services, scheduled jobs, and what people have set up for themselves.
//!
//! [`collect`] takes an [`Inventory`] of a [`System`], which is the running machine or a tree of
//! files that is mounted somewhere. [`diff`] compares two of them, [`script`] makes a program of
//! one that brings another machine to the same state. What the JSON looks like is in
//! [`SCHEMA`].
//!
//! What can be read from files is read from files, of the running machine as well: that takes no
//! program's word for it, runs nothing that a user has put somewhere, and is the same for a disk
//! that is looked at elsewhere. Only what no file tells is asked of programs.
//!
//! Private keys, secrets of wireless networks and the history of shells are left out unless each is
//! asked for. What else people write into files that are kept whole, cron tables for example, is in
//! the inventory, which is why [`write()`] makes a file for its owner alone.
//!
//! ```
//! use keepwatch_ops::inventory::{Options, System, collect};
//!
//! let root = tempfile::tempdir()?;
//! std::fs::create_dir(root.path().join("etc"))?;
//! std::fs::write(root.path().join("etc/hostname"), "barn\n")?;
//!
//! let system = System::mounted(root.path())?;
//! let inventory = collect(&system, &Options::default(), jiff::Timestamp::now())?;
//! assert_eq!(inventory.machine.hostname.unwrap().to_string(), "barn");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apt;
mod collect;
mod containers;
mod cron;
mod diff;
mod editors;
mod error;
mod file;
mod home;
mod languages;
mod model;
mod network;
mod openpgp;
mod repositories;
mod script;
mod secrets;
mod services;
mod stores;
mod system;
mod text;
mod users;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

pub use crate::process::ask::Answer;
pub use collect::{Include, Limits, Options, collect};
pub use diff::{ChangeKind, Difference, diff};
pub use error::{Error, Result};
pub use file::{MAX_FILE, read, write};
pub use keepwatch_core::Name;
pub use model::*;
pub use script::{Section, script};
pub use system::System;
pub use users::Users;

/// The JSON Schema (draft 2020-12) of an inventory.
pub const SCHEMA: &str = include_str!("../schema/inventory-1.json");

#[cfg(test)]
mod tests;
