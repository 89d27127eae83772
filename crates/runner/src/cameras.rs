//! Cameras as entities at brokers: whether they are there, whether something moves, and the last
//! event with its picture.
//!
//! A thread follows the event store, as anybody may who reads it, and asks how the cameras are
//! doing: nothing of what watches them knows of it or waits for it. What is to be sent goes to the
//! [`Publisher`](keepwatch_ops::notify::Publisher) of each broker, which is another thread.

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use keepwatch_config::Config;
use keepwatch_core::events::{
    Event, EventFilter, EventKind, EventStore as _, MediaReader, MediaRef, Store,
};
use keepwatch_core::with_causes;
use keepwatch_ops::notify::{Entity, LivePart, MqttSettings};
use keepwatch_vision::Watch;

use crate::brokers::{Broker, Brokers, settings};
use view::{Item, SEEN, View};

/// How often it is asked how cameras are doing.
const LOOK: Duration = Duration::from_millis(250);
/// The wait for a store that fails.
const PAUSE: Duration = Duration::from_secs(1);
/// States of events that are read at once.
const BATCH: usize = 512;

/// Opens a picture; none if nobody here can.
pub type OpenPicture = Arc<dyn Fn(&MediaRef) -> Option<MediaReader> + Send + Sync>;

/// The cameras that are told of.
pub struct WatchedCameras {
    /// Where their events are.
    pub store: Arc<Store>,
    /// Says how they are doing.
    pub watch: Arc<Watch>,
    /// The names of those there are. One that is only being started anew is among them.
    pub names: Box<dyn Fn() -> Vec<String> + Send>,
    /// Opens the pictures of their events.
    pub open: OpenPicture,
}

/// Tells the brokers that ask for it of cameras, for as long as it lives.
///
/// When it is dropped, it tells what the store holds by then, and that nobody watches any more. It
/// waits for that, some seconds at most for each broker.
#[derive(Debug)]
pub struct CameraTeller {
    orders: Option<Sender<BTreeMap<String, MqttSettings>>>,
    thread: Option<JoinHandle<()>>,
}

impl CameraTeller {
    /// Starts it. Without a broker that asks for cameras it does nothing as yet.
    pub fn start(config: &Config, cameras: WatchedCameras) -> Self {
        let (orders, ordered) = channel();
        let mut telling = Telling {
            cameras,
            brokers: Brokers::new(LivePart::Cameras),
            views: BTreeMap::new(),
            seen: None,
            is_failing: false,
        };
        let first = wanted(config);
        let thread = std::thread::Builder::new()
            .name("camera news".to_owned())
            .spawn(move || {
                telling.follow(first);
                telling.run(&ordered);
            });
        if let Err(error) = &thread {
            tracing::error!(%error, "no broker hears of cameras");
        }
        Self {
            orders: Some(orders),
            thread: thread.ok(),
        }
    }

    /// Another configuration is in force.
    pub fn follow(&self, config: &Config) {
        if let Some(orders) = &self.orders {
            // Without the thread nobody is told anyway.
            let _ = orders.send(wanted(config));
        }
    }
}

impl Drop for CameraTeller {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("what tells brokers of cameras has panicked");
        }
    }
}

fn wanted(config: &Config) -> BTreeMap<String, MqttSettings> {
    let mut all = settings(config);
    all.retain(|_, settings| settings.cameras);
    all
}

/// The thread's side.
struct Telling {
    cameras: WatchedCameras,
    brokers: Brokers,
    views: BTreeMap<String, View>,
    /// The number up to which events were read.
    seen: Option<u64>,
    is_failing: bool,
}

