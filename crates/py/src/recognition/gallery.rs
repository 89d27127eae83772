//! The people who are known.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use keepwatch_core::events::{PrivateStamp, Store};
use keepwatch_core::with_causes;
use keepwatch_recognition::Error;
use keepwatch_recognition::face::{Decision, FaceFinder, FoundFace, Index, Photo, securevision};
use keepwatch_recognition::infer::Digest;
use keepwatch_recognition::store;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::faces::Face;
use super::networks::{ModelSource, places};
use super::picture::{Given, Order};
use super::reports::{EnrolReport, GalleryImport, Person, RefreshReport, RefusedPhoto};
use super::settings::{FaceOptions, Settings, finder};
use crate::errors::{self, Raise, Result};
use crate::events::EventStore;
use crate::record::{FilePath, Time, Tuple, Whole};
use crate::work::{self, Stop};

/// The longest gallery of SecureVision that is read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// A face in a picture, and whose it is.
#[pyclass(frozen, extends = Face, module = "keepwatch")]
pub struct FaceMatch {
    who: Option<Who>,
}

struct Who {
    name: Option<String>,
    similarity: f32,
    second: Option<f32>,
}

#[pymethods]
impl FaceMatch {
    /// Whose it is; none for somebody who is not enrolled, or a face that cannot be compared.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.who.as_ref().and_then(|who| who.name.as_deref())
    }

    /// How similar it is to the nearest person, whether it is them or not: a cosine, -1 to 1. None
    /// if nobody is enrolled, or the face cannot be compared.
    #[getter]
    fn similarity(&self) -> Option<f32> {
        self.who.as_ref().map(|who| who.similarity)
    }

    /// The same of the second person, if there is one.
    #[getter]
    fn second(&self) -> Option<f32> {
        self.who.as_ref().and_then(|who| who.second)
    }

    fn __repr__(slf: PyRef<'_, Self>) -> String {
        let place = slf.as_super().place();
        let name = slf
            .name()
            .map_or_else(|| "None".to_owned(), |name| format!("{name:?}"));
        match slf.similarity() {
            Some(similarity) => {
                format!("FaceMatch(name={name}, similarity={similarity:.2}, {place})")
            }
            None => format!("FaceMatch(name={name}, {place})"),
        }
    }
}

/// The people whose faces are known, kept in an event store, encrypted with its key.
#[pyclass(frozen, module = "keepwatch")]
pub struct FaceGallery {
    store: Py<EventStore>,
    networks: Option<Networks>,
}

/// What recognises faces.
struct Networks {
    finder: Mutex<FaceFinder>,
    model: Digest,
    dimensions: usize,
    decision: Decision,
    /// Who is known, as of some state of the gallery.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    of: Option<Option<PrivateStamp>>,
    index: Arc<Index>,
}

impl Networks {
    fn new((finder, decision): (FaceFinder, Decision)) -> Self {
        Self {
            model: finder.model(),
            dimensions: finder.dimensions(),
            decision,
            finder: Mutex::new(finder),
            known: Mutex::default(),
        }
    }

    fn finder(&self) -> MutexGuard<'_, FaceFinder> {
        self.finder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is known now: the command line and other processes change the gallery, too.
    fn index(&self, of: &Store) -> keepwatch_recognition::Result<Arc<Index>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Before it is read: what changes meanwhile is read once more.
        let stamp = store::gallery_stamp(of)?;
        if known.of != Some(stamp) {
            *known = Known {
                index: Arc::new(store::read_index(of, self.model)?),
                of: Some(stamp),
            };
        }
        Ok(known.index.clone())
    }

    fn identify(&self, of: &Store, given: &Given) -> Result<Vec<(FoundFace, Option<Who>)>> {
        let index = self.index(of)?;
        let found = given.view(|view| self.finder().find(view))?;
        let who = |face: &FoundFace| {
            let embedding = face.embedding.as_ref().ok()?;
            let identity = index.identify(embedding, &self.decision)?;
            Some(Who {
                name: identity.person.map(str::to_owned),
                similarity: identity.similarity,
                second: identity.second,
            })
        };
        let found = found.into_iter();
        Ok(found
            .map(|face| (who(&face), face))
            .map(|(who, face)| (face, who))
            .collect())
    }

    /// The faces of photographs to enrol somebody with, and what is wrong with the others.
    fn faces(&self, photos: &[Given], stop: &Stop) -> (Vec<Photo>, Vec<(String, Error)>) {
        let (mut faces, mut refused) = (Vec::new(), Vec::new());
        for given in photos {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let now = Timestamp::now();
            match given.view(|view| self.finder().enrol(view, given.name(), now)) {
                Ok(photo) => faces.push(photo),
                Err(error) => refused.push((given.name().to_owned(), error)),
            }
        }
        (faces, refused)
    }
}

