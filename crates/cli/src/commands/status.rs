//! `keepwatch status`

use clap::Args;
use jiff::Timestamp;
use keepwatch_core::Role;
use keepwatch_core::storage::{ObjectKind, StorageError};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::open::Opened;
use crate::values::{human_size, human_time};

#[derive(Serialize)]
struct Status {
    repository: String,
    location: String,
    created: Timestamp,
    suite: &'static str,
    chunker: String,
    role: Role,
    /// How many there are.
    snapshots: u64,
    /// Nothing for a writer, who cannot read them.
    last_snapshot: Option<Timestamp>,
    /// Backups that are running or were interrupted.
    pending: u64,
    /// Forgotten snapshots that can be taken back.
    trash: u64,
    packs: u64,
    pack_bytes: u64,
    /// Everything but packs.
    other_bytes: u64,
}

/// Where jobs are.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[cfg(feature = "vision")]
    #[command(flatten)]
    config: crate::configuration::ConfigArgs,
}

/// Shows how the repository is doing, or jobs where none is named.
#[cfg_attr(
    not(feature = "vision"),
    expect(unused_variables, reason = "only jobs need it")
)]
pub fn run(args: &StatusArgs, context: &mut Context) -> Outcome {
    #[cfg(feature = "vision")]
    if context.global.repo.is_none() && args.config.is_there() {
        return crate::commands::job::list(&args.config, context);
    }
    let opened = context.open()?;
    let status = status(&opened)?;
    if context.out.json {
        context.out.json(&status)?;
        return Ok(Code::Ok);
    }
    let last = match (status.last_snapshot, status.role) {
        (Some(time), _) => human_time(time),
        (None, Role::Writer) => "a writer key does not see it".to_owned(),
        (None, Role::Full) => "none".to_owned(),
    };
    let role = match status.role {
        Role::Full => "full",
        Role::Writer => "writer",
    };
    context.out.facts(&[
        ("repository", status.repository),
        ("location", status.location),
        ("created", human_time(status.created)),
        ("suite", status.suite.to_owned()),
        ("chunker", status.chunker),
        ("opened with", format!("a {role} key")),
        ("snapshots", status.snapshots.to_string()),
        ("last snapshot", last),
        ("pending", status.pending.to_string()),
        ("trash", status.trash.to_string()),
        ("packs", status.packs.to_string()),
        ("size", human_size(status.pack_bytes + status.other_bytes)),
    ])?;
    Ok(Code::Ok)
}

fn status(opened: &Opened) -> Result<Status, Failure> {
    let repository = &opened.repository;
    let config = repository.config();
    let count = |kind| -> Result<(u64, u64), StorageError> {
        let (mut objects, mut bytes) = (0, 0);
        opened.storage.list(kind, &mut |_, size| {
            objects += 1;
            bytes += size;
        })?;
        Ok((objects, bytes))
    };
    let mut totals = [(0, 0); ObjectKind::ALL.len()];
    for (total, kind) in totals.iter_mut().zip(ObjectKind::ALL) {
        *total = count(kind).map_err(keepwatch_core::Error::from)?;
    }
    let of = |kind| {
        let at = ObjectKind::ALL.iter().position(|other| *other == kind);
        totals[at.expect("every kind was counted")]
    };
    let last_snapshot = match repository.role() {
        Role::Writer => None,
        Role::Full => {
            let (snapshots, _) = repository.snapshots()?;
            snapshots.last().map(|(_, snapshot)| snapshot.time)
        }
    };
    let (packs, pack_bytes) = of(ObjectKind::Pack);
    let all: u64 = totals.iter().map(|(_, bytes)| bytes).sum();
    Ok(Status {
        repository: hex::encode(config.id()),
        location: repository.location(),
        created: config.created(),
        suite: config.suite().name(),
        chunker: config.chunker().id.to_string(),
        role: repository.role(),
        snapshots: of(ObjectKind::Snapshot).0,
        last_snapshot,
        pending: of(ObjectKind::Pending).0,
        trash: of(ObjectKind::Trash).0,
        packs,
        pack_bytes,
        other_bytes: all - pack_bytes,
    })
}
