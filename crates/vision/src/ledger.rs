//! The one thread that writes events, for all cameras: no camera ever waits for the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use keepwatch_core::events::{
    Event, EventId, EventKind, EventStore, MediaKind, MediaRef, Observation, Segment,
};
use keepwatch_core::jiff::Timestamp;

use crate::error::{Error, Result, with_causes};

/// Events that a slow listener may have waiting; after that it misses some.
const NOTICES: usize = 1024;

/// How many entries one transaction takes.
const BATCH: usize = 1000;

/// The longest pause before the store is tried again.
const PAUSE: Duration = Duration::from_secs(5);

enum Entry {
    Event(Event),
    End {
        id: EventId,
        ended_at: Timestamp,
        observations: Vec<Observation>,
        reason: Option<String>,
    },
    Media {
        id: EventId,
        kind: MediaKind,
        media: MediaRef,
    },
    Segment(Segment),
}

/// Where cameras leave what happened. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    // Entries are few, and losing one would be losing evidence: memory is the smaller harm.
    entries: Sender<Entry>,
}

impl Ledger {
    /// Starts the thread. Each state of an event that is stored is told to the receiver.
    pub fn start(store: Arc<dyn EventStore>) -> Result<(Self, Receiver<Event>, JoinHandle<()>)> {
        let (entries, taken) = unbounded();
        let (tell, told) = bounded(NOTICES);
        let mut book = Book {
            store,
            tell,
            open: HashMap::new(),
        };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || book.run(&taken))
            .map_err(Error::thread)?;
        Ok((Self { entries }, told, thread))
    }

    /// An event begins, or is all there is to say.
    pub fn event(&self, event: Event) {
        self.enter(Entry::Event(event));
    }

    /// An event that has begun ends.
    pub fn end(
        &self,
        id: EventId,
        ended_at: Timestamp,
        observations: Vec<Observation>,
        reason: Option<String>,
    ) {
        self.enter(Entry::End {
            id,
            ended_at,
            observations,
            reason,
        });
    }

    /// A file belongs to an event.
    pub fn media(&self, id: EventId, kind: MediaKind, media: MediaRef) {
        self.enter(Entry::Media { id, kind, media });
    }

    /// A stretch of continuous recording is complete.
    pub fn segment(&self, segment: Segment) {
        self.enter(Entry::Segment(segment));
    }

    /// Something was not recorded.
    pub fn gap(&self, camera: &str, from: Timestamp, to: Timestamp, reason: String) {
        match point(camera, EventKind::RecordingGap, from, Some(to), reason) {
            Ok(event) => self.event(event),
            Err(error) => tracing::error!(error = %with_causes(&error), "cannot report a gap"),
        }
    }

    fn enter(&self, entry: Entry) {
        if self.entries.send(entry).is_err() {
            tracing::error!("the ledger is gone; an event is lost");
        }
    }
}

/// An event without pictures.
pub(crate) fn point(
    camera: &str,
    kind: EventKind,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    reason: String,
) -> Result<Event> {
    Ok(Event {
        id: EventId::new(started_at)?,
        camera: camera.to_owned(),
        kind,
        started_at,
        ended_at,
        observations: Vec::new(),
        snapshot: None,
        clip: None,
        reason: Some(reason),
    })
}

struct Book {
    store: Arc<dyn EventStore>,
    tell: Sender<Event>,
    /// Events that have not ended.
    open: HashMap<EventId, Event>,
}

impl Book {
    fn run(&mut self, entries: &Receiver<Entry>) {
        while let Ok(first) = entries.recv() {
            let mut changed: Vec<Event> = Vec::new();
            let more = entries.try_iter().take(BATCH - 1);
            for entry in std::iter::once(first).chain(more) {
                self.apply(entry, &mut changed);
            }
            if changed.is_empty() {
                continue;
            }
            self.insist("store events", |store| store.put(&changed));
            for event in changed {
                match self.tell.try_send(event) {
                    Ok(()) | Err(TrySendError::Disconnected(_)) => {}
                    Err(TrySendError::Full(event)) => {
                        tracing::debug!(id = %event.id, "nobody takes the notice of an event");
                    }
                }
            }
        }
    }

    fn apply(&mut self, entry: Entry, changed: &mut Vec<Event>) {
        match entry {
            Entry::Event(event) => {
                if event.ended_at.is_none() {
                    self.open.insert(event.id, event.clone());
                }
                changed.retain(|earlier| earlier.id != event.id);
                changed.push(event);
            }
            Entry::End {
                id,
                ended_at,
                observations,
                reason,
            } => self.change(id, changed, |event| {
                event.ended_at = Some(ended_at);
                if !observations.is_empty() {
                    event.observations = observations;
                }
                if reason.is_some() {
                    event.reason = reason;
                }
            }),
            Entry::Media { id, kind, media } => {
                self.change(id, changed, |event| match kind {
                    MediaKind::Snapshot => event.snapshot = Some(media),
                    MediaKind::Clip | MediaKind::Segment => event.clip = Some(media),
                });
            }
            Entry::Segment(segment) => {
                self.insist("store a segment", |store| store.put_segment(&segment));
            }
        }
    }

    fn change(&mut self, id: EventId, changed: &mut Vec<Event>, f: impl FnOnce(&mut Event)) {
        let pending = changed.iter().position(|event| event.id == id);
        let event = match pending {
            Some(at) => Some(changed.remove(at)),
            None => self.open.get(&id).cloned(),
        };
        let event = event.or_else(|| {
            let mut found = None;
            self.insist("read an event", |store| {
                found = store.get(id)?;
                Ok(())
            });
            found
        });
        let Some(mut event) = event else {
            tracing::error!(%id, "an event that is to change is not there");
            return;
        };
        f(&mut event);
        match event.ended_at {
            Some(_) => self.open.remove(&id),
            None => self.open.insert(id, event.clone()),
        };
        changed.push(event);
    }

    /// Tries until it succeeds, some times at least: a full disk may be made room on, and what
    /// waits here is in memory meanwhile.
    fn insist(&self, what: &str, mut f: impl FnMut(&dyn EventStore) -> keepwatch_core::Result<()>) {
        let mut pause = Duration::from_millis(50);
        for attempt in 0..10 {
            match f(self.store.as_ref()) {
                Ok(()) => return,
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::error!(attempt, error, "cannot {what}");
                }
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        }
    }
}
