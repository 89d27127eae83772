//! The server as its clients see it: over connections, with a store in a directory.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod bench;
mod brokers;
mod cameras;
mod contract;
mod crowd;
mod events;
mod hostile;
mod matrix;
mod openapi;
mod session;
