//! Several cameras, one store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use keepwatch_core::events::{Event, EventStore, MediaStore};

use crate::analyzer::Analyzer;
use crate::camera::{Camera, Common, Panel};
use crate::error::{Error, Result, with_causes};
use crate::gauges::{CameraGauges, LedgerGauges, Queues, RecognitionGauges};
use crate::ledger::{Ledger, Lost, Tally};
use crate::live::{Handed, Live, LiveItem, Picture, PictureOptions, Sink};
use crate::recognition::{self, Meter, Pool, Recognition};
use crate::settings::CameraSettings;
use crate::source::{self, FrameSource};
use crate::status::{CameraStatus, Shared, State};

/// Cameras being watched. Each has threads of its own; what happens to one does not reach another.
///
/// Cameras may be added, replaced and removed at any time, by any thread. Dropping it stops them all,
/// as [`Watch::stop`] does.
pub struct Watch {
    events: Receiver<Event>,
    media: MediaStore,
    book: Mutex<Option<Book>>,
    tally: Tally,
    meter: Arc<Meter>,
    /// What cameras that are added are given.
    eyes: Mutex<Eyes>,
    /// In the order in which they were added.
    cameras: Mutex<Vec<Running>>,
}

/// The ledger, until all is stopped.
struct Book {
    ledger: Ledger,
    thread: JoinHandle<Lost>,
}

/// What looks at pictures besides motion detection.
#[derive(Clone, Default)]
struct Eyes {
    analyzers: Vec<Arc<dyn Analyzer>>,
    recognition: Option<recognition::Running>,
}

