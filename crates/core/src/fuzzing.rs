//! Entry points for the fuzz targets: each takes bytes that a hostile repository may hold.
//!
//! Beside *no crash* each checks what must hold of bytes that are accepted: reading, writing and
//! reading again gives the same, and an authenticated object that was changed is refused.

use std::sync::LazyLock;

use keepwatch_crypto::{Cipher, Credential, Key, Lock, SecretKey, Suite};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::compress::Expander;
use crate::config::{Config, MAX_CHUNK, Padding};
use crate::fs::{ExcludesBuilder, Ignore};
use crate::id::Id;
use crate::index::{BlobKind, Encoding, Segment};
use crate::keyring::{Epoch, Keyring, Role};
use crate::keyslot::KeySlot;
use crate::object::{self, Header, Session};
use crate::pack::{
    BLOB_HEAD, BLOB_TAIL, BlobCipher, BlobInfo, PackBuilder, PackedBlob, parse_pack,
};
use crate::repository::to_json;
use crate::snapshot::{GcRecord, Pending, Snapshot, Trashed};
use crate::storage::ObjectKind;
use crate::tree::{TreeDecoder, TreeWriter};

const REPOSITORY: [u8; 16] = [1; 16];
const SUITE: Suite = Suite::XChaCha20Poly1305;
const OBJECT: &str = "an object";

/// A keyring that is the same in every run.
static RING: LazyLock<Keyring> = LazyLock::new(|| {
    let secret = SecretKey::from_bytes([4; 32]);
    Keyring {
        config: Id::ZERO,
        id_key: Key::from_bytes([1; 32]),
        chunker_key: Key::from_bytes([2; 32]),
        slot_master: Some(Key::from_bytes([3; 32])),
        epochs: vec![Epoch {
            number: 1,
            public: secret.public(),
            secret: Some(secret),
            index_key: Key::from_bytes([5; 32]),
        }],
    }
});

/// Changes `valid` as `edits` say: position and difference, three bytes each, then perhaps a cut.
fn edited(valid: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    let triples = edits.chunks_exact(3);
    let rest = triples.remainder();
    for triple in triples {
        let at = usize::from(u16::from_le_bytes([triple[0], triple[1]])) % bytes.len();
        bytes[at] ^= triple[2];
    }
    if let [cut, ..] = rest {
        bytes.truncate(bytes.len() - usize::from(*cut) % bytes.len());
    }
    bytes
}

/// The `config` object.
pub fn config(bytes: &[u8]) {
    if let Ok(config) = Config::parse(bytes) {
        let again = Config::parse(&config.to_bytes()).expect("what was written can be read");
        assert_eq!(again, config);
    }
}

/// Key slots, as they are, and a valid one that was changed.
pub fn key_slot(bytes: &[u8]) {
    static KEY: LazyLock<Key> = LazyLock::new(|| Key::from_bytes([6; 32]));
    static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let lock = Lock::KeyFile(&KEY);
        let slot = KeySlot::create(&lock, SUITE, &REPOSITORY, Role::Full, "fuzzing", 1, &RING);
        slot.expect("a key file needs no derivation")
            .bytes()
            .to_vec()
    });
    // A passphrase would derive keys at the cost that the bytes name; what bounds it is in `parse`.
    let credential = Credential::KeyFile(KEY.clone());
    let changed = edited(&VALID, bytes);
    for bytes in [bytes.to_vec(), changed] {
        let unchanged = bytes == *VALID;
        if let Ok(slot) = KeySlot::parse(bytes, &REPOSITORY) {
            let opened = slot.open(&credential);
            assert_eq!(matches!(opened, Ok(Some(_))), unchanged);
        }
    }
}

/// What a key slot holds.
pub fn keyring(bytes: &[u8]) {
    for role in [Role::Full, Role::Writer] {
        if let Ok(ring) = Keyring::from_json(bytes, role) {
            let json = ring.to_json(role).expect("it has what its role has");
            let again = Keyring::from_json(&json, role).expect("what was written can be read");
            assert_eq!(*again.to_json(role).expect("as before"), *json);
        }
    }
}

