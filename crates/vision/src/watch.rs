//! Several cameras, one store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use keepwatch_core::events::{Event, EventStore, MediaStore};

use crate::analyzer::Analyzer;
use crate::camera::{Camera, Common};
use crate::error::{Error, Result, with_causes};
use crate::ledger::{Ledger, Lost};
use crate::recognition::{self, Pool, Recognition};
use crate::settings::CameraSettings;
use crate::source::{self, FrameSource};
use crate::status::{CameraStatus, Shared, State};

/// Cameras being watched. Each has threads of its own; what happens to one does not reach another.
///
/// Dropping it stops them all, as [`Watch::stop`] does.
pub struct Watch {
    cameras: Vec<Running>,
    events: Receiver<Event>,
    ledger: Option<Ledger>,
    book: Option<JoinHandle<Lost>>,
    media: MediaStore,
    analyzers: Vec<Arc<dyn Analyzer>>,
    recognition: Option<recognition::Running>,
}

struct Running {
    status: Shared,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch the cameras, which go by these names.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot work; what a camera does not do is no error.
    pub fn start(
        cameras: BTreeMap<String, CameraSettings>,
        store: Arc<dyn EventStore>,
        media: MediaStore,
    ) -> Result<Self> {
        for settings in cameras.values() {
            settings.validate()?;
        }
        let mut watch = Self::new(store, media)?;
        for (name, settings) in cameras {
            let source = source::of(&settings);
            watch.add(name, settings, source)?;
        }
        Ok(watch)
    }

    /// Without a camera yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(store: Arc<dyn EventStore>, media: MediaStore) -> Result<Self> {
        let (ledger, events, book) = Ledger::start(store)?;
        Ok(Self {
            cameras: Vec::new(),
            events,
            ledger: Some(ledger),
            book: Some(book),
            media,
            analyzers: Vec::new(),
            recognition: None,
        })
    }

    /// Lets an analyser look at the pictures of the cameras that are added from now on.
    pub fn add_analyzer(&mut self, analyzer: Arc<dyn Analyzer>) {
        self.analyzers.push(analyzer);
    }

    /// Recognises faces and plates in what the cameras see that are added from now on. A recogniser
    /// is made for each thread at once.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot work, and whatever the factory says.
    pub fn set_recognition(&mut self, recognition: Recognition) -> Result<()> {
        let Recognition {
            settings,
            recognizer,
            rules,
        } = recognition;
        settings.validate()?;
        let pool = Pool::start(&recognizer, settings.threads, settings.batch)?;
        self.recognition = Some(recognition::Running {
            pool: Arc::new(pool),
            settings,
            rules,
        });
        Ok(())
    }

    /// Watches one more, from a source of your own or from [`source::of`] its settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot work.
    pub fn add(
        &mut self,
        name: String,
        settings: CameraSettings,
        source: Box<dyn FrameSource>,
    ) -> Result<()> {
        settings.validate()?;
        let status = Shared::new(&name, settings.url.to_string());
        let (stop, stopped) = bounded(0);
        let common = Common {
            media: &self.media,
            ledger: self.ledger.as_ref().expect("it is there until the end"),
            analyzers: &self.analyzers,
            recognition: self.recognition.as_ref(),
        };
        let camera = Camera::new(name, settings, source, &common, status.clone(), stopped)?;
        let thread = std::thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || camera.run())
            .map_err(Error::thread)?;
        self.cameras.push(Running {
            status,
            stop: Some(stop),
            thread: Some(thread),
        });
        Ok(())
    }

    /// How each camera is doing.
    pub fn status(&self) -> Vec<CameraStatus> {
        self.cameras
            .iter()
            .map(|camera| camera.status.get())
            .collect()
    }

    /// Each state of each event, once it is stored. Who does not keep up misses some.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Whether no camera is left that could still send something.
    pub fn is_over(&self) -> bool {
        let over = |camera: &Running| {
            let ended = |status: &CameraStatus| matches!(status.state, State::Ended { .. });
            camera.status.update(|status| ended(status))
        };
        self.cameras.iter().all(over)
    }

    /// Ends all recordings and events, and waits until they are stored.
    ///
    /// # Errors
    /// [`Error::Unstored`] when the store did not take all that happened.
    pub fn stop(mut self) -> Result<()> {
        self.end().check()
    }

    fn end(&mut self) -> Lost {
        for camera in &mut self.cameras {
            camera.stop = None;
        }
        for camera in &mut self.cameras {
            if let Some(thread) = camera.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a camera has panicked");
            }
        }
        self.recognition = None;
        self.ledger = None;
        let Some(book) = self.book.take() else {
            return Lost::default();
        };
        book.join().unwrap_or_else(|_| {
            tracing::error!("the ledger has panicked");
            Lost::default()
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Err(error) = self.end().check() {
            tracing::error!(error = with_causes(&error), "watching ended");
        }
    }
}
