//! Users, for the command line of the machine: when nobody can log in any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use keepwatch_core::events::Store;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{AccountError, Accounts, Cost, Hasher, User, UserChange};
use crate::permission::Role;

/// Somebody who can log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserInfo {
    /// The name.
    pub name: String,
    /// What the user is.
    pub role: Role,
    /// Only these cameras; all if none are named.
    pub cameras: Option<BTreeSet<String>>,
    /// Whether there is a second factor.
    pub totp: bool,
    /// Whether logging in is refused.
    pub disabled: bool,
    /// When the user was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the user last logged in.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_login_at: Option<Timestamp>,
}

impl From<User> for UserInfo {
    fn from(user: User) -> Self {
        Self {
            totp: user.totp.is_some(),
            name: user.name,
            role: user.role,
            cameras: user.cameras,
            disabled: user.disabled,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// Why something cannot be done with users.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// A value cannot be, or is in the way of something.
    #[error("{problem}")]
    Refused {
        /// What is wrong.
        problem: String,
    },
    /// The event store refuses.
    #[error(transparent)]
    Store(#[from] keepwatch_core::Error),
}

impl From<AccountError> for UserError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Store(error) => Self::Store(error),
            AccountError::NotThere { .. } => Self::Refused {
                problem: "there is no such user".to_owned(),
            },
            error => Self::Refused {
                problem: error.to_string(),
            },
        }
    }
}

/// The users of an event store. A server that runs notices what is changed here within a second.
pub struct Users(Accounts);

impl Users {
    /// Those of a store that is open for writing.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open(store: Arc<Store>) -> Result<Self, UserError> {
        let hasher = Hasher::new(Cost::default());
        Ok(Self(Accounts::open(
            store,
            hasher,
            Arc::new(Timestamp::now),
        )?))
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<UserInfo> {
        self.0.users().into_iter().map(UserInfo::from).collect()
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`UserError::Refused`] for a name that is taken, and for a password that is too short.
    pub fn add(&self, name: &str, password: &str, role: Role) -> Result<UserInfo, UserError> {
        Ok(self.0.add_user(name, password, role, None)?.into())
    }

    /// Gives one another password; all sessions of the user end.
    ///
    /// # Errors
    /// As [`Users::add`].
    pub fn set_password(&self, name: &str, password: &str) -> Result<UserInfo, UserError> {
        let change = UserChange {
            password: Some(password.to_owned()),
            disabled: Some(false),
            ..UserChange::default()
        };
        Ok(self.0.change_user(name, change)?.into())
    }

    /// Ends the second factor of one who has lost it.
    ///
    /// # Errors
    /// [`UserError::Refused`] when there is no such user.
    pub fn remove_second_factor(&self, name: &str) -> Result<UserInfo, UserError> {
        let change = UserChange {
            remove_totp: true,
            ..UserChange::default()
        };
        Ok(self.0.change_user(name, change)?.into())
    }

    /// Removes one, with sessions and tokens.
    ///
    /// # Errors
    /// [`UserError::Refused`] when there is no such user, or it is the last admin.
    pub fn remove(&self, name: &str) -> Result<(), UserError> {
        Ok(self.0.remove_user(name)?)
    }
}
