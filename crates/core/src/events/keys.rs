//! Who may open a store.

use jiff::Timestamp;
use keepwatch_crypto::{Lock, slot};

use super::beginning::no_key;
use super::database::Database;
use super::shelf::Shelf;
use super::slots::{self, StoreKey};
use super::store::Store;
use crate::error::{Error, Result};
use crate::keyring::Role;

impl Store {
    /// All keys.
    pub fn keys(&self) -> Result<Vec<StoreKey>> {
        self.slots()?.iter().map(slots::StoredSlot::info).collect()
    }

    fn slots(&self) -> Result<Vec<slots::StoredSlot>> {
        self.shelf(|shelf| slots::read_all(shelf, &self.header.id))
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`] for a writer; [`Error::Invalid`] when the name is taken.
    pub fn add_key(&self, lock: &Lock<'_>, role: Role, name: &str) -> Result<()> {
        self.needs_full("adding a key")?;
        let mut work = slot::work_of(lock)?;
        for other in self.slots()? {
            if other.info()?.name == name {
                return Err(no_key(&format!("there is a key {name:?} already")));
            }
            work += other.work()?;
        }
        if work > slot::MAX_WORK && slot::work_of(lock)? > 0 {
            return Err(no_key("trying all passphrases would cost too much"));
        }
        let slot = slots::create(
            lock,
            self.header.suite,
            &self.header.id,
            role,
            name,
            &self.secrets,
            Timestamp::now(),
        )?;
        self.change_shelf(|shelf| shelf.write_new(&slots::path(name), &slot))
    }

    /// Removes a key. Who has held it and has a copy of its slot can still open the store.
    ///
    /// # Errors
    /// [`Error::NeedsFullKey`] for a writer; [`Error::Invalid`] when there is no such key, or it is
    /// the last full one.
    pub fn remove_key(&self, name: &str) -> Result<()> {
        self.needs_full("removing a key")?;
        let keys = self.keys()?;
        if !keys.iter().any(|key| key.name == name) {
            return Err(no_key(&format!("there is no key {name:?}")));
        }
        let stays = |key: &&StoreKey| key.name != name && key.role == Role::Full;
        if !keys.iter().any(|key| stays(&key)) {
            return Err(no_key("the last full key stays"));
        }
        self.change_shelf(|shelf| shelf.remove(&slots::path(name)))
    }

    fn needs_full(&self, operation: &'static str) -> Result<()> {
        match self.role() {
            Role::Full => Ok(()),
            Role::Writer => Err(Error::NeedsFullKey { operation }),
        }
    }

    /// Reads small files.
    pub(super) fn shelf<T>(&self, work: impl FnOnce(&Shelf<'_>) -> Result<T>) -> Result<T> {
        match &self.database {
            Database::Sqlite(_) => work(&Shelf::Folder(self.dir())),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => work(&Shelf::Table(&*self.reader()?)),
        }
    }

    fn change_shelf<T>(&self, work: impl FnOnce(&Shelf<'_>) -> Result<T>) -> Result<T> {
        match &self.database {
            Database::Sqlite(_) => work(&Shelf::Folder(self.dir())),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => self.writing(|db| db.write(|tx| work(&Shelf::Table(tx)))),
        }
    }
}
