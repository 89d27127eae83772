//! Whose face it is, or nobody's.

use super::embed::Embedding;
use super::gallery::Gallery;

/// When a face is somebody's.
///
/// A face is always nearest to somebody, also a stranger's: the nearest person counts when they are
/// near enough, and clearly nearer than the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The least similarity (cosine, -1 to 1).
    pub threshold: f32,
    /// How much less similar the second person must be.
    pub margin: f32,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            threshold: 0.42,
            margin: 0.05,
        }
    }
}

/// The nearest person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identity<'a> {
    /// Their name, if it is them.
    pub person: Option<&'a str>,
    /// The name of the nearest, whether it is them or not.
    pub nearest: &'a str,
    /// How alike they are: the best of their photographs.
    pub similarity: f32,
    /// The same of the second person, if there is one.
    pub second: Option<f32>,
}

/// The embeddings of a gallery, laid out to be compared with.
#[derive(Clone, Debug, Default)]
pub struct Index {
    names: Vec<String>,
    /// One row after the other.
    rows: Vec<f32>,
    /// Whose each row is; the rows of a person stand together.
    people: Vec<u32>,
    dimensions: usize,
}

impl Index {
    /// That of a gallery.
    pub fn new(gallery: &Gallery) -> Self {
        let mut index = Self {
            dimensions: gallery.dimensions(),
            ..Self::default()
        };
        for person in gallery.people() {
            let number = index.names.len() as u32;
            index.names.push(person.name.clone());
            for photo in &person.photos {
                index.rows.extend_from_slice(photo.embedding.values());
                index.people.push(number);
            }
        }
        index
    }

    /// How many photographs it has.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Finds the nearest person. None in an empty gallery, or for an embedding of another length.
    pub fn identify(&self, face: &Embedding, decision: &Decision) -> Option<Identity<'_>> {
        let face = face.values();
        if self.is_empty() || face.len() != self.dimensions {
            return None;
        }
        let (mut best, mut second) = ((0, f32::NEG_INFINITY), f32::NEG_INFINITY);
        let rows = self.rows.chunks_exact(self.dimensions);
        for (row, &person) in rows.zip(&self.people) {
            let similarity = dot(row, face);
            if similarity > best.1 {
                if best.0 != person {
                    second = best.1;
                }
                best = (person, similarity);
            } else if person != best.0 && similarity > second {
                second = similarity;
            }
        }
        let nearest = self.names[best.0 as usize].as_str();
        let second = second.is_finite().then_some(second);
        let far_from_second = second.is_none_or(|second| best.1 - second >= decision.margin);
        let sure = best.1 >= decision.threshold && far_from_second;
        Some(Identity {
            person: sure.then_some(nearest),
            nearest,
            similarity: best.1,
            second,
        })
    }
}

/// Sixteen sums beside each other, for the compiler to keep in registers: one alone waits for each
/// of its additions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}
