//! The pictures of one camera, one after the other.

mod reader;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use keepwatch_core::jiff::Timestamp;

use crate::error::{Error, Result};
use crate::pixels::{Color, Pixels};
use crate::settings::CameraSettings;
use crate::source::{self, Ending, FrameSource};
use crate::status::{CameraStatus, Shared};
use reader::{Outlet, Reader};

/// Pictures that wait to be taken: enough to bridge a pause, and not so many that they are old.
const QUEUE: usize = 4;

/// The most frames a second that can be asked for.
const MAX_FPS: f64 = 1000.0;

/// How pictures are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameOptions {
    /// What of them.
    pub color: Color,
    /// At most so many a second, by the time of the pictures; all of them if none.
    pub max_fps: Option<f64>,
    /// How long a camera that went away is tried to be reached again; for ever if none.
    ///
    /// One that could not be reached at first is not, and a file that fails is not.
    pub reconnect: Option<Duration>,
}

impl Default for FrameOptions {
    fn default() -> Self {
        Self {
            color: Color::default(),
            max_fps: None,
            reconnect: Some(Duration::from_secs(60)),
        }
    }
}

/// A picture, and when it was taken.
#[derive(Debug)]
pub struct Image {
    /// What it shows.
    pub pixels: Pixels,
    /// Since the first picture, over reconnects.
    pub pts: Duration,
    /// By the wall clock. A file counts as if it had begun to play when it was opened.
    pub wall: Timestamp,
}

/// What reading gives.
#[derive(Debug)]
pub enum Read {
    /// The next picture.
    Image(Image),
    /// None, in the time that was given.
    Nothing,
    /// There is none any more: a file came to its end, or the frames were closed.
    Ended,
}

/// The pictures of one camera or file, decoded on threads of their own, a few ahead.
///
/// A file waits until its pictures are taken, and none is left out. A camera waits for nobody: of
/// pictures that are not taken in time, the oldest are dropped. A camera that goes away is reached
/// for again as [`FrameOptions::reconnect`] says.
///
/// Several threads may read from it; each picture goes to one of them.
///
/// ```no_run
/// use keepwatch_vision::{CameraSettings, FrameOptions, Frames};
///
/// let settings = CameraSettings::new("rtsp://camera.local/stream1".parse()?);
/// for image in Frames::open(&settings, FrameOptions::default())? {
///     let image = image?;
///     println!("{:?} {}x{}", image.pts, image.pixels.width(), image.pixels.height());
/// }
/// # Ok::<(), keepwatch_vision::Error>(())
/// ```
#[derive(Debug)]
pub struct Frames {
    images: Receiver<Image>,
    ending: Arc<OnceLock<Ending>>,
    status: Shared,
    /// Nothing is ever sent; it is closed to stop.
    stop: Mutex<Option<Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Frames {
    /// Begins to read the camera that the settings name. Does not wait for it.
    ///
    /// Of the settings, those of the address, of the connection and of its loss count.
    ///
    /// # Errors
    /// [`Error::Setting`] for what cannot work, [`Error::Io`] for a file that is not there.
    pub fn open(settings: &CameraSettings, options: FrameOptions) -> Result<Self> {
        Self::of(source::of(settings), settings, options)
    }

    /// The same from a source of your own.
    ///
    /// # Errors
    /// As [`Frames::open`].
    pub fn of(
        mut source: Box<dyn FrameSource>,
        settings: &CameraSettings,
        options: FrameOptions,
    ) -> Result<Self> {
        settings.validate()?;
        if options
            .max_fps
            .is_some_and(|fps| !(fps > 0.0 && fps <= MAX_FPS))
        {
            return Err(Error::Setting {
                name: "fps",
                problem: format!("it must be more than 0, and at most {MAX_FPS}"),
            });
        }
        let session = source.open()?;
        let status = Shared::new("", settings.url.to_string());
        let (say, images) = bounded(QUEUE);
        let (stop, stopped) = bounded(0);
        let ending = Arc::new(OnceLock::new());
        let outlet = Outlet {
            say,
            oldest: images.clone(),
            patient: source.ends() && !settings.realtime,
        };
        let reader = Reader::new(source, settings, options, outlet, stopped, status.clone());
        let thread = std::thread::Builder::new()
            .name("frames".to_owned())
            .spawn({
                let ending = ending.clone();
                move || reader.run(session, &ending)
            })
            .map_err(Error::thread)?;
        Ok(Self {
            images,
            ending,
            status,
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The next picture; waits up to `timeout` for it.
    ///
    /// # Errors
    /// [`Error::Camera`] when there will be none any more, from then on each time.
    pub fn read(&self, timeout: Duration) -> Result<Read> {
        match self.images.recv_timeout(timeout) {
            Ok(image) => Ok(Read::Image(image)),
            Err(RecvTimeoutError::Timeout) => Ok(Read::Nothing),
            Err(RecvTimeoutError::Disconnected) => match self.ending.get() {
                None | Some(Ending::Finished) => Ok(Read::Ended),
                Some(ending) => Err(Error::Camera {
                    camera: self.status.update(|status| status.url.clone()),
                    ending: ending.clone(),
                }),
            },
        }
    }

    /// How the camera is doing.
    pub fn status(&self) -> CameraStatus {
        self.status.get()
    }

    /// Ends reading, and waits until the camera is left. Pictures that wait can still be taken.
    pub fn close(&self) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the reader of frames has panicked");
        }
    }
}

/// Waits for each picture as long as it takes; over after an error.
impl Iterator for Frames {
    type Item = Result<Image>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return match self.read(Duration::MAX) {
                Ok(Read::Image(image)) => Some(Ok(image)),
                Ok(Read::Nothing) => continue,
                Ok(Read::Ended) => None,
                Err(error) => {
                    // It is said once.
                    self.ending = Arc::default();
                    Some(Err(error))
                }
            };
        }
    }
}
