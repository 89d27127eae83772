//! What has to be done now and then, while the server runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keepwatch_core::with_causes;
use keepwatch_vision::recognition::PlateFiles;

use crate::app::App;
use crate::tls::Certificates;

/// How often lists and certificates are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often what is too old is deleted.
const PURGE: Duration = Duration::from_secs(600);

/// A thread for it, which ends when this is dropped.
pub(crate) struct Maintenance {
    lists: Option<Sender<Option<PlateFiles>>>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts it.
    pub fn start(
        app: Arc<App>,
        certificates: Option<Arc<Certificates>>,
        lists: Option<PlateFiles>,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || run(&app, certificates.as_deref(), lists, &receiver))?;
        Ok(Self {
            lists: Some(sender),
            thread: Some(thread),
        })
    }

    /// Other lists of plates are in force.
    pub fn set_lists(&self, lists: Option<PlateFiles>) {
        let sender = self.lists.as_ref().expect("it is there until dropped");
        // The thread ends with this alone.
        let _ = sender.send(lists);
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.lists = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("maintenance has panicked");
        }
    }
}

fn run(
    app: &App,
    certificates: Option<&Certificates>,
    mut lists: Option<PlateFiles>,
    others: &Receiver<Option<PlateFiles>>,
) {
    let mut purge_due = Instant::now();
    loop {
        match others.recv_timeout(LOOK) {
            Ok(new) => lists = new,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(certificates) = certificates {
            certificates.refresh();
        }
        for text in lists.as_mut().map(PlateFiles::refresh).unwrap_or_default() {
            tracing::info!("{text}");
        }
        if Instant::now() >= purge_due {
            purge_due = Instant::now() + PURGE;
            let policy = app.config().retention.policy();
            if let Err(error) = app.store.retain(&policy, (app.now)(), "retention") {
                tracing::error!(error = with_causes(&error), "cannot purge");
            }
        }
    }
}
