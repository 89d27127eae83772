//! The people who are known, with what their faces look like.
//!
//! A gallery is kept as bytes of this form (numbers are little-endian), which whoever stores it
//! encrypts:
//!
//! ```text
//! "KWGA"  u8 version 1  3 bytes 0
//! 32 bytes SHA-256 of the model  u32 dimensions  u32 people
//! each person: u16 length of the name, the name in UTF-8, u32 photographs
//! each photograph: i64 seconds since 1970, dimensions x f32, u32 length of the face, the face as JPEG
//! ```

use keepwatch_core::jiff::Timestamp;

use super::align::ALIGNED;
use super::embed::{Embedder, Embedding, cosine};
use crate::error::{Error, Result};
use crate::infer::Digest;
use crate::photo;
use crate::picture::{Channels, Picture, View};

const MAGIC: &[u8; 8] = b"KWGA\x01\0\0\0";
/// The longest name of a person in bytes.
pub const MAX_NAME: usize = 128;
/// The largest face that is kept, in bytes.
const MAX_FACE: usize = 64 << 10;
/// The most photographs of one person.
pub const MAX_PHOTOS: usize = 1000;
/// Photographs of one person that are as alike as this are one photograph.
const SAME_PHOTO: f32 = 0.9995;

/// A photograph of a person, as far as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// When it was added.
    pub added: Timestamp,
    /// The face in numbers.
    pub embedding: Embedding,
    /// The aligned face as JPEG: with another model, it is embedded anew. Empty where it is not
    /// known.
    pub face: Vec<u8>,
}

impl Photo {
    /// Keeps an aligned face.
    ///
    /// # Errors
    /// [`Error::Photo`] for a face of another size than [`ALIGNED`].
    pub fn new(aligned: View<'_>, embedding: Embedding, added: Timestamp) -> Result<Self> {
        let bad = |problem: String| Error::Photo {
            name: "of a face".to_owned(),
            problem,
        };
        if (aligned.width(), aligned.height()) != (ALIGNED, ALIGNED) {
            return Err(bad("it is not aligned".to_owned()));
        }
        let picture = aligned.to_picture();
        let color = match picture.channels() {
            Channels::Gray => image::ExtendedColorType::L8,
            Channels::Rgb => image::ExtendedColorType::Rgb8,
        };
        let mut face = Vec::new();
        let side = ALIGNED as u32;
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut face, 95)
            .encode(picture.data(), side, side, color)
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            added,
            embedding,
            face,
        })
    }

    fn aligned(&self) -> Option<Picture> {
        let picture = photo::decode(&self.face, "of a face").ok()?;
        (picture.width() == ALIGNED && picture.height() == ALIGNED).then_some(picture)
    }
}

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Photographs of their face.
    pub photos: Vec<Photo>,
}

/// What became of a photograph that was added.
#[derive(Clone, Debug, PartialEq)]
pub enum Added {
    /// It is in the gallery now.
    New,
    /// It was in the gallery.
    Known,
}

/// The people who are known. Embeddings of one model only.
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    model: Digest,
    dimensions: usize,
    people: Vec<Person>,
}

impl Gallery {
    /// An empty one, for what a model embeds.
    pub fn new(model: Digest, dimensions: usize) -> Self {
        Self {
            model,
            dimensions,
            people: Vec::new(),
        }
    }

    /// The model that its faces are embedded with.
    pub fn model(&self) -> Digest {
        self.model
    }

    /// How many numbers an embedding has.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Everybody, by name.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Somebody.
    pub fn person(&self, name: &str) -> Option<&Person> {
        let index = self.place(name).ok()?;
        Some(&self.people[index])
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.people
            .binary_search_by(|person| person.name.as_str().cmp(name))
    }

    /// Refuses a model whose embeddings cannot be compared with those of the gallery.
    ///
    /// # Errors
    /// [`Error::OtherModel`].
    pub fn check_model(&self, model: Digest) -> Result<()> {
        if self.model == model {
            Ok(())
        } else {
            Err(Error::OtherModel {
                gallery: self.model,
                model,
            })
        }
    }

