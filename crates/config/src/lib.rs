//! The configuration file of Keepwatch.
