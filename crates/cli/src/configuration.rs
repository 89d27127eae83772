//! Where the configuration is, and what it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use keepwatch_config::{Config, Loaded};

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
        let read = |path: &str| std::fs::read_to_string(path);
        let mut loaded = Config::load(text.as_deref(), &environment, &read)?;
        if let Some(folder) = path.as_deref().and_then(Path::parent) {
            loaded.config.place(folder);
        }
        Ok(loaded)
    }
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
