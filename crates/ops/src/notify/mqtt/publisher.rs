//! What is live, told by a thread of its own: whoever has something to show never waits for the
//! network.
//!
//! There is no queue of messages but a board with the newest state of each entity: a broker that is
//! slow or away misses what was between, and takes no memory for it. After each connection all of
//! the board is told anew, for the broker may have forgotten it.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::board::{Board, Slot, Stop, Wanted};
use super::entity::{Entity, MAX_PICTURE, Message, Topics};
use super::session::{Session, Will};
use super::{Mqtt, MqttSettings};
use crate::notify::{Network, NotifyError};

/// A picture at which the connection broke so often is left out, lest it break for ever: brokers
/// that take no messages of its size end the connection and do not say why.
const MAX_BREAKS: u8 = 2;

/// Of what a process is the live part: each has an availability of its own, so that one that ends
/// does not make what another shows unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LivePart {
    /// Cameras that are watched.
    Cameras,
    /// Jobs that run by their schedules.
    Jobs,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct PublisherOptions {
    /// The wait after a first failure, doubled with each further one.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_longest: Duration,
    /// Without a message for so long, the broker is told that this is still there. It waits for a
    /// minute and a half.
    pub keep_alive: Duration,
    /// So long the last states may take at the end.
    pub farewell: Duration,
}

impl Default for PublisherOptions {
    /// One second to one minute, half a minute, five seconds.
    fn default() -> Self {
        Self {
            retry_first: Duration::from_secs(1),
            retry_longest: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
            farewell: Duration::from_secs(5),
        }
    }
}

/// Reads a picture when it is to be sent, and not before: that pictures wait takes no memory. It
/// gives none if there is none to be had.
pub type PictureSource = Arc<dyn Fn() -> Option<Vec<u8>> + Send + Sync>;

/// A state of an entity.
#[derive(Clone)]
pub enum EntityState {
    /// A text, of which 255 characters are shown.
    Text(String),
    /// A JPEG or PNG picture. One that is larger than 1 MiB is not sent.
    Picture(PictureSource),
}

impl fmt::Debug for EntityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Picture(_) => f.write_str("Picture"),
        }
    }
}

/// What an entity shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its state.
    pub state: EntityState,
    /// More of it.
    pub attributes: Option<Map<String, Value>>,
}

/// Shows entities at a broker for as long as it lives.
///
/// When the process breaks down, or its machine, the broker says that it is gone.
pub struct Publisher {
    board: Arc<Board>,
    farewell: Duration,
    /// Says that the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl Publisher {
    /// Checks settings and starts a thread, which connects when there is something to show.
    ///
    /// # Errors
    /// [`NotifyError::Settings`] with what is wrong. A broker that is away is none.
    pub fn start(
        settings: &MqttSettings,
        network: &Network,
        part: LivePart,
        options: PublisherOptions,
    ) -> Result<Self, NotifyError> {
        let mqtt = Mqtt::new(settings, network)?;
        let board = Arc::new(Board::default());
        let (end, ended) = channel();
        let teller = Teller {
            mqtt,
            part,
            options,
            board: board.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("mqtt".to_owned())
            .spawn(move || {
                teller.run();
                // Nobody may wait for it any more.
                let _ = end.send(());
            });
        if let Err(error) = &thread {
            tracing::error!(%error, "the broker is told nothing");
        }
        Ok(Self {
            board,
            farewell: options.farewell,
            ended,
            thread: thread.ok(),
        })
    }

    /// Shows an entity: that there is one, or its newest state. Returns at once.
    pub fn show(&self, entity: &Entity, shown: Option<Shown>) {
        self.board.put(entity, Wanted::Shown(shown));
    }

    /// Takes an entity from where it is shown, also one of an earlier process. Returns at once.
    pub fn withdraw(&self, entity: &Entity) {
        self.board.put(entity, Wanted::Nothing);
    }

    /// Tells the last states, and that this process is gone. It waits for that, for a while: a
    /// broker that hangs finds out by itself.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.board.stop(Stop::Soon);
        let Some(thread) = self.thread.take() else {
            return;
        };
        match self.ended.recv_timeout(self.farewell) {
            Err(RecvTimeoutError::Timeout) => {
                // It waits for the network alone, and does nothing more when that comes back.
                self.board.stop(Stop::Now);
                tracing::warn!("the broker does not hear that this ends");
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if thread.join().is_err() {
                    tracing::error!("what tells the broker has panicked");
                }
            }
        }
    }
}

