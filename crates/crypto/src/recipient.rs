//! Sealing to a public key (FORMAT.md, section 1.2).

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::cipher::TAG_LEN;
use crate::error::{Error, Result};
use crate::identity::{PublicKey, SecretKey};
use crate::key::Key;

const PUBLIC_LEN: usize = 32;

/// Seals to a public key: only the holder of its secret key can open it, not even the sender.
///
/// `context` is a constant of the program, unique to the purpose. The result is 48 bytes longer
/// than `plaintext`. It says nothing about who sealed it.
///
/// # Errors
/// [`Error::Invalid`] for a public key of low order, whose secrets anybody knows.
pub fn seal_to(
    recipient: &PublicKey,
    context: &str,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    let (ephemeral, key) = encapsulate(recipient, context)?;
    let mut sealed = Vec::with_capacity(PUBLIC_LEN + plaintext.len() + TAG_LEN);
    sealed.extend_from_slice(ephemeral.as_bytes());
    sealed.extend_from_slice(plaintext);
    let tag = seal_once(&key, aad, &mut sealed[PUBLIC_LEN..])?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal_to`] made.
///
/// # Errors
/// [`Error::Open`] for a wrong key, context or associated data, or changed bytes.
pub fn open_from(
    secret: &SecretKey,
    context: &str,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let (ephemeral, sealed) = sealed.split_first_chunk().ok_or(Error::Open)?;
    let ephemeral = PublicKey::from_bytes(*ephemeral);
    let key = decapsulate(secret, &ephemeral, context).ok_or(Error::Open)?;
    open_once(&key, aad, sealed)
}

/// A fresh ephemeral public key and the key that it shares with the recipient.
pub(crate) fn encapsulate(recipient: &PublicKey, context: &str) -> Result<(PublicKey, Key)> {
    let secret = SecretKey::generate()?;
    let ephemeral = secret.public();
    let shared = secret.agree(recipient).ok_or(Error::Invalid {
        what: "the recipient",
        problem: "its public key is of low order",
    })?;
    let key = shared_key(&shared, &ephemeral, recipient, context);
    Ok((ephemeral, key))
}

/// The key that [`encapsulate`] gave; none for an ephemeral key of low order.
pub(crate) fn decapsulate(secret: &SecretKey, ephemeral: &PublicKey, context: &str) -> Option<Key> {
    let shared = secret.agree(ephemeral)?;
    Some(shared_key(&shared, ephemeral, &secret.public(), context))
}

fn shared_key(
    shared: &[u8; 32],
    ephemeral: &PublicKey,
    recipient: &PublicKey,
    context: &str,
) -> Key {
    let mut salt = [0; 64];
    salt[..32].copy_from_slice(ephemeral.as_bytes());
    salt[32..].copy_from_slice(recipient.as_bytes());
    let mut okm = Zeroizing::new([0; 32]);
    hkdf_sha256(shared, &salt, context.as_bytes(), okm.as_mut_slice());
    Key::from_bytes(*okm)
}

/// HKDF-SHA-256 (RFC 5869).
pub(crate) fn hkdf_sha256(ikm: &[u8], salt: &[u8], info: &[u8], okm: &mut [u8]) {
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand(info, okm)
        .expect("callers ask for less than 255 blocks");
}

/// Seals in place under a key that is used once, hence the zero nonce.
pub(crate) fn seal_once(key: &Key, aad: &[u8], buf: &mut [u8]) -> Result<[u8; TAG_LEN]> {
    ChaCha20Poly1305::new(key.expose().into())
        .encrypt_inout_detached(&Nonce::default(), aad, InOutBuf::from(buf))
        .map(Into::into)
        .map_err(|_| Error::TooLong {
            what: "a sealed message",
            limit: (1 << 38) - 64,
        })
}

/// Opens `ciphertext | tag` from [`seal_once`].
pub(crate) fn open_once(key: &Key, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(Error::Open)?;
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    ChaCha20Poly1305::new(key.expose().into())
        .decrypt_inout_detached(
            &Nonce::default(),
            aad,
            InOutBuf::from(plain.as_mut_slice()),
            &Tag::from(*tag),
        )
        .map_err(|_| Error::Open)?;
    Ok(plain)
}
