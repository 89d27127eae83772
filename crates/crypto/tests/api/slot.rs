use keepwatch_crypto::{
    Credential, Error, Kdf, Lock, Passphrase, PublicKey, SecretKey, Suite, slot,
};

use crate::{CHEAP, key, key_file};

const PAYLOAD: [u8; 64] = [7; 64];
const SUITE: Suite = Suite::Xaes256Gcm;

fn open(bytes: &[u8], credential: &Credential) -> Result<Option<Vec<u8>>, Error> {
    let (wrapped, used) = slot::parse(bytes, PAYLOAD.len())?;
    assert_eq!(used, bytes.len());
    let payload = wrapped.open(credential, SUITE, b"container")?;
    Ok(payload.map(|payload| payload.to_vec()))
}

fn write(lock: Lock<'_>) -> Vec<u8> {
    slot::write(&lock, SUITE, b"container", &PAYLOAD).unwrap()
}

#[test]
fn each_kind_opens_with_its_credential_alone() {
    let passphrase = Passphrase::from("correct horse battery staple");
    let secret = SecretKey::generate().unwrap();
    let public = secret.public();
    let slots = [
        write(Lock::Passphrase(&passphrase, CHEAP)),
        write(Lock::Passphrase(&passphrase, Kdf::pbkdf2(600_000))),
        write(Lock::KeyFile(&key(1))),
        write(Lock::Recipient(&public)),
    ];
    let others = vec![SecretKey::generate().unwrap(), secret.clone()];
    let right = [
        (Credential::from(passphrase), [true, true, false, false]),
        (key_file(1), [false, false, true, false]),
        (Credential::from(secret), [false, false, false, true]),
        (Credential::Identities(others), [false, false, false, true]),
        (Credential::Identities(vec![]), [false; 4]),
        (Credential::Passphrase("wrong".into()), [false; 4]),
        (key_file(2), [false; 4]),
        (Credential::from(SecretKey::generate().unwrap()), [false; 4]),
    ];
    for (credential, opens) in right {
        for (bytes, opens) in slots.iter().zip(opens) {
            let payload = open(bytes, &credential).unwrap();
            assert_eq!(payload.is_some(), opens, "{credential:?}");
            assert!(payload.is_none_or(|payload| payload == PAYLOAD));
        }
    }
    let described = slots.map(|slot| slot::parse(&slot, 64).unwrap().0.describe());
    let expected = [
        "passphrase (argon2id, 64 KiB, t=1, p=1)",
        "passphrase (pbkdf2, 600000 iterations)",
        "key file",
        "recipient",
    ];
    assert_eq!(described, expected);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let secret = SecretKey::generate().unwrap();
    let cases = [
        (write(Lock::KeyFile(&key(1))), key_file(1)),
        (
            write(Lock::Recipient(&secret.public())),
            Credential::from(secret),
        ),
    ];
    for (bytes, credential) in cases {
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(
                !matches!(open(&flipped, &credential), Ok(Some(_))),
                "bit {at}"
            );
        }
        for len in 0..bytes.len() {
            assert!(matches!(
                open(&bytes[..len], &credential),
                Err(Error::Malformed { .. })
            ));
        }
    }
}

#[test]
fn a_slot_belongs_to_its_container_and_suite() {
    let bytes = write(Lock::KeyFile(&key(1)));
    let (wrapped, _) = slot::parse(&bytes, PAYLOAD.len()).unwrap();
    for (suite, container) in [
        (SUITE, &b"other"[..]),
        (Suite::XChaCha20Poly1305, b"container"),
    ] {
        assert!(matches!(
            wrapped.open(&key_file(1), suite, container),
            Err(Error::Open)
        ));
    }
}

#[test]
fn damage_after_the_right_credential_is_an_error() {
    let mut bytes = write(Lock::KeyFile(&key(1)));
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(open(&bytes, &key_file(1)), Err(Error::Open)));
    assert!(matches!(open(&bytes, &key_file(2)), Ok(None)));
}