/// Objects of every type, as they are, and valid ones that were changed.
pub fn object(bytes: &[u8]) {
    static VALID: LazyLock<Vec<(ObjectKind, Vec<u8>)>> = LazyLock::new(|| {
        let plain = b"plaintext";
        let indexed = object::seal_indexed(ObjectKind::Index, SUITE, &REPOSITORY, &RING, plain);
        let session = Session::start(SUITE, REPOSITORY, RING.current()).expect("randomness");
        let snapshot = session.seal(ObjectKind::Snapshot, plain);
        vec![
            (ObjectKind::Index, indexed.expect("it is short")),
            (ObjectKind::Snapshot, snapshot.expect("it is short")),
        ]
    });
    for kind in [
        ObjectKind::Index,
        ObjectKind::Snapshot,
        ObjectKind::Pending,
        ObjectKind::Gc,
        ObjectKind::Trash,
    ] {
        let _ = object::open(bytes, kind, &REPOSITORY, &RING, OBJECT);
    }
    for (kind, valid) in &*VALID {
        let changed = edited(valid, bytes);
        let opened = object::open(&changed, *kind, &REPOSITORY, &RING, OBJECT);
        assert_eq!(opened.is_ok(), changed == *valid);
    }
}

/// Whole packs, as they are, and a valid one that was changed.
pub fn pack(bytes: &[u8]) {
    static VALID: LazyLock<(Vec<u8>, Vec<PackedBlob>)> = LazyLock::new(valid_pack);
    let _ = parse_pack(bytes, &REPOSITORY, &RING, OBJECT);
    let (valid, blobs) = &*VALID;
    let changed = edited(valid, bytes);
    // What is changed in a blob is found when the blob is opened, or by the pack's name.
    if let Ok((header, found)) = parse_pack(&changed, &REPOSITORY, &RING, OBJECT) {
        assert_eq!(&found, blobs);
        assert_eq!(header.bytes(), &valid[..header.bytes().len()]);
    }
}

fn valid_pack() -> (Vec<u8>, Vec<PackedBlob>) {
    let session = Session::start(SUITE, REPOSITORY, RING.current()).expect("randomness");
    let header = session.header(ObjectKind::Pack).expect("randomness");
    let cipher = BlobCipher::new(SUITE, REPOSITORY, session.epoch(), session.key());
    let mut builder = PackBuilder::new(&header, Vec::new());
    for kind in [BlobKind::Data, BlobKind::Tree] {
        let info = BlobInfo {
            id: Id::of(&[kind as u8]),
            kind,
            encoding: Encoding::Raw,
            raw_len: 8,
        };
        let mut sealed = vec![7; BLOB_HEAD + 8 + BLOB_TAIL];
        cipher.seal(&info, &mut sealed).expect("randomness");
        builder.push(info, &sealed);
    }
    let finished = builder.finish(SUITE, &RING, session.epoch(), Padding::None);
    let (_, bytes, blobs) = finished.expect("randomness");
    (bytes, blobs)
}

/// The list in a pack's trailer, authentic and hostile: what a stolen writer key can make.
pub fn pack_trailer(list: &[u8]) {
    let session = Session::start(SUITE, REPOSITORY, RING.current()).expect("randomness");
    let mut bytes = session.header(ObjectKind::Pack).expect("randomness");
    let header = Header::parse(&bytes, ObjectKind::Pack, &REPOSITORY, OBJECT).expect("just made");
    let key = RING
        .current()
        .index_key
        .derive(crate::pack::TRAILER_CONTEXT);
    let sealed = Cipher::new(SUITE, &key)
        .seal(header.bytes(), list)
        .expect("randomness");
    let header_len = header.bytes().len();
    // Room for blobs, so that some lengths are possible.
    bytes.resize(header_len + 4096, 0);
    let trailer_at = bytes.len();
    bytes.extend_from_slice(&object::commitment(&key));
    bytes.extend_from_slice(&sealed);
    bytes.extend_from_slice(&((sealed.len() + 32) as u32).to_le_bytes());
    if let Ok((_, blobs)) = parse_pack(&bytes, &REPOSITORY, &RING, OBJECT) {
        let mut end = header_len;
        for blob in blobs {
            assert_eq!(blob.offset as usize, end);
            end += blob.stored_len as usize;
            assert!(end <= trailer_at && blob.info.raw_len <= MAX_CHUNK);
        }
    }
}

/// The plaintext of an index object.
pub fn segment(bytes: &[u8]) {
    if let Ok(segment) = Segment::decode(bytes) {
        assert_eq!(segment.encode(), bytes);
    }
}

