//! What can be said on the command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

#[cfg(target_os = "linux")]
use crate::commands::mount;
use crate::commands::{
    backup, check, completions, copy, decrypt, diff, dump, encrypt, events, evidence, find, forget,
    import, init, inventory, key, keygen, ls, man, parity, prune, repair, restore, snapshots,
    stats, status, webdav,
};
#[cfg(feature = "vision")]
use crate::commands::{
    camera, config, doctor, drill, face, job, model, plate, restore_db, run, serve, service, user,
    watch,
};
use crate::logging::LogFormat;
use crate::values::size;

/// Cameras to events and sealed clips, and encrypted backups that are proven to restore
#[derive(Debug, Parser)]
#[command(
    name = "keepwatch",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// What goes with every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  failed
    2  called wrongly
    3  partly done: something was skipped or could not be read
   10  no repository or event store
   11  busy
   12  wrong key
   13  damaged data found
   20  a drill did not bring back what was backed up
   21  what a drill brought back is not what its check wants
   22  the newest snapshot is older than a drill wants it
  130  interrupted";

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The repository: a directory, or an address like s3://BUCKET/PREFIX or sftp://USER@HOST/PATH
    #[arg(
        long,
        global = true,
        value_name = "DIR|ADDRESS",
        env = "KEEPWATCH_REPO"
    )]
    pub repo: Option<PathBuf>,
    /// Read the passphrase from the first line of a file
    #[arg(long, global = true, value_name = "FILE", group = "credential")]
    pub password_file: Option<PathBuf>,
    /// Run a command, without a shell, that prints the passphrase
    #[arg(long, global = true, value_name = "COMMAND", group = "credential")]
    pub password_command: Option<String>,
    /// Use a key file of 32 bytes
    #[arg(long, global = true, value_name = "FILE", group = "credential")]
    pub key_file: Option<PathBuf>,
    /// Use the age identities in a file
    #[arg(long, global = true, value_name = "FILE", group = "credential")]
    pub identity: Option<PathBuf>,
    /// How a repository on another machine is reached.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Where to keep what makes the next run faster [default: ~/.cache/keepwatch]
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Keep nothing on this machine
    #[arg(long, global = true, conflicts_with = "cache_dir")]
    pub no_cache: bool,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more; twice for even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// Options of every command for repositories on other machines.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Repositories on other machines")]
pub struct RemoteArgs {
    /// Who asks: a user, or the id of an access key [default: as the provider's own tools find it]
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "KEEPWATCH_REMOTE_USER"
    )]
    pub remote_user: Option<String>,
    /// Read their password or secret key from the first line of a file, and not from
    /// KEEPWATCH_REMOTE_PASSWORD
    #[arg(long, global = true, value_name = "FILE")]
    pub remote_password_file: Option<PathBuf>,
    /// The private key of SSH, the key of a Google service account, or a configuration of rclone
    #[arg(long, global = true, value_name = "FILE")]
    pub remote_key_file: Option<PathBuf>,
    /// The known hosts of SSH, in place of its own
    #[arg(long, global = true, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// Send no more than so many bytes a second
    #[arg(long, global = true, value_name = "SIZE", value_parser = size)]
    pub limit_upload: Option<u64>,
    /// Receive no more than so many bytes a second
    #[arg(long, global = true, value_name = "SIZE", value_parser = size)]
    pub limit_download: Option<u64>,
    /// Do so much at the same time [default: 8]
    #[arg(long, global = true, value_name = "N")]
    pub connections: Option<usize>,
    /// Try again for so many seconds what does not work [default: 300]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub patience: Option<u64>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository
    Init(init::InitArgs),
    /// Back up files, standard input or the output of a command
    Backup(backup::BackupArgs),
    /// List snapshots
    Snapshots(snapshots::SnapshotsArgs),
    /// List what is in a snapshot
    Ls(ls::LsArgs),
    /// Find files in snapshots
    Find(find::FindArgs),
    /// Show what differs between two snapshots
    Diff(diff::DiffArgs),
    /// Write a file of a snapshot to standard output
    Dump(dump::DumpArgs),
    /// Restore files from a snapshot
    Restore(restore::RestoreArgs),
    /// Feed a dump of a database back to it
    #[cfg(feature = "vision")]
    RestoreDb(restore_db::RestoreDbArgs),
    /// Show the snapshots as a file system, until Ctrl-C or `umount`
    #[cfg(target_os = "linux")]
    Mount(mount::MountArgs),
    /// Show the snapshots to browsers and WebDAV clients of this machine, until Ctrl-C
    Webdav(webdav::WebdavArgs),
    /// Bring in backups of other programs
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Look for damage
    Check(check::CheckArgs),
    /// Make a new index from the data
    RepairIndex,
    /// Mend a repository
    Repair(repair::RepairArgs),
    /// Add redundancy that damage and loss are mended from
    #[command(subcommand)]
    Parity(parity::ParityCommand),
    /// Move snapshots to the trash, by a policy or one by one
    Forget(forget::ForgetArgs),
    /// Free the space of what no snapshot needs
    Prune(prune::PruneArgs),
    /// Copy snapshots from another repository
    Copy(copy::CopyArgs),
    /// Count what snapshots hold
    Stats(stats::StatsArgs),
    /// Manage what opens the repository
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Encrypt a file
    Encrypt(encrypt::EncryptArgs),
    /// Decrypt a file
    Decrypt(decrypt::DecryptArgs),
    /// Make an age identity or a key file
    Keygen(keygen::KeygenArgs),
    /// Watch cameras and record what happens
    #[cfg(feature = "vision")]
    Watch(watch::WatchArgs),
    /// Watch cameras, and answer browsers and programs
    #[cfg(feature = "vision")]
    Serve(serve::ServeArgs),
    /// Manage who can log in to the server
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    User(user::UserCommand),
    /// Look at a camera, find cameras, or print their usual addresses
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    Camera(camera::CameraCommand),
    /// Enrol people, and say whose faces are in photographs
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    Face(face::FaceCommand),
    /// Read licence plates in photographs, and keep the lists of them
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    Plate(plate::PlateCommand),
    /// Name the models that faces, plates and objects are found with
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Make a configuration of one of another program
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Run the jobs of the configuration by their schedules, until it is stopped
    #[cfg(feature = "vision")]
    Run(run::RunArgs),
    /// List the jobs of the configuration, run one, and show how they went
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Restore some of a snapshot where nothing else is, and compare it
    #[cfg(feature = "vision")]
    Drill(drill::DrillArgs),
    /// Have a service manager run the jobs of the configuration
    #[cfg(feature = "vision")]
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Say what this machine has of what is used, and what is wrong
    #[cfg(feature = "vision")]
    Doctor(doctor::DoctorArgs),
    /// List, show, export, verify and purge events
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Check evidence that `events export --bundle` wrote
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Take an inventory of a machine: packages, services, settings
    Inventory(inventory::InventoryArgs),
    /// Show how the repository is doing; without one, the jobs of the configuration
    Status(status::StatusArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Write manual pages
    Man(man::ManArgs),
}

impl Command {
    /// Whether its log is all that is seen of it.
    pub fn is_service(&self) -> bool {
        match self {
            #[cfg(feature = "vision")]
            Command::Run(_) => true,
            _ => false,
        }
    }

    /// How its log looks.
    pub fn log_format(&self) -> LogFormat {
        match self {
            #[cfg(feature = "vision")]
            Command::Serve(args) => args.log_format(),
            #[cfg(feature = "vision")]
            Command::Run(args) => args.log_format(),
            _ => LogFormat::Text,
        }
    }
}
