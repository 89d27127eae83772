//! What is kept of users, sessions and tokens, as JSON (FORMAT.md, section 7.6).

use std::collections::BTreeSet;

use jiff::Timestamp;
use keepwatch_core::Error;
use serde::{Deserialize, Serialize};

use super::second_factor::SecondFactor;
use super::secret::Digest;
use super::{AccountError, Result, SESSION_IDLE, SESSION_LONGEST};
use crate::permission::{Permission, Role};

const VERSION: u32 = 1;

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Book {
    version: u32,
    pub users: Vec<User>,
    pub sessions: Vec<Session>,
    pub tokens: Vec<Token>,
}

/// Somebody who can log in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub name: String,
    /// Argon2id, as a PHC string.
    pub password: String,
    pub role: Role,
    /// Only these cameras, if it is said.
    pub cameras: Option<BTreeSet<String>>,
    pub totp: Option<SecondFactor>,
    pub disabled: bool,
    pub created_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
}

/// A browser that is logged in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub id: String,
    pub hash: Digest,
    pub user: String,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub address: String,
    pub agent: String,
}

/// What a program logs in with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub id: String,
    pub name: String,
    pub user: String,
    pub permissions: Vec<Permission>,
    pub cameras: Option<BTreeSet<String>>,
    pub hash: Digest,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            version: VERSION,
            users: Vec::new(),
            sessions: Vec::new(),
            tokens: Vec::new(),
        }
    }
}

impl Book {
    /// Of the bytes of the file, if there is one.
    pub fn parse(bytes: Option<&[u8]>) -> Result<Self> {
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        let damaged = || Error::Damaged {
            object: "the accounts of the event store".to_owned(),
            detail: "they cannot be read".to_owned(),
        };
        let book: Self = serde_json::from_slice(bytes).map_err(|_| damaged())?;
        if book.version != VERSION {
            return Err(AccountError::Store(Error::Unsupported {
                what: "version of the accounts",
                value: book.version.to_string(),
            }));
        }
        Ok(book)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("accounts are plain JSON")
    }

    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    pub fn user_mut(&mut self, name: &str) -> Result<&mut User> {
        let user = self.users.iter_mut().find(|user| user.name == name);
        user.ok_or(AccountError::NotThere { what: "User" })
    }

    /// Somebody has to be able to undo it.
    pub fn keeps_an_admin(&self) -> Result<()> {
        let admin = |user: &User| user.role == Role::Admin && !user.disabled;
        match self.users.iter().any(admin) {
            true => Ok(()),
            false => Err(AccountError::Conflict("the last admin stays one")),
        }
    }
}

impl User {
    pub fn new(
        name: String,
        password: String,
        role: Role,
        cameras: Option<BTreeSet<String>>,
        now: Timestamp,
    ) -> Self {
        Self {
            name,
            password,
            role,
            cameras,
            totp: None,
            disabled: false,
            created_at: now,
            last_login_at: None,
        }
    }
}

impl Session {
    /// Whether it still counts. A clock that went back ends nothing.
    pub fn lives(&self, now: Timestamp) -> bool {
        now.duration_since(self.last_used_at) < SESSION_IDLE
            && now.duration_since(self.created_at) < SESSION_LONGEST
    }
}

impl Token {
    /// Whether it still counts.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}
