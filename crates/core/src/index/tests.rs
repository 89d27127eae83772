#![allow(clippy::unwrap_used)] // A test may panic.
