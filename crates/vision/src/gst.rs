//! The one place that starts GStreamer and takes pipelines down.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::bounded;
use gstreamer as gst;
use gstreamer::prelude::*;

use crate::error::{Error, Result};

/// How long a pipeline may take to stop before it is left to itself.
const STOP_DEADLINE: Duration = Duration::from_secs(3);

/// Pipelines that did not stop in time and are still trying.
static STUCK: AtomicUsize = AtomicUsize::new(0);

/// More than this many stuck pipelines, and no new one is started.
const MAX_STUCK: usize = 16;

/// The version of GStreamer.
///
/// # Errors
/// [`Error::GStreamer`] when it does not start.
pub fn version() -> Result<String> {
    init()?;
    Ok(gst::version_string().to_string())
}

/// Starts GStreamer, once for the whole process.
///
/// # Errors
/// [`Error::GStreamer`] when it cannot be used.
pub fn init() -> Result<()> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| gst::init().map_err(|error| error.to_string()));
    match started {
        Ok(()) => Ok(()),
        Err(problem) => Err(Error::GStreamer {
            problem: problem.clone(),
        }),
    }
}

/// A new element.
///
/// # Errors
/// [`Error::MissingElement`] when no installed plugin has it.
pub fn element(name: &'static str) -> Result<gst::Element> {
    gst::ElementFactory::make(name)
        .build()
        .map_err(|_| Error::MissingElement { name })
}

/// A pipeline that is taken down when dropped.
///
/// Stopping can hang when the other side of a network is dead; that happens on a thread of its own
/// then, and nobody waits for longer than a few seconds.
#[derive(Debug)]
pub struct Pipeline(gst::Pipeline);

impl Pipeline {
    /// An empty pipeline.
    ///
    /// # Errors
    /// [`Error::GStreamer`] when too many earlier ones could not be stopped.
    pub fn new() -> Result<Self> {
        init()?;
        if STUCK.load(Ordering::Relaxed) >= MAX_STUCK {
            return Err(Error::GStreamer {
                problem: format!("{MAX_STUCK} earlier pipelines could not be stopped"),
            });
        }
        Ok(Self(gst::Pipeline::new()))
    }

    /// Adds elements and links them in their order.
    ///
    /// # Errors
    /// [`Error::GStreamer`] when they do not fit together.
    pub fn add_chain(&self, chain: &[&gst::Element]) -> Result<()> {
        add_chain(self.0.upcast_ref(), chain)
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`Error::GStreamer`] when an element refuses; the bus has the cause.
    pub fn play(&self) -> Result<()> {
        match self.0.set_state(gst::State::Playing) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::GStreamer {
                problem: "the pipeline does not start".to_owned(),
            }),
        }
    }

    /// Its bus.
    pub fn bus(&self) -> gst::Bus {
        self.0.bus().expect("a pipeline has a bus")
    }

    /// The pipeline itself.
    pub fn inner(&self) -> &gst::Pipeline {
        &self.0
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let pipeline = self.0.clone();
        self.bus().set_flushing(true);
        let (done, stopped) = bounded(1);
        STUCK.fetch_add(1, Ordering::Relaxed);
        let stop = move || {
            // An element that refuses to stop is gone with the pipeline all the same.
            let _ = pipeline.set_state(gst::State::Null);
            STUCK.fetch_sub(1, Ordering::Relaxed);
            let _ = done.send(());
        };
        let thread = std::thread::Builder::new().name("gst-stop".to_owned());
        match thread.spawn(stop) {
            Ok(_) => {
                if stopped.recv_timeout(STOP_DEADLINE).is_err() {
                    tracing::warn!("a pipeline does not stop; it is left to itself");
                }
            }
            Err(error) => tracing::error!(%error, "cannot stop a pipeline"),
        }
    }
}

/// Adds elements to a bin and links them in their order.
///
/// # Errors
/// [`Error::GStreamer`] when they do not fit together.
pub fn add_chain(bin: &gst::Bin, chain: &[&gst::Element]) -> Result<()> {
    let failed = |_| Error::GStreamer {
        problem: "elements cannot be linked".to_owned(),
    };
    bin.add_many(chain.iter().copied()).map_err(failed)?;
    gst::Element::link_many(chain.iter().copied()).map_err(failed)
}
