//! The `keepwatch` command.

fn main() {}
