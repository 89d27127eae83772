use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use keepwatch_crypto::sealed::{
    Info, SealOptions, SealedReader, SealedWriter, StreamReader, is_sealed, open_at, open_stream,
    seal_at, seal_stream,
};
use keepwatch_crypto::{Credential, Error, Kdf, Lock, Passphrase, SecretKey, Suite};
use proptest::prelude::*;

use crate::{CHEAP, disk, key, key_file, pattern, seal, small_chunks};

fn read_all(mut reader: impl Read) -> Vec<u8> {
    let mut out = Vec::new();
    reader.read_to_end(&mut out).unwrap();
    out
}

/// Opens in each of the ways there are, and compares.
fn open(sealed: &[u8], credential: &Credential) -> Vec<u8> {
    let plain = read_all(SealedReader::open(Cursor::new(sealed), credential).unwrap());
    assert!(plain == read_all(StreamReader::open(sealed, credential).unwrap()));
    for threads in [1, 2, 3] {
        let mut out = Vec::new();
        let len = open_stream(sealed, &mut out, credential, threads).unwrap();
        assert_eq!(len, plain.len() as u64);
        assert!(out == plain);
        assert!(disk::open(sealed, credential, threads).unwrap() == plain);
    }
    plain
}

#[test]
fn sizes_around_chunks_and_batches() {
    const CHUNK: usize = 4096;
    let batch = 512 << 10;
    let mut sizes = vec![0, 1, 15, 16, 17];
    for around in [CHUNK, 2 * CHUNK, 32 * CHUNK, batch, 13 * batch] {
        sizes.extend([around - 1, around, around + 1]);
    }
    for suite in Suite::ALL {
        for &size in &sizes {
            let plain = pattern(size);
            for threads in [0, 1, 2, 4] {
                let mut sealed = Vec::new();
                let locks = [Lock::KeyFile(&key(1))];
                let options = small_chunks(suite);
                seal_stream(plain.as_slice(), &mut sealed, &locks, options, threads).unwrap();
                assert!(
                    open(&sealed, &key_file(1)) == plain,
                    "{suite}, {size} bytes, {threads} threads"
                );
                let sealed = disk::seal(&plain, &locks, options, threads).unwrap();
                assert!(
                    open(&sealed, &key_file(1)) == plain,
                    "{suite}, {size} bytes at their places, {threads} threads"
                );
            }
        }
    }
}

#[test]
fn every_chunk_size_works() {
    for chunk_size_log2 in 12..=24 {
        let options = SealOptions {
            chunk_size_log2,
            ..SealOptions::default()
        };
        let plain = pattern((1 << chunk_size_log2) + 3);
        let sealed = seal(&plain, &key(1), options);
        assert!(open(&sealed, &key_file(1)) == plain);
    }
    for chunk_size_log2 in [0, 11, 25, 255] {
        let options = SealOptions {
            chunk_size_log2,
            ..SealOptions::default()
        };
        let writer = SealedWriter::new(Vec::new(), &[Lock::KeyFile(&key(1))], options);
        assert!(matches!(writer, Err(Error::Invalid { .. })));
    }
}

#[test]
fn any_of_several_credentials_opens() {
    let passphrase = Passphrase::from("pässword");
    let secret = SecretKey::generate().unwrap();
    let public = secret.public();
    let locks = [
        Lock::Passphrase(&passphrase, CHEAP),
        Lock::KeyFile(&key(1)),
        Lock::Recipient(&public),
        Lock::Passphrase(&Passphrase::from("another"), Kdf::argon2id(128, 2, 2)),
    ];
    for suite in Suite::ALL {
        let mut sealed = Vec::new();
        seal_stream(&b"content"[..], &mut sealed, &locks, small_chunks(suite), 1).unwrap();
        let credentials = [
            Credential::from(passphrase.clone()),
            key_file(1),
            Credential::from(secret.clone()),
            Credential::Passphrase("another".into()),
        ];
        for credential in credentials {
            assert_eq!(open(&sealed, &credential), b"content");
        }
        for wrong in [Credential::Passphrase("password".into()), key_file(2)] {
            let opened = open_stream(sealed.as_slice(), io::sink(), &wrong, 1);
            assert!(matches!(opened, Err(Error::Open)));
        }
        let info = Info::read(sealed.as_slice()).unwrap();
        assert_eq!(info.suite, suite);
        assert_eq!(info.chunk_size, 4096);
        assert_eq!(info.plaintext_len(sealed.len() as u64), Some(7));
        let expected = [
            "passphrase (argon2id, 64 KiB, t=1, p=1)",
            "key file",
            "recipient",
            "passphrase (argon2id, 128 KiB, t=2, p=2)",
        ];
        assert_eq!(info.slots, expected);
        assert_eq!(sealed.len(), info.header_len as usize + 7 + 16);
    }
}

