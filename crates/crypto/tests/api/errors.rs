//! The text that users see.

use std::error::Error as _;
use std::io;

use keepwatch_crypto::Error;

#[test]
fn messages_and_hints() {
    let cases = [
        (
            Error::Open,
            "the key is wrong or the data was changed",
            true,
        ),
        (
            Error::OtherCredential {
                needs: "a key file".to_owned(),
                given: "a passphrase",
            },
            "it opens with a key file, not with a passphrase",
            true,
        ),
        (
            Error::Unsupported {
                what: "slot kind",
                value: "5".to_owned(),
            },
            "unsupported slot kind: 5",
            true,
        ),
        (
            Error::Malformed {
                what: "a sealed file",
                problem: "its header is cut off",
            },
            "a sealed file cannot be read: its header is cut off",
            true,
        ),
        (
            Error::Invalid {
                what: "PBKDF2",
                problem: "600 000 iterations are the least",
            },
            "PBKDF2 cannot be used: 600 000 iterations are the least",
            false,
        ),
        (
            Error::TooLong {
                what: "a slot",
                limit: 100,
            },
            "the data is longer than 100 bytes, which is the most that a slot holds",
            false,
        ),
        (
            Error::Memory { mib: 2048 },
            "there is no memory for a key derivation of 2048 MiB",
            true,
        ),
        (
            Error::Io {
                action: "reading",
                source: io::ErrorKind::NotFound.into(),
            },
            "reading failed",
            false,
        ),
    ];
    for (error, message, has_hint) in cases {
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint().is_some(), has_hint, "{message}");
        assert_eq!(error.source().is_some(), matches!(error, Error::Io { .. }));
    }
}

#[test]
fn errors_survive_io() {
    let through: io::Error = Error::Open.into();
    assert_eq!(through.kind(), io::ErrorKind::InvalidData);
    assert!(matches!(through.downcast::<Error>(), Ok(Error::Open)));
    let inner = Error::Io {
        action: "writing",
        source: io::ErrorKind::StorageFull.into(),
    };
    assert_eq!(io::Error::from(inner).kind(), io::ErrorKind::StorageFull);
}