/// The thread's side.
struct Teller {
    mqtt: Mqtt,
    part: LivePart,
    options: PublisherOptions,
    board: Arc<Board>,
}

impl Teller {
    fn run(&self) {
        let host = self.mqtt.settings.host.as_str();
        let mut failures = 0_u32;
        // Nobody is there before there is something to show.
        while self.board.is_empty() {
            if self.board.stopping() != Stop::No {
                return;
            }
            self.board.wait(self.options.keep_alive);
        }
        while self.board.stopping() != Stop::Now {
            let error = match self.connect() {
                Ok(session) => {
                    if failures > 0 {
                        tracing::info!(host, "the broker is told again");
                    }
                    failures = 0;
                    match self.serve(session) {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if failures == 0 {
                tracing::warn!(host, %error, "the broker is not told; it is tried again");
            }
            let doubled = 1_u32 << failures.min(16);
            let wait = self.options.retry_first.saturating_mul(doubled);
            failures = failures.saturating_add(1);
            self.board.pause(wait.min(self.options.retry_longest));
            if self.board.stopping() != Stop::No {
                // It is away: it has said itself that this is gone, or will.
                return;
            }
        }
    }

    /// Connects, tells all, and only then that this is there: what is left at the broker from before
    /// is not taken for news.
    fn connect(&self) -> Result<Session, NotifyError> {
        let settings = &self.mqtt.settings;
        let topic = Topics::of_part(settings, self.part).availability();
        let will = Will {
            topic: &topic,
            payload: "offline",
        };
        let mut session = Session::open(settings, &self.mqtt.network, Some(&will))?;
        self.board.forget();
        self.tell(&mut session)?;
        // Whoever ended this while it connected waits for it no more: it is not there.
        if self.board.stopping() != Stop::Now {
            session.publish(&topic, b"online")?;
        }
        Ok(session)
    }

    /// Tells what comes, until this ends.
    fn serve(&self, mut session: Session) -> Result<(), NotifyError> {
        let mut last = Instant::now();
        loop {
            self.board
                .wait(self.options.keep_alive.saturating_sub(last.elapsed()));
            let stop = self.board.stopping();
            if stop == Stop::Now {
                return Ok(());
            }
            if self.tell(&mut session)? {
                last = Instant::now();
            } else if last.elapsed() >= self.options.keep_alive {
                session.ping()?;
                last = Instant::now();
            }
            if stop == Stop::Soon {
                let topic = Topics::of_part(&self.mqtt.settings, self.part).availability();
                session.publish(&topic, b"offline")?;
                return session.close();
            }
        }
    }

    /// Tells what is to be told now, and whether there was anything.
    fn tell(&self, session: &mut Session) -> Result<bool, NotifyError> {
        let untold = self.board.untold();
        for id in &untold {
            if self.board.stopping() == Stop::Now {
                break;
            }
            let Some(slot) = self.board.get(id) else {
                continue;
            };
            for (topic, payload) in self.messages(&slot) {
                session
                    .publish(&topic, &payload)
                    .inspect_err(|_| self.board.broke(id, &slot))?;
            }
            self.board.told(id, &slot);
        }
        Ok(!untold.is_empty())
    }

    fn messages(&self, slot: &Slot) -> Vec<Message> {
        let topics = Topics::of_part(&self.mqtt.settings, self.part);
        let Wanted::Shown(shown) = &slot.wanted else {
            return topics.nothing_of(&slot.entity);
        };
        let mut all = Vec::new();
        if !slot.is_described {
            all.push(topics.description(&slot.entity));
        }
        let Some(Shown { state, attributes }) = shown else {
            return all;
        };
        let attributes = attributes.as_ref();
        match state {
            EntityState::Text(text) => all.extend(topics.text(&slot.entity, text, attributes)),
            EntityState::Picture(_) if slot.breaks >= MAX_BREAKS => {
                tracing::warn!(id = slot.entity.id, "the broker does not take a picture");
            }
            EntityState::Picture(read) => match read() {
                Some(picture) if picture.len() <= MAX_PICTURE => {
                    all.extend(topics.state(&slot.entity, picture, attributes));
                }
                Some(_) => tracing::debug!(id = slot.entity.id, "a picture is too large"),
                None => {}
            },
        }
        all
    }
}
