//! Chunks of files, decrypted: each is read once, however many ask for it, and some ahead.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use keepwatch_core::{ChunkFetcher, Id, Repository};

use crate::error::{Error, Result};
use crate::lru::Lru;

/// More is not read ahead: who asks for more at once will ask again.
const MAX_WANTED: usize = 256;

/// The chunks that were used last, and threads that read ahead.
#[derive(Debug)]
pub(crate) struct ChunkCache {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    repository: Arc<Repository>,
    state: Mutex<State>,
    /// Something is wanted, or all is over.
    wanted: Condvar,
    /// A chunk was read, or could not be.
    settled: Condvar,
    /// Buffers of those who wait for what they read.
    idle: Mutex<Vec<ChunkFetcher>>,
}

#[derive(Debug)]
struct State {
    ready: Lru<Id, Arc<[u8]>>,
    /// What somebody is reading right now.
    reading: HashSet<Id>,
    /// What is to be read ahead, in order.
    ahead: VecDeque<Id>,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a chunk that the caller has put down as being read.
    fn read(&self, id: Id, fetcher: &mut ChunkFetcher) -> Result<Arc<[u8]>, keepwatch_core::Error> {
        // Also when reading panics, nobody may wait for ever.
        let settle = Settle { shared: self, id };
        let content: Arc<[u8]> = fetcher.fetch(id)?.into();
        self.state()
            .ready
            .insert(id, content.clone(), content.len());
        drop(settle);
        Ok(content)
    }

    fn read_ahead(&self, mut fetcher: ChunkFetcher) {
        loop {
            let mut state = self.state();
            let id = loop {
                if state.closed {
                    return;
                }
                match state.ahead.pop_front() {
                    Some(id) if state.ready.contains(&id) => {}
                    Some(id) if !state.reading.insert(id) => {}
                    Some(id) => break id,
                    None => {
                        state = self
                            .wanted
                            .wait(state)
                            .unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            drop(state);
            // Whoever really needs it reads it again, and says what is wrong.
            if let Err(error) = self.read(id, &mut fetcher) {
                tracing::debug!(%id, %error, "a chunk cannot be read ahead");
            }
        }
    }
}

struct Settle<'a> {
    shared: &'a Shared,
    id: Id,
}

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        self.shared.state().reading.remove(&self.id);
        self.shared.settled.notify_all();
    }
}

impl ChunkCache {
    /// Keeps so many bytes, and reads ahead on so many threads.
    pub fn new(repository: Arc<Repository>, bytes: usize, threads: usize) -> Result<Self> {
        let mut this = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    ready: Lru::new(usize::MAX, bytes),
                    reading: HashSet::new(),
                    ahead: VecDeque::new(),
                    closed: false,
                }),
                repository,
                wanted: Condvar::new(),
                settled: Condvar::new(),
                idle: Mutex::default(),
            }),
            threads: Vec::new(),
        };
        for _ in 0..threads {
            let fetcher = this.shared.repository.chunk_fetcher()?;
            let shared = this.shared.clone();
            let thread = std::thread::Builder::new()
                .name("read ahead".to_owned())
                .spawn(move || shared.read_ahead(fetcher))
                .map_err(Error::Threads)?;
            this.threads.push(thread);
        }
        Ok(this)
    }

    /// The content of a chunk, verified.
    pub fn get(&self, id: Id) -> Result<Arc<[u8]>, keepwatch_core::Error> {
        let shared = &*self.shared;
        let mut state = shared.state();
        loop {
            if let Some(content) = state.ready.get(&id) {
                return Ok(content);
            }
            if state.reading.insert(id) {
                break;
            }
            state = shared
                .settled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let idle = || shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = idle().pop();
        let fetcher = match spare {
            Some(fetcher) => Ok(fetcher),
            None => shared.repository.chunk_fetcher(),
        };
        match fetcher {
            Ok(mut fetcher) => {
                let content = shared.read(id, &mut fetcher);
                idle().push(fetcher);
                content
            }
            Err(error) => {
                drop(Settle { shared, id });
                Err(error)
            }
        }
    }

    /// Has chunks read that will be asked for soon.
    pub fn read_ahead(&self, ids: impl IntoIterator<Item = Id>) {
        let mut state = self.shared.state();
        let before = state.ahead.len();
        for id in ids {
            if !state.ready.contains(&id) && !state.reading.contains(&id) {
                state.ahead.push_back(id);
            }
        }
        let new = state.ahead.len() - before;
        // The oldest wishes are the ones that have come too late.
        let excess = state.ahead.len().saturating_sub(MAX_WANTED);
        state.ahead.drain(..excess);
        drop(state);
        for _ in 0..new.min(self.threads.len()) {
            self.shared.wanted.notify_one();
        }
    }
}

impl Drop for ChunkCache {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.wanted.notify_all();
        for thread in self.threads.drain(..) {
            // It has said what it panicked of.
            let _ = thread.join();
        }
    }
}