    /// Adds a photograph of somebody, who may be new.
    ///
    /// # Errors
    /// [`Error::Setting`] for a name that cannot be one, or when there are [`MAX_PHOTOS`] of them;
    /// [`Error::Gallery`] for an embedding of another length.
    pub fn add(&mut self, name: &str, photo: Photo) -> Result<Added> {
        check_name(name)?;
        if photo.embedding.values().len() != self.dimensions {
            return Err(Error::gallery("an embedding has another length"));
        }
        let index = match self.place(name) {
            Ok(index) => index,
            Err(index) => {
                let person = Person {
                    name: name.to_owned(),
                    photos: Vec::new(),
                };
                self.people.insert(index, person);
                index
            }
        };
        let photos = &mut self.people[index].photos;
        let same = |known: &Photo| cosine(&known.embedding, &photo.embedding) >= SAME_PHOTO;
        if photos.iter().any(same) {
            return Ok(Added::Known);
        }
        if photos.len() == MAX_PHOTOS {
            return Err(Error::Setting {
                name: "photographs",
                problem: format!("{name} has {MAX_PHOTOS} of them"),
            });
        }
        photos.push(photo);
        Ok(Added::New)
    }

    /// Forgets somebody. Gives how many photographs there were; none if nobody has that name.
    pub fn remove(&mut self, name: &str) -> Option<usize> {
        let index = self.place(name).ok()?;
        Some(self.people.remove(index).photos.len())
    }

    /// Who has a photograph that is as alike as `threshold`, other than `name`: somebody may be
    /// enrolled twice. The most alike, with how much.
    pub fn lookalike(&self, name: &str, face: &Embedding, threshold: f32) -> Option<(&str, f32)> {
        self.people
            .iter()
            .filter(|person| person.name != name)
            .flat_map(|person| {
                let alike = |photo: &Photo| cosine(&photo.embedding, face);
                let photos = person.photos.iter().map(alike);
                photos.map(|similarity| (person.name.as_str(), similarity))
            })
            .filter(|(_, similarity)| *similarity >= threshold)
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Embeds all faces anew with another model. Gives the photographs that could not be: their face
    /// was not kept, or the model makes nothing of it; whoever has no other is no longer known.
    ///
    /// # Errors
    /// [`Error::Inference`]; then nothing has changed.
    pub fn reembed(&mut self, embedder: &mut dyn Embedder) -> Result<Vec<(String, usize)>> {
        let mut anew = Self::new(embedder.model(), embedder.dimensions());
        let mut lost = Vec::new();
        for person in &self.people {
            let mut missing = 0;
            for photo in &person.photos {
                let embedding = match photo.aligned() {
                    Some(face) => embedder.embed(&[face.view()])?.pop().flatten(),
                    None => None,
                };
                match embedding {
                    Some(embedding) => {
                        let photo = Photo {
                            embedding,
                            ..photo.clone()
                        };
                        anew.add(&person.name, photo)?;
                    }
                    None => missing += 1,
                }
            }
            if missing > 0 {
                lost.push((person.name.clone(), missing));
            }
        }
        *self = anew;
        Ok(lost)
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.model.0);
        let number = |out: &mut Vec<u8>, value: usize| {
            out.extend_from_slice(&(value as u32).to_le_bytes());
        };
        number(&mut out, self.dimensions);
        number(&mut out, self.people.len());
        for person in &self.people {
            out.extend_from_slice(&(person.name.len() as u16).to_le_bytes());
            out.extend_from_slice(person.name.as_bytes());
            number(&mut out, person.photos.len());
            for photo in &person.photos {
                out.extend_from_slice(&photo.added.as_second().to_le_bytes());
                for value in photo.embedding.values() {
                    out.extend_from_slice(&value.to_le_bytes());
                }
                number(&mut out, photo.face.len());
                out.extend_from_slice(&photo.face);
            }
        }
        out
    }

