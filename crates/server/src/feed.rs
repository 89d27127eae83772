//! New events, for all who listen.
//!
//! One thread waits for the store, whoever writes to it, and reads what is new once for all. Who
//! listens has a place in a queue with bounds; who falls behind it reads from the store what was
//! missed, so that nobody misses anything and nobody makes others wait.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use keepwatch_core::events::{Event, EventId, EventStore, Store};
use keepwatch_core::with_causes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};
use tokio::sync::watch;

use crate::app::App;
use crate::contract;
use crate::error::Result;
use crate::event_view::EventView;
use crate::principal::Principal;

/// States of events that may wait for who listens.
const QUEUE: usize = 4096;
/// States that are read at once.
const BATCH: usize = 512;
/// How long to wait for something new before looking whether to go on.
const LOOK_UP: Duration = Duration::from_millis(500);
/// How long to wait for a store that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// A state of an event, written once for all who listen.
#[derive(Debug)]
pub(crate) struct Told {
    pub number: u64,
    pub camera: String,
    pub kind: keepwatch_core::events::EventKind,
    /// The event, as the API gives it.
    pub json: Utf8Bytes,
    /// The same as SecureVision sends it, if it is an event that it has.
    pub contract: Option<Utf8Bytes>,
}

impl Told {
    /// `is_new`: whether SecureVision's clients, who are told of an event once, have not heard of it.
    fn new(number: u64, event: Event, is_new: bool) -> Self {
        let contract = is_new.then(|| contract::message(number, &event));
        let contract = contract.flatten().map(Utf8Bytes::from);
        let (camera, kind) = (event.camera.clone(), event.kind);
        let view = EventView::from((number, event));
        let json = serde_json::to_string(&view).expect("an event is plain JSON");
        Self {
            number,
            camera,
            kind,
            json: json.into(),
            contract,
        }
    }
}

/// The thread that reads what is new.
pub(crate) struct Feed {
    told: Sender<Arc<Told>>,
    /// The last number that was told.
    head: watch::Receiver<u64>,
    failing: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts it, from here on.
    pub fn start(store: Arc<Store>) -> Result<Self, keepwatch_core::Error> {
        let (told, _) = tokio::sync::broadcast::channel(QUEUE);
        let first = store.head()?;
        let (head, heads) = watch::channel(first);
        let mut feed = Self {
            told: told.clone(),
            head: heads,
            failing: Arc::default(),
            stop: Arc::default(),
            thread: None,
        };
        let reader = Reader {
            store,
            told,
            head,
            failing: feed.failing.clone(),
            stop: feed.stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || reader.run(first));
        feed.thread = Some(thread.map_err(|source| keepwatch_core::Error::Io {
            operation: "start a thread for",
            path: "events".into(),
            source,
        })?);
        Ok(feed)
    }

    /// Whether the store could not be read the last time.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Waits until everything up to a number was told.
    pub async fn has_told(&self, number: u64) {
        // The thread is gone: it tells nothing any more.
        let _ = self.head.clone().wait_for(|head| *head >= number).await;
    }

    /// Listens: to what comes after a number, if one is given, and else to what comes from now on.
    pub fn listen(&self, after: Option<u64>) -> Listener {
        // The place in the queue comes first: what is told meanwhile comes twice, and not never.
        let told = self.told.subscribe();
        let seen = after.unwrap_or_else(|| *self.head.borrow());
        Listener {
            told,
            seen,
            behind: after.is_some(),
            missed: Vec::new().into_iter(),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the feed of events has panicked");
        }
    }
}

/// Events that SecureVision's clients have heard of; the oldest are forgotten.
#[derive(Default)]
struct Heard {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Heard {
    const MOST: usize = 10_000;

    /// Whether an event is heard of for the first time.
    fn is_new(&mut self, id: EventId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

struct Reader {
    store: Arc<Store>,
    told: Sender<Arc<Told>>,
    head: watch::Sender<u64>,
    failing: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    fn run(&self, mut seen: u64) {
        let mut heard = Heard::default();
        while !self.stop.load(Ordering::Relaxed) {
            match self.step(seen, &mut heard) {
                Ok(now) => {
                    if self.failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("events can be read again");
                    }
                    seen = now;
                }
                Err(error) => {
                    if !self.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(error = with_causes(&error), "events cannot be read");
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Tells what is new after a number, and gives the last one.
    fn step(&self, seen: u64, heard: &mut Heard) -> Result<u64, keepwatch_core::Error> {
        let head = self.store.wait(seen, LOOK_UP)?;
        if head <= seen {
            return Ok(seen);
        }
        let changes = self.store.changes(seen, BATCH)?;
        let full = changes.len() == BATCH;
        let last = changes.last().map_or(seen, |(number, _)| *number);
        // What is no event has a number as well.
        let now = if full { last } else { last.max(head) };
        for (number, event) in changes {
            let is_new = heard.is_new(event.id);
            // Nobody has to listen.
            let _ = self.told.send(Arc::new(Told::new(number, event, is_new)));
        }
        self.head.send_replace(now);
        Ok(now)
    }
}

/// Somebody who listens.
pub(crate) struct Listener {
    told: Receiver<Arc<Told>>,
    /// The last number that was given.
    seen: u64,
    /// Whether something is to be read from the store first.
    behind: bool,
    missed: std::vec::IntoIter<Arc<Told>>,
}

impl Listener {
    /// The next state of an event that `who` may see; none when the server stops.
    ///
    /// # Errors
    /// When what was missed cannot be read.
    pub async fn next(&mut self, app: &Arc<App>, who: &Principal) -> Result<Option<Arc<Told>>> {
        loop {
            let told = match self.missed.next() {
                Some(told) => told,
                None if self.behind => {
                    self.catch_up(app).await?;
                    continue;
                }
                None => {
                    let mut stopping = app.stopping.clone();
                    let stopped = async {
                        let _ = stopping.wait_for(|stopping| *stopping).await;
                    };
                    let told = tokio::select! {
                        // What waits is heard before it is over.
                        biased;
                        told = self.told.recv() => told,
                        () = stopped => return Ok(None),
                    };
                    match told {
                        Ok(told) => told,
                        Err(RecvError::Closed) => return Ok(None),
                        Err(RecvError::Lagged(_)) => {
                            self.behind = true;
                            continue;
                        }
                    }
                }
            };
            if told.number <= self.seen {
                continue;
            }
            self.seen = told.number;
            if who.sees(&told.camera) {
                return Ok(Some(told));
            }
        }
    }

    async fn catch_up(&mut self, app: &Arc<App>) -> Result<()> {
        let seen = self.seen;
        let missed = app
            .blocking(move |app| Ok(app.store.changes(seen, BATCH)?))
            .await?;
        self.behind = missed.len() == BATCH;
        let told = missed
            .into_iter()
            .map(|(number, event)| Arc::new(Told::new(number, event, true)));
        self.missed = told.collect::<Vec<_>>().into_iter();
        Ok(())
    }
}
