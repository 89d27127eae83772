//! TLS by rustls: certificates from files, which are read again when they change, or one that the
//! server makes itself.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use keepwatch_core::events::Store;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// The private file of the store that holds the server's own certificate and its key.
const FILE: &str = "certificate";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds no certificate, or no key.
    #[error("{} holds no {what}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Key and certificate do not fit, or are of a kind that is not known.
    #[error("the certificate cannot be used")]
    Unusable(#[source] rustls::Error),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// The store does not keep it.
    #[error(transparent)]
    Store(#[from] keepwatch_core::Error),
}

/// Where certificates come from.
#[derive(Debug)]
enum Place {
    /// The server's own.
    Own,
    Files {
        certificate: PathBuf,
        key: PathBuf,
        /// When they were changed last, as far as they were read.
        read: Mutex<[Option<SystemTime>; 2]>,
    },
}

/// The certificate that is shown.
#[derive(Debug)]
pub(crate) struct Certificates {
    place: Place,
    shown: RwLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Of files.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let read = Mutex::new([changed(certificate), changed(key)]);
        let shown = read_files(certificate, key)?;
        Ok(Arc::new(Self {
            place: Place::Files {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                read,
            },
            shown: RwLock::new(Arc::new(shown)),
        }))
    }

    /// The server's own, made when it is first needed and kept in the store.
    pub fn own(store: &Store, listen: &[SocketAddr]) -> Result<Arc<Self>, TlsError> {
        let kept = store.read_private(FILE)?;
        let pem = match &kept {
            Some(pem) => pem.to_vec(),
            None => {
                let pem = make(listen)?;
                store.change_private(FILE, |there| {
                    // Another process may have made one meanwhile.
                    Ok::<_, keepwatch_core::Error>(Some(
                        there.map_or_else(|| pem.clone(), <[u8]>::to_vec),
                    ))
                })?;
                store.read_private(FILE)?.map_or(pem, |kept| kept.to_vec())
            }
        };
        let path = Path::new("the certificate in the store");
        let shown = certified(&pem, &pem, path, path)?;
        Ok(Arc::new(Self {
            place: Place::Own,
            shown: RwLock::new(Arc::new(shown)),
        }))
    }

    /// The SHA-256 of the certificate, in pairs of digits, as browsers show it; of the server's own
    /// only, since others are vouched for.
    pub fn fingerprint(&self) -> Option<String> {
        let Place::Own = self.place else {
            return None;
        };
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let digest = sha256(shown.end_entity_cert().ok()?);
        let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Some(pairs.join(":"))
    }

    /// Reads files again that have changed; what cannot be used leaves those before in force.
    pub fn refresh(&self) {
        let Place::Files {
            certificate,
            key,
            read,
        } = &self.place
        else {
            return;
        };
        let now = [changed(certificate), changed(key)];
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        if *read == now {
            return;
        }
        match read_files(certificate, key) {
            Ok(shown) => {
                *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
                *read = now;
                tracing::info!("the certificate was read again");
            }
            // Whoever renews a certificate may have written one of the two files: next time both are
            // looked at again.
            Err(error) => {
                let error = keepwatch_core::with_causes(&error);
                tracing::error!(error, "the certificate cannot be read again");
            }
        }
    }

    /// What accepts connections.
    pub fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need")
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.shown
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(bytes).to_vec()
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|meta| meta.modified())
        .ok()
}

fn read_files(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let read = |path: &Path| {
        let bytes = std::fs::read(path);
        bytes.map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    certified(&read(certificate)?, &read(key)?, certificate, key)
}

fn certified(
    chain: &[u8],
    key: &[u8],
    chain_path: &Path,
    key_path: &Path,
) -> Result<CertifiedKey, TlsError> {
    let none = |path: &Path, what| TlsError::Pem {
        path: path.to_owned(),
        what,
    };
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| none(chain_path, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| none(key_path, "private key"))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(TlsError::Unusable)
}

/// A certificate that signs itself, for the addresses that the server listens at and the name of the
/// machine.
fn make(listen: &[SocketAddr]) -> Result<Vec<u8>, TlsError> {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().into_owned();
    let mut names = vec![
        "localhost".to_owned(),
        host.clone(),
        format!("{host}.local"),
    ];
    let given = listen.iter().map(|address| address.ip());
    names.extend(
        given
            .filter(|ip| !ip.is_unspecified())
            .map(|ip| ip.to_string()),
    );
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    names.sort();
    names.dedup();
    let mut params = CertificateParams::new(names).map_err(TlsError::Make)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("Keepwatch on {host}"));
    params.distinguished_name = name;
    let key = KeyPair::generate().map_err(TlsError::Make)?;
    let certificate = params.self_signed(&key).map_err(TlsError::Make)?;
    let mut pem = certificate.pem().into_bytes();
    pem.extend_from_slice(key.serialize_pem().as_bytes());
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    fn write(path: &Path, bytes: &[u8]) {
        let mut file = File::create(path).expect("a file");
        file.write_all(bytes).expect("it is written");
    }

    fn split(pem: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let text = String::from_utf8(pem.to_vec()).expect("PEM is text");
        let at = text.find("-----BEGIN PRIVATE KEY").expect("a key");
        (
            text.as_bytes()[..at].to_vec(),
            text.as_bytes()[at..].to_vec(),
        )
    }

    #[test]
    fn files_are_read_again_when_they_change_and_only_if_they_can_be_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = [folder.path().join("c.pem"), folder.path().join("k.pem")];
        let (certificate, key) = split(&make(&[]).expect("a certificate"));
        write(&paths[0], &certificate);
        write(&paths[1], &key);
        let certificates = Certificates::from_files(&paths[0], &paths[1]).expect("they fit");
        assert!(certificates.fingerprint().is_none());
        let shown = || {
            certificates
                .shown
                .read()
                .expect("it is free")
                .end_entity_cert()
                .expect("one")
                .to_vec()
        };
        let first = shown();
        let later = |path: &Path, seconds| {
            let file = File::options()
                .append(true)
                .open(path)
                .expect("it is there");
            let time = SystemTime::now() + std::time::Duration::from_secs(seconds);
            file.set_modified(time).expect("it can be set");
        };
        let (certificate, key) = split(&make(&[]).expect("another"));
        write(&paths[0], &certificate);
        later(&paths[0], 10);
        certificates.refresh();
        assert_eq!(shown(), first, "the key does not fit");
        write(&paths[1], &key);
        later(&paths[1], 20);
        certificates.refresh();
        assert_ne!(shown(), first);
        std::fs::remove_file(&paths[0]).expect("it is there");
        let second = shown();
        certificates.refresh();
        assert_eq!(shown(), second);
    }

    #[test]
    fn files_that_hold_something_else_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.pem");
        write(&path, b"nothing");
        let error = Certificates::from_files(&path, &path).expect_err("it is none");
        assert!(error.to_string().contains("x.pem"), "{error}");
        assert!(Certificates::from_files(Path::new("/no"), &path).is_err());
    }
}