impl Telling {
    fn run(&mut self, orders: &Receiver<BTreeMap<String, MqttSettings>>) {
        loop {
            let order = match self.brokers.is_empty() {
                true => orders.recv().map_err(|_| TryRecvError::Disconnected),
                false => orders.try_recv(),
            };
            let ends = match order {
                Ok(wanted) => {
                    self.follow(wanted);
                    continue;
                }
                Err(TryRecvError::Empty) => false,
                Err(TryRecvError::Disconnected) => true,
            };
            if ends && self.brokers.is_empty() {
                return;
            }
            // At the end without a wait: what is to be told is in the store.
            let wait = if ends { Duration::ZERO } else { LOOK };
            match self.step(wait) {
                Ok(()) if ends => return,
                Ok(()) => {
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("brokers hear of events again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        let error = with_causes(&error);
                        tracing::error!(error, "no broker hears of events");
                    }
                    if ends {
                        return;
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Other brokers.
    fn follow(&mut self, wanted: BTreeMap<String, MqttSettings>) {
        let shown: Vec<Entity> = self
            .views
            .keys()
            .flat_map(|camera| Item::ALL.map(|item| item.entity(camera)))
            .collect();
        let new = self.brokers.follow(wanted, &shown);
        if self.brokers.is_empty() {
            // Whoever comes later hears how it is then.
            self.views.clear();
            self.seen = None;
        }
        // Cameras may have come and gone with the same change. What fails here is done in a moment.
        if self.seen.is_some() {
            let _ = self.meet();
        }
        for broker in new.iter().filter_map(|name| self.brokers.get(name)) {
            for (camera, view) in &self.views {
                for item in Item::ALL {
                    show(broker, camera, view, item, &self.cameras);
                }
            }
        }
    }

    /// Tells what is new, waiting so long for it; first of all what there is.
    fn step(&mut self, wait: Duration) -> keepwatch_core::Result<()> {
        let seen = match self.seen {
            Some(seen) => seen,
            None => {
                let head = self.cameras.store.head()?;
                self.seen = Some(head);
                head
            }
        };
        self.meet()?;
        let head = self.cameras.store.wait(seen, wait)?;
        let mut now = seen;
        while now < head {
            let changes = self.cameras.store.changes(now, BATCH)?;
            let full = changes.len() == BATCH;
            let last = changes.last().map_or(now, |(number, _)| *number);
            // What is no event has a number as well.
            now = if full { last } else { last.max(head) };
            for (_, event) in changes {
                self.take(event);
            }
            self.seen = Some(now);
        }
        self.look();
        Ok(())
    }

    /// Takes notice of cameras that are new or gone.
    fn meet(&mut self) -> keepwatch_core::Result<()> {
        let names: BTreeSet<String> = (self.cameras.names)().into_iter().collect();
        let gone: Vec<String> = self
            .views
            .keys()
            .filter(|name| !names.contains(*name))
            .cloned()
            .collect();
        for camera in gone {
            self.views.remove(&camera);
            for (_, broker) in self.brokers.iter() {
                for item in Item::ALL {
                    broker.publisher.withdraw(&item.entity(&camera));
                }
            }
        }
        for camera in names {
            if self.views.contains_key(&camera) {
                continue;
            }
            let mut view = View::default();
            for event in self.before(&camera)? {
                view.event(event);
            }
            view.look(self.cameras.watch.status_of(&camera).as_ref());
            for (_, broker) in self.brokers.iter() {
                for item in Item::ALL {
                    show(broker, &camera, &view, item, &self.cameras);
                }
            }
            self.views.insert(camera, view);
        }
        Ok(())
    }

    /// What a camera saw last, and its last motion, which may still last.
    fn before(&self, camera: &str) -> keepwatch_core::Result<Vec<Event>> {
        let last = |kinds: &[EventKind]| {
            self.cameras.store.list(&EventFilter {
                cameras: vec![camera.to_owned()],
                kinds: kinds.to_vec(),
                limit: Some(1),
                ..EventFilter::default()
            })
        };
        let mut events = last(&[EventKind::Motion])?;
        events.extend(last(&SEEN)?);
        Ok(events)
    }

    fn take(&mut self, event: Event) {
        // Others may watch other cameras, and write to the same store.
        let camera = event.camera.clone();
        let Some(view) = self.views.get_mut(&camera) else {
            return;
        };
        let changed = view.event(event);
        self.tell(&camera, &changed);
    }

    fn look(&mut self) {
        let cameras: Vec<String> = self.views.keys().cloned().collect();
        for camera in cameras {
            let status = self.cameras.watch.status_of(&camera);
            let Some(view) = self.views.get_mut(&camera) else {
                continue;
            };
            let changed = view.look(status.as_ref());
            self.tell(&camera, &changed);
        }
    }

    fn tell(&self, camera: &str, changed: &[Item]) {
        let Some(view) = self.views.get(camera) else {
            return;
        };
        for (_, broker) in self.brokers.iter() {
            let wanted = |item: &&Item| item.is_for(&broker.settings);
            for item in changed.iter().filter(wanted) {
                show(broker, camera, view, *item, &self.cameras);
            }
        }
    }
}

/// Shows an entity at a broker, or takes back what that had once and is not to have any more.
fn show(broker: &Broker, camera: &str, view: &View, item: Item, cameras: &WatchedCameras) {
    let entity = item.entity(camera);
    match item.is_for(&broker.settings) {
        true => {
            let shown = view.shown(item, &broker.settings, &cameras.open);
            broker.publisher.show(&entity, shown);
        }
        false => broker.publisher.withdraw(&entity),
    }
}
