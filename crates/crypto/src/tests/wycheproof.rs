//! Project Wycheproof's vectors.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;
use serde::Deserialize;

use super::testdata;
use crate::backuphandler::Decryptor;
use crate::cipher::Cipher;
use crate::credential::Credential;
use crate::identity::{PublicKey, SecretKey};
use crate::key::Key;
use crate::recipient::hkdf_sha256;
use crate::suite::Suite;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File<T> {
    number_of_tests: usize,
    test_groups: Vec<Group<T>>,
}

#[derive(Deserialize)]
struct Group<T> {
    tests: Vec<T>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Valid,
    Acceptable,
    Invalid,
}

fn load<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let path = testdata().join("vectors").join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: File<T> = serde_json::from_slice(&text).unwrap();
    let tests: Vec<T> = file
        .test_groups
        .into_iter()
        .flat_map(|group| group.tests)
        .collect();
    assert_eq!(tests.len(), file.number_of_tests);
    tests
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aead {
    tc_id: u32,
    #[serde(with = "hex::serde")]
    key: Vec<u8>,
    #[serde(with = "hex::serde")]
    iv: Vec<u8>,
    #[serde(with = "hex::serde")]
    aad: Vec<u8>,
    #[serde(with = "hex::serde")]
    msg: Vec<u8>,
    #[serde(with = "hex::serde")]
    ct: Vec<u8>,
    #[serde(with = "hex::serde")]
    tag: Vec<u8>,
    result: Verdict,
}

type Sealed = (Vec<u8>, [u8; 16]);

/// Runs the vectors whose key and nonce have our lengths; gives how many those were.
fn run_aead<const N: usize>(
    tests: &[Aead],
    seal: impl Fn(&[u8; 32], &[u8; N], &Aead) -> Sealed,
    open: impl Fn(&[u8; 32], &[u8; N], &Aead, &[u8; 16]) -> Option<Vec<u8>>,
) -> usize {
    let mut run = 0;
    for test in tests {
        let (Ok(key), Ok(nonce)) = (
            test.key.as_slice().try_into(),
            test.iv.as_slice().try_into(),
        ) else {
            continue;
        };
        run += 1;
        let tag = test.tag.as_slice().try_into().unwrap();
        let opened = open(key, nonce, test, tag);
        if test.result == Verdict::Valid {
            assert_eq!(opened.as_ref(), Some(&test.msg), "case {}", test.tc_id);
            let sealed = seal(key, nonce, test);
            assert_eq!(sealed, (test.ct.clone(), *tag), "case {}", test.tc_id);
        } else {
            assert_eq!(opened, None, "case {}", test.tc_id);
        }
    }
    run
}

/// As the payload of sealed files and the inner cipher of XAES use it.
#[test]
fn aes_256_gcm() {
    let tests: Vec<Aead> = load("aes_gcm_test.json");
    let run = run_aead::<12>(
        &tests,
        |key, nonce, test| {
            let mut buf = test.msg.clone();
            let tag = Aes256Gcm::new(key.into())
                .encrypt_inout_detached(nonce.into(), &test.aad, InOutBuf::from(&mut *buf))
                .unwrap();
            (buf, tag.into())
        },
        |key, nonce, test, tag| {
            let mut buf = test.ct.clone();
            Aes256Gcm::new(key.into())
                .decrypt_inout_detached(
                    nonce.into(),
                    &test.aad,
                    InOutBuf::from(&mut *buf),
                    tag.into(),
                )
                .ok()?;
            Some(buf)
        },
    );
    println!(
        "aes-256-gcm: {run} of {} vectors have our key and nonce length",
        tests.len()
    );
    assert_eq!(run, 66);
}

/// The same file through the two-pass implementation, which has no associated data.
#[test]
fn aes_256_gcm_of_backuphandler() {
    let tests: Vec<Aead> = load("aes_gcm_test.json");
    let mut run = 0;
    for test in tests
        .iter()
        .filter(|test| test.aad.is_empty() && test.iv.len() == 12)
    {
        let Ok(key) = test.key.as_slice().try_into() else {
            continue;
        };
        run += 1;
        let file = [&[0; 16], test.iv.as_slice(), &test.ct, &test.tag].concat();
        let mut plain = Vec::new();
        let opened = Decryptor::new(Credential::KeyFile(Key::from_bytes(key)))
            .decrypt(std::io::Cursor::new(file), &mut plain);
        if test.result == Verdict::Valid {
            assert_eq!(opened.unwrap(), test.msg.len() as u64);
            assert_eq!(plain, test.msg, "case {}", test.tc_id);
        } else {
            assert!(
                matches!(opened, Err(crate::Error::Open)),
                "case {}",
                test.tc_id
            );
            assert_eq!(plain, b"", "case {}", test.tc_id);
        }
    }
    println!("aes-256-gcm, two-pass: {run} vectors");
    assert!(run >= 40, "{run}");
}

