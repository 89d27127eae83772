//! One file for each command: parse, call the library, render.

pub mod backup;
#[cfg(feature = "vision")]
pub mod camera;
pub mod check;
pub mod completions;
#[cfg(feature = "vision")]
pub mod config;
pub mod copy;
pub mod decrypt;
pub mod diff;
#[cfg(feature = "vision")]
pub mod doctor;
#[cfg(feature = "vision")]
pub mod drill;
pub mod dump;
pub mod encrypt;
pub mod events;
pub mod evidence;
#[cfg(feature = "vision")]
pub mod face;
pub mod find;
pub mod forget;
pub mod import;
pub mod init;
pub mod inventory;
#[cfg(feature = "vision")]
pub mod job;
pub mod key;
pub mod keygen;
pub mod ls;
pub mod man;
#[cfg(feature = "vision")]
pub mod model;
#[cfg(target_os = "linux")]
pub mod mount;
pub mod parity;
#[cfg(feature = "vision")]
pub mod plate;
pub mod prune;
pub mod repair;
pub mod restore;
#[cfg(feature = "vision")]
pub mod restore_db;
#[cfg(feature = "vision")]
pub mod run;
#[cfg(feature = "vision")]
pub mod serve;
#[cfg(feature = "vision")]
pub mod service;
pub mod snapshots;
pub mod stats;
pub mod status;
#[cfg(feature = "vision")]
pub mod user;
#[cfg(feature = "vision")]
pub mod watch;
pub mod webdav;

use jiff::Timestamp;

use crate::args::{Command, Global};
use crate::bar::Bar;
use crate::commands::events::EventsCommand;
#[cfg(feature = "vision")]
use crate::commands::face::FaceCommand;
use crate::commands::inventory::InventoryCommand;
#[cfg(feature = "vision")]
use crate::commands::job::JobCommand;
use crate::commands::key::KeyCommand;
use crate::commands::parity::ParityCommand;
#[cfg(feature = "vision")]
use crate::commands::plate::PlateCommand;
#[cfg(feature = "vision")]
use crate::commands::service::ServiceCommand;
#[cfg(feature = "vision")]
use crate::commands::user::UserCommand;
use crate::exit::{Code, Failure, report_problem};
use crate::open::{Opened, open};
use crate::output::{Output, Unread};

/// What a command ends with.
pub type Outcome = Result<Code, Failure>;

/// What every command has at hand.
pub struct Context {
    /// The global options.
    pub global: Global,
    /// Where the result goes.
    pub out: Output,
}

impl Context {
    /// For these options, and for a command whose output matters so much.
    pub fn new(global: &Global, unread: Unread) -> Self {
        Self {
            global: global.clone(),
            out: Output::new(global.json, global.quiet, unread),
        }
    }

    /// Opens the repository.
    pub fn open(&self) -> Result<Opened, Failure> {
        open(&self.global)
    }

    /// A progress bar, if there is somebody to see it.
    pub fn bar(&self) -> Bar {
        Bar::new(self.global.quiet)
    }

