//! An RTSP camera (RFC 2326).

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::behaviour::{Act, Behaviour};
use super::connection;
use super::port::Port;
use super::stats::{Counter, Stats};

/// A camera at a port of the loopback interface, which it keeps while it is switched off.
#[derive(Debug)]
pub struct RtspCamera {
    port: Port,
    shared: Arc<Shared>,
    listener: Option<Listener>,
}

/// What a camera's threads have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub counter: Counter,
    /// Goes up to end all connections.
    pub generation: AtomicU64,
    behaviour: Mutex<Behaviour>,
    injected: Mutex<Vec<Act>>,
    ended: (Mutex<()>, Condvar),
}

#[derive(Debug)]
struct Listener {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl RtspCamera {
    /// A camera that is on.
    ///
    /// # Panics
    /// When it is to show pictures that are not sent over RTP here, or has no free port.
    pub fn start(behaviour: Behaviour) -> Self {
        assert!(behaviour.footage.is_streamable(), "JPEG is for MjpegCamera");
        let shared = Arc::new(Shared {
            counter: Counter::default(),
            generation: AtomicU64::new(0),
            behaviour: Mutex::new(behaviour),
            injected: Mutex::default(),
            ended: Default::default(),
        });
        let mut camera = Self {
            port: Port::free(),
            shared,
            listener: None,
        };
        camera.switch_on();
        camera
    }

    /// Its address, with the user and password that it wants.
    pub fn url(&self) -> String {
        let who = match self.shared.behaviour().auth {
            Some(auth) => format!("{}:{}@", auth.user, auth.password),
            None => String::new(),
        };
        format!("rtsp://{who}127.0.0.1:{}/stream", self.port.number())
    }

    /// Behaves so from the next connection on.
    pub fn set(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// Does so now, in each session that is played.
    pub fn inject(&self, act: Act) {
        lock(&self.shared.injected).push(act);
    }

    /// Resets all connections.
    pub fn kill_connections(&self) {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        let _held = lock(&self.shared.ended.0);
        self.shared.ended.1.notify_all();
    }

    /// Switches it off: connections are reset, and nobody listens.
    pub fn switch_off(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.stop.store(true, Ordering::SeqCst);
            // It waits for somebody to come.
            let _ = TcpStream::connect(("127.0.0.1", self.port.number()));
            listener.thread.join().expect("the camera has not panicked");
        }
        self.kill_connections();
    }

    /// Switches it on again.
    pub fn switch_on(&mut self) {
        let socket = self.port.listen();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (self.shared.clone(), stop.clone());
        let thread = std::thread::spawn(move || accept(&socket, &shared, &stopped));
        self.listener = Some(Listener { stop, thread });
    }

    /// What it was asked and did.
    pub fn stats(&self) -> Stats {
        self.shared.counter.get()
    }

    /// Waits until what it was asked and did is so.
    ///
    /// # Panics
    /// When it is not within `patience`.
    pub fn wait_for(&self, patience: Duration, is_so: impl Fn(&Stats) -> bool) -> Stats {
        self.shared.counter.wait_for(patience, is_so)
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        self.switch_off();
    }
}

impl Shared {
    pub fn behaviour(&self) -> Behaviour {
        lock(&self.behaviour).clone()
    }

    pub fn injected(&self) -> Vec<Act> {
        lock(&self.injected).clone()
    }

    /// Waits so long; gives whether the connections of that generation were ended meanwhile.
    pub fn sleep(&self, generation: u64, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut held = lock(&self.ended.0);
        loop {
            if self.generation.load(Ordering::SeqCst) != generation {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.ended.1.wait_timeout(held, left);
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn accept(socket: &TcpListener, shared: &Arc<Shared>, stopped: &AtomicBool) {
    for client in socket.incoming() {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else {
            continue;
        };
        shared.counter.count(|stats| {
            stats.connections += 1;
            stats.open += 1;
        });
        let shared = shared.clone();
        std::thread::spawn(move || {
            connection::serve(client, &shared);
            shared.counter.count(|stats| stats.open -= 1);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
