//! Parity: redundancy that is added to a repository and mends what a disk has lost (FORMAT.md,
//! section 9).
//!
//! Two codes protect packs. Within a pack each sector of 4 KiB is a shard of a Reed-Solomon code;
//! that mends damage scattered over all packs. Across packs the sum of a group brings back one pack
//! that is lost as a whole, and sectors that one code alone cannot mend. All of it is over
//! ciphertext, needs no key, and is never trusted: what was mended counts once its hash is its name.

mod add;
mod armour;
mod catalog;
mod code;
mod coded;
mod entrance;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod keys;
mod mend;
mod record;
mod recover;
mod status;

pub use add::ParityReport;
#[cfg(feature = "fuzzing")]
pub(crate) use fuzzing::parity_object;
pub use mend::{MendReport, Mended, Remedy};
pub use status::{ParityRemoved, ParityStatus};

/// How much parity is made if nobody says how much, in percent.
const DEFAULT_PERCENT: u8 = 10;
/// More parity is never made, in percent.
const MAX_PERCENT: u8 = 50;

/// How much parity to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParityOptions {
    /// How large parity is in comparison to the packs, in percent, from 1 to 50, if there are many
    /// packs and they are large. Half as many percent of all sectors may be lost at random. If it
    /// is not given, as before, or else 10.
    pub percent: Option<u8>,
}

/// How many packs share the sum that brings one of them back.
fn members_of_group(percent: u8) -> usize {
    (600 / usize::from(percent.max(1))).max(2)
}
