//! Event stores: how they are opened, and how events are shown.

use std::fmt::{self, Debug, Display, Formatter, Write as _};
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use keepwatch_core::events::{Event, PostgresUrl, Store};
#[cfg(feature = "vision")]
use {
    crate::commands::Context,
    crate::credentials::new_locks,
    clap::Args,
    keepwatch_config::Config,
    keepwatch_core::crypto::{Kdf, Lock, PublicKey},
    keepwatch_core::events::{StoreOptions, StoreRole},
};

use crate::args::Global;
use crate::credentials::existing;
use crate::exit::Failure;

/// An event in a line.
pub fn describe(event: &Event) -> String {
    let mut text = format!(
        "{}  {}  {}  {}",
        event.started_at.strftime("%Y-%m-%d %H:%M:%S"),
        event.camera,
        event.kind,
        event.id
    );
    let _ = match event.ended_at {
        None => write!(text, "  lasts"),
        Some(ended) => {
            let seconds = ended.duration_since(event.started_at).as_secs_f64();
            write!(text, "  {seconds:.1} s")
        }
    };
    if let Some(clip) = &event.clip {
        let cut = if clip.complete { "" } else { ", cut off" };
        let _ = write!(
            text,
            "  clip {:.1} s{cut}",
            clip.duration_ms as f64 / 1000.0
        );
    }
    if event.snapshot.is_some() {
        text.push_str("  picture");
    }
    if let Some(reason) = &event.reason {
        let _ = write!(text, "  ({reason})");
    }
    text
}

/// A directory or the address of a database, as it was given. The address may hold a password: it is
/// shown without.
#[derive(Clone)]
pub struct StoreName(PathBuf);

impl StoreName {
    /// Takes what clap takes for a path.
    pub fn parser() -> impl TypedValueParser<Value = Self> {
        PathBufValueParser::new().map(Self)
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Debug for StoreName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.to_str() {
            Some(text) if text.contains("://") => f.write_str("\"…\""),
            _ => self.0.fmt(f),
        }
    }
}

/// Which event store.
#[cfg(feature = "vision")]
#[derive(Clone, Debug, Args)]
pub struct StorePlace {
    /// The event store, a directory or postgres://…; made if there is none
    #[arg(
        long,
        value_name = "DIR|URL",
        env = "KEEPWATCH_STORE",
        hide_env_values = true,
        value_parser = StoreName::parser()
    )]
    store: Option<StoreName>,
    /// With postgres://…: the directory for clips and pictures
    #[arg(long = "media-dir", value_name = "DIR")]
    media: Option<PathBuf>,
}

/// Where an event store is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a directory.
    Dir(PathBuf),
    /// In a PostgreSQL database, with its clips in a directory.
    Server {
        /// The database.
        url: PostgresUrl,
        /// The directory.
        media: PathBuf,
    },
}

#[cfg(feature = "vision")]
impl StorePlace {
    /// Where it is, by the options or else the configuration.
    pub fn place(&self, config: &Config) -> Result<Place, Failure> {
        let given = self.store.as_ref().map(StoreName::path);
        let store = given.or(config.store.path.as_deref());
        let store = store.ok_or(Failure::Usage {
            message: "no event store is given".to_owned(),
            hint: Some("use --store DIR or set KEEPWATCH_STORE"),
        })?;
        let media = self.media.as_ref().or(config.store.media.as_ref());
        Place::of(store, media)
    }
}

impl Place {
    /// What a path or address names.
    pub fn of(store: &Path, media: Option<&PathBuf>) -> Result<Self, Failure> {
        let text = store.to_str().unwrap_or_default();
        if !PostgresUrl::is_one(text) {
            return Ok(Place::Dir(store.to_owned()));
        }
        let media = media.ok_or(Failure::Usage {
            message: "it is not said where clips and pictures go".to_owned(),
            hint: Some("use --media-dir DIR or set store.media"),
        })?;
        Ok(Place::Server {
            url: text.parse()?,
            media: media.clone(),
        })
    }

