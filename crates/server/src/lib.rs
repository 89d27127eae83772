//! Keepwatch's HTTP and WebSocket API, its dashboard and its metrics.
//!
//! [`Server`] answers for an event store: it watches the cameras of a configuration, tells of their
//! events, and does with repositories what jobs say. docs/API.md describes what it answers. It is run
//! in a runtime of tokio that the caller has started.

#![allow(
    unused_qualifications,
    reason = "utoipa writes such code for parameters"
)]

mod accounts;
mod answer;
mod app;
mod audit;
mod cameras;
mod contract;
mod dashboard;
mod error;
mod event_view;
mod extract;
mod faces;
mod feed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod jobs;
mod limits;
mod listen;
mod login;
mod machine;
mod maintenance;
mod media;
mod metrics;
mod permission;
mod pipe;
mod principal;
mod router;
mod routes;
mod server;
mod socket;
mod stream;
mod tickets;
mod tls;
mod users;
mod vault;

pub use faces::EngineOf;
pub use permission::{Permission, Permissions, Role};
pub use server::{Patience, Reload, Server, ServerError, ServerOptions};
pub use tls::TlsError;
pub use users::{UserError, UserInfo, Users};
