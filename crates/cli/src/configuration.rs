//! Where the configuration is, and what it says.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use keepwatch_config::{Config, Loaded};
use keepwatch_ops::service::credential_name;

use crate::exit::Failure;

/// The configuration file.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// The configuration file [default: ~/.config/keepwatch/keepwatch.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "KEEPWATCH_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file that is named, or the usual one, which need not be there.
    pub fn path(&self) -> Option<PathBuf> {
        self.config.clone().or_else(usual)
    }

    /// Whether a file is named.
    pub fn is_named(&self) -> bool {
        self.config.is_some()
    }

    /// Whether there is one to read.
    pub fn is_there(&self) -> bool {
        self.config.is_some() || usual().is_some_and(|path| path.exists())
    }

    /// Reads it, and the environment that belongs to it. Paths of models in it begin where it is.
    pub fn load(&self) -> Result<Loaded, Failure> {
        self.load_with(&read_secret)
    }

    /// The same, and which files it names that secrets are in.
    pub fn load_and_note_secrets(&self) -> Result<(Loaded, BTreeSet<String>), Failure> {
        let files = RefCell::new(BTreeSet::new());
        let loaded = self.load_with(&|path| {
            files.borrow_mut().insert(path.to_owned());
            read_secret(path)
        })?;
        Ok((loaded, files.into_inner()))
    }

    fn load_with(&self, read: &dyn Fn(&str) -> io::Result<String>) -> Result<Loaded, Failure> {
        let path = self
            .config
            .clone()
            .or_else(|| usual().filter(|path| path.exists()));
        let text = match &path {
            Some(path) => Some(std::fs::read_to_string(path).map_err(Failure::file("read", path))?),
            None => None,
        };
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let mut loaded = Config::load(text.as_deref(), &environment, read)?;
        if let Some(folder) = path.as_deref().and_then(Path::parent) {
            loaded.config.place(folder);
        }
        Ok(loaded)
    }
}

/// A secret's file. systemd may have read it for a service, and have handed it over under a name that
/// is made of its path: see `keepwatch service`.
fn read_secret(path: &str) -> io::Result<String> {
    let handed_over = std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|directory| Path::new(&directory).join(credential_name(path)))
        .filter(|file| file.exists());
    std::fs::read_to_string(handed_over.as_deref().unwrap_or(Path::new(path)))
}

/// Where people keep such files (XDG Base Directory Specification).
fn usual() -> Option<PathBuf> {
    let folder = |name: &str| {
        let folder = std::env::var_os(name).map(PathBuf::from);
        folder.filter(|folder| folder.is_absolute())
    };
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("keepwatch/keepwatch.toml"))
}
