//! `keepwatch plate`

mod lists;
mod read;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwatch_recognition::plate::grammar::Region;
use keepwatch_recognition::settings::PlateSettings;

use crate::commands::{Context, Outcome};

/// What can be done with plates.
#[derive(Debug, Subcommand)]
pub enum PlateCommand {
    /// Read the plates in photographs
    Read(read::ReadArgs),
    /// List the plates that are welcome, and those that are not
    List(lists::ListArgs),
    /// Put a plate on a list
    Add(lists::AddArgs),
    /// Take a plate off a list
    Remove(lists::RemoveArgs),
}

/// Runs one of them.
pub fn run(command: PlateCommand, context: &mut Context) -> Outcome {
    match command {
        PlateCommand::Read(args) => read::run(args, context),
        PlateCommand::List(args) => lists::list(&args, context),
        PlateCommand::Add(args) => lists::add(&args, context),
        PlateCommand::Remove(args) => lists::remove(&args, context),
    }
}

/// What goes before the configuration.
#[derive(Debug, Args)]
pub struct PlateArgs {
    /// Where plates are from
    #[arg(long, value_name = "REGION", value_parser = Region::ALL.map(Region::name))]
    region: Option<String>,
    /// A file with plates that are welcome, one a line or plate_text,description
    #[arg(long, value_name = "FILE")]
    allow_list: Option<PathBuf>,
    /// A file with plates that are not
    #[arg(long, value_name = "FILE")]
    deny_list: Option<PathBuf>,
}

impl PlateArgs {
    /// Whether any of them is given.
    pub fn is_given(&self) -> bool {
        self.region.is_some() || self.allow_list.is_some() || self.deny_list.is_some()
    }

    /// The configuration, with what is given here in its place.
    pub fn over(self, configured: Option<PlateSettings>) -> PlateSettings {
        let mut settings = configured.unwrap_or_default();
        if let Some(region) = self.region {
            settings.region = region;
            settings.patterns = Vec::new();
        }
        settings.allow_list = self.allow_list.or(settings.allow_list);
        settings.deny_list = self.deny_list.or(settings.deny_list);
        settings
    }
}
