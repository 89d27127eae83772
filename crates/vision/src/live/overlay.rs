//! What is seen in a picture, to be drawn over it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keepwatch_core::events::Region;
use keepwatch_core::jiff::Timestamp;

use super::LiveItem;
use super::sink::Sink;
use crate::packet::Packet;

/// What is seen in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// When the picture is shown, on the camera's timeline, as that of
    /// [`Fragment`](super::Fragment).
    pub pts: Duration,
    /// The same by the wall clock.
    pub wall: Timestamp,
    /// Where something moves.
    pub moving: Vec<Region>,
    /// What is followed, where it is or should be by now. Recognition takes its time: this is what it
    /// knew when the picture came.
    pub tracks: Vec<OverlayTrack>,
}

/// Something that is followed.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayTrack {
    /// The number of its track, as in events.
    pub track: u64,
    /// What kind of thing it is.
    pub kind: TrackKind,
    /// As its event says: a person, a text, a class. None as long as it has no event, but for objects,
    /// whose class is known from the beginning.
    pub label: Option<String>,
    /// How sure it is, 0 to 1: that of the event once it has one.
    pub score: f32,
    /// Where.
    pub region: Region,
}

/// Kinds of things that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// A face. Where the settings say that unknown faces are blurred or ignored, only those of people
    /// who were recognised are told.
    Face,
    /// A licence plate.
    Plate,
    /// Anything else.
    Object,
}

/// Those who look at the overlays of one camera.
#[derive(Default)]
pub(crate) struct Overlays {
    state: Mutex<State>,
    /// How many, to be asked for with each picture.
    viewers: AtomicUsize,
}

#[derive(Default)]
struct State {
    sinks: Vec<Sink>,
    ended: bool,
}

impl Overlays {
    /// Whether anybody looks: otherwise nothing has to be put together.
    pub fn are_wanted(&self) -> bool {
        self.viewers() > 0
    }

    /// How many look.
    pub fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    /// Hands an item to all who have room for it.
    pub fn tell(&self, item: &LiveItem) {
        let mut state = self.lock();
        state.sinks.retain_mut(|sink| sink.tell(item.clone()));
        self.viewers.store(state.sinks.len(), Ordering::Relaxed);
    }

    /// Nothing is looked for in the picture of a packet.
    pub fn tell_nothing(&self, packet: &Packet) {
        if self.are_wanted() {
            let nothing = Overlay {
                pts: packet.pts,
                wall: packet.wall,
                moving: Vec::new(),
                tracks: Vec::new(),
            };
            self.tell(&nothing.item());
        }
    }

    /// One more looks on.
    pub fn add(&self, mut sink: Sink) {
        let mut state = self.lock();
        if state.ended {
            sink.hand(LiveItem::Ended);
            return;
        }
        state.sinks.push(sink);
        self.viewers.store(state.sinks.len(), Ordering::Relaxed);
    }

    /// Nothing comes any more.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        for mut sink in state.sinks.drain(..) {
            sink.tell(LiveItem::Ended);
        }
        self.viewers.store(0, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Overlay {
    /// As an item.
    pub(crate) fn item(self) -> LiveItem {
        LiveItem::Overlay(Arc::new(self))
    }
}
