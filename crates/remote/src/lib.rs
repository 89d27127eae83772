//! Repositories that are not in a directory of this machine.
//!
//! [`Location::parse`] reads an address, [`create`] and [`open`] make a
//! [`Storage`](keepwatch_core::storage::Storage) of it:
//!
//! ```no_run
//! use std::ffi::OsStr;
//! use keepwatch_remote::{Location, Options};
//!
//! # fn example(runtime: &tokio::runtime::Runtime) -> Result<(), keepwatch_remote::Error> {
//! let location = Location::parse(OsStr::new("s3://bucket/laptop?region=eu-west-1"))?;
//! if let Location::Remote(remote) = location {
//!     let storage = keepwatch_remote::open(&remote, &Options::default(), runtime.handle())?;
//!     println!("{}", storage.location());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! S3, Google Cloud, Azure and WebDAV are reached through OpenDAL, over HTTP of our own that keeps to
//! bandwidth limits and notices a connection in which nothing moves. SFTP goes through the machine's
//! own `ssh`, with all that is configured for it.
//!
//! The storages block, and drive their work on the runtime whose handle they are given: they must not
//! be used on one of its own threads.

#![forbid(unsafe_code)]

mod capability;
mod cloud;
mod connection;
mod error;
mod launch;
mod location;
mod locking;
mod moved;
mod object_lock;
mod open;
mod options;
mod pace;
mod past;
mod retry;
mod sftp;
mod stop;
mod transport;

pub use capability::Capabilities;
pub use error::{Error, Result};
pub use location::{Location, Remote, Sftp};
pub use object_lock::{LockMode, ObjectLock};
pub use open::{create, open};
pub use options::{Credentials, Limits, Options};
pub use stop::Stop;
