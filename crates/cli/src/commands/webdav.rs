//! `keepwatch webdav`

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use keepwatch_core::crypto::random_bytes;
use keepwatch_mount::webdav::Server;
use keepwatch_mount::{Tree, TreeOptions};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::open::runtime;

/// Where it listens.
#[derive(Debug, Args)]
pub struct WebdavArgs {
    /// Listen here; an address of this machine alone
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8390")]
    listen: SocketAddr,
    /// Leave out of the address what others cannot guess: every user of this machine can read all
    #[arg(long)]
    open: bool,
}

#[derive(Serialize)]
struct Ready {
    url: String,
}

/// Serves the repository until it is stopped.
pub fn run(args: &WebdavArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let tree = Tree::new(Arc::new(opened.repository), &TreeOptions::default())?;
    let secret = match args.open {
        true => String::new(),
        false => hex::encode(random_bytes::<16>()?),
    };
    let server = Server::bind(tree, args.listen, secret)?;
    let ready = Ready { url: server.url() };
    runtime()?.block_on(async {
        let failed = |error| Failure::refused(format!("cannot wait for signals: {error}"), None);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        // Whoever is told that it is ready may tell it to stop.
        match context.out.json {
            true => context.out.json(&ready)?,
            false => context.out.line(&ready.url)?,
        }
        context.out.finish()?;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        Ok::<_, Failure>(server.serve(stop).await?)
    })?;
    Ok(Code::Ok)
}
