//! The directory of a store: its description, its key slots, its files (FORMAT.md, section 5.1).

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keepwatch_crypto::{Credential, Lock, PublicKey, ct_eq, random_bytes};
use serde::{Deserialize, Serialize};

use super::chain::Signer;
use super::slots::{self, Keys};
use crate::error::{Error, Result};

/// The version of a store's form.
const VERSION: u32 = 1;
const DESCRIPTION: &str = "store.json";
const KEYS: &str = "keys";
const MAX_DESCRIPTION: u64 = 64 << 10;
const MAX_SLOT: u64 = 4 << 10;
const MAX_SLOTS: usize = 64;
const MAC_CONTEXT: &str = "keepwatch v1 event store description";

/// What a key of a store may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreRole {
    /// Read and write events, and open clips that are sealed to the store.
    Full,
    /// Read and write events only: what a camera host needs.
    Writer,
}

impl StoreRole {
    pub(super) fn byte(self) -> u8 {
        match self {
            StoreRole::Full => 1,
            StoreRole::Writer => 2,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(StoreRole::Full),
            2 => Some(StoreRole::Writer),
            _ => None,
        }
    }

    pub(super) fn payload_len(self) -> usize {
        match self {
            StoreRole::Full => 96,
            StoreRole::Writer => 64,
        }
    }
}

/// How a new store is made.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Who can open clips and pictures. If there is nobody, whoever holds a full key can.
    pub recipients: Vec<PublicKey>,
}

/// What anyone may know of a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    version: u32,
    #[serde(with = "hex::serde")]
    pub id: [u8; 16],
    /// The public key that checkpoints are signed with.
    #[serde(with = "hex::serde")]
    pub signer: [u8; 32],
    /// Who can open clips, as age writes them.
    recipients: Vec<String>,
    /// Keyed BLAKE3 of all the above: nobody else names recipients.
    #[serde(with = "hex::serde")]
    mac: [u8; 32],
}

impl Description {
    fn new(keys: &Keys, options: &StoreOptions) -> Result<Self> {
        let own = keys.own.as_ref().map(|own| own.public());
        let recipients = match options.recipients.is_empty() {
            true => own.into_iter().collect(),
            false => options.recipients.clone(),
        };
        let mut description = Self {
            version: VERSION,
            id: random_bytes()?,
            signer: *Signer::new(&keys.signing).public(),
            recipients: recipients.iter().map(PublicKey::to_string).collect(),
            mac: [0; 32],
        };
        description.mac = description.authenticate(keys);
        Ok(description)
    }

    fn authenticate(&self, keys: &Keys) -> [u8; 32] {
        let recipients = self.recipients.join(" ");
        keys.database.derive(MAC_CONTEXT).mac(&[
            &self.version.to_le_bytes(),
            &self.id,
            &self.signer,
            recipients.as_bytes(),
        ])
    }

    /// Who can open clips.
    pub fn recipients(&self) -> Result<Vec<PublicKey>> {
        let parse = |text: &String| text.parse().map_err(Error::from);
        self.recipients.iter().map(parse).collect()
    }
}

/// The paths of a store.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub root: PathBuf,
}

impl Layout {
    pub fn database(&self) -> PathBuf {
        self.root.join("events.db")
    }

    pub fn media(&self) -> PathBuf {
        self.root.join("media")
    }

    fn keys(&self) -> PathBuf {
        self.root.join(KEYS)
    }

