//! What objects are called.

use std::fmt;

use crate::id::Id;

/// What an object is for; each kind has its own directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ObjectKind {
    /// The one configuration object, named `config`.
    Config,
    /// A wrapped key.
    Key,
    /// A pack of encrypted chunks.
    Pack,
    /// An index of packs.
    Index,
    /// A snapshot.
    Snapshot,
    /// The announcement of a write in progress.
    Pending,
    /// A step of garbage collection.
    Gc,
    /// Something condemned and not yet removed.
    Trash,
    /// Parity data that repairs packs.
    Parity,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [ObjectKind; 9] = [
        ObjectKind::Config,
        ObjectKind::Key,
        ObjectKind::Pack,
        ObjectKind::Index,
        ObjectKind::Snapshot,
        ObjectKind::Pending,
        ObjectKind::Gc,
        ObjectKind::Trash,
        ObjectKind::Parity,
    ];

    /// Whether its objects are what the repository consists of, and not what is there for a run or
    /// for as long as something can be taken back.
    pub const fn is_lasting(self) -> bool {
        !matches!(
            self,
            ObjectKind::Pending | ObjectKind::Gc | ObjectKind::Trash
        )
    }

    /// The directory of this kind's objects; none for the configuration, which is at the top.
    pub const fn directory(self) -> Option<&'static str> {
        match self {
            ObjectKind::Config => None,
            ObjectKind::Key => Some("keys"),
            ObjectKind::Pack => Some("packs"),
            ObjectKind::Index => Some("index"),
            ObjectKind::Snapshot => Some("snapshots"),
            ObjectKind::Pending => Some("pending"),
            ObjectKind::Gc => Some("gc"),
            ObjectKind::Trash => Some("trash"),
            ObjectKind::Parity => Some("parity"),
        }
    }
}

/// The name of one object. `Display` prints its path within the repository.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ObjectName {
    /// What the object is for.
    pub kind: ObjectKind,
    /// Which one it is; ignored for [`ObjectKind::Config`].
    pub id: Id,
}

impl ObjectName {
    /// Names the object of a kind with an id.
    pub const fn new(kind: ObjectKind, id: Id) -> Self {
        ObjectName { kind, id }
    }

    /// Names the configuration.
    pub const fn config() -> Self {
        ObjectName::new(ObjectKind::Config, Id::ZERO)
    }

    /// The path within the repository, with `/` between the parts.
    pub fn path(&self) -> String {
        let ObjectName { kind, id } = self;
        match kind.directory() {
            None => "config".to_owned(),
            // Packs are by far the most numerous: 256 directories keep each of them small.
            Some(dir) if *kind == ObjectKind::Pack => {
                format!("{dir}/{:02x}/{id}", id.as_bytes()[0])
            }
            Some(dir) => format!("{dir}/{id}"),
        }
    }

    /// The same name with the id that [`ObjectKind::Config`] ignores set to zero, so that
    /// names of one object compare equal.
    #[must_use]
    pub fn canonical(&self) -> Self {
        match self.kind {
            ObjectKind::Config => ObjectName::config(),
            _ => *self,
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let id = Id::from_bytes([0xab; 32]);
        let hex = "ab".repeat(32);
        let path = |kind| ObjectName::new(kind, id).path();
        assert_eq!(path(ObjectKind::Config), "config");
        assert_eq!(path(ObjectKind::Key), format!("keys/{hex}"));
        assert_eq!(path(ObjectKind::Pack), format!("packs/ab/{hex}"));
        assert_eq!(path(ObjectKind::Index), format!("index/{hex}"));
        assert_eq!(path(ObjectKind::Snapshot), format!("snapshots/{hex}"));
        assert_eq!(path(ObjectKind::Pending), format!("pending/{hex}"));
        assert_eq!(path(ObjectKind::Gc), format!("gc/{hex}"));
        assert_eq!(path(ObjectKind::Trash), format!("trash/{hex}"));
        assert_eq!(path(ObjectKind::Parity), format!("parity/{hex}"));
    }
}
