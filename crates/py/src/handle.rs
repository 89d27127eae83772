//! What Python opens and closes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use crate::errors::{self, Raise, Result};

/// Something that is open until it is closed, for any number of threads.
pub struct Handle<T> {
    open: Mutex<Option<Arc<T>>>,
    what: &'static str,
}

impl<T> Handle<T> {
    /// Open; `what` is for messages.
    pub fn new(value: T, what: &'static str) -> Self {
        Self {
            open: Mutex::new(Some(Arc::new(value))),
            what,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It, or `ClosedError`.
    pub fn get(&self, py: Python<'_>) -> Result<Arc<T>> {
        if let Some(value) = self.lock().as_ref() {
            return Ok(value.clone());
        }
        let text = format!("{} is closed", self.what);
        Err(Raise::Python(errors::make(py, "ClosedError", &text, None)?))
    }

    /// Closes it; gives it to whoever does so first. Another thread may be using it still.
    pub fn take(&self) -> Option<Arc<T>> {
        self.lock().take()
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.lock().is_none()
    }
}
