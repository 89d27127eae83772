use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;

use keepwatch_crypto::backuphandler::{self, Decryptor, LegacyKey, LegacyKeys, Plaintext, encrypt};
use keepwatch_crypto::{Credential, Error, Key, SecretKey};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{key, key_file, pattern};

fn samples() -> PathBuf {
    let path = match std::env::var_os("KEEPWATCH_TESTDATA") {
        Some(path) => PathBuf::from(path),
        // Asked when the test runs: checkouts that share a target directory share its binaries.
        None => PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
            .join("../../../shared/testdata"),
    };
    let path = path.join("backuphandler");
    assert!(
        path.is_dir(),
        "no fixtures at {}: set KEEPWATCH_TESTDATA to the directory that holds them",
        path.display()
    );
    path
}

#[derive(Deserialize)]
struct Expected {
    passphrase: String,
    enc_passphrase: BTreeMap<String, Entry>,
    enc_keyfile: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kind: String,
    plain_size: Option<u64>,
    plain_sha256: Option<String>,
}

fn expected() -> Expected {
    serde_json::from_slice(&std::fs::read(samples().join("EXPECTED.json")).unwrap()).unwrap()
}

fn sample_key() -> Key {
    let bytes = std::fs::read(samples().join("backup.key")).unwrap();
    Key::from_bytes(bytes.try_into().unwrap())
}

fn check(folder: &str, entries: &BTreeMap<String, Entry>, credential: Credential) {
    let mut decryptor = Decryptor::new(credential);
    let mut count = 0;
    for (name, entry) in entries
        .iter()
        .filter(|(_, entry)| entry.kind == "encrypted")
    {
        let file = std::fs::File::open(samples().join(folder).join(name)).unwrap();
        let mut plain = Vec::new();
        let len = decryptor
            .decrypt(file, &mut plain)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Some(len), entry.plain_size, "{name}");
        let hash = hex::encode(Sha256::digest(&plain));
        assert_eq!(Some(hash), entry.plain_sha256, "{name}");
        count += 1;
    }
    println!("{folder}: {count} genuine files decrypted");
    assert_eq!(count, 21);
}

#[test]
fn genuine_files_of_a_passphrase() {
    let expected = expected();
    let credential = Credential::Passphrase(expected.passphrase.into());
    check("enc_passphrase", &expected.enc_passphrase, credential);
}

#[test]
fn genuine_files_of_a_key_file() {
    check(
        "enc_keyfile",
        &expected().enc_keyfile,
        Credential::KeyFile(sample_key()),
    );
}

#[test]
fn a_genuine_file_and_the_wrong_kind_of_key() {
    let open = |path: &str, credential| {
        let file = std::fs::File::open(samples().join(path)).unwrap();
        let mut out = Vec::new();
        let error = Decryptor::new(credential)
            .decrypt(file, &mut out)
            .unwrap_err();
        assert!(out.is_empty());
        error.to_string()
    };
    assert_eq!(
        open(
            "enc_keyfile/readme.txt.enc",
            Credential::Passphrase("x".into())
        ),
        "it opens with a key file, not with a passphrase"
    );
    let other_way = "it opens with a passphrase, not with a key file";
    assert_eq!(
        open("enc_passphrase/readme.txt.enc", key_file(1)),
        other_way
    );
    let identity = Credential::from(SecretKey::generate().unwrap());
    assert_eq!(
        open("enc_keyfile/readme.txt.enc", identity),
        "it opens with a key file, not with an identity"
    );
    assert_eq!(
        open("enc_keyfile/readme.txt.enc", key_file(1)),
        "the key is wrong or the data was changed"
    );
}

fn encrypted(plain: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let len = encrypt(plain, &mut file, &LegacyKey::from_key_file(&key(1))).unwrap();
    assert_eq!(len, plain.len() as u64);
    assert_eq!(file.len(), plain.len() + 44);
    assert_eq!(file[..16], [0; 16]);
    file
}