#[test]
fn another_kind_of_credential_is_told_apart() {
    let sealed = seal(b"content", &key(1), SealOptions::default());
    let error =
        SealedReader::open(Cursor::new(&sealed), &Credential::Passphrase("x".into())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it opens with key file, not with a passphrase"
    );
}

#[test]
fn there_are_1_to_64_slots() {
    let key = key(1);
    for (count, fits) in [(0, false), (1, true), (64, true), (65, false)] {
        let locks = vec![Lock::KeyFile(&key); count];
        let writer = SealedWriter::new(Vec::new(), &locks, SealOptions::default());
        assert_eq!(writer.is_ok(), fits, "{count}");
    }
}

#[test]
fn sealed_files_are_recognised() {
    let sealed = seal(b"", &key(1), SealOptions::default());
    assert!(is_sealed(&sealed));
    assert!(is_sealed(&sealed[..8]));
    assert!(!is_sealed(&sealed[..7]));
    assert!(!is_sealed(b"age-encryption.org/v1"));
    assert!(matches!(
        Info::read(&b"PK\x03\x04"[..]),
        Err(Error::Malformed { .. })
    ));
    assert!(matches!(
        Info::read(&[0; 100][..]),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn a_reader_seeks_like_a_file() {
    let plain = pattern(10_000);
    let sealed = seal(&plain, &key(1), small_chunks(Suite::recommended()));
    let mut reader = SealedReader::open(Cursor::new(&sealed), &key_file(1)).unwrap();
    assert_eq!((reader.len(), reader.is_empty()), (10_000, false));
    let mut two = [0; 2];
    for (to, at) in [
        (SeekFrom::Start(4095), 4095),
        (SeekFrom::End(-2), 9998),
        (SeekFrom::Current(-5000), 5000),
        (SeekFrom::Start(0), 0),
    ] {
        assert_eq!(reader.seek(to).unwrap(), at);
        reader.read_exact(&mut two).unwrap();
        assert_eq!(two, plain[at as usize..][..2]);
    }
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(reader.read(&mut two).unwrap(), 0);
    assert!(reader.seek(SeekFrom::End(-10_001)).is_err());
    assert!(reader.seek(SeekFrom::Current(1)).is_err());
    let empty = seal(b"", &key(1), SealOptions::default());
    assert!(
        SealedReader::open(Cursor::new(&empty), &key_file(1))
            .unwrap()
            .is_empty()
    );
}

/// Gives a byte at a time, with interruptions: what pipes do at worst.
struct Trickle<R>(R, bool);

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buf.len().min(1);
        self.0.read(&mut buf[..len])
    }
}

#[test]
fn a_trickling_pipe_is_no_end() {
    let plain = pattern(9000);
    let sealed = seal(&plain, &key(1), small_chunks(Suite::recommended()));
    for threads in [1, 2] {
        let mut out = Vec::new();
        open_stream(
            Trickle(sealed.as_slice(), false),
            &mut out,
            &key_file(1),
            threads,
        )
        .unwrap();
        assert!(out == plain);
        let mut again = Vec::new();
        let locks = [Lock::KeyFile(&key(1))];
        let options = small_chunks(Suite::recommended());
        seal_stream(
            Trickle(plain.as_slice(), false),
            &mut again,
            &locks,
            options,
            threads,
        )
        .unwrap();
        assert!(open(&again, &key_file(1)) == plain);
    }
    assert!(
        read_all(StreamReader::open(Trickle(sealed.as_slice(), false), &key_file(1)).unwrap())
            == plain
    );
}

/// Fails after some bytes.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.0);
        self.0 -= len;
        if len == 0 {
            Err(io::Error::other("the disk is gone"))
        } else {
            Ok(len)
        }
    }
}

