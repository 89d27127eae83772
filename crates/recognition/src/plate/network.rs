//! The networks for plates that are part of the program: one finds them, one reads them.
//!
//! Both were trained on plates that `tools/plates` draws, which also says how they are fed and what
//! their numbers mean.

mod cells;
mod ctc;
mod finder;
mod reader;
mod sample;

pub use cells::{Cell, FoundPlate, Map, Merger, decode};
pub use ctc::{CLASSES, read_steps};
pub use finder::NetworkFinder;
pub use reader::NetworkReader;
