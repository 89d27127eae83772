//! How a run ends: exit codes, and errors as people and programs read them.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use keepwatch_core::crypto::Error as CryptoError;
use keepwatch_core::storage::StorageError;
use keepwatch_core::{Error as CoreError, fs};
use keepwatch_ops::backuphandler::Error as OldBackupError;
use serde::Serialize;

pub use keepwatch_core::with_causes;

use crate::output::harmless;

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Everything was done.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Something was skipped or could not be read.
    Partly = 3,
    /// There is no repository.
    NoRepository = 10,
    /// Another process is in the way.
    Busy = 11,
    /// The key does not fit.
    WrongKey = 12,
    /// Data is damaged.
    Damaged = 13,
    /// A drill did not bring back what was backed up.
    DrillContent = 20,
    /// The user's own program says no to what a drill brought back.
    DrillCheck = 21,
    /// The newest snapshot is older than a drill may find it.
    DrillAge = 22,
    /// The user stopped it.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The vault failed.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A storage on another machine cannot be used.
    #[error(transparent)]
    Remote(keepwatch_remote::Error),
    /// A sealed file or key failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// Snapshots cannot be shown as files.
    #[error(transparent)]
    Mount(keepwatch_mount::Error),
    /// A backup of BackupHandler cannot be read.
    #[error(transparent)]
    BackupHandler(OldBackupError),
    /// A camera failed.
    #[cfg(feature = "vision")]
    #[error(transparent)]
    Vision(#[from] keepwatch_vision::Error),
    /// Faces or plates failed.
    #[cfg(feature = "vision")]
    #[error(transparent)]
    Recognition(#[from] keepwatch_recognition::Error),
    /// The server does not run.
    #[cfg(feature = "vision")]
    #[error(transparent)]
    Server(keepwatch_server::ServerError),
    /// The configuration is wrong.
    #[cfg(feature = "vision")]
    #[error("the configuration")]
    Config(#[from] keepwatch_config::Error),
    /// A database cannot be brought back.
    #[cfg(feature = "vision")]
    #[error(transparent)]
    Database(keepwatch_ops::source::SourceError),
    /// A job does not run.
    #[cfg(feature = "vision")]
    #[error(transparent)]
    Job(keepwatch_runner::Error),
    /// There is no inventory.
    #[error(transparent)]
    Inventory(keepwatch_ops::inventory::Error),
    /// A pattern cannot be used.
    #[error(transparent)]
    Pattern(#[from] fs::PatternError),
    /// The command line asks for something impossible.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: Option<&'static str>,
    },
    /// Something else is in the way.
    #[error("{message}")]
    Refused {
        /// What is in the way.
        message: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// A file could not be read or written.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write to standard output")]
    Stdout(#[from] io::Error),
}

/// What belongs to the vault is told as that.
impl From<OldBackupError> for Failure {
    fn from(error: OldBackupError) -> Self {
        match error {
            OldBackupError::Core(error) => error.into(),
            error => Failure::BackupHandler(error),
        }
    }
}

#[cfg(feature = "vision")]
impl From<keepwatch_server::UserError> for Failure {
    fn from(error: keepwatch_server::UserError) -> Self {
        match error {
            keepwatch_server::UserError::Store(error) => error.into(),
            error => Failure::refused(error.to_string(), None),
        }
    }
}

/// What belongs to the vault is told as that.
#[cfg(feature = "vision")]
impl From<keepwatch_ops::source::SourceError> for Failure {
    fn from(error: keepwatch_ops::source::SourceError) -> Self {
        match error {
            keepwatch_ops::source::SourceError::Core(error) => error.into(),
            error => Failure::Database(error),
        }
    }
}

/// What belongs to the vault is told as that.
#[cfg(feature = "vision")]
impl From<keepwatch_runner::Error> for Failure {
    fn from(error: keepwatch_runner::Error) -> Self {
        match error {
            keepwatch_runner::Error::State(error) => error.into(),
            error => Failure::Job(error),
        }
    }
}

/// What a process ends with whose only work was this run.
#[cfg(feature = "vision")]
pub fn of_run(run: &keepwatch_runner::RunRecord) -> Code {
    use keepwatch_runner::Status;
    match (run.fault, run.status) {
        (Some(fault), _) => of_drill(fault),
        (None, Status::Done) => Code::Ok,
        (None, Status::Partly) => Code::Partly,
        (None, Status::Stopped) => Code::Interrupted,
        (None, _) => Code::Failed,
    }
}

/// What a process ends with whose drill failed.
#[cfg(feature = "vision")]
pub fn of_drill(fault: keepwatch_runner::DrillFault) -> Code {
    use keepwatch_runner::DrillFault;
    match fault {
        DrillFault::Content => Code::DrillContent,
        DrillFault::Command => Code::DrillCheck,
        DrillFault::Age => Code::DrillAge,
    }
}

/// What belongs to the vault is told as that.
impl From<keepwatch_mount::Error> for Failure {
    fn from(error: keepwatch_mount::Error) -> Self {
        match error {
            keepwatch_mount::Error::Core(error) => error.into(),
            error => Failure::Mount(error),
        }
    }
}

/// What belongs to the vault is told as that.
impl From<keepwatch_ops::inventory::Error> for Failure {
    fn from(error: keepwatch_ops::inventory::Error) -> Self {
        match error {
            keepwatch_ops::inventory::Error::Core(error) => error.into(),
            error => Failure::Inventory(error),
        }
    }
}

/// What belongs to the vault or to cameras is told as that.
#[cfg(feature = "vision")]
impl From<keepwatch_server::ServerError> for Failure {
    fn from(error: keepwatch_server::ServerError) -> Self {
        match error {
            keepwatch_server::ServerError::Store(error) => error.into(),
            keepwatch_server::ServerError::Vision(error) => error.into(),
            error => Failure::Server(error),
        }
    }
}

/// What the storage said is told as that of any other.
impl From<keepwatch_remote::Error> for Failure {
    fn from(error: keepwatch_remote::Error) -> Self {
        match error {
            keepwatch_remote::Error::Storage(error) => CoreError::from(error).into(),
            error => Failure::Remote(error),
        }
    }
}

/// What is wrong is in the command line, or in the configuration.
#[cfg(feature = "vision")]
impl From<keepwatch_ops::service::ServiceError> for Failure {
    fn from(error: keepwatch_ops::service::ServiceError) -> Self {
        Failure::refused(with_causes(&error), Some(error.hint()))
    }
}

impl Failure {
    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// Something is in the way.
    pub fn refused(message: impl Into<String>, hint: Option<&'static str>) -> Self {
        Failure::Refused {
            message: message.into(),
            hint,
        }
    }

    /// For `map_err` on file operations.
    pub fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Failure::File {
            operation,
            path,
            source,
        }
    }

    /// What the process ends with.
    pub fn code(&self) -> Code {
        match self {
            Failure::Core(error) => of_core(error),
            Failure::Remote(
                keepwatch_remote::Error::Address { .. } | keepwatch_remote::Error::Option { .. },
            ) => Code::Usage,
            Failure::Remote(_) => Code::Failed,
            Failure::Mount(keepwatch_mount::Error::NotLoopback(_)) => Code::Usage,
            Failure::Mount(_) => Code::Failed,
            Failure::Crypto(error) => of_crypto(error),
            Failure::BackupHandler(error) if error.is_key() => Code::WrongKey,
            Failure::BackupHandler(OldBackupError::Archive { .. }) => Code::Damaged,
            Failure::BackupHandler(_) => Code::Failed,
            #[cfg(feature = "vision")]
            Failure::Vision(keepwatch_vision::Error::Core(error)) => of_core(error),
            #[cfg(feature = "vision")]
            Failure::Vision(keepwatch_vision::Error::Recognition(error)) => of_recognition(error),
            #[cfg(feature = "vision")]
            Failure::Vision(_) => Code::Failed,
            #[cfg(feature = "vision")]
            Failure::Recognition(error) => of_recognition(error),
            #[cfg(feature = "vision")]
            Failure::Server(_) => Code::Failed,
            #[cfg(feature = "vision")]
            Failure::Job(
                keepwatch_runner::Error::Running { .. } | keepwatch_runner::Error::Scheduled { .. },
            ) => Code::Busy,
            #[cfg(feature = "vision")]
            Failure::Job(keepwatch_runner::Error::NoJob { .. }) => Code::Usage,
            #[cfg(feature = "vision")]
            Failure::Database(_) | Failure::Job(_) => Code::Failed,
            #[cfg(feature = "vision")]
            Failure::Config(_) => Code::Usage,
            Failure::Pattern(_) | Failure::Usage { .. } => Code::Usage,
            Failure::Inventory(keepwatch_ops::inventory::Error::NoSuchUser { .. }) => Code::Usage,
            Failure::Inventory(_) | Failure::Refused { .. } => Code::Failed,
            Failure::File { source, .. } | Failure::Stdout(source) => match stopped(source) {
                true => Code::Interrupted,
                false => Code::Failed,
            },
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        match self {
            Failure::Core(CoreError::FileExists { .. }) => {
                Some("choose another name, or use --force".into())
            }
            Failure::Core(error) => error.hint().map(Cow::Borrowed),
            Failure::Remote(error) => error.hint().map(Cow::Borrowed),
            Failure::Crypto(error) => error.hint().map(Cow::Borrowed),
            Failure::Mount(error) => error.hint().map(Cow::Borrowed),
            Failure::BackupHandler(error) => error.hint().map(Cow::Borrowed),
            #[cfg(feature = "vision")]
            Failure::Vision(error) => error.hint().map(Cow::Owned),
            #[cfg(feature = "vision")]
            Failure::Recognition(error) => error.hint().map(Cow::Borrowed),
            #[cfg(feature = "vision")]
            Failure::Config(error) => error.hint().map(Cow::Owned),
            Failure::Inventory(error) => error.hint().map(Cow::Borrowed),
            Failure::Usage { hint, .. } | Failure::Refused { hint, .. } => hint.map(Cow::Borrowed),
            #[cfg(feature = "vision")]
            Failure::Server(_) => None,
            #[cfg(feature = "vision")]
            Failure::Job(keepwatch_runner::Error::NoJob { .. }) => {
                Some("`keepwatch job list` says which there are".into())
            }
            #[cfg(feature = "vision")]
            Failure::Database(error) => error.hint().map(Cow::Borrowed),
            #[cfg(feature = "vision")]
            Failure::Job(_) => None,
            Failure::Pattern(_) | Failure::File { .. } | Failure::Stdout(_) => None,
        }
    }

    /// Whether nobody reads our output any more.
    pub fn is_broken_pipe(&self) -> bool {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return error.kind() == io::ErrorKind::BrokenPipe;
            }
            cause = error.source();
        }
        false
    }
}

#[cfg(feature = "vision")]
fn of_recognition(error: &keepwatch_recognition::Error) -> Code {
    match error {
        keepwatch_recognition::Error::Store(error) => of_core(error),
        error if error.is_damage() => Code::Damaged,
        _ => Code::Failed,
    }
}

fn of_core(error: &CoreError) -> Code {
    match error {
        CoreError::NoRepository { .. }
        | CoreError::NoStore { .. }
        | CoreError::Storage(StorageError::NotARepository { .. }) => Code::NoRepository,
        CoreError::Busy { .. } | CoreError::Unavailable { .. } => Code::Busy,
        CoreError::WrongKey { .. } => Code::WrongKey,
        CoreError::Interrupted => Code::Interrupted,
        CoreError::Crypto(error) => of_crypto(error),
        CoreError::Io { source, .. } if stopped(source) => Code::Interrupted,
        error if error.is_damage() => Code::Damaged,
        _ => Code::Failed,
    }
}

fn of_crypto(error: &CryptoError) -> Code {
    match error {
        CryptoError::Open | CryptoError::OtherCredential { .. } => Code::WrongKey,
        CryptoError::Malformed { .. } => Code::Damaged,
        CryptoError::Io { source, .. } if stopped(source) => Code::Interrupted,
        _ => Code::Failed,
    }
}

/// Whether a read or write ended because the user wanted it so.
fn stopped(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<crate::interrupt::Stopped>())
}

#[derive(Serialize)]
struct Report<'a> {
    error: &'a str,
    hint: Option<&'a str>,
    code: u8,
}

