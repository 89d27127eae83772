//! `keepwatch mount`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use keepwatch_mount::fuse::{MountOptions, mount};
use keepwatch_mount::{Tree, TreeOptions};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::exit::Code;
use crate::interrupt::stop_flag;

/// Where to mount.
#[derive(Debug, Args)]
pub struct MountArgs {
    /// An empty directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Let other users look, too, each as far as modes and owners of the files let them
    #[arg(long)]
    allow_other: bool,
}

#[derive(Serialize)]
struct Ready {
    mounted: String,
}

/// Mounts the repository until it is unmounted or stopped.
pub fn run(args: &MountArgs, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let tree = Tree::new(Arc::new(opened.repository), &TreeOptions::default())?;
    // Whoever is told that it is ready may tell it to stop.
    let stop = stop_flag()?;
    let options = MountOptions {
        allow_other: args.allow_other,
    };
    let mounted = mount(tree, &args.dir, &options)?;
    let dir = args.dir.display().to_string();
    if context.out.json {
        context.out.json(&Ready { mounted: dir })?;
        context.out.finish()?;
    } else {
        context.out.note(format_args!(
            "mounted at {dir}, until Ctrl-C or `umount {dir}`"
        ));
    }
    mounted.wait(&|| stop.load(Ordering::Relaxed))?;
    Ok(Code::Ok)
}