    /// Opens the store that is there.
    pub fn open(&self, global: &Global) -> Result<Store, Failure> {
        let credential = existing(global, &self.to_string())?;
        Ok(match self {
            Place::Dir(dir) => Store::open(dir, &credential)?,
            Place::Server { url, media } => Store::open_on_server(url, media, &credential)?,
        })
    }

    #[cfg(feature = "vision")]
    fn exists(&self) -> Result<bool, Failure> {
        match self {
            Place::Dir(dir) => Ok(Store::exists(dir)),
            Place::Server { url, .. } => Ok(Store::exists_on_server(url)?),
        }
    }

    #[cfg(feature = "vision")]
    fn create(
        &self,
        locks: &[(Lock<'_>, StoreRole)],
        options: &StoreOptions,
    ) -> Result<Store, Failure> {
        Ok(match self {
            Place::Dir(dir) => Store::create(dir, locks, options)?,
            Place::Server { url, media } => Store::create_on_server(url, media, locks, options)?,
        })
    }
}

/// Without a password.
impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Place::Dir(dir) => write!(f, "{}", dir.display()),
            Place::Server { url, .. } => write!(f, "{url}"),
        }
    }
}

/// Opens an event store, or makes one whose clips are sealed to these recipients.
#[cfg(feature = "vision")]
pub fn open_or_create(
    place: &Place,
    recipients: Vec<PublicKey>,
    context: &mut Context,
) -> Result<Store, Failure> {
    if place.exists()? {
        let store = place.open(&context.global)?;
        let same = |wanted: &PublicKey| store.recipients().contains(wanted);
        if !recipients.iter().all(same) {
            return Err(Failure::Refused {
                message: "the event store seals clips to other recipients".to_owned(),
                hint: Some("who can open clips is chosen when a store is made; use a new one"),
            });
        }
        return Ok(store);
    }
    let locks = new_locks(&context.global, &[])?;
    let locks: Vec<_> = locks
        .iter()
        .map(|lock| (lock.lock(Kdf::default()), StoreRole::Full))
        .collect();
    let options = StoreOptions {
        own_identity: recipients.is_empty(),
        recipients,
        ..StoreOptions::default()
    };
    let store = place.create(&locks, &options)?;
    context.out.note(format_args!(
        "made an event store at {place}; it signs as {}",
        hex::encode(store.signer())
    ));
    Ok(store)
}

/// Whom the configuration wants clips to be sealed to.
#[cfg(feature = "vision")]
pub fn recipients(config: &Config) -> Result<Vec<PublicKey>, Failure> {
    let texts = config.store.recipients.iter();
    texts
        .map(|text| crate::credentials::recipient(text).map_err(Failure::usage))
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    #[test]
    fn what_is_given_is_shown_without_a_password() {
        let address = "postgres://ann:s3cret@db/events";
        let mut calls = vec![
            vec!["keepwatch", "events", "list", "--store", address],
            vec!["keepwatch", "backup", "--event-store", address],
        ];
        if cfg!(feature = "vision") {
            calls.push(vec!["keepwatch", "serve", "--store", address]);
            calls.push(vec!["keepwatch", "watch", "--store", address]);
            calls.push(vec!["keepwatch", "face", "list", "--store", address]);
            calls.push(vec!["keepwatch", "user", "list", "--store", address]);
        }
        for call in calls {
            let Ok(cli) = Cli::try_parse_from(&call) else {
                panic!("{call:?}");
            };
            let shown = format!("{cli:?}");
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains('…'), "{shown}");
        }
        let Ok(cli) = Cli::try_parse_from(["keepwatch", "events", "list", "--store", "dir"]) else {
            panic!("it is right");
        };
        assert!(format!("{cli:?}").contains("\"dir\""));
    }
}