impl Write for Failing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = buf.len().min(self.0);
        self.0 -= len;
        if len == 0 {
            Err(io::Error::other("the disk is full"))
        } else {
            Ok(len)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn failures_of_reader_and_writer_come_out() {
    let locks = [Lock::KeyFile(&key(1))];
    let big = pattern(20 << 20);
    let sealed = seal(&big, &key(1), SealOptions::default());
    for threads in [1, 2, 5] {
        let options = SealOptions::default();
        let error =
            seal_stream(Failing(9 << 20), io::sink(), &locks, options, threads).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Io {
                    action: "reading",
                    ..
                }
            ),
            "{error:?}"
        );
        for room in [0, 100, 5 << 20] {
            let error =
                seal_stream(big.as_slice(), Failing(room), &locks, options, threads).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Io {
                        action: "writing",
                        ..
                    }
                ),
                "{error:?}"
            );
            let error =
                open_stream(sealed.as_slice(), Failing(room), &key_file(1), threads).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Io {
                        action: "writing",
                        ..
                    }
                ),
                "{error:?}"
            );
        }
    }
}

#[test]
fn failures_at_any_place_come_out() {
    let locks = [Lock::KeyFile(&key(1))];
    let options = SealOptions::default();
    let plain = pattern(5 << 20);
    let sealed = seal(&plain, &key(1), options);
    let (read, written) = (disk::Disk::with(&plain), disk::Disk::default());
    for threads in [1, 2, 5] {
        for broken in [0, 3 << 20, (5 << 20) - 1] {
            let reads =
                |out: &mut [u8], at: u64| match at <= broken && broken < at + out.len() as u64 {
                    true => Err(io::Error::other("the disk is gone")),
                    false => read.read_at(out, at),
                };
            let writes =
                |data: &[u8], at: u64| match at <= broken && broken < at + data.len() as u64 {
                    true => Err(io::Error::other("the disk is full")),
                    false => written.write_at(data, at),
                };
            let len = plain.len() as u64;
            for (result, expected) in [
                (
                    seal_at(
                        len,
                        reads,
                        |data, at| written.write_at(data, at),
                        &locks,
                        options,
                        threads,
                    ),
                    "reading",
                ),
                (
                    seal_at(
                        len,
                        |out, at| read.read_at(out, at),
                        writes,
                        &locks,
                        options,
                        threads,
                    ),
                    "writing",
                ),
                (
                    open_at(
                        sealed.len() as u64,
                        |out, at| disk::Disk::with(&sealed).read_at(out, at),
                        writes,
                        &key_file(1),
                        threads,
                    ),
                    "writing",
                ),
            ] {
                match result {
                    Err(Error::Io { action, .. }) => assert_eq!(action, expected),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_writer_that_failed_stays_failed() {
    let locks = [Lock::KeyFile(&key(1))];
    let options = small_chunks(Suite::recommended());
    let header = Info::read(seal(b"", &key(1), options).as_slice())
        .unwrap()
        .header_len as usize;
    let mut writer = SealedWriter::new(Failing(header + 5000), &locks, options).unwrap();
    assert!(writer.write_all(&pattern(20_000)).is_err());
    assert!(writer.write_all(b"more").is_err());
    assert!(matches!(
        writer.finish(),
        Err(Error::Io {
            action: "writing",
            ..
        })
    ));
}

#[test]
fn an_unfinished_file_does_not_open() {
    let locks = [Lock::KeyFile(&key(1))];
    for size in [0, 1, 4096, 4097, 8192] {
        let mut out = Vec::new();
        let mut writer =
            SealedWriter::new(&mut out, &locks, small_chunks(Suite::recommended())).unwrap();
        writer.write_all(&pattern(size)).unwrap();
        writer.flush().unwrap();
        drop(writer);
        assert!(matches!(
            open_stream(out.as_slice(), io::sink(), &key_file(1), 1),
            Err(Error::Open)
        ));
        assert!(matches!(
            SealedReader::open(Cursor::new(&out), &key_file(1)),
            Err(Error::Open)
        ));
    }
}

fn suite() -> impl Strategy<Value = Suite> {
    prop_oneof![Just(Suite::Xaes256Gcm), Just(Suite::XChaCha20Poly1305)]
}

/// Lengths that lie near multiples of the chunk size, more often than not.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..20_000usize,
        (0..6usize, 0..5usize).prop_map(|(n, d)| (n * 4096 + d).saturating_sub(2))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_make_the_same_file(
        suite in suite(),
        len in len(),
        pieces in proptest::collection::vec(0..9000usize, 1..20),
    ) {
        let plain = pattern(len);
        let mut writer = SealedWriter::new(Vec::new(), &[Lock::KeyFile(&key(1))], small_chunks(suite)).unwrap();
        let mut rest = plain.as_slice();
        for piece in pieces.into_iter().cycle().take(1000) {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            writer.write_all(now).unwrap();
            rest = later;
        }
        writer.write_all(rest).unwrap();
        let sealed = writer.finish().unwrap();
        let info = Info::read(sealed.as_slice()).unwrap();
        prop_assert_eq!(info.plaintext_len(sealed.len() as u64), Some(len as u64));
        prop_assert!(open(&sealed, &key_file(1)) == plain);
    }

    #[test]
    fn random_access_equals_slices(
        suite in suite(),
        len in len(),
        reads in proptest::collection::vec((any::<proptest::sample::Index>(), 0..9000usize), 1..30),
    ) {
        let plain = pattern(len);
        let sealed = seal(&plain, &key(1), small_chunks(suite));
        let mut reader = SealedReader::open(Cursor::new(sealed), &key_file(1)).unwrap();
        for (at, count) in reads {
            let at = at.index(len + 1);
            let end = (at + count).min(len);
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut part = vec![0; end - at];
            reader.read_exact(&mut part).unwrap();
            prop_assert!(part == plain[at..end]);
        }
    }
}

#[test]
fn slots_that_ask_for_too_much_together_are_refused() {
    // FORMAT.md, sections 1.3 and 2: PBKDF2 slots, with nothing behind them.
    let header = |iterations: u32| {
        let mut slot = vec![2, 124, 0];
        slot.extend_from_slice(&iterations.to_le_bytes());
        slot.resize(3 + 124, 0);
        let len = 36 + 2 * slot.len() + 32;
        let mut header = b"\x89KWSEAL\n".to_vec();
        header.extend_from_slice(&[1, 1, 16, 0]);
        header.extend_from_slice(&[0; 16]);
        header.extend_from_slice(&(len as u32).to_le_bytes());
        header.extend_from_slice(&[2, 0, 0, 0]);
        header.extend_from_slice(&slot);
        header.extend_from_slice(&slot);
        header.resize(len, 0);
        header
    };
    assert!(Info::read(header(5_000_000).as_slice()).is_ok());
    let error = Info::read(header(5_000_001).as_slice()).unwrap_err();
    assert!(error.to_string().contains("too much work"), "{error}");
}

#[test]
fn what_no_reader_would_try_is_not_written() {
    let passphrase = Passphrase::from("never derived");
    let dear = Lock::Passphrase(&passphrase, Kdf::argon2id(2 << 20, 8, 1));
    let error = SealedWriter::new(Vec::new(), &[dear, dear], SealOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}
