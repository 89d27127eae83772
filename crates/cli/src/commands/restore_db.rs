//! `keepwatch restore-db`

use std::io::{self, PipeReader, Read, pipe};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use clap::Args;
use keepwatch_core::{Repository, Snapshot, with_causes};
use keepwatch_ops::hook::Environment;
use keepwatch_ops::source::{FOLDER, RestoreTarget};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure};
use crate::select::LatestArgs;

/// Which dump, and where it goes.
#[derive(Debug, Args)]
pub struct RestoreDbArgs {
    /// The snapshot
    snapshot: String,
    /// The database's name in the configuration, and which of its dumps if there are several, as
    /// shop or shop/orders.sql
    #[arg(value_name = "NAME[/DUMP]")]
    dump: String,
    /// Feed it to this one of the configuration instead of the one that it is from
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Into this database instead of the one that it was; for SQLite, this file
    #[arg(long, value_name = "DATABASE")]
    into: Option<String>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// What `latest` means.
    #[command(flatten)]
    latest: LatestArgs,
}

#[derive(Serialize)]
struct Restored<'a> {
    dump: &'a str,
    into: Option<&'a str>,
}

/// Feeds a dump of a database back to it.
pub fn run(args: &RestoreDbArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let (name, dump) = match args.dump.split_once('/') {
        Some((name, dump)) => (name, Some(dump)),
        None => (args.dump.as_str(), None),
    };
    let to = args.to.as_deref().unwrap_or(name);
    let settings = config
        .databases
        .get(to)
        .ok_or_else(|| Failure::usage(format!("the configuration has no database {to:?}")))?;
    let opened = context.open()?;
    let (_, snapshot) = args.latest.find(&opened.repository, &args.snapshot)?;
    let dump = find(&opened.repository, &snapshot, name, dump)?;
    let path = format!("{FOLDER}/{name}/{dump}");
    let target = RestoreTarget {
        into: args.into.clone(),
        force: args.force,
    };
    let environment = Environment::new(std::env::vars_os());
    let (reader, mut writer) = pipe()?;
    let (told, ended) = channel();
    let reader = Dump {
        pipe: reader,
        ended,
    };
    let repository = &opened.repository;
    thread::scope(|scope| {
        let (snapshot, path) = (&snapshot, &path);
        scope.spawn(move || {
            let read = repository.dump(snapshot, path.as_bytes(), &mut writer);
            // Told before the pipe ends: nobody is to take half of it for all.
            let _ = told.send(read.map(drop).map_err(|error| with_causes(&error)));
            drop(writer);
        });
        settings.restore(&dump, Box::new(reader), &target, &environment)
    })?;
    if context.out.json {
        context.out.json(&Restored {
            dump: &path,
            into: args.into.as_deref(),
        })?;
    } else {
        context.out.line(format_args!("{path} is restored"))?;
    }
    Ok(Code::Ok)
}

/// The dump that is meant: the only one, if none is named.
fn find(
    repository: &Repository,
    snapshot: &Snapshot,
    name: &str,
    dump: Option<&str>,
) -> Result<String, Failure> {
    let folder = format!("{FOLDER}/{name}");
    let mut all = Vec::new();
    repository.list_tree(snapshot, folder.as_bytes(), false, &mut |entry| {
        if entry.kind == "file" {
            let path = String::from_utf8_lossy(&entry.path.0).into_owned();
            all.push(path.rsplit('/').next().unwrap_or_default().to_owned());
        }
        Ok(())
    })?;
    match (dump, all.as_slice()) {
        (Some(dump), _) if all.iter().any(|known| known == dump) => Ok(dump.to_owned()),
        (None, [only]) => Ok(only.clone()),
        _ => Err(Failure::usage(format!(
            "which dump? There are {}",
            all.join(", ")
        ))),
    }
}

/// What comes out of the vault. Its end counts only when all of it was there.
struct Dump {
    pipe: PipeReader,
    ended: Receiver<Result<(), String>>,
}

impl Read for Dump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.pipe.read(buffer)? {
            0 if !buffer.is_empty() => match self.ended.recv() {
                Ok(Ok(())) => Ok(0),
                Ok(Err(error)) => Err(io::Error::other(error)),
                // It was told already.
                Err(_) => Ok(0),
            },
            length => Ok(length),
        }
    }
}
