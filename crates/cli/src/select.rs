//! Which snapshots a command is about.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Args;
use keepwatch_core::{Filter, Id, Name, Repository, Snapshot};

use crate::exit::Failure;

/// Chooses snapshots.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which snapshots")]
pub struct FilterArgs {
    /// Made on this machine
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// With these tags; repeat it for one list or another
    #[arg(long, value_name = "TAG[,TAG…]")]
    tag: Vec<String>,
    /// Of this path; repeat it for snapshots of several
    #[arg(long = "path", visible_alias = "backup-path", value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl FilterArgs {
    /// As the library wants it.
    pub fn filter(&self) -> Filter {
        filter(self.host.as_deref(), &self.tag, &self.paths)
    }
}

/// Chooses what `latest` means.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What `latest` means")]
pub struct LatestArgs {
    /// The latest that was made on this machine
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The latest with these tags; repeat it for one list or another
    #[arg(long, value_name = "TAG[,TAG…]")]
    tag: Vec<String>,
    /// The latest of this path; repeat it for a snapshot of several
    #[arg(long = "backup-path", value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl LatestArgs {
    /// As the library wants it.
    pub fn filter(&self) -> Filter {
        filter(self.host.as_deref(), &self.tag, &self.paths)
    }

    /// The snapshot of a name.
    pub fn find(&self, repository: &Repository, name: &str) -> Result<(Id, Snapshot), Failure> {
        Ok(match name {
            "latest" => repository.latest(&self.filter())?,
            _ => repository.find_snapshot(name)?,
        })
    }
}

fn filter(host: Option<&str>, tags: &[String], paths: &[PathBuf]) -> Filter {
    Filter {
        host: host.map(str::to_owned),
        tags: tags.iter().map(|list| tag_list(list)).collect(),
        paths: paths
            .iter()
            .map(|path| Name(path.as_os_str().as_bytes().to_vec()))
            .collect(),
    }
}

/// `a,b` as two tags.
pub fn tag_list(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `SNAPSHOT` or `SNAPSHOT:PATH`.
pub fn split_name(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or((name, ""))
}

/// The snapshots of these names, or all that the filter means when there are none.
pub fn several(
    repository: &Repository,
    names: &[String],
    filter: &Filter,
) -> Result<Vec<(Id, Snapshot)>, Failure> {
    let mut found = Vec::new();
    for name in names {
        found.push(match name.as_str() {
            "latest" => repository.latest(filter)?,
            name => repository.find_snapshot(name)?,
        });
    }
    if names.is_empty() {
        let (snapshots, problems) = repository.snapshots()?;
        if let Some((_, error)) = problems.into_iter().next() {
            return Err(error.into());
        }
        found = snapshots;
        found.retain(|(_, snapshot)| filter.matches(snapshot));
    }
    Ok(found)
}
