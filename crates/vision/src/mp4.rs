//! Fragmented MP4 without re-encoding (ISO/IEC 14496-12, sections 8.8 and 8.16).
//!
//! A file begins with [`init_segment`] and goes on with [`fragment`]s, each of which can be decoded
//! by itself: what a crash leaves is playable up to its last whole fragment, and [`scan`] tells how
//! far that is. A player that takes fragments as they come, a browser for one, takes the same
//! bytes.

mod boxes;
mod mime;
mod scan;
mod writer;

pub use boxes::{fragment, init_segment};
pub use mime::mime_type;
pub use scan::{Scan, scan};
pub use writer::{Fmp4Writer, Summary};

/// Ticks in a second, as RTP has them for video.
pub const TIMESCALE: u32 = 90_000;

/// A time in ticks.
pub(crate) fn ticks(time: std::time::Duration) -> u64 {
    (time.as_nanos() * u128::from(TIMESCALE) / 1_000_000_000) as u64
}

#[cfg(test)]
mod tests;
