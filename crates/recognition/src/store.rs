//! The gallery of an event store, which is encrypted with the store's key.

use keepwatch_core::events::{PrivateStamp, Store};
use keepwatch_core::jiff::Timestamp;

use crate::error::Result;
use crate::face::{Added, Embedder, Embedding, FaceFinder, Gallery, Index, Photo};
use crate::infer::Digest;

/// Its name among the private files of the store.
const NAME: &str = "faces";

/// Reads the gallery. None if nobody was enrolled ever.
///
/// # Errors
/// [`Error::Store`](crate::Error::Store), and [`Error::Gallery`](crate::Error::Gallery) for what is none.
pub fn read_gallery(store: &Store) -> Result<Option<Gallery>> {
    let bytes = store.read_private(NAME)?;
    bytes.map(|bytes| Gallery::from_bytes(&bytes)).transpose()
}

/// Reads the gallery to compare faces with that `model` embeds. Where nobody is enrolled, nobody is
/// found.
///
/// # Errors
/// As [`read_gallery`], and [`Error::OtherModel`](crate::Error::OtherModel).
pub fn read_index(store: &Store, model: Digest) -> Result<Index> {
    match read_gallery(store)? {
        Some(gallery) if !gallery.people().is_empty() => {
            gallery.check_model(model)?;
            Ok(Index::new(&gallery))
        }
        _ => Ok(Index::default()),
    }
}

/// Changes the gallery: `change` gets what there is, changes it or puts another in its place, and
/// says something of it. Who is removed is in no file of the store any more.
///
/// # Errors
/// As [`read_gallery`], and whatever `change` says: then nothing has changed.
pub fn change_gallery<T>(
    store: &Store,
    change: impl FnOnce(&mut Option<Gallery>) -> Result<T>,
) -> Result<T> {
    let mut said = None;
    store.change_private(NAME, |bytes| -> Result<Option<Vec<u8>>> {
        let mut gallery = bytes.map(Gallery::from_bytes).transpose()?;
        said = Some(change(&mut gallery)?);
        Ok(gallery.as_ref().map(Gallery::to_bytes))
    })?;
    Ok(said.expect("it was changed"))
}

/// Which state of the gallery there is: another one after each change.
///
/// # Errors
/// [`Error::Store`](crate::Error::Store).
pub fn gallery_stamp(store: &Store) -> Result<Option<PrivateStamp>> {
    Ok(store.private_stamp(NAME)?)
}

/// What became of photographs of somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrolled {
    /// Photographs that were added.
    pub added: usize,
    /// Photographs that were there.
    pub known: usize,
    /// Photographs that the person has now.
    pub photos: usize,
    /// Somebody else whom the person looks like, and how similar they are: who is enrolled twice is
    /// recognised as neither.
    pub resembles: Option<(String, f32)>,
}

/// Adds photographs of somebody, who may be new, that `finder` made
/// ([`FaceFinder::enrol`]). Somebody else is alike from the similarity `threshold` on.
///
/// # Errors
/// As [`read_gallery`] and [`Gallery::add`], and [`Error::OtherModel`](crate::Error::OtherModel): then nothing has changed.
pub fn enrol(
    store: &Store,
    finder: &FaceFinder,
    name: &str,
    photos: Vec<Photo>,
    threshold: f32,
) -> Result<Enrolled> {
    change_gallery(store, |gallery| {
        let gallery = gallery_of(gallery, finder)?;
        let mut enrolled = Enrolled {
            added: 0,
            known: 0,
            photos: 0,
            resembles: None,
        };
        for photo in photos {
            let alike = gallery.lookalike(name, &photo.embedding, threshold);
            if let Some((name, similarity)) = alike {
                enrolled.resembles = Some((name.to_owned(), similarity));
            }
            match gallery.add(name, photo)? {
                Added::New => enrolled.added += 1,
                Added::Known => enrolled.known += 1,
            }
        }
        let person = gallery.person(name);
        enrolled.photos = person.map_or(0, |person| person.photos.len());
        Ok(enrolled)
    })
}

/// Adds people of whom there are only embeddings, of the model of `finder`. Gives how many of them
/// are new.
///
/// # Errors
/// As [`enrol`].
pub fn import(
    store: &Store,
    finder: &FaceFinder,
    people: Vec<(String, Embedding)>,
    at: Timestamp,
) -> Result<usize> {
    change_gallery(store, |gallery| {
        let gallery = gallery_of(gallery, finder)?;
        let mut added = 0;
        for (name, embedding) in people {
            let photo = Photo {
                added: at,
                embedding,
                face: Vec::new(),
            };
            added += usize::from(gallery.add(&name, photo)? == Added::New);
        }
        Ok(added)
    })
}

/// The gallery, for what `finder` embeds. One without people may have been of any model.
fn gallery_of<'a>(
    gallery: &'a mut Option<Gallery>,
    finder: &FaceFinder,
) -> Result<&'a mut Gallery> {
    let empty = || Gallery::new(finder.model(), finder.dimensions());
    let gallery = gallery.get_or_insert_with(empty);
    if gallery.people().is_empty() {
        *gallery = empty();
    }
    gallery.check_model(finder.model())?;
    Ok(gallery)
}

/// Forgets somebody. Gives how many photographs there were; none if nobody has that name.
///
/// # Errors
/// As [`change_gallery`].
pub fn remove(store: &Store, name: &str) -> Result<Option<usize>> {
    change_gallery(store, |gallery| {
        let removed = gallery.as_mut().and_then(|gallery| gallery.remove(name));
        if gallery
            .as_ref()
            .is_some_and(|gallery| gallery.people().is_empty())
        {
            *gallery = None;
        }
        Ok(removed)
    })
}

/// What became of a gallery that was embedded anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Refreshed {
    /// The model that it is of now.
    pub model: Digest,
    /// How many people are in it.
    pub people: usize,
    /// Who has lost photographs, and how many.
    pub lost: Vec<(String, usize)>,
}

/// Embeds all faces anew with another model, as [`Gallery::reembed`]. None if nobody is enrolled.
///
/// # Errors
/// As [`change_gallery`], and [`Error::Inference`](crate::Error::Inference).
pub fn refresh(store: &Store, embedder: &mut dyn Embedder) -> Result<Option<Refreshed>> {
    change_gallery(store, |gallery| {
        let Some(gallery) = gallery else {
            return Ok(None);
        };
        let lost = gallery.reembed(embedder)?;
        Ok(Some(Refreshed {
            model: gallery.model(),
            people: gallery.people().len(),
            lost,
        }))
    })
}
