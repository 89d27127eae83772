use keepwatch_crypto::{Cipher, Error, NONCE_LEN, OVERHEAD, Suite, TAG_LEN};
use proptest::prelude::*;

use crate::key;

#[test]
fn two_seals_of_one_message_differ() {
    for suite in Suite::ALL {
        let cipher = Cipher::new(suite, &key(1));
        assert_ne!(
            cipher.seal(b"", b"message").unwrap(),
            cipher.seal(b"", b"message").unwrap()
        );
    }
}

#[test]
fn suites_and_keys_do_not_open_each_other() {
    let sealed = Cipher::new(Suite::Xaes256Gcm, &key(1))
        .seal(b"", b"message")
        .unwrap();
    for (suite, byte) in [(Suite::XChaCha20Poly1305, 1), (Suite::Xaes256Gcm, 2)] {
        let opened = Cipher::new(suite, &key(byte)).open(b"", &sealed);
        assert!(matches!(opened, Err(Error::Open)));
    }
}

#[test]
fn what_is_too_short_does_not_open() {
    for suite in Suite::ALL {
        let cipher = Cipher::new(suite, &key(1));
        for len in 0..=OVERHEAD {
            assert!(matches!(cipher.open(b"", &vec![0; len]), Err(Error::Open)));
            assert!(matches!(
                cipher.open_in_place(b"", &mut vec![0; len]),
                Err(Error::Open)
            ));
        }
    }
}

#[test]
fn suites_have_names_and_bytes() {
    for suite in Suite::ALL {
        assert_eq!(Suite::from_byte(suite.byte()).unwrap(), suite);
        assert_eq!(suite.to_string().parse::<Suite>().unwrap(), suite);
    }
    for byte in [0, 3, 255] {
        assert!(matches!(
            Suite::from_byte(byte),
            Err(Error::Unsupported { .. })
        ));
    }
    assert!("aes-256-gcm".parse::<Suite>().is_err());
    assert!(Suite::ALL.contains(&Suite::recommended()));
}

#[test]
fn a_cipher_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Cipher>();
}

fn suite() -> impl Strategy<Value = Suite> {
    prop_oneof![Just(Suite::Xaes256Gcm), Just(Suite::XChaCha20Poly1305)]
}

proptest! {
    #[test]
    fn opening_undoes_sealing(suite in suite(), aad: Vec<u8>, message: Vec<u8>) {
        let cipher = Cipher::new(suite, &key(1));
        let sealed = cipher.seal(&aad, &message).unwrap();
        prop_assert_eq!(sealed.len(), message.len() + OVERHEAD);
        prop_assert!(*cipher.open(&aad, &sealed).unwrap() == message);

        let mut buf = vec![0; message.len() + OVERHEAD];
        buf[NONCE_LEN..][..message.len()].copy_from_slice(&message);
        cipher.seal_in_place(&aad, &mut buf).unwrap();
        prop_assert!(*cipher.open(&aad, &buf).unwrap() == message);
        prop_assert_eq!(&*cipher.open_in_place(&aad, &mut buf).unwrap(), message.as_slice());
    }

    #[test]
    fn a_flipped_bit_does_not_open(
        suite in suite(),
        message in proptest::collection::vec(any::<u8>(), 0..200),
        at: proptest::sample::Index,
        bit in 0..8u8,
        cut: proptest::sample::Index,
    ) {
        let cipher = Cipher::new(suite, &key(1));
        let sealed = cipher.seal(b"aad", &message).unwrap();
        let mut flipped = sealed.clone();
        flipped[at.index(sealed.len())] ^= 1 << bit;
        prop_assert!(matches!(cipher.open(b"aad", &flipped), Err(Error::Open)));
        let body = flipped[NONCE_LEN..flipped.len() - TAG_LEN].to_vec();
        prop_assert!(matches!(cipher.open_in_place(b"aad", &mut flipped), Err(Error::Open)));
        // In place, a failure leaves the ciphertext and nothing else.
        prop_assert_eq!(&flipped[NONCE_LEN..flipped.len() - TAG_LEN], body.as_slice());
        prop_assert!(matches!(cipher.open(b"add", &sealed), Err(Error::Open)));
        prop_assert!(matches!(cipher.open(b"aad", &sealed[..cut.index(sealed.len())]), Err(Error::Open)));
    }
}