    /// Reads what [`Gallery::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Gallery`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut rest = Reader(bytes);
        if rest.take(MAGIC.len())? != MAGIC {
            return Err(Error::gallery("it is none, or of a later version"));
        }
        let model = Digest(rest.take(32)?.try_into().expect("32 bytes"));
        let dimensions = rest.number()?;
        if !super::embed::DIMENSIONS.contains(&dimensions) {
            return Err(Error::gallery("its embeddings have an impossible length"));
        }
        let mut gallery = Self::new(model, dimensions);
        for _ in 0..rest.number()? {
            let length = u16::from_le_bytes(rest.take(2)?.try_into().expect("2 bytes"));
            let name = std::str::from_utf8(rest.take(usize::from(length))?)
                .ok()
                .filter(|name| check_name(name).is_ok())
                .ok_or_else(|| Error::gallery("a name is none"))?;
            let last = gallery.people.last();
            if last.is_some_and(|last| last.name.as_str() >= name) {
                return Err(Error::gallery("its people are out of order"));
            }
            let count = rest.number()?;
            if count > MAX_PHOTOS {
                return Err(Error::gallery("a person has too many photographs"));
            }
            let mut person = Person {
                name: name.to_owned(),
                photos: Vec::new(),
            };
            for _ in 0..count {
                person.photos.push(rest.photo(dimensions)?);
            }
            gallery.people.push(person);
        }
        if !rest.0.is_empty() {
            return Err(Error::gallery("something follows it"));
        }
        Ok(gallery)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| Error::gallery("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize> {
        let bytes = self.take(4)?.try_into().expect("4 bytes");
        Ok(u32::from_le_bytes(bytes) as usize)
    }

    fn photo(&mut self, dimensions: usize) -> Result<Photo> {
        let seconds = i64::from_le_bytes(self.take(8)?.try_into().expect("8 bytes"));
        let added = Timestamp::from_second(seconds)
            .map_err(|_| Error::gallery("the time of a photograph is none"))?;
        let numbers = self.take(dimensions * 4)?.chunks_exact(4);
        let numbers: Vec<f32> = numbers
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
            .collect();
        let embedding =
            Embedding::kept(numbers).ok_or_else(|| Error::gallery("an embedding is none"))?;
        let length = self.number()?;
        if length > MAX_FACE {
            return Err(Error::gallery("a face is too large"));
        }
        Ok(Photo {
            added,
            embedding,
            face: self.take(length)?.to_vec(),
        })
    }
}

