//! What a new store begins with.

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use keepwatch_crypto::{Key, Lock, SecretKey, slot};

use super::header::Header;
use super::slots::{self, Secrets};
use super::store::StoreOptions;
use crate::error::{Error, Result};
use crate::keyring::Role;

/// Header, keys and who holds them; nothing of it is anywhere yet.
pub(super) struct Beginning {
    pub header: Header,
    pub secrets: Secrets,
    /// Names and bytes of the key slots.
    pub slots: Vec<(String, Vec<u8>)>,
}

impl Beginning {
    pub fn new(locks: &[(Lock<'_>, Role)], options: &StoreOptions) -> Result<Self> {
        if locks.is_empty() {
            return Err(no_key("a store needs a key"));
        }
        let full = locks.iter().any(|(_, role)| *role == Role::Full);
        if options.own_identity && !full {
            return Err(no_key("a store whose own key opens media needs a full key"));
        }
        let identity = SecretKey::generate()?;
        let secrets = Secrets {
            store: Key::generate()?,
            signing: Key::generate()?,
            identity: Some(identity.clone()),
        };
        let header = Header {
            id: keepwatch_crypto::random_bytes()?,
            suite: options.suite,
            signer: SigningKey::from_bytes(secrets.signing.expose())
                .verifying_key()
                .to_bytes(),
            identity: identity.public(),
            own_identity: options.own_identity,
            recipients: options.recipients.clone(),
        };
        header.check()?;
        let mut work = 0;
        for (lock, _) in locks {
            work += slot::work_of(lock)?;
        }
        if work > slot::MAX_WORK {
            return Err(no_key("trying all passphrases would cost too much"));
        }
        let now = Timestamp::now();
        let mut slots = Vec::new();
        for (index, (lock, role)) in locks.iter().enumerate() {
            let name = match index {
                0 => "main".to_owned(),
                index => format!("key-{}", index + 1),
            };
            let slot = slots::create(lock, header.suite, &header.id, *role, &name, &secrets, now)?;
            slots.push((name, slot));
        }
        Ok(Self {
            header,
            secrets,
            slots,
        })
    }
}

pub(super) fn no_key(problem: &str) -> Error {
    Error::Invalid {
        what: "key",
        problem: problem.to_owned(),
    }
}