fn decrypt(file: &[u8]) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    let result = Decryptor::new(key_file(1)).decrypt(Cursor::new(file), &mut plain);
    if result.is_err() {
        assert!(
            plain.is_empty(),
            "plaintext was released before the tag was verified"
        );
    }
    assert_eq!(result?, plain.len() as u64);
    Ok(plain)
}

#[test]
fn what_is_encrypted_is_decrypted() {
    const BUFFER: usize = 64 << 10;
    for size in [
        0,
        1,
        15,
        16,
        17,
        BUFFER - 1,
        BUFFER,
        BUFFER + 1,
        3 * BUFFER + 5,
    ] {
        let plain = pattern(size);
        assert!(decrypt(&encrypted(&plain)).unwrap() == plain, "{size}");
    }
}

#[test]
fn one_derivation_serves_many_files() {
    let written = LegacyKey::from_passphrase(&"passphrase".into()).unwrap();
    let mut decryptor = Decryptor::new(Credential::Passphrase("passphrase".into()));
    for size in 0..500 {
        let mut file = Vec::new();
        encrypt(pattern(size).as_slice(), &mut file, &written).unwrap();
        assert_ne!(file[..16], [0; 16]);
        let mut plain = Vec::new();
        decryptor.decrypt(Cursor::new(file), &mut plain).unwrap();
        assert_eq!(plain, pattern(size));
    }
}

#[test]
fn a_key_of_one_file_opens_the_others_of_its_salt() {
    let passphrase = || Credential::Passphrase("passphrase".into());
    let seal = |key: &LegacyKey| {
        let mut file = Vec::new();
        encrypt(&b"content"[..], &mut file, key).unwrap();
        file
    };
    let written = LegacyKey::from_passphrase(&"passphrase".into()).unwrap();
    let (one, other) = (seal(&written), seal(&written));
    let read = LegacyKey::of_file(Cursor::new(&one), &passphrase()).unwrap();
    for key in [&read, &written] {
        assert!(key.fits(Cursor::new(&other)).unwrap());
        let mut plain = Vec::new();
        backuphandler::decrypt(Cursor::new(&other), &mut plain, key).unwrap();
        assert_eq!(plain, b"content");
    }

    let elsewhere = encrypted(b"content");
    assert!(!read.fits(Cursor::new(&elsewhere)).unwrap());
    let mut plain = Vec::new();
    let error = backuphandler::decrypt(Cursor::new(&elsewhere), &mut plain, &read).unwrap_err();
    assert!(matches!(error, Error::Open));
    assert!(plain.is_empty());
    let error = LegacyKey::of_file(Cursor::new(&elsewhere), &passphrase()).unwrap_err();
    assert!(matches!(error, Error::OtherCredential { .. }));
    for short in [&one[..0], &one[..43]] {
        let error = LegacyKey::of_file(Cursor::new(short), &passphrase()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }));
        assert!(read.fits(Cursor::new(short)).is_err());
    }
}

#[test]
fn every_flipped_bit_and_truncation() {
    let mut file = encrypted(&pattern(100));
    // The salt says which kind of key it is; it is not authenticated.
    for at in 16 * 8..file.len() * 8 {
        file[at / 8] ^= 1 << (at % 8);
        assert!(matches!(decrypt(&file), Err(Error::Open)), "bit {at}");
        file[at / 8] ^= 1 << (at % 8);
    }
    for len in 0..file.len() {
        let error = decrypt(&file[..len]).unwrap_err();
        assert!(
            matches!(error, Error::Open | Error::Malformed { .. }),
            "{len}"
        );
    }
}

/// A file of a given length that nobody has to store.
struct Endless(u64, u64);

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(0);
        Ok(buf.len())
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.1 = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(_) => self.0,
            SeekFrom::Current(_) => self.1,
        };
        Ok(self.1)
    }
}

#[test]
fn more_than_gcm_allows_is_refused() {
    let limit = (1 << 36) - 32;
    let error = Decryptor::new(key_file(1))
        .decrypt(Endless(limit + 45, 0), io::sink())
        .unwrap_err();
    assert!(matches!(error, Error::TooLong { .. }), "{error}");
}