    /// Tells of one thing that went wrong while the others go on.
    pub fn problem(&self, text: &str, code: Code) {
        report_problem(text, code, self.global.json);
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What becomes of a command whose output nobody reads.
pub fn unread(command: &Command) -> Unread {
    match command {
        Command::Snapshots(_)
        | Command::Ls(_)
        | Command::Find(_)
        | Command::Diff(_)
        | Command::Dump(_)
        | Command::Decrypt(_)
        | Command::Stats(_)
        | Command::Status(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Events(EventsCommand::List(_) | EventsCommand::Show(_))
        | Command::Parity(ParityCommand::Status)
        | Command::Key(KeyCommand::List) => Unread::Ends,
        Command::Init(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Import(_)
        | Command::Check(_)
        | Command::Copy(_)
        | Command::RepairIndex
        | Command::Repair(_)
        | Command::Parity(_)
        | Command::Forget(_)
        | Command::Prune(_)
        | Command::Webdav(_)
        | Command::Key(_) => Unread::GoesOn,
        #[cfg(target_os = "linux")]
        Command::Mount(_) => Unread::GoesOn,
        #[cfg(feature = "vision")]
        Command::Run(_)
        | Command::Job(JobCommand::Run(_))
        | Command::Drill(_)
        | Command::RestoreDb(_) => Unread::GoesOn,
        #[cfg(feature = "vision")]
        Command::Job(_) => Unread::Ends,
        #[cfg(feature = "vision")]
        Command::Watch(_) | Command::Serve(_) | Command::Camera(_) | Command::Model(_) => {
            Unread::GoesOn
        }
        #[cfg(feature = "vision")]
        Command::User(UserCommand::List(_)) => Unread::Ends,
        #[cfg(feature = "vision")]
        Command::User(_) => Unread::GoesOn,
        #[cfg(feature = "vision")]
        Command::Face(FaceCommand::Identify(_) | FaceCommand::List(_)) | Command::Doctor(_) => {
            Unread::Ends
        }
        #[cfg(feature = "vision")]
        Command::Plate(PlateCommand::Read(_) | PlateCommand::List(_)) => Unread::Ends,
        #[cfg(feature = "vision")]
        Command::Face(_) | Command::Plate(_) => Unread::GoesOn,
        Command::Events(EventsCommand::Export(_)) => Unread::Fails,
        Command::Inventory(args) => match args.command() {
            Some(InventoryCommand::Diff(_)) => Unread::Ends,
            Some(InventoryCommand::Script(_)) | None => Unread::Fails,
        },
        Command::Events(_) | Command::Evidence(_) => Unread::GoesOn,
        #[cfg(feature = "vision")]
        Command::Config(_) => Unread::Fails,
        #[cfg(feature = "vision")]
        Command::Service(ServiceCommand::Show(_)) => Unread::Ends,
        #[cfg(feature = "vision")]
        Command::Service(ServiceCommand::Install(_)) => Unread::GoesOn,
        Command::Encrypt(_) | Command::Keygen(_) => Unread::Fails,
    }
}

/// Runs a command and says everything that it has to say.
pub fn run(command: Command, context: &mut Context) -> Outcome {
    let code = match command {
        Command::Init(args) => init::run(&args, context),
        Command::Backup(args) => backup::run(args, context),
        Command::Snapshots(args) => snapshots::run(&args, context),
        Command::Ls(args) => ls::run(&args, context),
        Command::Find(args) => find::run(&args, context),
        Command::Diff(args) => diff::run(&args, context),
        Command::Dump(args) => dump::run(&args, context),
        Command::Restore(args) => restore::run(&args, context),
        #[cfg(target_os = "linux")]
        Command::Mount(args) => mount::run(&args, context),
        Command::Webdav(args) => webdav::run(&args, context),
        Command::Import(command) => import::run(&command, context),
        Command::Check(args) => check::run(&args, context),
        Command::RepairIndex => repair::index(context),
        Command::Repair(args) => repair::run(&args, context),
        Command::Parity(command) => parity::run(&command, context),
        Command::Forget(args) => forget::run(&args, context),
        Command::Prune(args) => prune::run(&args, context),
        Command::Copy(args) => copy::run(&args, context),
        Command::Stats(args) => stats::run(&args, context),
        Command::Key(command) => key::run(&command, context),
        Command::Encrypt(args) => encrypt::run(&args, context),
        Command::Decrypt(args) => decrypt::run(&args, context),
        Command::Keygen(args) => keygen::run(&args, context),
        #[cfg(feature = "vision")]
        Command::Watch(args) => watch::run(args, context),
        #[cfg(feature = "vision")]
        Command::Serve(args) => serve::run(&args, context),
        #[cfg(feature = "vision")]
        Command::User(command) => user::run(&command, context),
        #[cfg(feature = "vision")]
        Command::Camera(command) => camera::run(command, context),
        #[cfg(feature = "vision")]
        Command::Face(command) => face::run(command, context),
        #[cfg(feature = "vision")]
        Command::Plate(command) => plate::run(command, context),
        #[cfg(feature = "vision")]
        Command::Model(command) => model::run(command, context),
        #[cfg(feature = "vision")]
        Command::Config(command) => config::run(&command, context),
        #[cfg(feature = "vision")]
        Command::RestoreDb(args) => restore_db::run(&args, context),
        #[cfg(feature = "vision")]
        Command::Run(args) => run::run(&args, context),
        #[cfg(feature = "vision")]
        Command::Job(command) => job::run(&command, context),
        #[cfg(feature = "vision")]
        Command::Drill(args) => drill::run(&args, context),
        #[cfg(feature = "vision")]
        Command::Service(command) => service::run(&command, context),
        #[cfg(feature = "vision")]
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Events(command) => events::run(command, context),
        Command::Evidence(command) => evidence::run(&command, context),
        Command::Inventory(args) => inventory::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
    }?;
    context.out.finish()?;
    Ok(code)
}
