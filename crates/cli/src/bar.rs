//! How far an operation has come, on a terminal only.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use keepwatch_core::Progress;

use crate::output::harmless;

/// A bar with rate and time left; silent in a pipe.
#[derive(Debug)]
pub struct Bar {
    bar: Option<ProgressBar>,
    files: AtomicU64,
}

impl Bar {
    /// A bar on standard error, if that is a terminal and nobody wants it quiet.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            let template = "{elapsed_precise} {wide_bar} {binary_bytes}/{binary_total_bytes} \
                            {binary_bytes_per_sec} {msg} left {eta}";
            bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
            bar
        });
        Self {
            bar,
            files: AtomicU64::new(0),
        }
    }
}

impl Progress for Bar {
    fn wants_total(&self) -> bool {
        self.bar.is_some()
    }

    fn total(&self, _files: u64, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
        }
    }

    fn advance(&self, files: u64, bytes: u64) {
        if let Some(bar) = &self.bar {
            let files = self.files.fetch_add(files, Ordering::Relaxed) + files;
            bar.set_message(format!("{files} files"));
            bar.inc(bytes);
        }
    }

    fn message(&self, text: &str) {
        // What matters is in the report as well and is told at the end.
        let text = harmless(text);
        match &self.bar {
            Some(bar) => bar.suspend(|| tracing::info!("{text}")),
            None => tracing::info!("{text}"),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}
