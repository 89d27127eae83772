//! The one thread that writes events, for all cameras: no camera ever waits for the database.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded, unbounded};
use keepwatch_core::events::{
    Event, EventId, EventKind, EventStore, MediaKind, MediaRef, Observation, Segment,
};
use keepwatch_core::jiff::Timestamp;

use crate::error::{Error, Result, with_causes};
use crate::gauges::LedgerGauges;

/// Events that a slow listener may have waiting; after that it misses some.
const NOTICES: usize = 1024;

/// How many entries one transaction takes.
const BATCH: usize = 1000;

/// How long to wait before a store that failed is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What waits for a store that fails, at most: some days of a busy camera. The oldest go first.
const WAITING: usize = 100_000;

/// How long the end waits for a store that fails.
const LAST_CHANCE: Duration = Duration::from_secs(10);

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

impl Entry {
    /// Changes an event that has begun.
    fn change(self, event: &mut Event) {
        match self {
            Entry::End {
                ended_at,
                observations,
                reason,
                ..
            } => {
                event.ended_at = Some(ended_at);
                if !observations.is_empty() {
                    event.observations = observations;
                }
                if reason.is_some() {
                    event.reason = reason;
                }
            }
            Entry::Media { kind, media, .. } => match kind {
                MediaKind::Snapshot => event.snapshot = Some(media),
                MediaKind::Clip | MediaKind::Segment => event.clip = Some(media),
            },
            // They change nothing that is there.
            Entry::Event(_) | Entry::Segment(_) => {}
        }
    }
}

/// What the store never took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    events: u64,
    segments: u64,
}

impl Lost {
    /// An error if it is anything.
    pub fn check(self) -> Result<()> {
        let Self { events, segments } = self;
        match self == Self::default() {
            true => Ok(()),
            false => Err(Error::Unstored { events, segments }),
        }
    }
}

/// Where cameras leave what happened. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    // Entries are few, and losing one would be losing evidence: memory is the smaller harm.
    entries: Sender<Entry>,
    tally: Tally,
}

/// What became of what was entered, for others to see. Clones count the same.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<LedgerGauges>>);

impl Tally {
    /// The numbers of the moment.
    pub fn gauges(&self) -> LedgerGauges {
        self.note(|gauges| gauges.clone())
    }

    fn note<T>(&self, f: impl FnOnce(&mut LedgerGauges) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ledger {
    /// Starts the thread, which gives what was lost. Each state of an event that is stored is told
    /// to the receiver.
    pub fn start(store: Arc<dyn EventStore>) -> Result<(Self, Receiver<Event>, JoinHandle<Lost>)> {
        let (entries, taken) = unbounded();
        let (tell, told) = bounded(NOTICES);
        let mut book = Book::new(store, tell);
        let tally = book.tally.clone();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || book.run(&taken))
            .map_err(Error::thread)?;
        Ok((Self { entries, tally }, told, thread))
    }

    /// What becomes of what is entered.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
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
        self.tally.note(|gauges| gauges.waiting += 1);
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
        details: None,
    })
}

struct Book {
    store: Arc<dyn EventStore>,
    tell: Sender<Event>,
    /// Events that have not ended.
    open: HashMap<EventId, Event>,
    /// What the store has not taken yet: a full disk may be made room on.
    events: Vec<Event>,
    segments: Vec<Segment>,
    /// Changes of events that are in the store alone, while it cannot be read.
    unread: Vec<Entry>,
    pause: Duration,
    /// How long the end waits for a store that fails.
    last_chance: Duration,
    lost: Lost,
    tally: Tally,
    /// Events of which the store has no state yet.
    new: HashSet<EventId>,
}

impl Book {
    fn new(store: Arc<dyn EventStore>, tell: Sender<Event>) -> Self {
        Self {
            store,
            tell,
            open: HashMap::new(),
            events: Vec::new(),
            segments: Vec::new(),
            unread: Vec::new(),
            pause: FIRST_PAUSE,
            last_chance: LAST_CHANCE,
            lost: Lost::default(),
            tally: Tally::default(),
            new: HashSet::new(),
        }
    }

