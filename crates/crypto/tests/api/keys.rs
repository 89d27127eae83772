use keepwatch_crypto::sealed::{SealOptions, SealedReader, SealedWriter};
use keepwatch_crypto::{
    Cipher, Credential, Error, Kdf, Key, Lock, Passphrase, PublicKey, SecretKey, Suite,
    backuphandler, ct_eq, open_from, random_bytes, seal_to, slot,
};

use crate::{CHEAP, key, key_file, seal};

#[test]
fn generated_keys_differ() {
    assert_ne!(
        Key::generate().unwrap().expose(),
        Key::generate().unwrap().expose()
    );
    assert_ne!(random_bytes::<16>().unwrap(), random_bytes::<16>().unwrap());
    let secret = SecretKey::generate().unwrap();
    assert_ne!(secret.public(), SecretKey::generate().unwrap().public());
}

#[test]
fn comparison_looks_at_everything() {
    assert!(ct_eq(b"", b""));
    assert!(ct_eq(b"abc", b"abc"));
    assert!(!ct_eq(b"abc", b"abd"));
    assert!(!ct_eq(b"abc", b"ab"));
}

#[test]
fn age_texts_come_back() {
    for _ in 0..50 {
        let secret = SecretKey::generate().unwrap();
        let again: SecretKey = secret.to_age_string().parse().unwrap();
        assert_eq!(again.expose(), secret.expose());
        let public = secret.public();
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        assert!(public.to_string().starts_with("age1"));
        assert!(secret.to_age_string().starts_with("AGE-SECRET-KEY-1"));
    }
}

#[test]
fn damaged_age_texts_are_refused() {
    let secret = SecretKey::from_bytes([0x42; 32]);
    let identity = secret.to_age_string().to_string();
    let recipient = secret.public().to_string();
    for text in [
        "",
        "age1",
        &identity,
        &recipient[1..],
        &recipient[..60],
        &(recipient.clone() + "q"),
    ] {
        let error = text.parse::<PublicKey>().unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{text}");
    }
    for at in 4..recipient.len() {
        let mut text = recipient.clone().into_bytes();
        text[at] = if text[at] == b'q' { b'p' } else { b'q' };
        let text = String::from_utf8(text).unwrap();
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
    assert!(recipient.parse::<SecretKey>().is_err());
    let error = identity[..70].parse::<SecretKey>().unwrap_err();
    assert!(!error.to_string().contains("GFPYYSJZ"));
    // A mixed case is no Bech32.
    assert!(identity.replace('G', "g").parse::<SecretKey>().is_err());
}

#[test]
fn a_recipient_opens_what_is_sealed_to_it() {
    let secret = SecretKey::generate().unwrap();
    let sealed = seal_to(&secret.public(), "context", b"aad", b"message").unwrap();
    assert_eq!(sealed.len(), 48 + 7);
    assert_eq!(
        *open_from(&secret, "context", b"aad", &sealed).unwrap(),
        b"message"
    );
    let refused = |secret: &SecretKey, context, aad, sealed: &[u8]| {
        assert!(matches!(
            open_from(secret, context, aad, sealed),
            Err(Error::Open)
        ));
    };
    refused(&secret, "other", b"aad", &sealed);
    refused(&secret, "context", b"other", &sealed);
    refused(&SecretKey::generate().unwrap(), "context", b"aad", &sealed);
    for len in 0..sealed.len() {
        refused(&secret, "context", b"aad", &sealed[..len]);
    }
    for at in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        // X25519 ignores the top bit of a public key, but the key derivation does not.
        refused(&secret, "context", b"aad", &flipped);
    }
}

#[test]
fn low_order_points_are_refused() {
    let secret = SecretKey::generate().unwrap();
    for point in [0, 1] {
        let mut bytes = [0; 32];
        bytes[0] = point;
        let sealed = seal_to(&PublicKey::from_bytes(bytes), "context", b"", b"message");
        assert!(matches!(sealed, Err(Error::Invalid { .. })));
        let forged = [&bytes[..], &[0; 48]].concat();
        assert!(matches!(
            open_from(&secret, "context", b"", &forged),
            Err(Error::Open)
        ));
    }
}

#[test]
fn debug_output_holds_no_secret() {
    let secret = SecretKey::from_bytes([0x42; 32]);
    let public = secret.public();
    let passphrase = Passphrase::from("hunter2");
    let key = key(0xab);
    let sealed = seal(b"hunter2", &key, SealOptions::default());
    let slot = slot::write(&Lock::KeyFile(&key), Suite::Xaes256Gcm, b"", &[0; 32]).unwrap();
    let mut reader = SealedReader::open(std::io::Cursor::new(&sealed), &key_file(0xab)).unwrap();
    std::io::Read::read_exact(&mut reader, &mut [0; 3]).unwrap();
    let mut writer =
        SealedWriter::new(Vec::new(), &[Lock::KeyFile(&key)], SealOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, b"hunter2").unwrap();
    let legacy = backuphandler::LegacyKey::from_key_file(&key);
    let outputs = [
        (format!("{key:?}"), "Key(…)"),
        (format!("{secret:?}"), "SecretKey(…)"),
        (format!("{passphrase:?}"), "Passphrase(…)"),
        (
            format!("{:?}", Cipher::new(Suite::Xaes256Gcm, &key)),
            "Cipher(xaes-256-gcm)",
        ),
        (
            format!("{:?}", Credential::from(passphrase.clone())),
            "Passphrase(Passphrase(…))",
        ),
        (
            format!("{:?}", Credential::from(secret.clone())),
            "Identities([SecretKey(…)])",
        ),
        (format!("{:?}", key_file(0xab)), "KeyFile(Key(…))"),
        (
            format!("{:?}", Lock::Passphrase(&passphrase, CHEAP)),
            "Passphrase(Passphrase(…), Argon2id { m_kib: 64, t: 1, p: 1 })",
        ),
        (format!("{:?}", Lock::KeyFile(&key)), "KeyFile(Key(…))"),
        (
            format!("{:?}", Lock::Recipient(&public)),
            "Recipient(PublicKey(age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj))",
        ),
        (format!("{legacy:?}"), "LegacyKey(key file)"),
        (
            format!("{reader:?}"),
            "SealedReader { len: 7, position: 3, .. }",
        ),
        (
            format!("{writer:?}"),
            "SealedWriter { chunk_size: 65536, number: 0, .. }",
        ),
    ];
    for (output, expected) in outputs {
        assert_eq!(output, expected);
    }
    let wrapped = format!("{:?}", slot::parse(&slot, 32).unwrap().0);
    assert!(
        wrapped.starts_with("Wrapped"),
        "it holds ciphertext only: {wrapped}"
    );
    let decryptor = backuphandler::Decryptor::new(passphrase.into());
    assert!(!format!("{decryptor:?}").contains("hunter2"));
}

#[test]
fn key_derivations_describe_themselves() {
    assert_eq!(Kdf::default().to_string(), "argon2id, 64 MiB, t=3, p=4");
    assert_eq!(CHEAP.to_string(), "argon2id, 64 KiB, t=1, p=1");
    assert_eq!(
        Kdf::pbkdf2(600_000).to_string(),
        "pbkdf2, 600000 iterations"
    );
}