    /// Makes the directory of a new store. Its description comes last: before it, there is none.
    pub fn create(
        root: &Path,
        locks: &[(Lock<'_>, StoreRole)],
        options: &StoreOptions,
        prepare: impl FnOnce(&Self, &Description, &Keys) -> Result<()>,
    ) -> Result<(Self, Description, Keys)> {
        let layout = Self {
            root: root.to_owned(),
        };
        if !locks.iter().any(|(_, role)| *role == StoreRole::Full) {
            return Err(Error::Invalid {
                what: "keys",
                problem: "a store needs a full key".to_owned(),
            });
        }
        make_dir(root)?;
        let mut entries = fs::read_dir(root).map_err(Error::io("list", root))?;
        if entries.next().is_some() {
            return Err(Error::StoreExists {
                location: root.display().to_string(),
            });
        }
        make_dir(&layout.keys())?;
        make_dir(&layout.media())?;
        let keys = Keys::generate()?;
        let description = Description::new(&keys, options)?;
        for (lock, role) in locks {
            layout.add_slot(lock, *role, &description, &keys)?;
        }
        prepare(&layout, &description, &keys)?;
        let json = serde_json::to_vec_pretty(&description).expect("it is plain data");
        write_new(&root.join(DESCRIPTION), &json)?;
        Ok((layout, description, keys))
    }

    /// Reads the description, and opens the first slot that the credential fits.
    pub fn open(root: &Path, credential: &Credential) -> Result<(Self, Description, Keys)> {
        let layout = Self {
            root: root.to_owned(),
        };
        let location = || root.display().to_string();
        let json = match read_bounded(&root.join(DESCRIPTION), MAX_DESCRIPTION) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoStore {
                    location: location(),
                });
            }
            json => json?,
        };
        let damaged = |problem: String| Error::damaged("the store's description", problem);
        let description: Description =
            serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        if description.version != VERSION {
            return Err(Error::Unsupported {
                what: "event store version",
                value: description.version.to_string(),
            });
        }
        let mut found = None;
        for path in layout.slots()? {
            let bytes = read_bounded(&path, MAX_SLOT)?;
            found = slots::open(&bytes, &description.id, credential)?;
            if found.is_some() {
                break;
            }
        }
        let keys = found.ok_or_else(|| Error::WrongKey {
            location: location(),
        })?;
        let signer = Signer::new(&keys.signing);
        let known = ct_eq(&description.authenticate(&keys), &description.mac);
        if !known || signer.public() != &description.signer {
            return Err(damaged("it does not authenticate".to_owned()));
        }
        Ok((layout, description, keys))
    }

    /// Adds a key slot.
    pub fn add_slot(
        &self,
        lock: &Lock<'_>,
        role: StoreRole,
        description: &Description,
        keys: &Keys,
    ) -> Result<String> {
        if self.slots()?.len() >= MAX_SLOTS {
            return Err(Error::Invalid {
                what: "keys",
                problem: format!("a store has at most {MAX_SLOTS}"),
            });
        }
        let bytes = slots::write(lock, role, &description.id, keys)?;
        let name = hex::encode(random_bytes::<8>()?);
        write_new(&self.keys().join(&name), &bytes)?;
        Ok(name)
    }

    /// Names and roles of the key slots.
    pub fn slot_roles(&self) -> Result<Vec<(String, StoreRole)>> {
        let mut all = Vec::new();
        for path in self.slots()? {
            let bytes = read_bounded(&path, MAX_SLOT)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(role) = slots::role_of(&bytes) {
                all.push((name.into_owned(), role));
            }
        }
        Ok(all)
    }

    fn slots(&self) -> Result<Vec<PathBuf>> {
        let dir = self.keys();
        let entries = fs::read_dir(&dir).map_err(Error::io("list", &dir))?;
        let mut paths = Vec::new();
        for entry in entries.take(4 * MAX_SLOTS) {
            let entry = entry.map_err(Error::io("list", &dir))?;
            let name = entry.file_name();
            let is_slot = |name: &str| name.len() == 16 && hex::decode(name).is_ok();
            if name.to_str().is_some_and(is_slot) {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// Makes a directory, and those above it, that only the owner may enter.
pub(super) fn make_dir(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(Error::io("create", path))
}

/// Makes what was done in a directory last.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    let dir = fs::File::open(path).map_err(Error::io("open", path))?;
    dir.sync_all().map_err(Error::io("sync", path))
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let file = fs::File::open(path).map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    let mut limited = file.take(limit + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    match bytes.len() as u64 > limit {
        true => Err(Error::damaged(path.display(), "it is too large")),
        false => Ok(bytes),
    }
}

/// Writes a small file at once, or not at all.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options
        .open(&temporary)
        .map_err(Error::io("create", &temporary))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(Error::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::io("rename", path))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}
