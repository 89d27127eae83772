//! What happens to entries when the store does not take them.

use std::collections::BTreeMap;

use keepwatch_core::events::EventFilter;

use super::*;

/// Fails a number of times, like a disk that is full for a while.
struct Flaky {
    failures: Mutex<u32>,
    puts: Mutex<Vec<Event>>,
}

impl EventStore for Flaky {
    fn put(&self, events: &[Event]) -> keepwatch_core::Result<()> {
        let mut failures = self.failures.lock().expect("nobody panicked");
        if *failures > 0 {
            *failures -= 1;
            return Err(keepwatch_core::Error::Interrupted);
        }
        self.puts
            .lock()
            .expect("nobody panicked")
            .extend_from_slice(events);
        Ok(())
    }

    fn put_segment(&self, _: &Segment) -> keepwatch_core::Result<()> {
        Ok(())
    }

    fn get(&self, id: EventId) -> keepwatch_core::Result<Option<Event>> {
        let mut failures = self.failures.lock().expect("nobody panicked");
        if *failures > 0 {
            *failures -= 1;
            return Err(keepwatch_core::Error::Interrupted);
        }
        let puts = self.puts.lock().expect("nobody panicked");
        Ok(puts.iter().rev().find(|event| event.id == id).cloned())
    }

    fn get_numbered(&self, _: u64) -> keepwatch_core::Result<Option<Event>> {
        Ok(None)
    }

    fn list_numbered(&self, _: &EventFilter) -> keepwatch_core::Result<Vec<(u64, Event)>> {
        Ok(Vec::new())
    }

    fn count(&self, _: &EventFilter) -> keepwatch_core::Result<BTreeMap<EventKind, u64>> {
        Ok(BTreeMap::new())
    }

    fn head(&self) -> keepwatch_core::Result<u64> {
        Ok(0)
    }

    fn changes(&self, _: u64, _: usize) -> keepwatch_core::Result<Vec<(u64, Event)>> {
        Ok(Vec::new())
    }

    fn wait(&self, _: u64, _: Duration) -> keepwatch_core::Result<u64> {
        Ok(0)
    }
}

fn gone() -> Event {
    let at = Timestamp::from_second(1_700_000_000).expect("in range");
    let (kind, reason) = (EventKind::CameraOffline, "gone".to_owned());
    point("door", kind, at, None, reason).expect("an event")
}

#[test]
fn what_a_store_never_takes_is_counted() {
    let store = Arc::new(Flaky {
        failures: Mutex::new(u32::MAX),
        puts: Mutex::default(),
    });
    let (tell, _told) = bounded(1);
    let mut book = Book::new(store, tell);
    book.last_chance = Duration::ZERO;
    let (entries, taken) = unbounded();
    entries.send(Entry::Event(gone())).expect("it is open");
    drop(entries);
    let lost = book.run(&taken);
    let one = Lost {
        events: 1,
        segments: 0,
    };
    assert_eq!(lost, one);
    let error = lost.check().expect_err("something is lost");
    assert!(error.to_string().contains("1 events"), "{error}");
}

#[test]
fn what_becomes_of_entries_is_counted() {
    let store = Arc::new(Flaky {
        failures: Mutex::new(2),
        puts: Mutex::default(),
    });
    let (tell, _told) = bounded(10);
    let mut book = Book::new(store, tell);
    let (event, other) = (gone(), gone());
    let at = event.started_at;
    let gauges = |book: &Book| {
        book.count(0);
        book.tally.gauges()
    };
    book.apply(Entry::Event(event.clone()));
    book.store();
    let first = gauges(&book);
    assert_eq!(
        (first.waiting, first.failures, first.events),
        (1, 1, vec![])
    );
    assert!(first.failing_since.is_some());
    book.store();
    let second = gauges(&book);
    assert_eq!(second.failures, 2);
    assert_eq!(second.failing_since, first.failing_since);
    book.store();
    let third = gauges(&book);
    assert_eq!((third.waiting, third.failing_since), (0, None));
    assert_eq!(third.events, [(EventKind::CameraOffline, 1)]);
    // Another state is no other event.
    book.apply(Entry::Event(event.clone()));
    book.apply(Entry::End {
        id: event.id,
        ended_at: at,
        observations: Vec::new(),
        reason: None,
    });
    book.store();
    assert_eq!(gauges(&book).events, [(EventKind::CameraOffline, 1)]);
    book.apply(Entry::Event(other));
    book.store();
    let last = gauges(&book);
    assert_eq!(last.events, [(EventKind::CameraOffline, 2)]);
    assert_eq!((last.failures, last.lost, last.segments), (2, 0, 0));
    assert!(book.new.is_empty());
}

#[test]
fn what_a_failing_store_does_not_take_is_told_only_once_it_does() {
    let store = Arc::new(Flaky {
        failures: Mutex::new(2),
        puts: Mutex::default(),
    });
    let (ledger, told, thread) = Ledger::start(store.clone()).expect("it starts");
    let event = gone();
    let at = event.started_at;
    ledger.event(event.clone());
    ledger.end(event.id, at, Vec::new(), None);
    let last = told.iter().find(|event| event.ended_at.is_some());
    assert_eq!(last.map(|event| event.id), Some(event.id));
    assert_eq!(*store.failures.lock().expect("nobody panicked"), 0);
    drop(ledger);
    assert_eq!(thread.join().expect("it ends"), Lost::default());
    let puts = store.puts.lock().expect("nobody panicked");
    assert_eq!(puts.last().map(|event| event.ended_at), Some(Some(at)));
}

fn clip() -> MediaRef {
    MediaRef {
        path: "2023/11/14/door/clip.mp4.kw".to_owned(),
        bytes: 1,
        blake3: [1; 32],
        started_at: Timestamp::from_second(1_700_000_000).expect("in range"),
        duration_ms: 1,
        complete: true,
    }
}

/// A clip ends after its event: then the event is in the store alone.
#[test]
fn the_clip_of_an_event_that_cannot_be_read_is_not_forgotten() {
    let store = Arc::new(Flaky {
        failures: Mutex::new(0),
        puts: Mutex::default(),
    });
    let (ledger, told, thread) = Ledger::start(store.clone()).expect("it starts");
    let mut event = gone();
    event.ended_at = Some(event.started_at);
    ledger.event(event.clone());
    assert!(told.recv().expect("it is stored").clip.is_none());
    *store.failures.lock().expect("nobody panicked") = 3;
    ledger.media(event.id, MediaKind::Clip, clip());
    assert_eq!(told.recv().expect("it is stored").clip, Some(clip()));
    // What is never read is counted.
    *store.failures.lock().expect("nobody panicked") = u32::MAX;
    let (tell, _told) = bounded(1);
    let mut book = Book::new(store.clone(), tell);
    book.last_chance = Duration::ZERO;
    let (entries, taken) = unbounded();
    let late = Entry::Media {
        id: event.id,
        kind: MediaKind::Clip,
        media: clip(),
    };
    entries.send(late).expect("it is open");
    drop(entries);
    assert_eq!(book.run(&taken).events, 1);
    drop(ledger);
    assert_eq!(thread.join().expect("it ends"), Lost::default());
}
