//! `keepwatch face`

mod enrol;
mod identify;
mod import;
mod people;
mod purge;

use clap::Subcommand;

use crate::commands::{Context, Outcome};

/// What can be done with faces.
#[derive(Debug, Subcommand)]
pub enum FaceCommand {
    /// Enrol a person with photographs of their face
    Enroll(enrol::EnrolArgs),
    /// Say whose faces are in photographs
    Identify(identify::IdentifyArgs),
    /// List who is enrolled
    List(people::ListArgs),
    /// Forget a person: their photographs are deleted
    Remove(people::RemoveArgs),
    /// Enrol everybody anew with the model that is configured now
    Refresh(people::RefreshArgs),
    /// Enrol the people of a gallery of SecureVision
    Import(import::ImportArgs),
    /// Delete the events that name a person
    PurgeEvents(purge::PurgeEventsArgs),
}

/// Runs one of them.
pub fn run(command: FaceCommand, context: &mut Context) -> Outcome {
    match command {
        FaceCommand::Enroll(args) => enrol::run(&args, context),
        FaceCommand::Identify(args) => identify::run(&args, context),
        FaceCommand::List(args) => people::list(&args, context),
        FaceCommand::Remove(args) => people::remove(&args, context),
        FaceCommand::Refresh(args) => people::refresh(&args, context),
        FaceCommand::Import(args) => import::run(&args, context),
        FaceCommand::PurgeEvents(args) => purge::run(&args, context),
    }
}
