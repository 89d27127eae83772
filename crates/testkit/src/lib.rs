//! Test doubles and fixtures.
