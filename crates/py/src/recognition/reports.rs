//! What galleries of faces say of themselves.

use crate::record::{Time, Tuple, record};

record! {
    /// Somebody who is enrolled.
    Person {
        /// Their name.
        name: String,
        /// How many photographs there are of them.
        photos: usize,
        /// When the last of them was added.
        added: Option<Time>,
    }
}

record! {
    /// A photograph that nobody could be enrolled with.
    RefusedPhoto {
        /// Its path, or which one it is.
        photo: String,
        /// Why not.
        problem: String,
    }
}

record! {
    /// What became of photographs of somebody.
    EnrolReport {
        /// Their name.
        name: String,
        /// Photographs that were added.
        added: usize,
        /// Photographs that were there.
        known: usize,
        /// Photographs that the person has now.
        photos: usize,
        /// Those that could not be used.
        refused: Tuple,
        /// Somebody else whom the person looks like: faces between the two are nobody's.
        resembles: Option<String>,
        /// How similar they are.
        similarity: Option<f32>,
    }
}

record! {
    /// What became of a gallery that was made anew.
    RefreshReport {
        /// The SHA-256 of the model that it is of now.
        model: String,
        /// How many people are in it.
        people: usize,
        /// Who has lost photographs: names, each with how many.
        lost: Tuple,
    }
}

record! {
    /// What became of a gallery of SecureVision.
    GalleryImport {
        /// How many people were in it.
        people: usize,
        /// How many of them are new.
        added: usize,
    }
}
