//! Collecting what a check finds.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::check::CheckError;
use crate::error::Error;
use crate::storage::ObjectName;

/// What is wrong, and what is only left over; collected by all threads.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) errors: Mutex<Vec<CheckError>>,
    pub(super) warnings: Mutex<Vec<CheckError>>,
}

impl Findings {
    pub(super) fn add(&self, object: impl ToString, error: impl ToString) {
        push(&self.errors, object, error);
    }

    pub(super) fn warn(&self, object: impl ToString, what: impl ToString) {
        push(&self.warnings, object, what);
    }

    pub(super) fn add_all(&self, problems: Vec<(ObjectName, Error)>) {
        for (name, error) in problems {
            self.add(name, error);
        }
    }

    /// The objects that something is wrong with.
    pub(super) fn objects(&self) -> HashSet<String> {
        let errors = self.errors.lock();
        let errors = errors.expect("no thread panics while it holds this lock");
        errors.iter().map(|error| error.object.clone()).collect()
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors
            .lock()
            .expect("no thread panics while it holds this lock")
            .is_empty()
    }
}

#[allow(clippy::needless_pass_by_value, reason = "as Findings::add takes them")]
fn push(list: &Mutex<Vec<CheckError>>, object: impl ToString, error: impl ToString) {
    let (object, mut error) = (object.to_string(), error.to_string());
    // The object is named already.
    if let Some(detail) = error.strip_prefix(&format!("{object} is damaged: ")) {
        error = detail.to_owned();
    }
    list.lock()
        .expect("no thread panics while it holds this lock")
        .push(CheckError { object, error });
}

/// The findings in order, each once.
pub(super) fn sorted(list: Mutex<Vec<CheckError>>) -> Vec<CheckError> {
    let mut list = list.into_inner().expect("all threads have ended");
    list.sort_by(|a, b| (&a.object, &a.error).cmp(&(&b.object, &b.error)));
    list.dedup();
    list
}
