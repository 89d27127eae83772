//! Cameras being watched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use keepwatch_core::events;
use keepwatch_vision::recognition::{Plan, PlanSettings, PlateFiles};
use keepwatch_vision::{Analyzer, CameraSettings, CameraStatus as Status, State, Watch, source};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyTuple};

use super::analyzer::{Callable, Failure};
use super::config;
use super::keeper::Keeper;
use super::settings::color;
use super::status::CameraStatus;
use super::store::{self, StoreSource};
use crate::credential::{IdentitySource, KeySource, Secret};
use crate::errors::{Raise, Result};
use crate::event::Event;
use crate::recognition::networks::places;
use crate::record::Strings;
use crate::work::{self, Stop};

/// How often Ctrl-C is looked for, and whether it is over.
const BEAT: Duration = Duration::from_millis(50);

/// Cameras that are watched, and what happens before them: `for event in pipeline`.
#[pyclass(frozen, module = "keepwatch")]
pub struct Pipeline {
    inner: Arc<Inner>,
    /// Stops it when the interpreter ends, if nobody has until then.
    at_exit: Mutex<Option<Py<PyAny>>>,
}

struct Inner {
    running: Mutex<Option<Running>>,
    /// Each state of each event, until it is stopped and all were taken.
    events: Receiver<events::Event>,
    /// How the cameras were doing when it was stopped.
    last: Mutex<Vec<Status>>,
    failure: Arc<Failure>,
    /// What went wrong, until it is said.
    problem: Mutex<Option<Raise>>,
}

struct Running {
    watch: Watch,
    /// Ends with it.
    _keeper: Keeper,
}

#[pymethods]
impl Pipeline {
    /// Begins to watch.
    ///
    /// `config` is the path of a configuration file (docs/CONFIG.md), a dictionary that holds what
    /// such a file does, or a dictionary of addresses of cameras by their names.
    ///
    /// `store` is an event store, or the directory of one: it is made if there is none. Without it,
    /// the configuration names it. `passphrase`, `key_file` or `identity` opens it, `recipients` are
    /// who can open recordings of a new one.
    ///
    /// `analyzers` look at each picture that is analysed: callables that take a Frame, or objects
    /// with a method `analyze` that does. What they give, Detections, is followed from picture to
    /// picture, and becomes events of the kind `object`. `color` is that of their frames.
    ///
    /// Faces, plates and objects are recognised as the configuration says, with its models and lists
    /// and with the gallery of the store. Of lists that change, the logger `keepwatch` is told.
    #[new]
    #[pyo3(signature = (
        config, *, store=None, passphrase=None, key_file=None, identity=None, recipients=None,
        analyzers=None, color="luma"
    ))]
    fn new(
        py: Python<'_>,
        config: &Bound<'_, PyAny>,
        store: Option<StoreSource>,
        passphrase: Option<Secret>,
        key_file: Option<KeySource>,
        identity: Option<IdentitySource>,
        recipients: Option<Strings>,
        analyzers: Option<&Bound<'_, PyAny>>,
        color: &str,
    ) -> Result<Self> {
        let config = config::load(config)?;
        let cameras = config.cameras;
        if cameras.is_empty() {
            return Err(Raise::value("config", "it names no camera"));
        }
        // What cannot work leaves no new store behind.
        for settings in cameras.values() {
            settings.validate()?;
        }
        let settings = PlanSettings {
            recognition: config.recognition,
            faces: config.faces,
            plates: config.plates,
            objects: config.objects,
            models: config.models,
        };
        let (inference, places) = (config.inference, places(py));
        let plan = work::run(py, &Stop::default(), || {
            Plan::new(settings, || inference.engine(&places))
        })??;
        let (plan, lists) = plan.unzip();
        let lists = lists.flatten();
        for text in lists.iter().flat_map(PlateFiles::odd) {
            py.import("warnings")?.call_method1("warn", (text,))?;
        }
        let failure = Arc::new(Failure::default());
        let analyzers = callables(analyzers, self::color(color)?, &failure)?;
        let store = store::open(
            py,
            store,
            config.store,
            store::Keys {
                passphrase,
                key_file,
                identity,
                recipients,
            },
        )?;
        let retention = config.retention.policy();
        let running = work::run(py, &Stop::default(), move || -> Result<Running> {
            store.recover()?;
            let watch = Watch::new(store.clone(), store.media())?;
            for analyzer in analyzers {
                watch.add_analyzer(analyzer);
            }
            if let Some(plan) = plan {
                watch.set_recognition(plan.with(&store))?;
            }
            for (name, settings) in cameras {
                add(&watch, name, settings)?;
            }
            let keeper = Keeper::start(store, retention, lists)?;
            Ok(Running {
                watch,
                _keeper: keeper,
            })
        })??;
        let inner = Arc::new(Inner {
            events: running.watch.events().clone(),
            last: Mutex::default(),
            running: Mutex::new(Some(running)),
            failure,
            problem: Mutex::default(),
        });
        let at_exit = at_exit(py, &inner)?;
        Ok(Self {
            inner,
            at_exit: Mutex::new(Some(at_exit)),
        })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The next state of an event: it is told when it begins and with each later state, and the last
    /// one with an id stands. Ends when all cameras have ended, as files do, or when it is stopped.
    fn __next__(&self, py: Python<'_>) -> Result<Option<Event>> {
        loop {
            if let Some(error) = self.inner.failure.take() {
                self.end(py)?;
                return Err(Raise::Python(error));
            }
            match py.detach(|| self.inner.events.recv_timeout(BEAT)) {
                Ok(event) => return Ok(Some(Event::new(py, &event)?)),
                Err(RecvTimeoutError::Timeout) => {
                    py.check_signals()?;
                    // What happened last is stored by then, and still told.
                    if self.inner.is_over() {
                        self.end(py)?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return self.inner.outcome().map(|()| None),
            }
        }
    }

    /// Ends all recordings and events, and waits until they are stored.
    fn stop(&self, py: Python<'_>) -> Result<()> {
        self.end(py)?;
        self.inner.outcome()
    }

    /// How each camera is doing.
    fn status(&self) -> Vec<CameraStatus> {
        let running = lock(&self.inner.running);
        let status = match running.as_ref() {
            Some(running) => running.watch.status(),
            None => lock(&self.inner.last).clone(),
        };
        status.into_iter().map(CameraStatus::new).collect()
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// Stops. An exception of the block passes through, whatever else went wrong.
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        match kind.is_none() {
            true => self.stop(py),
            false => self.end(py),
        }
    }

    fn __repr__(&self) -> String {
        let running = lock(&self.inner.running);
        let (status, stopped) = match running.as_ref() {
            Some(running) => (running.watch.status(), ""),
            None => (lock(&self.inner.last).clone(), ", stopped"),
        };
        let names: Vec<String> = status.into_iter().map(|status| status.camera).collect();
        format!("Pipeline({}{stopped})", names.join(", "))
    }
}

impl Pipeline {
    /// Stops, and keeps what went wrong for whoever asks first.
    fn end(&self, py: Python<'_>) -> Result<()> {
        let inner = &self.inner;
        work::run(py, &Stop::default(), || inner.end())?;
        if let Some(callable) = lock(&self.at_exit).take() {
            py.import("atexit")?
                .call_method1("unregister", (callable,))?;
        }
        Ok(())
    }
}

impl Inner {
    fn is_over(&self) -> bool {
        let running = lock(&self.running);
        running
            .as_ref()
            .is_none_or(|running| running.watch.is_over())
    }

    /// Must not be called with the interpreter's lock: an analyser may need it to come to its end.
    fn end(&self) {
        let Some(running) = lock(&self.running).take() else {
            return;
        };
        let status = running.watch.status();
        let problem = match running.watch.stop() {
            Err(error) => Some(Raise::from(error)),
            Ok(()) => unwatched(&status),
        };
        *lock(&self.last) = status;
        *lock(&self.problem) = problem;
    }

    /// Says what went wrong, once.
    fn outcome(&self) -> Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(Raise::Python(error));
        }
        lock(&self.problem).take().map_or(Ok(()), Err)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The interpreter's lock may be held here.
        let running = lock(&self.running).take();
        if let Some(running) = running {
            std::thread::spawn(move || drop(running));
        }
    }
}

