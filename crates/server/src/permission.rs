//! What somebody may do.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that may be allowed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
pub enum Permission {
    /// Events, their pictures and clips, and being told of new ones.
    #[serde(rename = "events:read")]
    EventsRead,
    /// Evidence bundles.
    #[serde(rename = "events:export")]
    EventsExport,
    /// Deleting events.
    #[serde(rename = "events:purge")]
    EventsPurge,
    /// What cameras show, and how they are doing.
    #[serde(rename = "cameras:read")]
    CamerasRead,
    /// Adding, changing and removing cameras.
    #[serde(rename = "cameras:write")]
    CamerasWrite,
    /// Who is known by their face.
    #[serde(rename = "faces:read")]
    FacesRead,
    /// Enrolling and forgetting people.
    #[serde(rename = "faces:write")]
    FacesWrite,
    /// The lists of plates.
    #[serde(rename = "plates:read")]
    PlatesRead,
    /// Changing them.
    #[serde(rename = "plates:write")]
    PlatesWrite,
    /// What is in snapshots.
    #[serde(rename = "vault:read")]
    VaultRead,
    /// Jobs and how their runs went.
    #[serde(rename = "jobs:read")]
    JobsRead,
    /// Starting and stopping jobs.
    #[serde(rename = "jobs:run")]
    JobsRun,
    /// How the machine is doing, and metrics.
    #[serde(rename = "system:read")]
    SystemRead,
    /// Who did what.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// Users, and the tokens of others.
    #[serde(rename = "users:write")]
    UsersWrite,
}

impl Permission {
    /// All of them.
    pub const ALL: [Permission; 15] = [
        Permission::EventsRead,
        Permission::EventsExport,
        Permission::EventsPurge,
        Permission::CamerasRead,
        Permission::CamerasWrite,
        Permission::FacesRead,
        Permission::FacesWrite,
        Permission::PlatesRead,
        Permission::PlatesWrite,
        Permission::VaultRead,
        Permission::JobsRead,
        Permission::JobsRun,
        Permission::SystemRead,
        Permission::AuditRead,
        Permission::UsersWrite,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Permission::EventsRead => "events:read",
            Permission::EventsExport => "events:export",
            Permission::EventsPurge => "events:purge",
            Permission::CamerasRead => "cameras:read",
            Permission::CamerasWrite => "cameras:write",
            Permission::FacesRead => "faces:read",
            Permission::FacesWrite => "faces:write",
            Permission::PlatesRead => "plates:read",
            Permission::PlatesWrite => "plates:write",
            Permission::VaultRead => "vault:read",
            Permission::JobsRead => "jobs:read",
            Permission::JobsRun => "jobs:run",
            Permission::SystemRead => "system:read",
            Permission::AuditRead => "audit:read",
            Permission::UsersWrite => "users:write",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Several of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// Every one.
    pub fn all() -> Self {
        Permission::ALL.into_iter().collect()
    }

    /// Whether it is among them.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// What both have.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .into_iter()
            .filter(move |permission| self.has(*permission))
    }
}

fn bit(permission: Permission) -> u32 {
    1 << permission as u32
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |all, one| all | bit(one)))
    }
}

/// What a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Also keeps faces and plates, exports evidence and runs jobs.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// What it allows.
    pub fn permissions(self) -> Permissions {
        use Permission as P;
        let viewer = [
            P::EventsRead,
            P::CamerasRead,
            P::FacesRead,
            P::PlatesRead,
            P::JobsRead,
            P::SystemRead,
        ];
        let operator = [P::FacesWrite, P::PlatesWrite, P::EventsExport, P::JobsRun];
        match self {
            Role::Viewer => viewer.into_iter().collect(),
            Role::Operator => viewer.into_iter().chain(operator).collect(),
            Role::Admin => Permissions::all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_one_before_may() {
        let [viewer, operator, admin] =
            [Role::Viewer, Role::Operator, Role::Admin].map(Role::permissions);
        assert_eq!(viewer.and(operator), viewer);
        assert_eq!(operator.and(admin), operator);
        assert!(viewer != operator && operator != admin);
        assert!(!operator.has(Permission::UsersWrite));
    }

    #[test]
    fn names_in_json_are_the_names() {
        for permission in Permission::ALL {
            let json = serde_json::to_value(permission).expect("it is plain");
            assert_eq!(json, permission.name());
        }
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
    }
}
