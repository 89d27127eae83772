//! What opens and locks: passphrases, key files, identities and recipients.

use std::path::PathBuf;

use keepwatch_core::fs::read_secret;
use keepwatch_crypto::{Credential, Kdf, Key, Lock, NewLock, Passphrase, PublicKey, SecretKey};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use zeroize::Zeroizing;

use crate::errors::{Raise, Result, wrong_type};
use crate::record::{FilePath, Strings};

/// The iterations of PBKDF2 for those who must use it.
const PBKDF2_ITERATIONS: u32 = 600_000;

/// A passphrase. It is never part of an error: PyO3 would show the value.
#[derive(Clone)]
pub struct Secret(Passphrase);

impl<'py> FromPyObject<'_, 'py> for Secret {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<String>() {
            Ok(text) => Ok(Self(text.into())),
            Err(_) => Err(wrong_type("a string is needed")),
        }
    }
}

/// A key file, or the 32 bytes of one.
#[derive(Clone)]
pub enum KeySource {
    /// Its content.
    Bytes(Zeroizing<Vec<u8>>),
    /// Where it is.
    Path(PathBuf),
}

impl<'py> FromPyObject<'_, 'py> for KeySource {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.extract::<PyBackedBytes>() {
            return Ok(Self::Bytes(Zeroizing::new(bytes.to_vec())));
        }
        match object.extract::<PathBuf>() {
            Ok(path) => Ok(Self::Path(path)),
            Err(_) => Err(wrong_type("a path, or 32 bytes, are needed")),
        }
    }
}

impl KeySource {
    fn read(&self) -> Result<Key> {
        let (content, what) = match self {
            KeySource::Bytes(bytes) => (bytes.clone(), "it".to_owned()),
            KeySource::Path(path) => (read_secret(path)?, path.display().to_string()),
        };
        let length = content.len();
        let key: Zeroizing<[u8; 32]> =
            Zeroizing::new(content.as_slice().try_into().map_err(|_| {
                Raise::value("key_file", format!("{what} has {length} bytes, not 32"))
            })?);
        Ok(Key::from_bytes(*key))
    }
}

/// An identity, or a file of them.
#[derive(Clone)]
pub enum IdentitySource {
    /// Itself.
    Own(SecretKey),
    /// A file as `keepwatch keygen` or `age-keygen` writes it.
    Path(PathBuf),
}

impl<'py> FromPyObject<'_, 'py> for IdentitySource {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(identity) = object.cast::<Identity>() {
            return Ok(Self::Own(identity.get().0.clone()));
        }
        match object.extract::<PathBuf>() {
            // As a path it would be told in an error.
            Ok(path) if is_secret(&path) => Err(wrong_type(
                "an Identity or a path is needed; Identity.parse() takes the text of one",
            )),
            Ok(path) => Ok(Self::Path(path)),
            Err(_) => Err(wrong_type("an Identity or a path is needed")),
        }
    }
}

fn is_secret(path: &std::path::Path) -> bool {
    let text = path.to_string_lossy().to_ascii_uppercase();
    text.trim_start().starts_with("AGE-SECRET-KEY-")
}

impl IdentitySource {
    fn read(&self) -> Result<Vec<SecretKey>> {
        match self {
            IdentitySource::Own(identity) => Ok(vec![identity.clone()]),
            IdentitySource::Path(path) => {
                let bytes = read_secret(path)?;
                let refuse = |problem: &str| {
                    Raise::value("identity", format!("{}: {problem}", path.display()))
                };
                let text = std::str::from_utf8(&bytes).map_err(|_| refuse("it is not UTF-8"))?;
                SecretKey::parse_file(text).map_err(|error| refuse(&error.to_string()))
            }
        }
    }
}

/// What the keyword arguments `passphrase`, `key_file` and `identity` say.
pub fn credential(
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    identity: Option<IdentitySource>,
) -> Result<Credential> {
    match (passphrase, key_file, identity) {
        (Some(passphrase), None, None) => Ok(checked(passphrase)?.into()),
        (None, Some(key), None) => Ok(Credential::KeyFile(key.read()?)),
        (None, None, Some(identity)) => Ok(Credential::Identities(identity.read()?)),
        (None, None, None) => Err(Raise::value(
            "passphrase",
            "a passphrase, a key_file or an identity is needed",
        )),
        _ => Err(Raise::value(
            "passphrase",
            "give one of passphrase, key_file and identity, not several",
        )),
    }
}