    fn run(&mut self, entries: &Receiver<Entry>) -> Lost {
        loop {
            let next = match self.is_clear() {
                true => entries.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => entries.recv_timeout(self.pause),
            };
            match next {
                Ok(first) => {
                    for entry in std::iter::once(first).chain(entries.try_iter().take(BATCH - 1)) {
                        self.apply(entry);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.store();
            self.count(entries.len());
        }
        let end = Instant::now() + self.last_chance;
        while !self.is_clear() && Instant::now() < end {
            std::thread::sleep(self.pause.min(self.last_chance / 10));
            self.store();
            self.count(0);
        }
        self.lost.events += (self.events.len() + self.unread.len()) as u64;
        self.lost.segments += self.segments.len() as u64;
        self.lost
    }

    fn is_clear(&self) -> bool {
        self.events.is_empty() && self.segments.is_empty() && self.unread.is_empty()
    }

    /// Stores what waits. Only what is stored is told.
    fn store(&mut self) {
        let stored = self.read_again().and_then(|()| self.try_store());
        let now = Timestamp::now();
        self.tally.note(|gauges| {
            gauges.failures += u64::from(stored.is_err());
            gauges.failing_since = match stored {
                Ok(()) => None,
                Err(_) => gauges.failing_since.or(Some(now)),
            };
        });
        self.pause = match stored {
            Ok(()) => FIRST_PAUSE,
            Err(error) => {
                tracing::error!(
                    error = with_causes(&error),
                    "cannot store events; trying again"
                );
                (self.pause * 2).min(LONGEST_PAUSE)
            }
        };
        for lost in forget_oldest(&mut self.events) {
            self.new.remove(&lost.id);
            self.lost.events += 1;
        }
        self.lost.events += forget_oldest(&mut self.unread).len() as u64;
        self.lost.segments += forget_oldest(&mut self.segments).len() as u64;
    }

    /// Makes the changes for which the store could not be read.
    fn read_again(&mut self) -> keepwatch_core::Result<()> {
        let mut unread = std::mem::take(&mut self.unread).into_iter();
        while let Some(entry) = unread.next() {
            if let Err(failed) = self.try_apply(entry) {
                let (entry, error) = *failed;
                self.unread.extend(std::iter::once(entry).chain(unread));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells what waits, besides so many entries that were not taken yet.
    fn count(&self, entries: usize) {
        let Lost { events, segments } = self.lost;
        self.tally.note(|gauges| {
            gauges.waiting = entries + self.events.len() + self.segments.len() + self.unread.len();
            gauges.lost = events + segments;
        });
    }

    fn try_store(&mut self) -> keepwatch_core::Result<()> {
        if !self.events.is_empty() {
            self.store.put(&self.events)?;
            let new = self.events.iter().filter(|it| self.new.remove(&it.id));
            let kinds: Vec<EventKind> = new.map(|event| event.kind).collect();
            self.tally.note(|gauges| {
                for kind in kinds {
                    match gauges.events.iter_mut().find(|(known, _)| *known == kind) {
                        Some((_, count)) => *count += 1,
                        None => gauges.events.push((kind, 1)),
                    }
                }
            });
            for event in self.events.drain(..) {
                if let Err(TrySendError::Full(event)) = self.tell.try_send(event) {
                    tracing::debug!(id = %event.id, "nobody takes the notice of an event");
                }
            }
        }
        while let Some(segment) = self.segments.first() {
            self.store.put_segment(segment)?;
            self.segments.remove(0);
            self.tally.note(|gauges| gauges.segments += 1);
        }
        Ok(())
    }

    fn apply(&mut self, entry: Entry) {
        if let Err(failed) = self.try_apply(entry) {
            let (entry, error) = *failed;
            tracing::warn!(
                error = with_causes(&error),
                "an event that is to change cannot be read; trying again"
            );
            self.unread.push(entry);
        }
    }

    /// Gives the entry back when the event that it changes cannot be read.
    fn try_apply(&mut self, entry: Entry) -> Result<(), Box<(Entry, keepwatch_core::Error)>> {
        let id = match &entry {
            Entry::End { id, .. } | Entry::Media { id, .. } => *id,
            Entry::Event(event) => event.id,
            Entry::Segment(segment) => segment.id,
        };
        match entry {
            Entry::Event(event) => {
                let is_known = self.open.contains_key(&event.id)
                    || self.events.iter().any(|waiting| waiting.id == event.id);
                if !is_known {
                    self.new.insert(event.id);
                }
                self.set(event);
            }
            Entry::Segment(segment) => self.segments.push(segment),
            change => {
                let waiting = self.events.iter().find(|event| event.id == id).cloned();
                let found = match waiting.or_else(|| self.open.get(&id).cloned()) {
                    Some(event) => Some(event),
                    None => match self.store.get(id) {
                        Ok(found) => found,
                        Err(error) => return Err(Box::new((change, error))),
                    },
                };
                match found {
                    Some(mut event) => {
                        change.change(&mut event);
                        self.set(event);
                    }
                    None => tracing::error!(%id, "an event that is to change is not there"),
                }
            }
        }
        Ok(())
    }

    /// This is the event now. States that the store has not seen are replaced.
    fn set(&mut self, event: Event) {
        match event.ended_at {
            Some(_) => self.open.remove(&event.id),
            None => self.open.insert(event.id, event.clone()),
        };
        self.events.retain(|earlier| earlier.id != event.id);
        self.events.push(event);
    }
}

/// Memory is not endless, either. Gives what is lost.
fn forget_oldest<T>(waiting: &mut Vec<T>) -> Vec<T> {
    let excess = waiting.len().saturating_sub(WAITING);
    if excess > 0 {
        tracing::error!(excess, "the event store takes nothing; the oldest are lost");
    }
    waiting.drain(..excess).collect()
}

#[cfg(test)]
mod tests;
