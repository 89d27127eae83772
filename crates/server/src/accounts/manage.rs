//! Users and tokens: making them, changing them, removing them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{AccountError, Accounts, Result, Secret, Token, User, checked_name, secret};
use crate::permission::{Permission, Role};

/// The most of each.
const MAX_USERS: usize = 1000;
const MAX_TOKENS: usize = 1000;

/// What is to change of a user.
#[derive(Default)]
pub(crate) struct UserChange {
    pub password: Option<String>,
    pub role: Option<Role>,
    pub cameras: Option<Option<BTreeSet<String>>>,
    pub disabled: Option<bool>,
    pub remove_totp: bool,
}

/// What a new token is to be.
pub(crate) struct NewToken {
    pub name: String,
    pub user: String,
    pub permissions: Vec<Permission>,
    pub cameras: Option<BTreeSet<String>>,
    pub expires_at: Option<Timestamp>,
}

impl Accounts {
    /// Makes a user.
    pub fn add_user(
        &self,
        name: &str,
        password: &str,
        role: Role,
        cameras: Option<BTreeSet<String>>,
    ) -> Result<User> {
        let name = checked_name("name", name)?;
        let hash = self.new_hash(password)?;
        let now = (self.now)();
        let user = User::new(name, hash, role, cameras, now);
        self.change(|book| {
            if book.user(&user.name).is_some() {
                return Err(AccountError::Conflict("there is a user of this name"));
            }
            if book.users.len() >= MAX_USERS {
                return Err(AccountError::Conflict("there are too many users"));
            }
            book.users.push(user.clone());
            book.users.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(user)
        })
    }

    /// Changes a user. What a user may no longer do ends at once: sessions of who is disabled, or has
    /// a new password, are over.
    pub fn change_user(&self, name: &str, change: UserChange) -> Result<User> {
        let hash = change
            .password
            .as_deref()
            .map(|password| self.new_hash(password))
            .transpose()?;
        self.change(|book| {
            let user = book.user_mut(name)?;
            if let Some(role) = change.role {
                user.role = role;
            }
            if let Some(cameras) = change.cameras {
                user.cameras = cameras;
            }
            if let Some(disabled) = change.disabled {
                user.disabled = disabled;
            }
            if change.remove_totp {
                user.totp = None;
            }
            let ends = hash.is_some() || user.disabled;
            if let Some(hash) = hash {
                user.password = hash;
            }
            let user = user.clone();
            if ends {
                book.sessions.retain(|session| session.user != name);
            }
            book.keeps_an_admin()?;
            Ok(user)
        })
    }

    /// Removes a user with everything that is the user's.
    pub fn remove_user(&self, name: &str) -> Result<()> {
        self.change(|book| {
            book.user_mut(name)?;
            book.users.retain(|user| user.name != name);
            book.sessions.retain(|session| session.user != name);
            book.tokens.retain(|token| token.user != name);
            book.keeps_an_admin()
        })
    }

    /// All tokens, or those of one user.
    pub fn tokens(&self, of: Option<&str>) -> Vec<Token> {
        self.with(|book| {
            let own = |token: &&Token| of.is_none_or(|user| token.user == user);
            book.tokens.iter().filter(own).cloned().collect()
        })
    }

    /// Makes a token; its secret is not kept.
    pub fn add_token(&self, new: NewToken) -> Result<(Token, Secret)> {
        let now = (self.now)();
        if new.name.is_empty() || new.name.len() > 64 || new.name.chars().any(char::is_control) {
            let problem = "it must have 1 to 64 characters".to_owned();
            return Err(AccountError::Value {
                field: "name",
                problem,
            });
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            let problem = "it is in the past".to_owned();
            return Err(AccountError::Value {
                field: "expires_at",
                problem,
            });
        }
        let secret = Secret::random().map_err(keepwatch_core::Error::from)?;
        let token = Token {
            id: secret::id().map_err(keepwatch_core::Error::from)?,
            name: new.name,
            user: new.user,
            permissions: new.permissions,
            cameras: new.cameras,
            hash: secret.digest(),
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        self.change(|book| {
            book.user_mut(&token.user)?;
            book.tokens.retain(|token| token.lives(now));
            if book.tokens.len() >= MAX_TOKENS {
                return Err(AccountError::Conflict("there are too many tokens"));
            }
            book.tokens.push(token.clone());
            Ok(())
        })?;
        Ok((token, secret))
    }

    /// Removes a token, of one user or whoever's.
    pub fn remove_token(&self, id: &str, of: Option<&str>) -> Result<Token> {
        self.change(|book| {
            let own = |token: &Token| token.id == id && of.is_none_or(|user| token.user == user);
            match book.tokens.iter().position(own) {
                Some(at) => Ok(book.tokens.remove(at)),
                None => Err(AccountError::NotThere { what: "Token" }),
            }
        })
    }
}
