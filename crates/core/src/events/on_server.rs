//! The event store in a PostgreSQL database, for several hosts (FORMAT.md, section 7.7).

use std::path::Path;

use keepwatch_crypto::{Credential, Lock};

use super::beginning::Beginning;
use super::database::{Connection, Database, Mode, PostgresUrl, Sealing, Server};
use super::files;
use super::header::{Header, refuse_content};
use super::shelf::Shelf;
use super::slots::{self, Secrets};
use super::store::{Store, StoreOptions};
use crate::error::{Error, Result};
use crate::keyring::Role;

impl Store {
    /// Makes a store in a PostgreSQL database. What is recorded goes to `media`, an empty or missing
    /// directory; a server on another host that is to play it needs the same directory.
    ///
    /// What records say is sealed before it gets there; whoever runs the database sees cameras,
    /// kinds and times, and which events have a label in common. It blocks, and so does everything
    /// that is done with the store, dropping it included: in asynchronous programs it belongs on
    /// threads for that.
    ///
    /// # Errors
    /// [`Error::StoreExists`] when there is one in the database, or something in the directory;
    /// [`Error::Unavailable`] when the server does not answer; as [`Store::create`].
    pub fn create_on_server(
        url: &PostgresUrl,
        media: &Path,
        locks: &[(Lock<'_>, Role)],
        options: &StoreOptions,
    ) -> Result<Self> {
        let Beginning {
            header,
            secrets,
            slots,
        } = Beginning::new(locks, options)?;
        files::make_dir(media)?;
        refuse_content(media)?;
        let server = Server::new(url);
        let db = Connection::Postgres(Box::new(server.connect(Mode::Create)?));
        db.write(|tx| {
            let shelf = Shelf::Table(tx);
            if shelf.read(files::STORE, 1)?.is_some() {
                return Err(Error::StoreExists {
                    location: server.name(),
                });
            }
            for (name, slot) in &slots {
                shelf.write_new(&slots::path(name), slot)?;
            }
            shelf.write_new(files::STORE, &header.to_bytes(&secrets.store))
        })?;
        files::make_dir(&media.join(files::MEDIA))?;
        Self::on_server(server, media, header, secrets, Mode::Write)
    }

    /// Whether a PostgreSQL database holds an event store.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the server does not answer.
    pub fn exists_on_server(url: &PostgresUrl) -> Result<bool> {
        let db = Connection::Postgres(Box::new(Server::new(url).connect_bare(Mode::Read)?));
        match Header::read(&Shelf::Table(&db), url) {
            Ok(_) => Ok(true),
            Err(Error::NoStore { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens a store in a PostgreSQL database for reading and writing.
    ///
    /// A connection that is lost is an error of the call that uses it; the next one connects anew.
    ///
    /// # Errors
    /// [`Error::NoStore`] when none is there, [`Error::Unavailable`] when the server does not
    /// answer; as [`Store::open`].
    pub fn open_on_server(
        url: &PostgresUrl,
        media: &Path,
        credential: &Credential,
    ) -> Result<Self> {
        Self::open_on_server_as(url, media, credential, Mode::Write)
    }

    /// Opens a store in a PostgreSQL database for reading.
    ///
    /// # Errors
    /// As [`Store::open_on_server`].
    pub fn open_on_server_read_only(
        url: &PostgresUrl,
        media: &Path,
        credential: &Credential,
    ) -> Result<Self> {
        Self::open_on_server_as(url, media, credential, Mode::Read)
    }

    fn open_on_server_as(
        url: &PostgresUrl,
        media: &Path,
        credential: &Credential,
        mode: Mode,
    ) -> Result<Self> {
        let server = Server::new(url);
        let db = Connection::Postgres(Box::new(server.connect_bare(Mode::Read)?));
        let (header, secrets) = Self::unlock(&Shelf::Table(&db), url, credential)?;
        Self::on_server(server, media, header, secrets, mode)
    }

    fn on_server(
        server: Server,
        media: &Path,
        header: Header,
        secrets: Secrets,
        mode: Mode,
    ) -> Result<Self> {
        let sealing = Sealing::new(header.id, header.suite, &secrets.store);
        let database = Database::Postgres(server.with_keys(sealing));
        Self::assemble(media, header, secrets, mode, database, || Ok(None))
    }
}
