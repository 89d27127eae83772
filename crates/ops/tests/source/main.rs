//! Databases as sources: real servers, dumped into a vault and brought back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod command;
mod mariadb;
mod postgres;
mod sqlite;
mod world;
