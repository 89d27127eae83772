//! What the fuzz targets need of the event store's inner parts.

use ed25519_dalek::SigningKey;
use jiff::Timestamp;

use super::bundle::Manifest;
use super::chain::{Chain, Checkpoint, Gap, Head, RecordKind};
use super::header::Header;
use super::media::MediaName;
use super::model::{Event, EventId, EventKind, Segment};
use super::slots::StoredSlot;
use super::verify::media_of;

/// What a hostile database or folder may hold in one place.
pub(crate) fn row(bytes: &[u8]) {
    for kind in 0..6 {
        let _ = media_of(RecordKind::from_number(kind), bytes);
    }
    if let Ok(event) = serde_json::from_slice::<Event>(bytes) {
        let again = serde_json::to_vec(&event).expect("an event is plain JSON");
        let again: Event = serde_json::from_slice(&again).expect("what was written can be read");
        assert_eq!(again.id, event.id);
    }
    let _ = serde_json::from_slice::<Segment>(bytes);
    let _ = serde_json::from_slice::<Checkpoint>(bytes);
    let _ = serde_json::from_slice::<Gap>(bytes);
    let _ = Header::parse(bytes);
    let _ = StoredSlot::parse("main", bytes.to_vec(), &[1; 16]);
    if let Ok(path) = std::str::from_utf8(bytes) {
        if let Some(name) = MediaName::parse(path) {
            assert_eq!(name.path(), path);
            assert!(!path.split('/').any(|part| part == ".."));
        }
        let _ = MediaName::parse_part(path);
    }
}

/// A valid bundle without files, the same in every run.
pub(crate) fn bundle() -> Vec<u8> {
    let key = SigningKey::from_bytes(&[9; 32]);
    let chain = Chain::new([1; 16]);
    let at = Timestamp::UNIX_EPOCH;
    let event = Event {
        id: EventId::from_bytes([2; 16]),
        camera: "door".to_owned(),
        kind: EventKind::Motion,
        started_at: at,
        ended_at: None,
        observations: Vec::new(),
        snapshot: None,
        clip: None,
        reason: None,
        details: None,
    };
    let event = serde_json::to_string(&event).expect("an event is plain JSON");
    let salt = [3; 32];
    let start = chain.start();
    let digest = chain.digest(&salt, RecordKind::Event, event.as_bytes());
    let head = Head {
        seq: 1,
        link: chain.link(&start.link, 1, &digest),
    };
    let manifest = Manifest {
        store: chain.store,
        signer: key.verifying_key().to_bytes(),
        exported_at: at,
        seq: 1,
        salt,
        link_before: start.link,
        event,
        steps: Vec::new(),
        checkpoint: chain.sign(head, at, &key),
        parts: Vec::new(),
    };
    manifest.to_bytes(&key).expect("it is short")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    #[test]
    fn the_bundle_that_is_changed_verifies_unchanged() {
        crate::events::verify_bundle(&super::bundle()[..], None).unwrap();
    }
}
