//! Certificates as cameras have them: signed by themselves.

use std::io::Write as _;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub struct Certificate {
    /// Certificate and key, as servers take them.
    pub pem: String,
    der: Vec<u8>,
    /// The certificate alone, in a file that goes away with it.
    file: tempfile::NamedTempFile,
}

impl Certificate {
    /// For a host of this name, or this address.
    pub fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]);
        Self::new(&made.expect("it is made"))
    }

    /// One that was for this host, years ago.
    pub fn expired(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().expect("it is made");
        let mut about = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        about.not_before = rcgen::date_time_ymd(2001, 1, 1);
        about.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let cert = about.self_signed(&key).expect("it is signed");
        Self::new(&rcgen::CertifiedKey {
            cert,
            signing_key: key,
        })
    }

    fn new(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Self {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let pem = made.cert.pem();
        file.write_all(pem.as_bytes()).expect("it is written");
        Self {
            pem: pem + &made.signing_key.serialize_pem(),
            der: made.cert.der().to_vec(),
            file,
        }
    }

    pub fn file(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }
}