impl FaceGallery {
    fn store(&self, py: Python<'_>) -> Result<Arc<Store>> {
        self.store.get().open_store(py)
    }

    /// To change it.
    fn writable(&self, py: Python<'_>) -> Result<Arc<Store>> {
        let store = self.store(py)?;
        match store.is_writable() {
            true => Ok(store),
            false => Err(Raise::value(
                "store",
                "it was not opened with writable=True",
            )),
        }
    }

    fn networks(&self) -> Result<&Networks> {
        let missing = Error::NoModel {
            role: "face_detector",
        };
        Ok(self.networks.as_ref().ok_or(missing)?)
    }

    fn people_of(&self, py: Python<'_>) -> Result<Vec<Person>> {
        let store = self.store(py)?;
        let gallery = work::run(py, &Stop::default(), || store::read_gallery(&store))??;
        let people = gallery.iter().flat_map(|gallery| gallery.people());
        Ok(people
            .map(|person| Person {
                name: person.name.clone(),
                photos: person.photos.len(),
                added: person
                    .photos
                    .iter()
                    .map(|photo| photo.added)
                    .max()
                    .map(Time),
            })
            .collect())
    }
}

#[pymethods]
impl FaceGallery {
    /// The gallery of an event store: the one that `keepwatch face` uses, too.
    ///
    /// To enrol and identify, it needs networks: a `detector` (YuNet or SCRFD) and an `embedder` (of
    /// ArcFace's kind), each a path or a Model, or a `config` that names them: a configuration
    /// (docs/CONFIG.md), its path or a dictionary of what is in it; arguments count before it. Who is
    /// enrolled is known, and forgotten, without them.
    ///
    /// A face is a person's that is at least as similar as `threshold`, and by `margin` more than to
    /// the next; without a threshold, that of the model holds. The rest is as for FaceFinder.
    #[new]
    #[pyo3(signature = (
        store, *, detector=None, embedder=None, config=None, threshold=None, margin=None,
        min_score=None, longest_side=None, min_size=None, min_sharpness=None, max_turn=None,
        backend=None, library=None
    ))]
    fn new(
        py: Python<'_>,
        store: Py<EventStore>,
        detector: Option<ModelSource>,
        embedder: Option<ModelSource>,
        config: Option<&Bound<'_, PyAny>>,
        threshold: Option<f32>,
        margin: Option<f32>,
        min_score: Option<f32>,
        longest_side: Option<Whole<usize>>,
        min_size: Option<f32>,
        min_sharpness: Option<f32>,
        max_turn: Option<f32>,
        backend: Option<&str>,
        library: Option<FilePath>,
    ) -> Result<Self> {
        store.get().open_store(py)?;
        let mut settings = Settings::load(config)?;
        settings.set_inference(backend, library)?;
        settings.faces.threshold = threshold.or(settings.faces.threshold);
        settings.faces.margin = margin.unwrap_or(settings.faces.margin);
        let options = FaceOptions {
            detector,
            embedder,
            min_score,
            longest_side,
            min_size,
            min_sharpness,
            max_turn,
        };
        options.onto(&mut settings)?;
        let models = &settings.models;
        let networks = match (&models.face_detector, &models.face_embedder) {
            (None, None) => None,
            _ => {
                let places = places(py);
                let loaded = work::run(py, &Stop::default(), || finder(&settings, &places))??;
                Some(Networks::new(loaded))
            }
        };
        Ok(Self { store, networks })
    }

    /// Adds photographs of somebody, who may be new, with one face each: seen from the front, sharp,
    /// at least 60 pixels wide. Bystanders that are much smaller do not count.
    ///
    /// Photographs are as for `identify`. If one cannot be used, PictureError says which and why, and
    /// nobody is enrolled; with `allow_partial`, the report says so, and the others are.
    #[pyo3(signature = (name, /, *photos, channels="rgb", allow_partial=false))]
    fn enroll(
        &self,
        py: Python<'_>,
        name: &str,
        photos: &Bound<'_, PyTuple>,
        channels: &str,
        allow_partial: bool,
    ) -> Result<EnrolReport> {
        let networks = self.networks()?;
        let store = self.writable(py)?;
        let order = Order::parse(channels)?;
        if photos.is_empty() {
            return Err(Raise::value("photos", "a photograph is needed"));
        }
        let photos = photos.iter().enumerate();
        let photos: Vec<Given> = photos
            .map(|(index, photo)| Given::take(&photo, order, &format!("number {}", index + 1)))
            .collect::<Result<_>>()?;
        let stop = Stop::default();
        let (enrolled, refused) = work::run(py, &stop, || -> Result<_> {
            let (faces, mut refused) = networks.faces(&photos, &stop);
            // Who is interrupted has enrolled nobody.
            if stop.load(Ordering::Relaxed) {
                return Err(keepwatch_core::Error::Interrupted.into());
            }
            if !refused.is_empty() && (faces.is_empty() || !allow_partial) {
                return Err(refused.swap_remove(0).1.into());
            }
            let threshold = networks.decision.threshold;
            let enrolled = store::enrol(&store, &networks.finder(), name, faces, threshold)?;
            Ok((enrolled, refused))
        })??;
        let refused: Vec<RefusedPhoto> = refused
            .into_iter()
            .map(|(photo, error)| RefusedPhoto {
                photo,
                problem: with_causes(&error),
            })
            .collect();
        let (resembles, similarity) = enrolled.resembles.unzip();
        Ok(EnrolReport {
            name: name.to_owned(),
            added: enrolled.added,
            known: enrolled.known,
            photos: enrolled.photos,
            refused: Tuple::new(py, refused)?,
            resembles,
            similarity,
        })
    }

    /// Whose the faces of a picture are, the surest first.
    ///
    /// `picture` is a path, the bytes of a picture file, a NumPy array (`uint8`, `[height, width]` of
    /// brightness or `[height, width, 3]` of colours) or a Frame. `channels` is the order of the
    /// colours in an array, `rgb`, or `bgr` as OpenCV has it.
    #[pyo3(signature = (picture, *, channels="rgb"))]
    fn identify(
        &self,
        py: Python<'_>,
        picture: &Bound<'_, PyAny>,
        channels: &str,
    ) -> Result<Vec<Py<FaceMatch>>> {
        let networks = self.networks()?;
        let store = self.store(py)?;
        let given = Given::take(picture, Order::parse(channels)?, "given")?;
        let found = work::run(py, &Stop::default(), || networks.identify(&store, &given))??;
        let found = found.into_iter().map(|(face, who)| {
            let face = PyClassInitializer::from(Face::new(face));
            Py::new(py, face.add_subclass(FaceMatch { who }))
        });
        Ok(found.collect::<PyResult<_>>()?)
    }

    /// Who is enrolled, by name.
    fn people(&self, py: Python<'_>) -> Result<Vec<Person>> {
        self.people_of(py)
    }

    fn __len__(&self, py: Python<'_>) -> Result<usize> {
        Ok(self.people_of(py)?.len())
    }

    fn __contains__(&self, py: Python<'_>, name: &str) -> Result<bool> {
        Ok(self.people_of(py)?.iter().any(|person| person.name == name))
    }

    /// Forgets somebody, with all photographs, of which it gives the number. Events that name them
    /// stay: `keepwatch face purge-events` deletes those.
    #[pyo3(signature = (name, /))]
    fn remove(&self, py: Python<'_>, name: &str) -> Result<usize> {
        let store = self.writable(py)?;
        let removed = work::run(py, &Stop::default(), || store::remove(&store, name))??;
        removed.map_or_else(|| Err(nobody(py, name)?), Ok)
    }

    /// Enrols everybody anew with the model that is used now, after another one was used before.
    /// Whose photographs were not kept, as those of SecureVision, is lost, as the report says.
    fn refresh(&self, py: Python<'_>) -> Result<RefreshReport> {
        let networks = self.networks()?;
        let store = self.writable(py)?;
        let refreshed = work::run(py, &Stop::default(), || {
            store::refresh(&store, networks.finder().embedder())
        })??;
        let (model, people, lost) = match refreshed {
            Some(done) => (done.model, done.people, done.lost),
            None => (networks.model, 0, Vec::new()),
        };
        Ok(RefreshReport {
            model: model.to_string(),
            people,
            lost: Tuple::new(py, lost)?,
        })
    }

    /// Adds the people of a gallery of SecureVision, `gallery.npz`. It must be of the same embedder:
    /// the file does not say of which it is.
    #[pyo3(signature = (path, /))]
    fn import_npz(&self, py: Python<'_>, path: FilePath) -> Result<GalleryImport> {
        let networks = self.networks()?;
        let store = self.writable(py)?;
        let (people, added) = work::run(py, &Stop::default(), || -> Result<_> {
            let people = securevision::read(&read(&path)?)
                .map_err(|error| Raise::value("path", format!("{}: {error}", path.display())))?;
            let lengths = people.iter().map(|(_, embedding)| embedding.values().len());
            if let Some(other) = lengths.into_iter().find(|len| *len != networks.dimensions) {
                let problem = format!(
                    "{}: its faces have {other} numbers, and those of the embedder {}",
                    path.display(),
                    networks.dimensions
                );
                return Err(Raise::value("path", problem));
            }
            let count = people.len();
            let added = store::import(&store, &networks.finder(), people, Timestamp::now())?;
            Ok((count, added))
        })??;
        Ok(GalleryImport { people, added })
    }

    /// The SHA-256 of the model that makes numbers of faces, in hexadecimal digits, if there is one.
    #[getter]
    fn model(&self) -> Option<String> {
        let networks = self.networks.as_ref()?;
        Some(networks.model.to_string())
    }

    /// The least similarity with somebody that is enough, if there are networks.
    #[getter]
    fn threshold(&self) -> Option<f32> {
        Some(self.networks.as_ref()?.decision.threshold)
    }

    fn __repr__(&self) -> String {
        let path = self.store.get().place().display().to_string();
        format!("FaceGallery({path:?})")
    }
}

/// Whose the faces of a picture are: `gallery.identify(picture)`.
#[pyfunction]
#[pyo3(signature = (picture, gallery, *, channels="rgb"))]
pub fn identify(
    py: Python<'_>,
    picture: &Bound<'_, PyAny>,
    gallery: &Bound<'_, FaceGallery>,
    channels: &str,
) -> Result<Vec<Py<FaceMatch>>> {
    gallery.get().identify(py, picture, channels)
}

fn nobody(py: Python<'_>, name: &str) -> Result<Raise> {
    let text = format!("nobody is enrolled as {name:?}");
    let error = errors::make(py, "PersonNotFoundError", &text, None)?;
    Ok(Raise::Python(error))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(Raise::file("read", path))?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(Raise::value(
            "path",
            format!("{} is longer than any gallery", path.display()),
        )),
        false => Ok(bytes),
    }
}
