//! The vectors of <https://c2sp.org/XAES-256-GCM>.

use shake::{ExtendableOutput, Shake128, Update, XofReader};

use crate::cipher::Cipher;
use crate::key::Key;
use crate::suite::Suite;

fn check(key: u8, aad: &str, sealed: &str) {
    let key = Key::from_bytes([key; 32]);
    let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
    let cipher = Cipher::new(Suite::Xaes256Gcm, &key);
    let mut message = *b"XAES-256-GCM";
    let tag = cipher
        .seal_detached(nonce, aad.as_bytes(), &mut message)
        .unwrap();
    assert_eq!(hex::encode(message) + &hex::encode(tag), sealed);
    cipher
        .open_detached(nonce, aad.as_bytes(), &mut message, &tag)
        .unwrap();
    assert_eq!(&message, b"XAES-256-GCM");
}

/// MSB(L) = 0.
#[test]
fn first_example() {
    check(
        1,
        "",
        "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
    );
}

/// MSB(L) = 1.
#[test]
fn second_example() {
    check(
        3,
        "c2sp.org/XAES-256-GCM",
        "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
    );
}

fn accumulated(iterations: u32) -> String {
    let mut source = Shake128::default().finalize_xof();
    let mut hash = Shake128::default();
    for _ in 0..iterations {
        let mut key = [0; 32];
        source.read(&mut key);
        let mut nonce = [0; 24];
        source.read(&mut nonce);
        let mut variable = || {
            let mut len = [0];
            source.read(&mut len);
            let mut bytes = vec![0; len[0].into()];
            source.read(&mut bytes);
            bytes
        };
        let (plaintext, aad) = (variable(), variable());
        let cipher = Cipher::new(Suite::Xaes256Gcm, &Key::from_bytes(key));
        let mut message = plaintext.clone();
        let tag = cipher.seal_detached(&nonce, &aad, &mut message).unwrap();
        hash.update(&message);
        hash.update(&tag);
        cipher
            .open_detached(&nonce, &aad, &mut message, &tag)
            .unwrap();
        assert_eq!(message, plaintext);
    }
    let mut digest = [0; 32];
    hash.finalize_xof().read(&mut digest);
    hex::encode(digest)
}

#[test]
fn accumulated_10_000() {
    assert_eq!(
        accumulated(10_000),
        "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
    );
}

#[test]
fn accumulated_1_000_000() {
    assert_eq!(
        accumulated(1_000_000),
        "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"
    );
}
