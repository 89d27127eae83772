//! An event store as a source: a consistent copy of its database, and its files.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use keepwatch_core::events::{PostgresUrl, Store};
use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::fs::plain_path;
use keepwatch_core::{Source, Stream};

use crate::args::Global;
use crate::credentials::existing;
use crate::exit::Failure;
use crate::stores::StoreName;

/// The files of a store beside its database.
const FILES: [&str; 4] = ["store", "keys", "media", "private"];
const DATABASE: &str = "events.db";

/// Which event store, and what opens it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Event store")]
pub struct EventStoreArgs {
    /// Back up an event store while it is in use; it comes back as one that can be used
    #[arg(long, value_name = "DIR", value_parser = StoreName::parser())]
    event_store: Option<StoreName>,
    /// The passphrase of the event store [default: what opens the repository]
    #[arg(
        long,
        value_name = "FILE",
        requires = "event_store",
        group = "store-credential"
    )]
    store_password_file: Option<PathBuf>,
    /// The key file of the event store
    #[arg(
        long,
        value_name = "FILE",
        requires = "event_store",
        group = "store-credential"
    )]
    store_key_file: Option<PathBuf>,
}

impl EventStoreArgs {
    fn dir(&self) -> Result<Option<&Path>, Failure> {
        let dir = self.event_store.as_ref().map(StoreName::path);
        let is_address = |dir: &Path| dir.to_str().is_some_and(PostgresUrl::is_one);
        match dir.is_some_and(is_address) {
            true => Err(Failure::Usage {
                message: "an event store in PostgreSQL is not backed up like this".to_owned(),
                hint: Some("pg_dump copies the database; back up its media directory beside it"),
            }),
            false => Ok(dir),
        }
    }

    /// Recordings that are being written are left out: they are whole in the next backup.
    pub fn exclude(&self, builder: ExcludesBuilder) -> Result<ExcludesBuilder, Failure> {
        let Some(dir) = self.dir()? else {
            return Ok(builder);
        };
        let media = plain_path(dir)
            .map_err(Failure::file("find", dir))?
            .join("media");
        let media = media.to_string_lossy();
        let literal: String = media
            .chars()
            .map(|c| match c {
                '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!' => format!("\\{c}"),
                c => c.to_string(),
            })
            .collect();
        Ok(builder.glob(&format!("{literal}/**/*.part"))?)
    }

    /// The sources that make up the store. The copy of the database lies beside it, encrypted, and
    /// has no name any more when this returns.
    pub fn sources(&self, global: &Global) -> Result<Vec<Source>, Failure> {
        let Some(dir) = self.dir()? else {
            return Ok(Vec::new());
        };
        let dir = plain_path(dir).map_err(Failure::file("find", dir))?;
        let mut global = global.clone();
        if self.store_password_file.is_some() || self.store_key_file.is_some() {
            global.password_command = None;
            global.identity = None;
            global.password_file.clone_from(&self.store_password_file);
            global.key_file.clone_from(&self.store_key_file);
        }
        let credential = existing(&global, &dir.display().to_string())?;
        let store = Store::open(&dir, &credential)?;
        let copy = dir.join(format!(".{DATABASE}.{}", std::process::id()));
        store.backup_to(&copy)?;
        store.close()?;
        let file = open_and_remove(&copy)?;
        let mut sources: Vec<Source> = FILES
            .iter()
            .map(|name| dir.join(name))
            // A store that nobody was enrolled in has no private files.
            .filter(|path| !path.ends_with("private") || path.exists())
            .map(Source::Path)
            .collect();
        sources.push(Source::stream(Stream {
            path: dir.join(DATABASE),
            reader: Box::new(file),
            finish: Box::new(|| Ok(())),
        }));
        Ok(sources)
    }
}

fn open_and_remove(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(Failure::file("open", path));
    std::fs::remove_file(path).map_err(Failure::file("remove", path))?;
    file
}
