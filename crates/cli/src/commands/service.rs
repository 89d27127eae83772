//! `keepwatch service`

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand, ValueEnum};
use keepwatch_config::Config;
use keepwatch_core::fs::{AtomicFile, Replace};
use keepwatch_ops::service::{Credential, File, Form, Manager, Scope, Service, ServiceJob};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure};
use crate::open::home_directory;

/// What to do about the service.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Print the files for the service manager
    Show(ShowArgs),
    /// Write the files for the service manager, and print how they are enabled
    Install(InstallArgs),
}

/// A service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ManagerName {
    /// Linux
    Systemd,
    /// macOS
    Launchd,
    /// Task Scheduler
    Windows,
}

/// Files for what.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// For which service manager [default: that of this system]
    #[arg(long, value_enum)]
    manager: Option<ManagerName>,
    /// As a service of whoever calls, and not of the system
    #[arg(long)]
    user: bool,
    /// A timer for each job that has a schedule, and not one service that keeps all schedules
    #[arg(long)]
    timers: bool,
    /// Where the service finds this program [default: where it is now]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Where the service finds the configuration [default: where it is now]
    #[arg(long, value_name = "PATH")]
    installed_config: Option<PathBuf>,
}

/// Where they go.
#[derive(Debug, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    show: ShowArgs,
    /// Write them here [default: where the service manager looks for them]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Replace files that differ
    #[arg(long)]
    force: bool,
    /// Have the service manager run them at once
    #[arg(long, conflicts_with = "directory")]
    enable: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    content: String,
}

#[derive(Serialize)]
struct Written<'a> {
    path: &'a Path,
    /// It was there already, just like this.
    unchanged: bool,
}

#[derive(Serialize)]
struct Installed<'a> {
    files: Vec<Written<'a>>,
    /// What has the service manager run them.
    commands: &'a [Vec<String>],
    /// Whether that was done.
    enabled: bool,
}

/// Prints or writes the files.
pub fn run(command: &ServiceCommand, context: &mut Context) -> Outcome {
    match command {
        ServiceCommand::Show(args) => show(args, context),
        ServiceCommand::Install(args) => install(args, context),
    }
}

fn show(args: &ShowArgs, context: &mut Context) -> Outcome {
    let files = args.service(context)?.files()?;
    if context.out.json {
        let rows = files.iter().map(|file| Shown {
            name: &file.name,
            content: file.text(),
        });
        context.out.json_rows(&rows.collect::<Vec<_>>())?;
        return Ok(Code::Ok);
    }
    for file in &files {
        context.out.line(format_args!("==> {} <==", file.name))?;
        for line in file.text().lines() {
            context.out.line(line)?;
        }
    }
    Ok(Code::Ok)
}

fn install(args: &InstallArgs, context: &mut Context) -> Outcome {
    let service = args.show.service(context)?;
    let files = service.files()?;
    let directory = args.directory(&service)?;
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|file| directory.join(&file.name))
        .collect();
    // All is looked at before anything is written.
    let mut unchanged = Vec::new();
    for (file, path) in files.iter().zip(&paths) {
        unchanged.push(is_there(file, path, args.force)?);
    }
    fs::create_dir_all(&directory).map_err(Failure::file("make", &directory))?;
    for ((file, path), unchanged) in files.iter().zip(&paths).zip(&unchanged) {
        if !unchanged {
            write(file, path)?;
        }
    }
    for other in others(&files, &directory)? {
        let path = directory.join(other);
        context.out.note(format_args!(
            "{} is not of this: if it is of an earlier one, disable and remove it, or jobs run twice",
            path.display()
        ));
    }
    let commands = service.enable(&files, &directory, uzers::get_current_uid());
    if args.enable {
        for command in &commands {
            execute(command)?;
        }
    }
    if context.out.json {
        let files = paths.iter().zip(unchanged);
        context.out.json(&Installed {
            files: files
                .map(|(path, unchanged)| Written { path, unchanged })
                .collect(),
            commands: &commands,
            enabled: args.enable,
        })?;
        return Ok(Code::Ok);
    }
    for (path, unchanged) in paths.iter().zip(unchanged) {
        let what = if unchanged {
            "is as it should be"
        } else {
            "written"
        };
        context
            .out
            .line(format_args!("{} {what}", path.display()))?;
    }
    if !args.enable {
        context.out.line("to have the service manager run it:")?;
        for command in &commands {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            // Paths hold no NUL, and nothing else keeps words from being joined.
            let line = shlex::try_join(command).unwrap_or_default();
            context.out.line(format_args!("    {line}"))?;
        }
    }
    if service.manager == Manager::Systemd && service.scope == Scope::User {
        context
            .out
            .note("to run while you are not logged in: loginctl enable-linger");
    }
    Ok(Code::Ok)
}