/// A tree chunk.
pub fn tree(bytes: &[u8]) {
    let Ok(nodes) = TreeDecoder::new().decode_chunk(bytes) else {
        return;
    };
    let mut writer = TreeWriter::new();
    let mut chunks = Vec::new();
    for node in &nodes {
        chunks.extend(writer.push(node).expect("what was read can be written"));
    }
    chunks.extend(writer.finish());
    let mut decoder = TreeDecoder::new();
    let mut again = Vec::new();
    for chunk in chunks {
        again.extend(
            decoder
                .decode_chunk(&chunk)
                .expect("what was written can be read"),
        );
    }
    assert_eq!(again, nodes);
}

/// The JSON of snapshots, trash, pending and collector objects.
pub fn records(bytes: &[u8]) {
    record::<Snapshot>(bytes);
    record::<Trashed>(bytes);
    record::<Pending>(bytes);
    record::<GcRecord>(bytes);
}

fn record<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<T>(bytes) {
        let json = to_json(&record);
        let again: T = serde_json::from_slice(&json).expect("what was written can be read");
        assert_eq!(to_json(&again), json);
    }
}

/// A compressed chunk, after three bytes that say how long it is, at most 1 MiB.
pub fn expand(bytes: &[u8]) {
    let Some((len, data)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let raw_len = u32::from_le_bytes([len[0], len[1], len[2] & 0xf, 0]) as usize;
    let mut plain = Vec::new();
    let mut expander = Expander::new().expect("memory");
    if expander.expand(data, raw_len, &mut plain).is_ok() {
        assert_eq!(plain.len(), raw_len);
    }
}

/// Exclude patterns of the user, and `.gitignore` files that lie in what is backed up.
pub fn patterns(bytes: &[u8]) {
    let ignore = Ignore::parse(b"/home", bytes);
    let _ = ignore.matches(b"/home/a/b.txt", false);
    let _ = ignore.matches(bytes, true);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut builder = ExcludesBuilder::new();
    if let Ok(with) = ExcludesBuilder::new().file_lines(text) {
        builder = with;
    }
    if let Ok(excludes) = builder.build() {
        let _ = excludes.matches(b"/home/a/b.txt", false, 1);
        let _ = excludes.covers(b"/home/a/b.txt", true, 1);
        let _ = excludes.matches(bytes, true, u64::MAX);
    }
}

/// Rows of the event store: names of media files, events, segments, checkpoints and gaps.
pub fn event_row(bytes: &[u8]) {
    crate::events::fuzzing::row(bytes);
}

/// Evidence bundles, as they are, and a valid one that was changed.
pub fn evidence_bundle(bytes: &[u8]) {
    static VALID: LazyLock<Vec<u8>> = LazyLock::new(crate::events::fuzzing::bundle);
    let changed = edited(&VALID, bytes);
    let _ = crate::events::verify_bundle(bytes, None);
    let opened = crate::events::verify_bundle(&changed[..], None);
    assert_eq!(opened.is_ok(), changed == *VALID);
}

/// The address of a database as it is, and one with a password around a mark that nobody may see.
#[cfg(feature = "postgres")]
pub fn postgres_url(bytes: &[u8]) {
    use crate::events::PostgresUrl;
    const MARK: &str = "Zq7wX";
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let shown = |text: &str| match text.parse::<PostgresUrl>() {
        Ok(url) => format!("{url} {url:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    let _ = shown(text);
    if text.contains(MARK) {
        return;
    }
    let half = (0..=text.len() / 2)
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let (before, after) = text.split_at(half.unwrap_or(0));
    // In the password, wherever that may stand. What ends it early ends what is secret.
    let inside = |text: &str| !text.contains(['@', '/', '?', '#', '&', ':', ',']);
    if inside(before) && inside(after) {
        for address in [
            format!("postgres://ann:{before}{MARK}{after}@db/events"),
            format!("postgres://ann:{before}{MARK}{after}@db:{before}/events"),
            format!("postgresql://db/events?user=ann&password={before}{MARK}{after}"),
            format!("postgres://db/events?password={before}{MARK}{after}&sslmode={after}"),
        ] {
            let shown = shown(&address);
            assert!(!shown.contains(MARK), "{shown}");
        }
    }
}

/// Parity objects.
pub fn parity(bytes: &[u8]) {
    crate::parity::parity_object(bytes);
}
