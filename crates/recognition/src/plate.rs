//! Licence plates.