#[test]
fn xchacha20_poly1305() {
    let tests: Vec<Aead> = load("xchacha20_poly1305_test.json");
    let cipher = |key: &[u8; 32]| Cipher::new(Suite::XChaCha20Poly1305, &Key::from_bytes(*key));
    let run = run_aead::<24>(
        &tests,
        |key, nonce, test| {
            let mut buf = test.msg.clone();
            let tag = cipher(key)
                .seal_detached(nonce, &test.aad, &mut buf)
                .unwrap();
            (buf, tag)
        },
        |key, nonce, test, tag| {
            let mut buf = test.ct.clone();
            cipher(key)
                .open_detached(nonce, &test.aad, &mut buf, tag)
                .ok()?;
            Some(buf)
        },
    );
    println!(
        "xchacha20-poly1305: {run} of {} vectors have our nonce length",
        tests.len()
    );
    assert_eq!(run, 306);
}

#[test]
fn chacha20_poly1305() {
    let tests: Vec<Aead> = load("chacha20_poly1305_test.json");
    let run = run_aead::<12>(
        &tests,
        |key, nonce, test| {
            let mut buf = test.msg.clone();
            let tag = ChaCha20Poly1305::new(key.into())
                .encrypt_inout_detached(nonce.into(), &test.aad, InOutBuf::from(&mut *buf))
                .unwrap();
            (buf, tag.into())
        },
        |key, nonce, test, tag| {
            let mut buf = test.ct.clone();
            ChaCha20Poly1305::new(key.into())
                .decrypt_inout_detached(
                    nonce.into(),
                    &test.aad,
                    InOutBuf::from(&mut *buf),
                    tag.into(),
                )
                .ok()?;
            Some(buf)
        },
    );
    println!(
        "chacha20-poly1305: {run} of {} vectors have our nonce length",
        tests.len()
    );
    assert_eq!(run, 316);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pbkdf {
    tc_id: u32,
    #[serde(with = "hex::serde")]
    password: Vec<u8>,
    #[serde(with = "hex::serde")]
    salt: Vec<u8>,
    iteration_count: u32,
    dk_len: usize,
    #[serde(with = "hex::serde")]
    dk: Vec<u8>,
    result: Verdict,
}

#[test]
fn pbkdf2_hmac_sha256() {
    let tests: Vec<Pbkdf> = load("pbkdf2_hmacsha256_test.json");
    for test in &tests {
        assert_eq!(test.result, Verdict::Valid);
        let mut dk = vec![0; test.dk_len];
        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(
            &test.password,
            &test.salt,
            test.iteration_count,
            &mut dk,
        );
        assert_eq!(dk, test.dk, "case {}", test.tc_id);
    }
    println!("pbkdf2-hmac-sha256: {} vectors", tests.len());
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hkdf {
    tc_id: u32,
    #[serde(with = "hex::serde")]
    ikm: Vec<u8>,
    #[serde(with = "hex::serde")]
    salt: Vec<u8>,
    #[serde(with = "hex::serde")]
    info: Vec<u8>,
    size: usize,
    #[serde(with = "hex::serde")]
    okm: Vec<u8>,
    result: Verdict,
}

#[test]
fn hkdf_sha_256() {
    let tests: Vec<Hkdf> = load("hkdf_sha256_test.json");
    let mut refused = 0;
    for test in &tests {
        if test.result == Verdict::Invalid {
            // More than 255 blocks, which our callers never ask for.
            assert!(test.size > 255 * 32, "case {}", test.tc_id);
            refused += 1;
            continue;
        }
        let mut okm = vec![0; test.size];
        hkdf_sha256(&test.ikm, &test.salt, &test.info, &mut okm);
        assert_eq!(okm, test.okm, "case {}", test.tc_id);
    }
    println!(
        "hkdf-sha-256: {} vectors, {refused} of them too long",
        tests.len()
    );
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Xdh {
    tc_id: u32,
    #[serde(with = "hex::serde")]
    public: [u8; 32],
    #[serde(with = "hex::serde")]
    private: [u8; 32],
    #[serde(with = "hex::serde")]
    shared: [u8; 32],
    result: Verdict,
}

#[test]
fn x25519() {
    let tests: Vec<Xdh> = load("x25519_test.json");
    let mut refused = 0;
    for test in &tests {
        assert_ne!(test.result, Verdict::Invalid);
        let shared = SecretKey::from_bytes(test.private).agree(&PublicKey::from_bytes(test.public));
        if test.shared == [0; 32] {
            // "Acceptable" in the file; FORMAT.md refuses it.
            assert!(shared.is_none(), "case {}", test.tc_id);
            refused += 1;
        } else {
            assert_eq!(*shared.unwrap(), test.shared, "case {}", test.tc_id);
        }
    }
    println!(
        "x25519: {} vectors, {refused} of them of low order and refused",
        tests.len()
    );
    assert_eq!(refused, 31);
}
