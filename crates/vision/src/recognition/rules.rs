//! What is known of plates: what they look like where the cameras are, and which are listed.

use std::sync::{Arc, PoisonError, RwLock};

use keepwatch_recognition::plate::grammar::{Grammar, Region};
use keepwatch_recognition::plate::list::PlateLists;

/// What plates look like, and which are listed.
#[derive(Clone, Debug)]
pub struct PlateRules {
    /// What is a plate.
    pub grammar: Grammar,
    /// Which are welcome, and which are not.
    pub lists: PlateLists,
}

impl Default for PlateRules {
    /// European plates, none of them listed.
    fn default() -> Self {
        Self {
            grammar: Grammar::new(Region::Eu),
            lists: PlateLists::default(),
        }
    }
}

/// The rules of the moment, which all cameras share. Clones are the same rules.
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<RwLock<Arc<PlateRules>>>);

impl Rules {
    /// These, for now.
    pub fn new(rules: PlateRules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// Those that are in force.
    pub fn get(&self) -> Arc<PlateRules> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Others from now on: for each plate that is told or changes its text after this.
    pub fn set(&self, rules: PlateRules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}
