//! Which snapshots there are, by time, host and tag.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keepwatch_core::tree::Content;
use keepwatch_core::{Id, Repository, Result};

use crate::names;

/// After so long a damaged snapshot is looked at again: somebody may have mended it.
const MENDED: Duration = Duration::from_secs(60);

/// A snapshot as a directory.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub id: Id,
    pub name: Arc<str>,
    pub short: Arc<str>,
    pub time: Timestamp,
    pub root: Arc<Content>,
    host: Arc<[u8]>,
    tags: Arc<[Vec<u8>]>,
}

/// All snapshots at one moment.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The oldest first.
    pub all: Vec<Shown>,
    by_name: HashMap<Arc<str>, usize>,
    by_id: HashMap<Arc<str>, usize>,
    pub hosts: BTreeMap<Vec<u8>, Vec<usize>>,
    pub tags: BTreeMap<Vec<u8>, Vec<usize>>,
}

impl View {
    fn new(mut all: Vec<Shown>) -> Self {
        all.sort_by_key(|shown| (shown.time, shown.id));
        let mut view = View::default();
        let mut short: HashMap<String, usize> = HashMap::new();
        for shown in &all {
            *short.entry(first_digits(shown.id)).or_default() += 1;
        }
        for (n, shown) in all.iter_mut().enumerate() {
            let digits = first_digits(shown.id);
            let mut name: Arc<str> = names::of_time(shown.time).into();
            // Several in a second, as from several hosts: the first has the plain name.
            if view.by_name.contains_key(&name) {
                name = format!("{name}-{digits}").into();
            }
            if view.by_name.contains_key(&name) {
                name = format!("{}-{}", names::of_time(shown.time), shown.id).into();
            }
            shown.short = match short.get(&digits) {
                Some(1) => digits.into(),
                _ => shown.id.to_string().into(),
            };
            shown.name = name.clone();
            view.by_name.insert(name, n);
            view.by_id.insert(shown.short.clone(), n);
            view.hosts.entry(shown.host.to_vec()).or_default().push(n);
            for tag in shown.tags.iter() {
                let tagged = view.tags.entry(tag.clone()).or_default();
                if tagged.last() != Some(&n) {
                    tagged.push(n);
                }
            }
        }
        view.all = all;
        view
    }

    pub fn by_time(&self, name: &[u8]) -> Option<(usize, &Shown)> {
        let n = *self.by_name.get(std::str::from_utf8(name).ok()?)?;
        Some((n, &self.all[n]))
    }

    /// By the digits that are listed.
    pub fn by_id(&self, name: &[u8]) -> Option<&Shown> {
        let n = *self.by_id.get(std::str::from_utf8(name).ok()?)?;
        Some(&self.all[n])
    }
}

fn first_digits(id: Id) -> String {
    id.to_string()[..8].to_owned()
}

/// The snapshots, looked for again when somebody asks and the last look is old.
#[derive(Debug)]
pub(crate) struct Snapshots {
    repository: Arc<Repository>,
    age: Duration,
    /// What was seen, and when.
    seen: Mutex<Option<(Instant, Arc<View>)>>,
    /// Locked by who looks.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Id, Shown>,
    /// Those that are damaged, and when that was seen last: said once.
    damaged: HashMap<Id, Instant>,
    view: Option<Arc<View>>,
}

impl Snapshots {
    pub fn new(repository: Arc<Repository>, age: Duration) -> Self {
        Self {
            repository,
            age,
            seen: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// The snapshots. Only who finds what is known too old looks: the others have it as it is, and
    /// wait for nothing, however far away the storage is.
    pub fn view(&self) -> Result<Arc<View>> {
        let old = match self.seen() {
            Some((at, view)) if at.elapsed() < self.age => return Ok(view),
            seen => seen.map(|(_, view)| view),
        };
        let mut state = match (self.state.try_lock(), old) {
            (Ok(state), _) => state,
            (Err(TryLockError::Poisoned(state)), _) => state.into_inner(),
            (Err(TryLockError::WouldBlock), Some(old)) => return Ok(old),
            (Err(TryLockError::WouldBlock), None) => {
                self.state.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        // Somebody may have looked while this one waited.
        if let Some((at, view)) = self.seen()
            && at.elapsed() < self.age
        {
            return Ok(view);
        }
        let looked = self.look(&mut state);
        let view = match (looked, &state.view) {
            (Ok(()), Some(view)) => view.clone(),
            (Ok(()), None) => Arc::default(),
            // What is known stays readable while the storage is out of reach.
            (Err(error), Some(view)) => {
                let error = keepwatch_core::with_causes(&error);
                tracing::warn!(error, "cannot look for new snapshots");
                view.clone()
            }
            (Err(error), None) => return Err(error),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((Instant::now(), view.clone()));
        Ok(view)
    }

    fn seen(&self) -> Option<(Instant, Arc<View>)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    fn look(&self, state: &mut State) -> Result<()> {
        let present: HashSet<Id> = self.repository.snapshot_ids()?.into_iter().collect();
        let before = state.known.len();
        state.known.retain(|id, _| present.contains(id));
        let mut changed = state.known.len() != before || state.view.is_none();
        for id in present {
            let seen = state.damaged.get(&id);
            if state.known.contains_key(&id) || seen.is_some_and(|at| at.elapsed() < MENDED) {
                continue;
            }
            match self.repository.snapshot(id) {
                Ok(snapshot) => {
                    changed = true;
                    state.damaged.remove(&id);
                    let tags = snapshot.tags.iter().map(|tag| names::of_text(tag));
                    let shown = Shown {
                        id,
                        name: "".into(),
                        short: "".into(),
                        time: snapshot.time,
                        root: Arc::new(snapshot.root),
                        host: names::of_text(&snapshot.host).into(),
                        tags: tags.collect(),
                    };
                    state.known.insert(id, shown);
                }
                Err(error) if error.is_damage() => {
                    // It may also have been forgotten just now, and then does not come back.
                    if state.damaged.insert(id, Instant::now()).is_none() {
                        let error = keepwatch_core::with_causes(&error);
                        tracing::error!(%id, error, "a snapshot is left out");
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if changed {
            state.view = Some(Arc::new(View::new(state.known.values().cloned().collect())));
        }
        Ok(())
    }
}