/// What the keyword arguments `passphrase`, `key_file` and `recipients` say; the first of them is
/// what the caller can open himself.
pub fn new_locks(
    passphrase: Option<Secret>,
    key_file: Option<KeySource>,
    recipients: Option<Strings>,
) -> Result<Vec<NewLock>> {
    let mut locks = Vec::new();
    if let Some(passphrase) = passphrase {
        locks.push(NewLock::Passphrase(checked(passphrase)?));
    }
    if let Some(key) = key_file {
        locks.push(NewLock::KeyFile(key.read()?));
    }
    for recipient in recipients.unwrap_or_default().0 {
        locks.push(NewLock::Recipient(parse_recipient(&recipient)?));
    }
    match locks.is_empty() {
        true => Err(Raise::value(
            "passphrase",
            "a passphrase, a key_file or recipients are needed",
        )),
        false => Ok(locks),
    }
}

/// As the libraries want them.
pub fn borrowed(locks: &[NewLock], kdf: Kdf) -> Vec<Lock<'_>> {
    locks.iter().map(|lock| lock.lock(kdf)).collect()
}

/// Reads `age1…`.
pub fn parse_recipient(text: &str) -> Result<PublicKey> {
    text.parse().map_err(|_| {
        // A secret key given by mistake must not be told.
        Raise::value("recipients", "one of them is no age recipient (age1…)")
    })
}

/// Reads `kdf`.
pub fn kdf(name: &str) -> Result<Kdf> {
    match name {
        "argon2id" => Ok(Kdf::default()),
        "pbkdf2" => Ok(Kdf::pbkdf2(PBKDF2_ITERATIONS)),
        _ => Err(one_of("kdf", name, &["argon2id", "pbkdf2"])),
    }
}

/// An argument is none of these words.
pub fn one_of(argument: &'static str, found: &str, words: &[&str]) -> Raise {
    Raise::value(
        argument,
        format!("{found:?} is none of {}", words.join(", ")),
    )
}

fn checked(passphrase: Secret) -> Result<Passphrase> {
    match passphrase.0.expose().is_empty() {
        true => Err(Raise::value("passphrase", "it is empty")),
        false => Ok(passphrase.0),
    }
}

/// A secret key, whose holder opens what is sealed to its recipient.
///
/// It is an age identity: `age` and Keepwatch take each other's.
#[pyclass(frozen, module = "keepwatch")]
pub struct Identity(SecretKey);

#[pymethods]
impl Identity {
    /// Reads `AGE-SECRET-KEY-1…`.
    #[staticmethod]
    fn parse(text: &str) -> Result<Self> {
        match text.trim().parse() {
            Ok(identity) => Ok(Self(identity)),
            Err(_) => Err(Raise::value("text", "it is no age identity")),
        }
    }

    /// Reads the first identity of a file as `keygen` or `age-keygen` writes it.
    #[staticmethod]
    fn load(path: FilePath) -> Result<Self> {
        let mut all = IdentitySource::Path(path.0).read()?;
        Ok(Self(all.swap_remove(0)))
    }

    /// What others seal to: `age1…`.
    #[getter]
    fn recipient(&self) -> String {
        self.0.public().to_string()
    }

    /// The secret, `AGE-SECRET-KEY-1…`: for a place that keeps secrets.
    fn expose(&self) -> String {
        self.0.to_age_string().to_string()
    }

    fn __repr__(&self) -> String {
        format!("Identity(recipient={:?})", self.0.public().to_string())
    }
}

impl Identity {
    /// A new one.
    pub fn generate() -> Result<Self> {
        Ok(Self(SecretKey::generate()?))
    }

    /// The key itself.
    pub fn key(&self) -> &SecretKey {
        &self.0
    }
}
