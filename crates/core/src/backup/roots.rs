//! The sources of a backup as one tree, in the order in which directories are written.

use std::collections::BTreeMap;

use crate::backup::Source;

/// A directory on the way to sources, or a source.
#[derive(Default)]
pub(crate) struct Root {
    /// Which source ends here.
    pub source: Option<usize>,
    /// What else is to be found below it, by name.
    pub below: BTreeMap<Vec<u8>, Root>,
}

impl Root {
    /// Merges all sources; of two that are the same, the first counts.
    pub fn merge(sources: &[Source]) -> Self {
        let mut top = Root::default();
        for (number, source) in sources.iter().enumerate() {
            let mut at = &mut top;
            for component in source.components() {
                at = at.below.entry(component).or_default();
            }
            at.source.get_or_insert(number);
        }
        top
    }
}
