//! Who asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use keepwatch_core::events::EventFilter;

use crate::error::ApiError;
use crate::permission::{Permission, Permissions, Role};

/// Somebody or something that was let in, and what it may do.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// For the audit log.
    pub name: String,
    /// The user whose it is.
    pub user: Option<String>,
    pub role: Option<Role>,
    pub kind: Kind,
    pub permissions: Permissions,
    /// Only these cameras, if it is said.
    pub cameras: Option<Arc<BTreeSet<String>>>,
}

/// How it was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By a cookie.
    Session { id: String, csrf: String },
    /// By an API token.
    Token,
    /// By the one token of SecureVision, which is for its API alone.
    Single,
    /// By nothing: there is no authentication.
    Open,
}

impl Principal {
    /// Who has the one token of SecureVision.
    pub fn single() -> Self {
        Self {
            name: "auth_token".to_owned(),
            user: None,
            role: None,
            kind: Kind::Single,
            permissions: [Permission::EventsRead, Permission::EventsPurge]
                .into_iter()
                .collect(),
            cameras: None,
        }
    }

    /// Anybody, where there is no authentication.
    pub fn open() -> Self {
        Self {
            name: "anybody".to_owned(),
            user: None,
            role: Some(Role::Admin),
            kind: Kind::Open,
            permissions: Permissions::all(),
            cameras: None,
        }
    }

    /// Refuses what is not allowed.
    pub fn needs(&self, permission: Permission) -> Result<(), ApiError> {
        match self.permissions.has(permission) {
            true => Ok(()),
            false => Err(ApiError::forbidden(format!("this needs {permission}"))),
        }
    }

    /// Whether a camera and what it saw may be seen.
    pub fn sees(&self, camera: &str) -> bool {
        self.cameras
            .as_ref()
            .is_none_or(|cameras| cameras.contains(camera))
    }

    /// A camera that may not be seen is not there.
    pub fn camera(&self, camera: &str) -> Result<(), ApiError> {
        match self.sees(camera) {
            true => Ok(()),
            false => Err(ApiError::not_found("Camera")),
        }
    }

    /// Lets a filter find no more than may be seen. False if nothing is left.
    pub fn narrow(&self, filter: &mut EventFilter) -> bool {
        let Some(own) = &self.cameras else {
            return true;
        };
        match filter.cameras.is_empty() {
            true => filter.cameras = own.iter().cloned().collect(),
            false => filter.cameras.retain(|camera| own.contains(camera)),
        }
        !filter.cameras.is_empty()
    }

    /// The user whose it is: some things are for users only.
    pub fn user(&self) -> Result<&str, ApiError> {
        self.user
            .as_deref()
            .ok_or_else(|| ApiError::conflict("there are no users without authentication"))
    }

    /// The session, for what only its owner may do.
    pub fn session(&self) -> Result<(&str, &str), ApiError> {
        match (&self.user, &self.kind) {
            (Some(user), Kind::Session { id, .. }) => Ok((user, id)),
            _ => Err(ApiError::forbidden("this needs a session")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_finds_no_more_than_may_be_seen() {
        let mut who = Principal::open();
        who.cameras = Some(Arc::new(["front", "yard"].map(str::to_owned).into()));
        let filter = |cameras: &[&str]| EventFilter {
            cameras: cameras.iter().map(|name| (*name).to_owned()).collect(),
            ..EventFilter::default()
        };
        let mut all = filter(&[]);
        assert!(who.narrow(&mut all));
        assert_eq!(all.cameras, ["front", "yard"]);
        let mut some = filter(&["yard", "vault"]);
        assert!(who.narrow(&mut some));
        assert_eq!(some.cameras, ["yard"]);
        // None left must not become all.
        assert!(!who.narrow(&mut filter(&["vault"])));
        who.cameras = Some(Arc::default());
        assert!(!who.narrow(&mut filter(&[])));
    }
}
