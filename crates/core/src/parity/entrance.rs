//! Bringing back what a repository cannot be opened without: `config` and key slots.

use keepwatch_crypto::{Credential, slot};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::keyslot::KeySlot;
use crate::parity::armour;
use crate::parity::catalog::{Catalog, What, read_leniently};
use crate::parity::mend::{Mended, Remedy, key_copies, put};
use crate::parity::record::{SmallObjects, parse_small};
use crate::parity::recover::sound;
use crate::repository::Repository;
use crate::storage::{ObjectKind, ObjectName, Storage, StorageError};

impl Repository {
    /// Brings `config` and the key slot that the credential opens back from parity, so that the
    /// repository can be opened and [repaired](Repository::repair). `others` are copies of it.
    ///
    /// A `config` counts only if the key slot vouches for it. What is sound is not touched.
    ///
    /// # Errors
    /// [`Error::WrongKey`] when no key slot, nor a copy of one, opens with the credential and
    /// vouches for a `config` that is to be had; [`Error::NoRepository`] when there is no
    /// `config`, nor a copy of one.
    pub fn recover_entrance(
        storage: &dyn Storage,
        others: &[&dyn Storage],
        credential: &Credential,
    ) -> Result<Vec<Mended>> {
        let catalog = Catalog::read(storage)?;
        let configs = configs(storage, others, &catalog)?;
        if configs.is_empty() {
            return Err(Error::NoRepository {
                location: storage.location(),
            });
        }
        let mut slots = slots(storage, others, &catalog)?;
        let mut work = 0;
        for (config, config_from) in &configs {
            let Ok(parsed) = Config::parse(config) else {
                continue;
            };
            for (name, bytes, from) in &mut slots {
                let Ok(slot) = KeySlot::parse(bytes.clone(), parsed.id()) else {
                    continue;
                };
                if matches!(credential, Credential::Passphrase(_)) {
                    work += slot.work;
                }
                // As when it is opened: an interrupted rotation leaves every slot twice.
                if work > 2 * slot::MAX_WORK {
                    break;
                }
                match slot.open(credential) {
                    Ok(Some(ring)) if ring.config == Config::hash(config) => {}
                    _ => continue,
                }
                let mut mended = Vec::new();
                if let Some(from) = *config_from {
                    put(storage, &ObjectName::config(), config)?;
                    mended.push(Mended {
                        object: ObjectName::config().to_string(),
                        from,
                    });
                }
                if let Some(from) = *from {
                    put(storage, name, bytes)?;
                    mended.push(Mended {
                        object: name.to_string(),
                        from,
                    });
                }
                return Ok(mended);
            }
        }
        Err(Error::WrongKey {
            location: storage.location(),
        })
    }
}

/// What may be the `config`, the one that is there first, and where the others come from.
fn configs(
    storage: &dyn Storage,
    others: &[&dyn Storage],
    catalog: &Catalog,
) -> Result<Vec<(Vec<u8>, Option<Remedy>)>> {
    let mut configs = Vec::new();
    let mut add = |bytes: Vec<u8>, from| {
        if !configs.iter().any(|(known, _)| *known == bytes) {
            configs.push((bytes, from));
        }
    };
    match storage.read(&ObjectName::config()) {
        Ok(bytes) => add(bytes, None),
        // Damaged or lost; whatever it is, a copy may take its place.
        Err(
            StorageError::NotFound { .. }
            | StorageError::TooLarge { .. }
            | StorageError::Truncated { .. }
            | StorageError::Io { .. },
        ) => {}
        Err(error) => return Err(error.into()),
    }
    for entry in &catalog.entries {
        let object = match &entry.what {
            What::Small { .. } | What::Unreadable => read_leniently(storage, &entry.name())?,
            _ => None,
        };
        let Some(object) = object else {
            continue;
        };
        let copies = armour::open(&object).and_then(|opened| parse_small(&opened.content));
        for (name, bytes) in copies.unwrap_or_default() {
            if name.kind == ObjectKind::Config {
                add(bytes, Some(Remedy::Parity));
            }
        }
        // Put aside by an interrupted repair.
        if Id::of(&object) == entry.id && Config::parse(&object).is_ok() {
            add(object, Some(Remedy::Parity));
        }
    }
    for other in others {
        if let Ok(bytes) = other.read(&ObjectName::config()) {
            add(bytes, Some(Remedy::OtherRepository));
        }
    }
    Ok(configs)
}

/// Key slots: those that are sound, and copies of those that are not.
#[allow(clippy::type_complexity, reason = "one caller sees what it is")]
fn slots(
    storage: &dyn Storage,
    others: &[&dyn Storage],
    catalog: &Catalog,
) -> Result<Vec<(ObjectName, Vec<u8>, Option<Remedy>)>> {
    let mut slots: Vec<(ObjectName, Vec<u8>, Option<Remedy>)> = Vec::new();
    for name in names(storage)? {
        if let Some(bytes) = sound(storage, &name)? {
            slots.push((name, bytes, None));
        }
    }
    let copies: SmallObjects = key_copies(storage, catalog)?;
    for (name, bytes) in copies {
        if !slots.iter().any(|(known, ..)| *known == name) {
            slots.push((name, bytes, Some(Remedy::Parity)));
        }
    }
    // Of other storages only what is damaged here: what is not here may have been removed.
    for name in names(storage)? {
        for other in others {
            if !slots.iter().any(|(known, ..)| *known == name)
                && let Ok(Some(bytes)) = sound(*other, &name)
            {
                slots.push((name, bytes, Some(Remedy::OtherRepository)));
            }
        }
    }
    Ok(slots)
}

fn names(storage: &dyn Storage) -> Result<Vec<ObjectName>> {
    let mut names = Vec::new();
    storage.list(ObjectKind::Key, &mut |id, _| {
        names.push(ObjectName::new(ObjectKind::Key, id));
    })?;
    names.sort();
    Ok(names)
}
