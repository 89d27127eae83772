//! Sealed files read by FORMAT.md alone, with none of the crate's own code but sealing.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use keepwatch_crypto::{Lock, Passphrase, SecretKey, Suite, sealed};
use sha2::Sha256;

use crate::{key, pattern, small_chunks};

fn derive(context: &str, key: &[u8]) -> [u8; 32] {
    blake3::derive_key(context, key)
}

fn xchacha(key: &[u8; 32], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Vec<u8> {
    let nonce: [u8; 24] = nonce.try_into().unwrap();
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher
        .decrypt((&nonce).into(), Payload { msg: sealed, aad })
        .unwrap()
}

#[test]
fn by_the_letter() {
    let plain = pattern(2 * 4096 + 5);
    let passphrase = Passphrase::from("passphrase");
    let secret = SecretKey::from_bytes([9; 32]);
    let public = secret.public();
    let locks = [
        Lock::Passphrase(&passphrase, crate::CHEAP),
        Lock::KeyFile(&key(1)),
        Lock::Recipient(&public),
    ];
    let mut file = Vec::new();
    let options = small_chunks(Suite::XChaCha20Poly1305);
    sealed::seal_stream(plain.as_slice(), &mut file, &locks, options, 1).unwrap();

    assert_eq!(&file[..12], b"\x89KWSEAL\n\x01\x02\x0c\x00");
    let file_id = &file[12..28];
    let header_len = u32::from_le_bytes(file[28..32].try_into().unwrap()) as usize;
    assert_eq!(&file[32..36], [3, 0, 0, 0]);

    let mut file_keys = Vec::new();
    let mut at = 36;
    for kind in [1, 3, 4] {
        assert_eq!(file[at], kind);
        let body_len = usize::from(u16::from_le_bytes([file[at + 1], file[at + 2]]));
        let body = &file[at + 3..at + 3 + body_len];
        at += 3 + body_len;
        let (parameters_len, kek) = match kind {
            1 => {
                let numbers = [64u32, 1, 1].map(u32::to_le_bytes).concat();
                assert_eq!(body[..12], numbers);
                let mut kek = [0; 32];
                let params = Params::new(64, 1, 1, Some(32)).unwrap();
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(b"passphrase", &body[12..28], &mut kek)
                    .unwrap();
                (28, kek)
            }
            3 => {
                let input = [&b"keepwatch v1 key file"[..], &body[..16]].concat();
                (16, *blake3::keyed_hash(&[1; 32], &input).as_bytes())
            }
            _ => {
                let shared = x25519_dalek::x25519([9; 32], body[..32].try_into().unwrap());
                let salt = [&body[..32], public.as_bytes()].concat();
                let mut kek = [0; 32];
                Hkdf::<Sha256>::new(Some(&salt), &shared)
                    .expand(b"keepwatch v1 slot", &mut kek)
                    .unwrap();
                (32, kek)
            }
        };
        let committed = parameters_len + 32;
        let commitment = derive("keepwatch v1 slot commitment", &kek);
        assert_eq!(body[parameters_len..committed], commitment);
        let aad = [&file[..28], &[kind], &body[..committed]].concat();
        file_keys.push(if kind == 4 {
            let payload = Payload {
                msg: &body[committed..],
                aad: &aad,
            };
            ChaCha20Poly1305::new((&kek).into())
                .decrypt(&[0; 12].into(), payload)
                .unwrap()
        } else {
            xchacha(
                &kek,
                &body[committed..committed + 24],
                &aad,
                &body[committed + 24..],
            )
        });
    }
    assert_eq!(at, header_len - 32);
    assert!(
        file_keys
            .iter()
            .all(|key| key.len() == 32 && *key == file_keys[0])
    );

    let header_key = derive("keepwatch v1 sealed header", &file_keys[0]);
    let commitment = blake3::keyed_hash(&header_key, &file[..header_len - 32]);
    assert_eq!(file[header_len - 32..header_len], *commitment.as_bytes());

    let payload_key = derive("keepwatch v1 sealed payload", &file_keys[0]);
    let mut opened = Vec::new();
    for (number, chunk) in file[header_len..].chunks(4096 + 16).enumerate() {
        let mut nonce = file_id[..12].to_vec();
        nonce.extend_from_slice(&[0; 3]);
        nonce.extend_from_slice(&(number as u64).to_be_bytes());
        nonce.push(u8::from(number == 2));
        opened.extend(xchacha(&payload_key, &nonce, commitment.as_bytes(), chunk));
    }
    assert!(opened == plain);
}