/// Names are shown, and are what events are looked for by.
fn check_name(name: &str) -> Result<()> {
    let problem = if name.trim().is_empty() {
        "it is empty"
    } else if name.trim() != name {
        "it begins or ends with a blank"
    } else if name.len() > MAX_NAME {
        "it is longer than 128 bytes"
    } else if name.chars().any(char::is_control) {
        "it has a control character"
    } else {
        return Ok(());
    };
    Err(Error::Setting {
        name: "the name of a person",
        problem: problem.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{Decision, Index};

    fn direction(axis: usize, lean: f32) -> Embedding {
        let mut values = vec![0.0; 16];
        values[axis] = 1.0;
        values[15] += lean;
        Embedding::new(values).expect("it points somewhere")
    }

    fn photo(embedding: Embedding) -> Photo {
        let face = Picture::new(
            vec![99; ALIGNED * ALIGNED],
            ALIGNED,
            ALIGNED,
            Channels::Gray,
        )
        .expect("it fits");
        Photo::new(face.view(), embedding, Timestamp::UNIX_EPOCH).expect("it is aligned")
    }

    fn gallery() -> Gallery {
        let mut gallery = Gallery::new(Digest::of(b"model"), 16);
        for (name, axis, lean) in [("Zoë", 0, 0.0), ("Ada", 1, 0.0), ("Ada", 1, 0.5)] {
            let added = gallery.add(name, photo(direction(axis, lean)));
            assert_eq!(added.expect("it can be added"), Added::New);
        }
        gallery
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let gallery = gallery();
        let bytes = gallery.to_bytes();
        assert_eq!(Gallery::from_bytes(&bytes).expect("it is one"), gallery);
        for cut in 0..bytes.len() {
            Gallery::from_bytes(&bytes[..cut]).expect_err("it is cut off");
        }
        let mut longer = bytes;
        longer.push(0);
        Gallery::from_bytes(&longer).expect_err("something follows");
    }

    #[test]
    fn a_photograph_is_added_once_and_removed_with_its_person() {
        let mut gallery = gallery();
        let again = gallery.add("Ada", photo(direction(1, 0.0)));
        assert_eq!(again.expect("it can be"), Added::Known);
        assert_eq!(
            gallery.person("Ada").map(|person| person.photos.len()),
            Some(2)
        );
        assert_eq!(gallery.remove("Ada"), Some(2));
        assert_eq!(gallery.remove("Ada"), None);
        let bytes = gallery.to_bytes();
        assert!(!bytes.windows(3).any(|window| window == b"Ada"));
    }

    #[test]
    fn names_that_cannot_be_shown_are_refused() {
        for name in ["", " ", "a\n", "a ", "\u{7}", &"x".repeat(129)] {
            let added = gallery().add(name, photo(direction(3, 0.0)));
            assert!(matches!(added, Err(Error::Setting { .. })), "{name:?}");
        }
        let other = Embedding::new(vec![1.0; 32]).expect("it points somewhere");
        let added = gallery().add("Eve", photo(other));
        assert!(matches!(added, Err(Error::Gallery { .. })));
    }

    #[test]
    fn the_nearest_person_counts_if_near_enough_and_alone() {
        let index = Index::new(&gallery());
        let decision = Decision {
            threshold: 0.5,
            margin: 0.1,
        };
        let identify = |face: &Embedding| index.identify(face, &decision);
        let face = direction(1, 0.2);
        let ada = identify(&face).expect("there are people");
        assert_eq!((ada.person, ada.nearest), (Some("Ada"), "Ada"));
        assert!(ada.second.is_some_and(|second| second < 0.1));
        let face = direction(7, 0.0);
        let stranger = identify(&face).expect("there are people");
        assert_eq!(stranger.person, None, "near to nobody");
        let mut between = vec![0.0; 16];
        (between[0], between[1]) = (1.0, 1.05);
        let between = Embedding::new(between).expect("it points somewhere");
        let unsure = identify(&between).expect("there are people");
        assert_eq!(
            (unsure.person, unsure.nearest),
            (None, "Ada"),
            "near to two"
        );
        assert!(unsure.similarity > 0.7);
        let other = Embedding::new(vec![1.0; 17]).expect("it points somewhere");
        assert_eq!(identify(&other), None);
        assert_eq!(Index::default().identify(&face, &decision), None);
    }

    #[test]
    fn somebody_who_looks_like_another_is_told() {
        let gallery = gallery();
        let face = direction(1, 0.1);
        let found = gallery.lookalike("Eve", &face, 0.5).map(|(name, _)| name);
        assert_eq!(found, Some("Ada"));
        assert_eq!(gallery.lookalike("Ada", &face, 0.5), None);
    }

    struct Other;

    impl Embedder for Other {
        fn dimensions(&self) -> usize {
            32
        }

        fn model(&self) -> Digest {
            Digest::of(b"other")
        }

        fn embed(&mut self, faces: &[View<'_>]) -> Result<Vec<Option<Embedding>>> {
            let embed = |face: &View<'_>| {
                let values = (0..32).map(|i| f32::from(face.row(i)[i]));
                Embedding::new(values.collect())
            };
            Ok(faces.iter().map(embed).collect())
        }
    }

    #[test]
    fn with_another_model_all_faces_are_embedded_anew() {
        let mut gallery = gallery();
        gallery
            .check_model(Other.model())
            .expect_err("it is another");
        gallery.people[1].photos[0].face.clear();
        let lost = gallery.reembed(&mut Other).expect("it computes");
        assert_eq!(lost, [("Zoë".to_owned(), 1)]);
        gallery.check_model(Other.model()).expect("it is this one");
        assert_eq!(gallery.dimensions(), 32);
        // Both faces of hers were the same picture.
        let names: Vec<&str> = gallery.people().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["Ada"]);
    }
}
