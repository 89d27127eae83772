//! Stores in databases of a server that the test has started: one for each directory, with the
//! media in it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::LazyLock;

use keepwatch_core::Result;
use keepwatch_core::crypto::{Credential, Lock};
use keepwatch_core::events::{PostgresUrl, Store, StoreOptions, StoreRole};
use keepwatch_testkit::postgres::Postgres;

/// Where the server of another process is.
const SERVER: &str = "KEEPWATCH_TEST_SERVER";

/// Of this process; a test that starts no other one has it for itself.
static POSTGRES: LazyLock<Postgres> = LazyLock::new(Postgres::start);

/// The name of the database that stands for a directory.
pub fn database(dir: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    format!("store_{:016x}", hasher.finish())
}

/// The address of it.
pub fn url(dir: &Path) -> PostgresUrl {
    let database = database(dir);
    let url = match std::env::var(SERVER) {
        Ok(server) => server + &database,
        Err(_) => POSTGRES.url(&database),
    };
    url.parse().unwrap()
}

pub fn server() -> &'static Postgres {
    &POSTGRES
}

pub fn create(
    dir: &Path,
    locks: &[(Lock<'_>, StoreRole)],
    options: &StoreOptions,
) -> Result<Store> {
    let name = database(dir);
    let text = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
    if POSTGRES.run("postgres", &text).is_empty() {
        POSTGRES.create_database(&name);
    }
    Store::create_on_server(&url(dir), dir, locks, options)
}

pub fn open(dir: &Path, credential: &Credential) -> Result<Store> {
    Store::open_on_server(&url(dir), dir, credential)
}

pub fn open_read_only(dir: &Path, credential: &Credential) -> Result<Store> {
    Store::open_on_server_read_only(&url(dir), dir, credential)
}

/// What another process needs to open them.
pub fn environment() -> Vec<(&'static str, String)> {
    vec![(SERVER, POSTGRES.url(""))]
}