#[test]
fn what_follows_a_slot_is_left_alone() {
    let mut bytes = write(Lock::KeyFile(&key(1)));
    let len = bytes.len();
    bytes.extend_from_slice(b"more");
    assert_eq!(slot::parse(&bytes, PAYLOAD.len()).unwrap().1, len);
    assert!(slot::parse(&bytes, PAYLOAD.len() - 1).is_err());
}

/// A slot with these parameters, its kind and length right.
fn with_parameters(kind: u8, numbers: &[u32]) -> Vec<u8> {
    let body_len = numbers.len() * 4 + 16 + 32 + 24 + PAYLOAD.len() + 16;
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body_len as u16).to_le_bytes());
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.resize(3 + body_len, 0);
    bytes
}

/// FORMAT.md, section 1.3: refused before memory is allocated or time is spent.
#[test]
fn bounds_are_kept_when_reading() {
    const GIB: u32 = 1 << 20;
    let good: [(u8, &[u32]); 7] = [
        (1, &[8, 1, 1]),
        (1, &[8 * 64, 64, 64]),
        (1, &[2 * GIB, 8, 1]),
        (1, &[GIB / 4, 64, 4]),
        (2, &[1]),
        (2, &[599_999]),
        (2, &[10_000_000]),
    ];
    for (kind, numbers) in good {
        assert!(
            slot::parse(&with_parameters(kind, numbers), 64).is_ok(),
            "{numbers:?}"
        );
    }
    let bad: [(u8, &[u32]); 14] = [
        (1, &[0, 1, 1]),
        (1, &[7, 1, 1]),
        (1, &[31, 1, 4]),
        (1, &[64, 0, 1]),
        (1, &[64, 1, 0]),
        (1, &[64, 65, 1]),
        (1, &[8 * 65, 1, 65]),
        (1, &[2 * GIB + 1, 1, 1]),
        (1, &[2 * GIB, 9, 1]),
        (1, &[u32::MAX, u32::MAX, u32::MAX]),
        (1, &[64, 1, u32::MAX]),
        (2, &[0]),
        (2, &[10_000_001]),
        (2, &[u32::MAX]),
    ];
    for (kind, numbers) in bad {
        let bytes = with_parameters(kind, numbers);
        let parsed = slot::parse(&bytes, 64);
        assert!(
            matches!(parsed, Err(Error::Malformed { .. })),
            "{numbers:?}"
        );
    }
    for kind in [0, 5, 6, 255] {
        let bytes = with_parameters(kind, &[64, 1, 1]);
        let parsed = slot::parse(&bytes, 64);
        let Err(Error::Unsupported { what, value }) = parsed else {
            panic!("kind {kind}")
        };
        assert_eq!((what, value), ("slot kind", kind.to_string()));
    }
}

#[test]
fn weak_or_impossible_parameters_are_not_written() {
    let passphrase = Passphrase::from("passphrase");
    let bad = [
        Kdf::pbkdf2(599_999),
        Kdf::pbkdf2(10_000_001),
        Kdf::argon2id(7, 1, 1),
        Kdf::argon2id(64, 0, 1),
        Kdf::argon2id(64, 1, 0),
        Kdf::argon2id(64, 1, 9),
        Kdf::argon2id(64, 65, 1),
        Kdf::argon2id(u32::MAX, u32::MAX, u32::MAX),
    ];
    for kdf in bad {
        let slot = slot::write(&Lock::Passphrase(&passphrase, kdf), SUITE, b"", &PAYLOAD);
        assert!(matches!(slot, Err(Error::Invalid { .. })), "{kdf:?}");
    }
    let low_order = PublicKey::from_bytes([0; 32]);
    let slot = slot::write(&Lock::Recipient(&low_order), SUITE, b"", &PAYLOAD);
    assert!(matches!(slot, Err(Error::Invalid { .. })));
}

#[test]
fn a_payload_too_long_for_a_slot_is_refused() {
    let slot = slot::write(&Lock::KeyFile(&key(1)), SUITE, b"", &[0; 65_535]);
    assert!(matches!(slot, Err(Error::TooLong { .. })));
}