impl ShowArgs {
    /// What the configuration wants to have run.
    fn service(&self, context: &mut Context) -> Result<Service, Failure> {
        let path = self.config.path().ok_or_else(|| {
            Failure::refused("there is no configuration", Some("name one with --config"))
        })?;
        if !path.exists() {
            return Err(Failure::refused(
                format!("there is no configuration at {}", path.display()),
                Some("name one with --config"),
            ));
        }
        let (loaded, secrets) = self.config.load_and_note_secrets()?;
        for notice in &loaded.notices {
            context.out.note(notice);
        }
        let mut credentials = Vec::new();
        for secret in &secrets {
            credentials.push(Credential::of(secret, absolute(Path::new(secret))?));
        }
        let (jobs, mut writable) = of_config(&loaded.config);
        for directory in &mut writable {
            *directory = absolute(directory)?;
        }
        let program = match &self.program {
            Some(program) => program.clone(),
            None => {
                std::env::current_exe().map_err(Failure::file("find", Path::new("keepwatch")))?
            }
        };
        Ok(Service {
            manager: self.manager(),
            scope: if self.user {
                Scope::User
            } else {
                Scope::System
            },
            form: if self.timers {
                Form::Timers
            } else {
                Form::Runner
            },
            program,
            config: match &self.installed_config {
                Some(config) => config.clone(),
                None => absolute(&path)?,
            },
            writable,
            credentials,
            jobs,
        })
    }

    fn manager(&self) -> Manager {
        match self.manager {
            Some(ManagerName::Systemd) => Manager::Systemd,
            Some(ManagerName::Launchd) => Manager::Launchd,
            Some(ManagerName::Windows) => Manager::Windows,
            None if cfg!(target_os = "macos") => Manager::Launchd,
            None if cfg!(windows) => Manager::Windows,
            None => Manager::Systemd,
        }
    }
}

/// The jobs, and the directories that they write to.
fn of_config(config: &Config) -> (Vec<ServiceJob>, Vec<PathBuf>) {
    let jobs = config.jobs.iter().map(|(name, job)| ServiceJob {
        name: name.clone(),
        schedule: job.schedule.clone(),
    });
    let repositories = config.repositories.values();
    let local = repositories.filter(|repository| !repository.is_remote());
    let repositories = local.map(|repository| repository.path.clone());
    let writable = repositories.chain(config.run.state.clone());
    (jobs.collect(), writable.collect())
}

impl InstallArgs {
    fn directory(&self, service: &Service) -> Result<PathBuf, Failure> {
        if let Some(directory) = &self.directory {
            return absolute(directory);
        }
        let config_home = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let config_home = config_home.filter(|path| path.is_absolute());
        let home = home_directory().ok_or_else(|| {
            Failure::refused("there is no home directory", Some("use --directory"))
        })?;
        let directory = service.directory(&home, config_home.as_deref());
        directory.ok_or_else(|| Failure::Usage {
            message: "this service manager looks for files nowhere".to_owned(),
            hint: Some("say with --directory where to write them"),
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Failure::file("find", path))
}

/// Whether a file is there as it is to be. One that differs is somebody's work.
fn is_there(file: &File, path: &Path, force: bool) -> Result<bool, Failure> {
    match fs::read(path) {
        Ok(content) if content == file.content => Ok(true),
        Ok(_) if force => Ok(false),
        Ok(_) => Err(Failure::refused(
            format!("{} is there and differs", path.display()),
            Some("compare it with what `keepwatch service show` prints; --force replaces it"),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::file("read", path)(error)),
    }
}

/// The file appears whole. It is for everybody to read, as service managers want it; there are no
/// secrets in it.
fn write(file: &File, path: &Path) -> Result<(), Failure> {
    let mut out = AtomicFile::create(path, Replace::Files)?;
    out.file()
        .set_permissions(Permissions::from_mode(0o644))
        .and_then(|()| out.write_all(&file.content))
        .map_err(Failure::file("write", path))?;
    Ok(out.commit()?)
}

/// What is in the directory besides that is called as such files are.
fn others(files: &[File], directory: &Path) -> Result<Vec<String>, Failure> {
    let failed = || Failure::file("read", directory);
    let mut others = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed())? {
        let Ok(name) = entry.map_err(failed())?.file_name().into_string() else {
            continue;
        };
        let ours = ["keepwatch-job-", "keepwatch.", "org.keepwatch."];
        let known = [".service", ".timer", ".plist", ".xml"];
        if ours.iter().any(|begin| name.starts_with(begin))
            && known.iter().any(|end| name.ends_with(end))
            && files.iter().all(|file| file.name != name)
        {
            others.push(name);
        }
    }
    others.sort();
    Ok(others)
}

fn execute(command: &[String]) -> Result<(), Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let status = Command::new(program)
        .args(arguments)
        .status()
        .map_err(Failure::file("run", Path::new(program)))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::refused(
            format!("`{}` failed: {status}", command.join(" ")),
            Some("the files are in place; look at what it said, and run it again"),
        )),
    }
}
