//! Vectors of the RFCs, and of BLAKE3 and age, that our own constructions rest on.

use argon2::{Algorithm, Argon2, ParamsBuilder, Version};

use super::unhex;
use crate::identity::{PublicKey, SecretKey};
use crate::key::Key;
use crate::passphrase::Kdf;
use crate::recipient::hkdf_sha256;

/// RFC 9106, section 5.3.
#[test]
fn argon2id() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let secret = [3; 8];
    let argon2 =
        Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon2
        .hash_password_into(&[1; 32], &[2; 16], &mut tag)
        .unwrap();
    assert_eq!(
        hex::encode(tag),
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
    );
}

/// Through our own path: the parameters reach the function in their places.
#[test]
fn argon2id_of_a_passphrase() {
    let key = Kdf::argon2id(256, 2, 3)
        .derive(&"password".into(), b"somesaltsomesalt")
        .unwrap();
    let params = argon2::Params::new(256, 2, 3, Some(32)).unwrap();
    let mut expected = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(b"password", b"somesaltsomesalt", &mut expected)
        .unwrap();
    assert_eq!(key.expose(), &expected);
}

/// Through our own path; the function itself is in the Wycheproof file.
#[test]
fn pbkdf2_of_a_passphrase() {
    let key = Kdf::pbkdf2(1000)
        .derive(&"passwd".into(), b"saltsaltsaltsalt")
        .unwrap();
    let mut expected = [0; 32];
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(b"passwd", b"saltsaltsaltsalt", 1000, &mut expected);
    assert_eq!(key.expose(), &expected);
}

/// RFC 5869, appendix A, cases 1 to 3.
#[test]
fn hkdf() {
    let long = |from: u8| (from..from + 80).collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            (0..13).collect::<Vec<u8>>(),
            (0xf0..0xfa).collect::<Vec<u8>>(),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            long(0),
            long(0x60),
            (0xb0..=0xff).collect(),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (ikm, salt, info, expected) in cases {
        let mut okm = vec![0; expected.len() / 2];
        hkdf_sha256(&ikm, &salt, &info, &mut okm);
        assert_eq!(hex::encode(okm), expected);
    }
}

fn x25519(secret: &str, public: &str) -> String {
    let shared = SecretKey::from_bytes(unhex(secret))
        .agree(&PublicKey::from_bytes(unhex(public)))
        .unwrap();
    hex::encode(*shared)
}

/// RFC 7748, section 5.2.
#[test]
fn x25519_function() {
    assert_eq!(
        x25519(
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"
        ),
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    );
    assert_eq!(
        x25519(
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"
        ),
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
    );
}

/// RFC 7748, section 5.2, the iterated test.
#[test]
fn x25519_iterated() {
    let mut u = [0; 32];
    u[0] = 9;
    let mut k = u;
    for round in 1..=1000 {
        let shared = SecretKey::from_bytes(k)
            .agree(&PublicKey::from_bytes(u))
            .unwrap();
        u = k;
        k = *shared;
        if round == 1 {
            let expected = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
            assert_eq!(hex::encode(k), expected);
        }
    }
    let expected = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
    assert_eq!(hex::encode(k), expected);
}

/// RFC 7748, section 6.1.
#[test]
fn x25519_diffie_hellman() {
    let alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    let bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    let alice_public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    let bob_public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    for (secret, public) in [(alice, alice_public), (bob, bob_public)] {
        let secret = SecretKey::from_bytes(unhex(secret));
        assert_eq!(hex::encode(secret.public().as_bytes()), public);
    }
    assert_eq!(x25519(alice, bob_public), shared);
    assert_eq!(x25519(bob, alice_public), shared);
}

/// The first rows of BLAKE3's `test_vectors.json`: the input counts up from zero.
#[test]
fn blake3_modes() {
    let key = Key::from_bytes(*b"whats the Elvish word for friend");
    assert_eq!(
        hex::encode(key.mac(&[])),
        "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"
    );
    assert_eq!(key.mac(&[b"a", b"bc"]), key.mac(&[b"abc"]));
    let derived = blake3::derive_key("some context", &[7; 32]);
    let key = Key::from_bytes([7; 32]);
    assert_eq!(key.derive("some context").expose(), &derived);
    assert_eq!(key.commitment("some context"), derived);
    assert_ne!(key.commitment("another context"), derived);
}

/// The key pair in the age specification.
#[test]
fn age_key_pair() {
    let identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    let secret: SecretKey = identity.parse().unwrap();
    assert_eq!(secret.expose(), &[0x42; 32]);
    assert_eq!(*secret.to_age_string(), identity);
    assert_eq!(secret.public().to_string(), recipient);
    assert_eq!(recipient.parse::<PublicKey>().unwrap(), secret.public());
}
