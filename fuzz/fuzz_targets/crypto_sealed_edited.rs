//! A valid sealed file that was changed: it opens to what was sealed, or it does not open.
#![no_main]

use std::io::{Cursor, ErrorKind, Read};
use std::sync::LazyLock;

use keepwatch_crypto::sealed::{SealOptions, SealedReader, open_at, open_stream, seal_stream};
use keepwatch_crypto::{Credential, Key, Lock, Suite};
use libfuzzer_sys::fuzz_target;

const PLAIN: [u8; 10_000] = [42; 10_000];

static KEY: LazyLock<Key> = LazyLock::new(|| Key::from_bytes([1; 32]));
static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let options = SealOptions {
        suite: Suite::XChaCha20Poly1305,
        chunk_size_log2: 12,
    };
    let mut sealed = Vec::new();
    seal_stream(&PLAIN[..], &mut sealed, &[Lock::KeyFile(&KEY)], options, 1).expect("sealed");
    sealed
});

// Each edit is a position and a difference, three bytes; one byte more cuts, two bytes more append.
fuzz_target!(|edits: &[u8]| {
    let mut bytes = SEALED.clone();
    let triples = edits.chunks_exact(3);
    match triples.remainder() {
        [cut] => bytes.truncate(bytes.len() - usize::from(*cut) * 41 % bytes.len()),
        [a, b] => bytes.extend_from_slice(&[*a, *b]),
        _ => {}
    }
    for edit in triples {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
        bytes[at] ^= edit[2];
    }
    let credential = Credential::KeyFile(KEY.clone());
    let unchanged = bytes == *SEALED;

    let mut plain = Vec::new();
    let opened = open_stream(&bytes[..], &mut plain, &credential, 1);
    assert_eq!(opened.is_ok(), unchanged);
    assert!(PLAIN.starts_with(&plain));

    let mut plain = Vec::new();
    let read = SealedReader::open(Cursor::new(&bytes), &credential)
        .map_err(|_| ())
        .and_then(|mut reader| reader.read_to_end(&mut plain).map_err(|_| ()));
    assert_eq!(read.is_ok(), unchanged);
    assert!(PLAIN.starts_with(&plain));

    let read_at = |out: &mut [u8], at: u64| {
        let part = bytes.get(at as usize..at as usize + out.len());
        out.copy_from_slice(part.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    };
    // Each part is authentic before it is handed out, in whatever order.
    let write_at = |part: &[u8], at: u64| {
        assert!(PLAIN[at as usize..].starts_with(part));
        Ok(())
    };
    let opened = open_at(bytes.len() as u64, read_at, write_at, &credential, 1);
    assert_eq!(opened.is_ok(), unchanged);
});