struct Running {
    name: String,
    panel: Panel,
    /// Parts of its picture are nobody's business.
    masked: bool,
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Ends them all at once, and waits.
    fn end(cameras: Vec<Self>) {
        let stopping = cameras.into_iter().map(|camera| {
            drop(camera.stop);
            camera.thread
        });
        let threads: Vec<JoinHandle<()>> = stopping.collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a camera has panicked");
            }
        }
    }
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
        let watch = Self::new(store, media)?;
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
        let (ledger, events, thread) = Ledger::start(store)?;
        Ok(Self {
            events,
            media,
            tally: ledger.tally(),
            meter: Arc::default(),
            book: Mutex::new(Some(Book { ledger, thread })),
            eyes: Mutex::default(),
            cameras: Mutex::default(),
        })
    }

    /// Lets an analyser look at the pictures of the cameras that are added from now on.
    pub fn add_analyzer(&self, analyzer: Arc<dyn Analyzer>) {
        lock(&self.eyes).analyzers.push(analyzer);
    }

    /// Recognises faces and plates in what the cameras see that are added from now on. A recogniser
    /// is made for each thread at once.
    ///
    /// Cameras that are there keep what they were added with; the threads of that end with the last
    /// of them.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot work, and whatever the factory says: then all is
    /// as it was.
    pub fn set_recognition(&self, recognition: Recognition) -> Result<()> {
        let Recognition {
            settings,
            recognizer,
            rules,
        } = recognition;
        settings.validate()?;
        let pool = Pool::start(&recognizer, settings.threads, settings.batch, &self.meter)?;
        let running = recognition::Running {
            pool: Arc::new(pool),
            settings,
            rules,
        };
        let before = lock(&self.eyes).recognition.replace(running);
        // Its threads may be waited for, and not under the lock.
        drop(before);
        Ok(())
    }

    /// Recognises nothing in what the cameras see that are added from now on.
    pub fn clear_recognition(&self) {
        let before = lock(&self.eyes).recognition.take();
        drop(before);
    }

    /// Watches one more, from a source of your own or from [`source::of`] its settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot work, [`Error::SameName`] for a name that a camera
    /// has already, [`Error::Stopped`] after [`Watch::close`].
    pub fn add(
        &self,
        name: String,
        settings: CameraSettings,
        source: Box<dyn FrameSource>,
    ) -> Result<()> {
        settings.validate()?;
        // Held to the end: a camera that is added is seen by who closes.
        let book = lock(&self.book);
        let ledger = &book.as_ref().ok_or(Error::Stopped)?.ledger;
        let eyes = lock(&self.eyes).clone();
        let mut cameras = lock(&self.cameras);
        if cameras.iter().any(|camera| camera.name == name) {
            return Err(Error::SameName { camera: name });
        }
        let masks = settings.privacy_masks.clone();
        let masked = !masks.is_empty();
        let panel = Panel {
            status: Shared::new(&name, settings.url.to_string()),
            live: Arc::new(Live::new(&name, masks)),
            queues: Arc::new(Queues::default()),
        };
        let (stop, stopped) = bounded(0);
        let common = Common {
            media: &self.media,
            ledger,
            analyzers: &eyes.analyzers,
            recognition: eyes.recognition.as_ref(),
        };
        let camera = Camera::new(
            name.clone(),
            settings,
            source,
            &common,
            panel.clone(),
            stopped,
        )?;
        let thread = std::thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || camera.run())
            .map_err(Error::thread)?;
        cameras.push(Running {
            name,
            panel,
            masked,
            stop,
            thread,
        });
        Ok(())
    }

    /// Ends the recordings and events of a camera, and waits until they are handed to the store; the
    /// others go on meanwhile. Gives whether there was such a camera.
    pub fn remove(&self, name: &str) -> bool {
        let camera = {
            let mut cameras = lock(&self.cameras);
            let index = cameras.iter().position(|camera| camera.name == name);
            index.map(|index| cameras.remove(index))
        };
        let was_there = camera.is_some();
        Running::end(camera.into_iter().collect());
        was_there
    }

    /// Watches a camera otherwise, or one more if there is none of that name: what it was doing ends
    /// first.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot work: then all is as it was. As [`Watch::add`]
    /// otherwise.
    pub fn replace(
        &self,
        name: String,
        settings: CameraSettings,
        source: Box<dyn FrameSource>,
    ) -> Result<()> {
        settings.validate()?;
        self.remove(&name);
        self.add(name, settings, source)
    }

    /// How each camera is doing.
    pub fn status(&self) -> Vec<CameraStatus> {
        let cameras = lock(&self.cameras);
        cameras
            .iter()
            .map(|camera| camera.panel.status.get())
            .collect()
    }

    /// How one is doing, if there is one of that name.
    pub fn status_of(&self, name: &str) -> Option<CameraStatus> {
        let cameras = lock(&self.cameras);
        let camera = cameras.iter().find(|camera| camera.name == name)?;
        Some(camera.panel.status.get())
    }

    /// Hands what a camera sends to a sink, without encoding it anew: first what it is, then what there
    /// is of the current group of pictures, then each frame as it comes, on the camera's own thread.
    /// It ends when the sink says that it is gone, and with the camera. See [`live`](crate::live) for
    /// what a sink may do.
    ///
    /// # Errors
    /// [`Error::UnknownCamera`], and [`Error::Masked`] for a camera with privacy masks, which are not in
    /// what it sends.
    pub fn live(
        &self,
        camera: &str,
        sink: impl FnMut(LiveItem) -> Handed + Send + 'static,
    ) -> Result<()> {
        let (live, masked) = self.find(camera, |found| (found.panel.live.clone(), found.masked))?;
        if masked {
            return Err(Error::Masked {
                camera: camera.to_owned(),
            });
        }
        live.video.add(Sink::new(sink));
        Ok(())
    }

    /// The latest decoded picture of a camera as JPEG, at most `max_width` pixels wide; none if there
    /// was none yet. It is encoded on the calling thread. How old it may be depends on what is decoded
    /// ([`Decode`](crate::Decode)): a camera of which nothing is has its last key frame decoded here.
    ///
    /// # Errors
    /// [`Error::UnknownCamera`], and whatever keeps it from being decoded or encoded.
    pub fn picture(&self, camera: &str, max_width: u16) -> Result<Option<Picture>> {
        let live = self.find(camera, |found| found.panel.live.clone())?;
        live.pictures.latest(max_width)
    }

    /// Hands the pictures of a camera to a sink, one after the other, beginning with the latest, on a
    /// thread of their own. For as long as anybody takes them all frames of the camera are decoded; of
    /// one of which nothing is ([`Decode::None`](crate::Decode::None)) they are the key frames. A
    /// picture that the sink has no room for is left out.
    ///
    /// # Errors
    /// [`Error::UnknownCamera`], [`Error::Setting`] for a rate that cannot be.
    pub fn pictures(
        &self,
        camera: &str,
        options: PictureOptions,
        sink: impl FnMut(LiveItem) -> Handed + Send + 'static,
    ) -> Result<()> {
        let live = self.find(camera, |found| found.panel.live.clone())?;
        live.pictures.add(options, Sink::new(sink))
    }

    /// Hands what is seen in each picture that is analysed to a sink, on the thread that analyses. An
    /// overlay that the sink has no room for is left out.
    ///
    /// # Errors
    /// [`Error::UnknownCamera`].
    pub fn overlay(
        &self,
        camera: &str,
        sink: impl FnMut(LiveItem) -> Handed + Send + 'static,
    ) -> Result<()> {
        let live = self.find(camera, |found| found.panel.live.clone())?;
        live.overlays.add(Sink::new(sink));
        Ok(())
    }

    /// How busy each camera is.
    pub fn gauges(&self) -> Vec<CameraGauges> {
        let panels: Vec<(String, Panel)> = lock(&self.cameras)
            .iter()
            .map(|camera| (camera.name.clone(), camera.panel.clone()))
            .collect();
        let gauges = panels.into_iter().map(|(camera, panel)| {
            let (analysis_queue, recorder_queue_bytes) = panel.queues.get();
            let Live {
                video,
                pictures,
                overlays,
            } = &*panel.live;
            CameraGauges {
                camera,
                analysis_queue,
                recorder_queue_bytes,
                last_frame: video.last_wall(),
                live_subscribers: video.viewers(),
                live_dropped: video.dropped(),
                live_group_bytes: video.group_bytes(),
                picture_subscribers: pictures.viewers(),
                overlay_subscribers: overlays.viewers(),
            }
        });
        gauges.collect()
    }

    /// How busy recognition is.
    pub fn recognition_gauges(&self) -> RecognitionGauges {
        self.meter.gauges()
    }

    /// How the event store keeps up, and whether it fails now.
    pub fn ledger_gauges(&self) -> LedgerGauges {
        self.tally.gauges()
    }

    fn find<T>(&self, camera: &str, f: impl FnOnce(&Running) -> T) -> Result<T> {
        let cameras = lock(&self.cameras);
        let found = cameras.iter().find(|running| running.name == camera);
        found.map(f).ok_or_else(|| Error::UnknownCamera {
            camera: camera.to_owned(),
        })
    }

    /// Each state of each event, once it is stored. Who does not keep up misses some.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Whether no camera is left that could still send something.
    pub fn is_over(&self) -> bool {
        let over = |camera: &Running| {
            let ended = |status: &CameraStatus| matches!(status.state, State::Ended { .. });
            camera.panel.status.update(|status| ended(status))
        };
        lock(&self.cameras).iter().all(over)
    }

    /// Ends all recordings and events, and waits until they are stored.
    ///
    /// # Errors
    /// [`Error::Unstored`] when the store did not take all that happened.
    pub fn stop(self) -> Result<()> {
        self.close()
    }

    /// The same, while others still ask for the state of what was watched. A second time it does
    /// nothing.
    ///
    /// # Errors
    /// As [`Watch::stop`].
    pub fn close(&self) -> Result<()> {
        // From here on no camera can be added.
        let book = lock(&self.book).take();
        let cameras = std::mem::take(&mut *lock(&self.cameras));
        Running::end(cameras);
        let eyes = std::mem::take(&mut *lock(&self.eyes));
        drop(eyes);
        let Some(Book { ledger, thread }) = book else {
            return Ok(());
        };
        drop(ledger);
        let lost = thread.join().unwrap_or_else(|_| {
            tracing::error!("the ledger has panicked");
            Lost::default()
        });
        lost.check()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(error = with_causes(&error), "watching ended");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
