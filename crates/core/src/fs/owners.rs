//! Names of users and groups, remembered because one lookup reads a file or asks a server.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// From ids to names, for backups.
#[derive(Default)]
pub(crate) struct OwnerNames {
    users: HashMap<u32, Option<Vec<u8>>>,
    groups: HashMap<u32, Option<Vec<u8>>>,
}

impl OwnerNames {
    pub fn user(&mut self, uid: u32) -> Option<Vec<u8>> {
        self.users
            .entry(uid)
            .or_insert_with(|| {
                uzers::get_user_by_uid(uid).map(|user| user.name().to_owned().into_vec())
            })
            .clone()
    }

    pub fn group(&mut self, gid: u32) -> Option<Vec<u8>> {
        self.groups
            .entry(gid)
            .or_insert_with(|| {
                uzers::get_group_by_gid(gid).map(|group| group.name().to_owned().into_vec())
            })
            .clone()
    }
}

/// From names to ids, for restores on a machine that may count differently.
#[derive(Default)]
pub(crate) struct OwnerIds {
    users: HashMap<Vec<u8>, Option<u32>>,
    groups: HashMap<Vec<u8>, Option<u32>>,
}

impl OwnerIds {
    pub fn user(&mut self, name: &[u8]) -> Option<u32> {
        if let Some(known) = self.users.get(name) {
            return *known;
        }
        let uid = uzers::get_user_by_name(OsStr::from_bytes(name)).map(|user| user.uid());
        self.users.insert(name.to_vec(), uid);
        uid
    }

    pub fn group(&mut self, name: &[u8]) -> Option<u32> {
        if let Some(known) = self.groups.get(name) {
            return *known;
        }
        let gid = uzers::get_group_by_name(OsStr::from_bytes(name)).map(|group| group.gid());
        self.groups.insert(name.to_vec(), gid);
        gid
    }
}