fn add(watch: &Watch, name: String, settings: CameraSettings) -> Result<()> {
    let source = source::of(&settings);
    Ok(watch.add(name, settings, source)?)
}

/// What could not be watched to its end.
fn unwatched(status: &[Status]) -> Option<Raise> {
    let problems: Vec<String> = status
        .iter()
        .filter_map(|status| match &status.state {
            State::Ended {
                problem: Some(problem),
            } => Some(format!("camera {}: {problem}", status.camera)),
            _ => None,
        })
        .collect();
    (!problems.is_empty()).then(|| Raise::Camera(problems.join("; ")))
}

/// One analyser, or several.
fn callables(
    analyzers: Option<&Bound<'_, PyAny>>,
    color: keepwatch_vision::Color,
    failure: &Arc<Failure>,
) -> Result<Vec<Arc<dyn Analyzer>>> {
    let Some(analyzers) = analyzers else {
        return Ok(Vec::new());
    };
    let one = |analyzer: &Bound<'_, PyAny>| -> Result<Arc<dyn Analyzer>> {
        Ok(Arc::new(Callable::new(analyzer, color, failure.clone())?))
    };
    if analyzers.is_callable() || analyzers.hasattr("analyze")? {
        return Ok(vec![one(analyzers)?]);
    }
    let Ok(several) = analyzers.try_iter() else {
        return Ok(vec![one(analyzers)?]);
    };
    several.map(|analyzer| one(&analyzer?)).collect()
}

/// Has the pipeline stopped when the interpreter ends: recordings are whole, and no thread calls
/// into an interpreter that is gone.
fn at_exit(py: Python<'_>, inner: &Arc<Inner>) -> PyResult<Py<PyAny>> {
    let inner: Weak<Inner> = Arc::downgrade(inner);
    let stop = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, pyo3::types::PyDict>>| {
        if let Some(inner) = inner.upgrade() {
            arguments.py().detach(|| inner.end());
        }
    };
    let callable = PyCFunction::new_closure(py, None, None, stop)?;
    py.import("atexit")?
        .call_method1("register", (&callable,))?;
    Ok(callable.into_any().unbind())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