/// Tells on standard error why the command failed.
pub fn report(failure: &Failure, json: bool) {
    let text = with_causes(failure);
    if json {
        say_json(&text, failure.hint().as_deref(), failure.code());
    } else {
        say(&format!("keepwatch: {text}"));
        if let Some(hint) = failure.hint() {
            say(&format!("  {hint}"));
        }
    }
}

/// Tells one of several problems of a run that goes on.
pub fn report_problem(text: &str, code: Code, json: bool) {
    if json {
        say_json(text, None, code);
    } else {
        say(&format!("keepwatch: {text}"));
    }
}

/// Help and version go to standard output and are no errors.
pub fn from_clap(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if error.use_stderr() && json {
        let text = error.render().to_string();
        let text = text.trim().trim_start_matches("error: ");
        say_json(text, None, Code::Usage);
        return Code::Usage.into();
    }
    // Nothing can be said when this fails.
    let _ = error.print();
    match error.exit_code() {
        0 => Code::Ok.into(),
        _ => Code::Usage.into(),
    }
}

fn say_json(error: &str, hint: Option<&str>, code: Code) {
    let report = Report {
        error,
        hint,
        code: code as u8,
    };
    say(&serde_json::to_string(&report).expect("strings and numbers are JSON"));
}

fn say(line: &str) {
    // Nothing can be said when this fails.
    let _ = writeln!(io::stderr().lock(), "{}", harmless(line));
}
