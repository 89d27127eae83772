//! How a frontend learns how far an operation has come.

/// Receives progress from the threads of an operation. Every method may do nothing.
pub trait Progress: Sync {
    /// Whether it is worth counting beforehand how much there is to do.
    fn wants_total(&self) -> bool {
        false
    }
    /// How much there is to do; may be called again when more becomes known.
    fn total(&self, _files: u64, _bytes: u64) {}
    /// More has been done.
    fn advance(&self, _files: u64, _bytes: u64) {}
    /// Something worth telling, like a file that cannot be read.
    fn message(&self, _text: &str) {}
    /// The operation has ended.
    fn finish(&self) {}
    /// Whether the operation is to end early, with [`Error::Interrupted`](crate::Error::Interrupted).
    /// Asked often, by operations that say so.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
