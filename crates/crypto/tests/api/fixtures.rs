//! Files of released format versions, kept for ever: see `tests/vectors/README.md`.

use std::io::{Cursor, Read};
use std::path::PathBuf;

use keepwatch_crypto::sealed::SealedReader;
use keepwatch_crypto::{Credential, SecretKey, Suite};

use crate::{key_file, pattern};

const LEN: usize = 5000;
const PASSPHRASE: &str = "correct horse battery staple";

fn path(suite: Suite) -> PathBuf {
    let name = format!("sealed-v1-{suite}.kw");
    // Asked when the test runs: checkouts that share a target directory share its binaries.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("tests/vectors")
        .join(name)
}

fn secret() -> SecretKey {
    SecretKey::from_bytes([0x42; 32])
}

#[test]
fn version_1_opens() {
    for suite in Suite::ALL {
        let file = std::fs::read(path(suite)).unwrap();
        let credentials = [
            Credential::Passphrase(PASSPHRASE.into()),
            key_file(7),
            Credential::from(secret()),
        ];
        for credential in credentials {
            let mut reader = SealedReader::open(Cursor::new(&file), &credential).unwrap();
            let mut plain = Vec::new();
            reader.read_to_end(&mut plain).unwrap();
            assert_eq!(plain, pattern(LEN));
        }
    }
}
