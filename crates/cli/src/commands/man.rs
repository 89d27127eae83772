//! `keepwatch man`

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use serde::Serialize;

use crate::args::Cli;
use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};

/// Where to write.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The directory, which is made if needed
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Serialize)]
struct Written {
    pages: Vec<String>,
}

/// Writes a manual page for every command.
pub fn run(args: &ManArgs, context: &mut Context) -> Outcome {
    std::fs::create_dir_all(&args.dir).map_err(Failure::file("make the directory", &args.dir))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    write(&command, &args.dir, &mut pages)?;
    if context.out.json {
        context.out.json(&Written { pages })?;
    } else {
        for page in pages {
            context.out.line(page)?;
        }
    }
    Ok(Code::Ok)
}

fn write(command: &Command, dir: &Path, pages: &mut Vec<String>) -> Result<(), Failure> {
    // `keepwatch-key-add`, as `build` has named it.
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let path = dir.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    std::fs::write(&path, page).map_err(Failure::file("write", &path))?;
    pages.push(path.display().to_string());
    command
        .get_subcommands()
        .try_for_each(|sub| write(sub, dir, pages))
}