/// Gives other bytes when read a second time.
struct Changing(Cursor<Vec<u8>>, u32);

impl Read for Changing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Seek for Changing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.1 += 1;
        if self.1 == 3 {
            self.0.get_mut()[40] ^= 1;
        }
        self.0.seek(to)
    }
}

#[test]
fn a_change_between_the_passes_is_noticed() {
    let file = Changing(Cursor::new(encrypted(&pattern(100))), 0);
    let result = Decryptor::new(key_file(1)).decrypt(file, io::sink());
    assert!(matches!(result, Err(Error::Open)));
}

#[test]
fn the_plaintext_can_be_read_in_bites() {
    let key = LegacyKey::from_key_file(&key(1));
    for size in [0, 1, 100, (64 << 10) - 1, 64 << 10, 200_000] {
        let plain = pattern(size);
        let mut reader = Plaintext::of_file(Cursor::new(encrypted(&plain)), &key).unwrap();
        assert_eq!(reader.len(), size as u64);
        let (mut read, mut bite) = (Vec::new(), [0; 777]);
        loop {
            let len = reader.read(&mut bite).unwrap();
            if len == 0 {
                break;
            }
            read.extend_from_slice(&bite[..len]);
        }
        assert!(read == plain, "{size}");
        assert_eq!(reader.read(&mut bite).unwrap(), 0);
    }
    let mut damaged = encrypted(&pattern(100));
    damaged[60] ^= 1;
    let error = Plaintext::of_file(Cursor::new(damaged), &key).unwrap_err();
    assert!(matches!(error, Error::Open));
}

#[test]
fn the_end_of_what_changes_meanwhile_is_not_given_out() {
    let file = Changing(Cursor::new(encrypted(&pattern(100))), 0);
    let key = LegacyKey::from_key_file(&key(1));
    let mut read = Vec::new();
    let mut reader = Plaintext::of_file(file, &key).unwrap();
    reader.read_to_end(&mut read).unwrap_err();
    assert!(read.is_empty());
}

#[test]
fn keys_open_files_of_both_kinds() {
    let (passphrase, of_file) = ("hunter2", key(1));
    let sealed = [
        LegacyKey::from_passphrase(&passphrase.into()).unwrap(),
        LegacyKey::from_key_file(&of_file),
    ]
    .map(|key| {
        let mut file = Vec::new();
        encrypt(&b"content"[..], &mut file, &key).unwrap();
        Cursor::new(file)
    });
    let both = LegacyKeys::new(Some(passphrase.into()), Some(of_file.clone()));
    let open = |keys: &LegacyKeys, file: &Cursor<Vec<u8>>| {
        let key = keys.for_file(file.clone())?;
        Plaintext::of_file(file.clone(), &key).map(|plaintext| plaintext.len())
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| sealed.each_ref().map(|file| open(&both, file).unwrap()));
        }
    });
    let refused = |keys: LegacyKeys, file| open(&keys, file).unwrap_err().to_string();
    assert_eq!(
        refused(LegacyKeys::new(None, Some(of_file)), &sealed[0]),
        "it opens with a passphrase, not with a key file"
    );
    assert_eq!(
        refused(LegacyKeys::new(Some(passphrase.into()), None), &sealed[1]),
        "it opens with a key file, not with a passphrase"
    );
    assert_eq!(
        refused(LegacyKeys::new(None, None), &sealed[0]),
        "it opens with a passphrase, not with nothing"
    );
    assert!(!format!("{both:?}").contains(passphrase));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_size_comes_back(len in 0..200_000usize, at: proptest::sample::Index, flip in 1..=255u8) {
        let plain = pattern(len);
        let mut file = encrypted(&plain);
        prop_assert!(decrypt(&file).unwrap() == plain);
        let at = 16 + at.index(file.len() - 16);
        file[at] ^= flip;
        prop_assert!(matches!(decrypt(&file), Err(Error::Open)));
    }
}
