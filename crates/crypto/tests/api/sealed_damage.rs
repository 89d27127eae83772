//! Whatever is done to a sealed file, it does not open, and what was handed out before the damage is
//! a true prefix.

use std::io::{Cursor, Read};

use keepwatch_crypto::sealed::{Info, SealedReader, StreamReader, open_stream};
use keepwatch_crypto::{Error, Lock, Passphrase, SecretKey, Suite, sealed};
use proptest::prelude::*;

use crate::{CHEAP, disk, key, key_file, pattern, seal, small_chunks};

const CHUNK: usize = 4096;
const STRIDE: usize = CHUNK + 16;

/// Asserts that no way of reading takes this for a whole file.
fn assert_refused(damaged: &[u8], plain: &[u8], what: &str) {
    let credential = key_file(1);
    let mut out = Vec::new();
    let opened = open_stream(damaged, &mut out, &credential, 1);
    assert_clean(&opened.unwrap_err(), what);
    assert!(plain.starts_with(&out), "{what}");

    out.clear();
    match StreamReader::open(damaged, &credential) {
        Err(error) => assert_clean(&error, what),
        Ok(mut reader) => {
            assert!(reader.read_to_end(&mut out).is_err(), "{what}");
            assert!(plain.starts_with(&out), "{what}");
            assert!(
                reader.read(&mut [0]).is_err(),
                "{what}: an error must not turn into an end"
            );
        }
    }

    let opened = disk::open(damaged, &credential, 1);
    assert_clean(&opened.unwrap_err(), what);

    out.clear();
    match SealedReader::open(Cursor::new(damaged), &credential) {
        Err(error) => assert_clean(&error, what),
        Ok(mut reader) => {
            assert!(reader.read_to_end(&mut out).is_err(), "{what}");
            assert!(plain.starts_with(&out), "{what}");
        }
    }
}

fn assert_clean(error: &Error, what: &str) {
    let expected = matches!(
        error,
        Error::Open
            | Error::Malformed { .. }
            | Error::Unsupported { .. }
            | Error::OtherCredential { .. }
    );
    assert!(expected, "{what}: {error:?}");
}

/// A file with a slot of each kind and a little more than a chunk.
fn small_file(suite: Suite) -> (Vec<u8>, Vec<u8>) {
    let plain = pattern(CHUNK + 20);
    let public = SecretKey::from_bytes([3; 32]).public();
    let passphrase = Passphrase::from("passphrase");
    let locks = [
        Lock::Passphrase(&passphrase, CHEAP),
        Lock::Recipient(&public),
        Lock::KeyFile(&key(1)),
    ];
    let mut file = Vec::new();
    sealed::seal_stream(plain.as_slice(), &mut file, &locks, small_chunks(suite), 1).unwrap();
    (file, plain)
}

#[test]
fn every_flipped_bit() {
    for suite in Suite::ALL {
        let (mut file, plain) = small_file(suite);
        for at in 0..file.len() * 8 {
            file[at / 8] ^= 1 << (at % 8);
            assert_refused(&file, &plain, &format!("{suite}, bit {at}"));
            file[at / 8] ^= 1 << (at % 8);
        }
        println!("{suite}: {} bits flipped, none unnoticed", file.len() * 8);
    }
}

#[test]
fn every_truncation() {
    for suite in Suite::ALL {
        let (file, plain) = small_file(suite);
        for len in 0..file.len() {
            assert_refused(&file[..len], &plain, &format!("{suite}, cut to {len}"));
        }
    }
}

/// Header length, plaintext and bytes of a file of three and a half chunks.
fn long_file(byte: u8) -> (usize, Vec<u8>, Vec<u8>) {
    let plain = pattern(3 * CHUNK + CHUNK / 2);
    let file = seal(&plain, &key(byte), small_chunks(Suite::recommended()));
    let header = Info::read(file.as_slice()).unwrap().header_len as usize;
    (header, plain, file)
}

#[test]
fn truncation_at_chunk_boundaries() {
    let (header, plain, file) = long_file(1);
    for chunks in 0..=3 {
        for more in [0, 1, 15, 16, 17] {
            let len = header + chunks * STRIDE + more;
            assert_refused(
                &file[..len],
                &plain,
                &format!("{chunks} chunks and {more} bytes"),
            );
        }
    }
    // A file of whole chunks, cut to fewer of them.
    let plain = pattern(3 * CHUNK);
    let file = seal(&plain, &key(1), small_chunks(Suite::recommended()));
    for chunks in 0..3 {
        assert_refused(&file[..header + chunks * STRIDE], &plain, "whole chunks");
    }
}

#[test]
fn extension() {
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1] {
        let plain = pattern(size);
        let mut file = seal(&plain, &key(1), small_chunks(Suite::recommended()));
        let header = Info::read(file.as_slice()).unwrap().header_len as usize;
        let last = file[header..].chunks(STRIDE).next_back().unwrap().to_vec();
        let len = file.len();
        for more in [1, 15, 16, 17, STRIDE, 2 * STRIDE] {
            file.resize(len + more, 0);
            assert_refused(&file, &plain, &format!("{size} bytes and {more} more"));
            file.truncate(len);
        }
        file.extend_from_slice(&last);
        assert_refused(&file, &plain, "the last chunk twice");
    }
}

