//! Who is known by their face: enrolling needs the networks, which are loaded when somebody first
//! does.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use keepwatch_config::Config;
use keepwatch_core::events::{Region, Store};
use keepwatch_recognition::face::{FaceFinder, Photo};
use keepwatch_recognition::geometry::Box2;
use keepwatch_recognition::infer::Engine;
use keepwatch_recognition::picture::Picture;
use keepwatch_recognition::store::{Enrolled, enrol};
use keepwatch_recognition::{Error, photo};

use crate::error::{ApiError, Result};

/// Makes what computes networks, as the configuration asks for it.
pub type EngineOf = Arc<dyn Fn(&Config) -> keepwatch_recognition::Result<Engine> + Send + Sync>;

/// Enrols people.
pub(crate) struct Faces {
    engine: EngineOf,
    ready: Mutex<Option<Ready>>,
}

/// The networks, and from which similarity on two people are alike.
struct Ready {
    finder: FaceFinder,
    threshold: f32,
}

impl Faces {
    pub fn new(engine: EngineOf) -> Self {
        Self {
            engine,
            ready: Mutex::new(None),
        }
    }

    /// The networks may be others now.
    pub fn forget(&self) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Enrols the one face of a photograph.
    pub fn enrol_photo(
        &self,
        config: &Config,
        store: &Store,
        name: &str,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Enrolled> {
        let picture = photo::decode(bytes, "photograph").map_err(refused)?;
        self.enrol(config, store, name, |finder| {
            finder.enrol(picture.view(), "photograph", at)
        })
    }

    /// Enrols the face that an event shows.
    pub fn enrol_event(
        &self,
        config: &Config,
        store: &Store,
        name: &str,
        (jpeg, region): (&[u8], Region),
        at: Timestamp,
    ) -> Result<Enrolled> {
        let picture = photo::decode(jpeg, "picture").map_err(refused)?;
        let place = place(&picture, region);
        self.enrol(config, store, name, |finder| {
            finder.enrol_at(picture.view(), place, "picture", at)
        })
    }

    fn enrol(
        &self,
        config: &Config,
        store: &Store,
        name: &str,
        find: impl FnOnce(&mut FaceFinder) -> keepwatch_recognition::Result<Photo>,
    ) -> Result<Enrolled> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = match &mut *ready {
            Some(ready) => ready,
            none => {
                let engine = (self.engine)(config)?;
                let finder = config.faces.finder(&config.models, &engine)?;
                let threshold = config.faces.decision(finder.model()).threshold;
                none.insert(Ready { finder, threshold })
            }
        };
        let photo = find(&mut ready.finder).map_err(refused)?;
        enrol(store, &ready.finder, name, vec![photo], ready.threshold).map_err(refused)
    }
}

fn place(picture: &Picture, region: Region) -> Box2 {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    Box2 {
        x: region.x * width,
        y: region.y * height,
        w: region.w * width,
        h: region.h * height,
    }
}

/// What is wrong with a photograph or a name is for who sent it.
fn refused(error: Error) -> ApiError {
    match error {
        Error::Photo { problem, .. } => ApiError::value("body", "", problem),
        Error::Setting { name, problem } => ApiError::value("path", name, problem),
        error => error.into(),
    }
}
