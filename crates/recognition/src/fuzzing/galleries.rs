//! Galleries of faces, and photographs to enrol.

use crate::face::{Gallery, securevision};
use crate::photo;

/// The most pixels of a photograph here, so that a run is not one large photograph.
const MAX_PIXELS: usize = 1 << 20;

/// A gallery, as it is in an event store once it is decrypted: what is read is written the same.
pub fn gallery(bytes: &[u8]) {
    let Ok(gallery) = Gallery::from_bytes(bytes) else {
        return;
    };
    for person in gallery.people() {
        assert!(!person.name.trim().is_empty());
        for photo in &person.photos {
            assert_eq!(photo.embedding.values().len(), gallery.dimensions());
        }
    }
    let written = gallery.to_bytes();
    let again = Gallery::from_bytes(&written).expect("it was written by us");
    assert_eq!(again.to_bytes(), written);
}

/// A gallery of SecureVision.
pub fn securevision_gallery(bytes: &[u8]) {
    let Ok(people) = securevision::read(bytes) else {
        return;
    };
    for (_, embedding) in people {
        let length: f32 = embedding.values().iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
    }
}

/// A photograph.
pub fn photograph(bytes: &[u8]) {
    if let Ok(picture) = photo::decode_up_to(bytes, "a photograph", MAX_PIXELS as u64) {
        assert!(picture.width() > 0 && picture.height() > 0);
        assert!(picture.width() * picture.height() <= MAX_PIXELS);
    }
}