#[test]
fn reordering_and_duplication() {
    let (header, plain, file) = long_file(1);
    let chunk = |number: usize| &file[header + number * STRIDE..header + (number + 1) * STRIDE];
    let tail = &file[header + 3 * STRIDE..];
    let head = &file[..header];
    for order in [[1, 0, 2], [0, 2, 1], [0, 0, 2], [2, 1, 0], [0, 1, 1]] {
        let [a, b, c] = order.map(chunk);
        assert_refused(
            &[head, a, b, c, tail].concat(),
            &plain,
            &format!("{order:?}"),
        );
    }
    assert_refused(
        &[head, chunk(0), chunk(2), tail].concat(),
        &plain,
        "one left out",
    );
    assert_refused(&[head, tail].concat(), &plain, "the end alone");
}

#[test]
fn splicing_of_two_files_of_one_owner() {
    let (header, plain, file) = long_file(1);
    let (_, _, other) = long_file(1);
    let mut spliced = file.clone();
    spliced[header..header + STRIDE].copy_from_slice(&other[header..header + STRIDE]);
    assert_refused(&spliced, &plain, "a chunk of another file");
    let spliced = [&file[..header], &other[header..]].concat();
    assert_refused(&spliced, &plain, "the header of another file");
    // The other file's slot, moved here: its file key does not fit this file id.
    let mut spliced = file.clone();
    spliced[36..header - 32].copy_from_slice(&other[36..header - 32]);
    assert_refused(&spliced, &plain, "a slot of another file");
}

#[test]
fn slots_cannot_be_added_or_taken_away() {
    let (file, plain) = small_file(Suite::recommended());
    let header = Info::read(file.as_slice()).unwrap().header_len as usize;
    let first_len = 3 + usize::from(u16::from_le_bytes([file[37], file[38]]));
    let with_header = |slots: &[u8], count: u16| {
        let mut head = file[..36].to_vec();
        head[28..32].copy_from_slice(&((36 + slots.len() + 32) as u32).to_le_bytes());
        head[32..34].copy_from_slice(&count.to_le_bytes());
        [&head, slots, &file[header - 32..]].concat()
    };
    let slots = &file[36..header - 32];
    assert_eq!(with_header(slots, 3), file);
    assert_refused(
        &with_header(&slots[first_len..], 2),
        &plain,
        "one slot fewer",
    );
    let more = [slots, &slots[..first_len]].concat();
    assert_refused(&with_header(&more, 4), &plain, "one slot more");
    assert_refused(&with_header(slots, 2), &plain, "a count too small");
    assert_refused(&with_header(slots, 4), &plain, "a count too large");
}

#[test]
fn threads_find_damage_anywhere() {
    let plain = pattern(9 << 20);
    let mut file = seal(&plain, &key(1), small_chunks(Suite::recommended()));
    for at in (400..file.len()).step_by(777_777) {
        file[at] ^= 0x10;
        for threads in [2, 3] {
            let mut out = Vec::new();
            let opened = open_stream(file.as_slice(), &mut out, &key_file(1), threads);
            assert!(matches!(opened, Err(Error::Open)), "byte {at}");
            assert!(plain.starts_with(&out) && out.len() < plain.len());
            let opened = disk::open(&file, &key_file(1), threads);
            assert!(matches!(opened, Err(Error::Open)), "byte {at}");
            let cut = open_stream(&file[..at], &mut Vec::new(), &key_file(1), threads);
            assert!(matches!(cut, Err(Error::Open)), "cut to {at}");
        }
        file[at] ^= 0x10;
    }
}

#[test]
fn unknown_versions_suites_and_flags_are_named() {
    let (file, _) = small_file(Suite::recommended());
    for (at, expected) in [
        (8, "unsupported version of sealed files: 9"),
        (9, "unsupported cipher suite: 9"),
        (11, "unsupported flags of a sealed file: 589824"),
        (36, "unsupported slot kind: 9"),
    ] {
        let mut changed = file.clone();
        changed[at] = 9;
        assert_eq!(
            Info::read(changed.as_slice()).unwrap_err().to_string(),
            expected
        );
    }
}

#[test]
fn huge_lengths_are_refused_before_they_are_allocated() {
    let (file, _) = small_file(Suite::recommended());
    for (at, bytes) in [
        (28, [0xff; 4]),
        (28, [1, 0, 1, 0]),
        (28, [0; 4]),
        (32, [0xff, 0xff, 0, 0]),
    ] {
        let mut changed = file.clone();
        changed[at..at + 4].copy_from_slice(&bytes);
        assert!(matches!(
            Info::read(changed.as_slice()),
            Err(Error::Malformed { .. })
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_damage_to_any_size(
        len in 0..15_000usize,
        at: proptest::sample::Index,
        flip in 1..=255u8,
        cut: proptest::sample::Index,
    ) {
        let plain = pattern(len);
        let mut file = seal(&plain, &key(1), small_chunks(Suite::recommended()));
        assert_refused(&file[..cut.index(file.len())], &plain, "cut");
        let at = at.index(file.len());
        file[at] ^= flip;
        assert_refused(&file, &plain, "flipped");
    }

    #[test]
    fn any_bytes_at_all(mut bytes: Vec<u8>, magic: bool) {
        if magic {
            bytes.splice(0..0, *b"\x89KWSEAL\n\x01\x01\x10\x00");
        }
        prop_assert!(Info::read(bytes.as_slice()).is_err());
    }
}
