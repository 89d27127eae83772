//! `keepwatch inventory`

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keepwatch_core::Name;
use keepwatch_core::fs::Replace;
use keepwatch_ops::inventory::{
    self, ChangeKind, Difference, Include, Inventory, Limits, Options, ProblemKind, Section,
    System, User, Users,
};
use serde::Serialize;
use serde_json::Value;
use uzers::os::unix::UserExt;

use crate::commands::{Context, Outcome};
use crate::exit::{Code, Failure};
use crate::output::counted;

/// What to take an inventory of, or what to do with one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct InventoryArgs {
    #[command(subcommand)]
    command: Option<InventoryCommand>,
    #[command(flatten)]
    take: TakeArgs,
}

impl InventoryArgs {
    /// What is done with an inventory, if none is taken.
    pub fn command(&self) -> Option<&InventoryCommand> {
        self.command.as_ref()
    }
}

/// What can be done with inventories.
#[derive(Debug, Subcommand)]
pub enum InventoryCommand {
    /// Show what differs between two inventories
    Diff(DiffArgs),
    /// Write a script that brings another machine to the same state
    Script(ScriptArgs),
}

/// What to take an inventory of.
#[derive(Debug, Args)]
struct TakeArgs {
    #[command(flatten)]
    to: ToArgs,
    /// Look at the system whose files are in DIR, a mounted disk for example, and run nothing
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Look at the home of this user; may be repeated [default: oneself; root: everybody]
    #[arg(long, value_name = "NAME")]
    user: Vec<String>,
    /// Look for this file in homes, too; may be repeated
    #[arg(long, value_name = "PATH")]
    dotfile: Vec<OsString>,
    /// Put in what is in dotfiles
    #[arg(long)]
    include_dotfiles: bool,
    /// Put in what is in systemd units that were written here
    #[arg(long)]
    include_units: bool,
    /// Put in private keys of SSH and WireGuard
    #[arg(long)]
    include_private_keys: bool,
    /// Put in the secrets of wireless networks
    #[arg(long)]
    include_wifi_secrets: bool,
    /// Put in what was typed into shells
    #[arg(long)]
    include_shell_history: bool,
}

/// Where a result goes.
#[derive(Debug, Args)]
struct ToArgs {
    /// Write to a file that only its owner can read, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    force: bool,
}

/// Which inventories.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The first inventory
    before: PathBuf,
    /// The second inventory
    after: PathBuf,
}

/// A script of what.
#[derive(Debug, Args)]
pub struct ScriptArgs {
    /// The inventory
    #[arg(value_name = "FILE")]
    inventory: PathBuf,
    /// Only these sections: repositories, packages, dotfiles, services, cron, editors, containers
    #[arg(long, value_name = "SECTIONS", value_delimiter = ',')]
    only: Vec<Section>,
    #[command(flatten)]
    to: ToArgs,
}

/// Takes an inventory, or does something with those that were taken.
pub fn run(args: &InventoryArgs, context: &mut Context) -> Outcome {
    match &args.command {
        None => take(&args.take, context),
        Some(InventoryCommand::Diff(args)) => diff(args, context),
        Some(InventoryCommand::Script(args)) => script(args, context),
    }
}

#[derive(Serialize)]
struct Taken<'a> {
    output: &'a Path,
    packages: usize,
    problems: &'a [inventory::Problem],
}

fn take(args: &TakeArgs, context: &mut Context) -> Outcome {
    let system = match &args.root {
        Some(root) => System::mounted(root)?,
        None => running()?,
    };
    let options = Options {
        users: users(args)?,
        dotfiles: args
            .dotfile
            .iter()
            .map(|path| Name(path.as_bytes().to_vec()))
            .collect(),
        include: Include {
            dotfiles: args.include_dotfiles,
            units: args.include_units,
            private_keys: args.include_private_keys,
            wifi_secrets: args.include_wifi_secrets,
            shell_history: args.include_shell_history,
        },
        limits: Limits::default(),
    };
    let found = inventory::collect(&system, &options, context.now())?;
    args.to.put(&found.to_json(), false, context)?;
    for problem in &found.problems {
        let what = match problem.kind {
            ProblemKind::Unreadable => "cannot be read",
            ProblemKind::Malformed => "is not understood",
            ProblemKind::Failed => "failed",
            ProblemKind::Cut => "is not in it whole",
            _ => "is missing",
        };
        let text = format!(
            "{}: {} {what}: {}",
            problem.section, problem.what, problem.why
        );
        context.problem(&text, Code::Partly);
    }
    if let Some(output) = &args.to.output {
        let packages = packages(&found);
        if context.out.json {
            context.out.json(&Taken {
                output,
                packages,
                problems: &found.problems,
            })?;
        }
        context.out.note(format_args!(
            "{}; {}",
            counted(packages as u64, "package"),
            counted(found.problems.len() as u64, "problem")
        ));
    }
    Ok(match found.problems.is_empty() {
        true => Code::Ok,
        false => Code::Partly,
    })
}

fn packages(found: &Inventory) -> usize {
    let packages = &found.packages;
    packages.apt.len()
        + packages.snap.len()
        + packages.flatpak.len()
        + packages.pip.len()
        + packages.pipx.len()
        + packages.npm.len()
        + packages.cargo.len()
        + packages.go.len()
}

/// Programs get nothing of the environment but what they need to find their own.
fn running() -> Result<System, Failure> {
    const PASSED: [&str; 10] = [
        "HOME",
        "USER",
        "LOGNAME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "DOCKER_HOST",
        "NVM_DIR",
        "NPM_CONFIG_PREFIX",
        "GOPATH",
    ];
    let environment = PASSED
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    let search = std::env::var_os("PATH").unwrap_or_default();
    Ok(System::running(&search, environment)?)
}

fn users(args: &TakeArgs) -> Result<Users, Failure> {
    if !args.user.is_empty() {
        return Ok(Users::Named(args.user.clone()));
    }
    let me = uzers::get_current_uid();
    if args.root.is_some() || me == 0 {
        return Ok(Users::Everybody);
    }
    let user = uzers::get_user_by_uid(me)
        .ok_or_else(|| Failure::refused("whoever calls has no name here", Some("use --user")))?;
    let bytes = |text: &OsStr| Name(text.as_bytes().to_vec());
    Ok(Users::These(vec![User {
        name: bytes(user.name()),
        home: bytes(user.home_dir().as_os_str()),
    }]))
}

impl ToArgs {
    fn put(&self, content: &[u8], executable: bool, context: &mut Context) -> Result<(), Failure> {
        let Some(output) = &self.output else {
            return Ok(context.out.writer().write_all(content)?);
        };
        let replace = match self.force {
            true => Replace::Files,
            false => Replace::Never,
        };
        Ok(inventory::write(output, content, replace, executable)?)
    }
}

fn diff(args: &DiffArgs, context: &mut Context) -> Outcome {
    let before = inventory::read(&args.before)?;
    let after = inventory::read(&args.after)?;
    let differences = inventory::diff(&before, &after);
    for difference in &differences {
        match context.out.json {
            true => context.out.json(difference)?,
            false => context.out.line(line(difference))?,
        }
    }
    let count = |change| {
        let of = |difference: &&Difference| difference.change == change;
        differences.iter().filter(of).count()
    };
    context.out.note(format_args!(
        "{} added, {} removed, {} changed",
        count(ChangeKind::Added),
        count(ChangeKind::Removed),
        count(ChangeKind::Changed)
    ));
    for (path, inventory) in [(&args.before, &before), (&args.after, &after)] {
        if !inventory.problems.is_empty() {
            context.out.note(format_args!(
                "{} had {}: what it does not name may be there",
                path.display(),
                counted(inventory.problems.len() as u64, "problem")
            ));
        }
    }
    Ok(Code::Ok)
}

/// `M  packages.apt curl amd64 (version 7.88 -> 7.90)`; of what is long only the name.
fn line(difference: &Difference) -> String {
    let sign = match difference.change {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => 'M',
    };
    let mut line = format!("{sign}  {}", difference.section);
    for part in difference.key.iter().filter(|part| !part.is_null()) {
        line.push(' ');
        line.push_str(&text(part));
    }
    let mut changes = Vec::new();
    for field in &difference.fields {
        let at = |value: &Option<Value>| {
            let pointer = format!("/{}", field.replace('.', "/"));
            let value = value.as_ref()?.pointer(&pointer)?;
            (!value.is_null()).then(|| text(value))
        };
        const LONG: usize = 40;
        changes.push(match (at(&difference.before), at(&difference.after)) {
            (Some(before), Some(after)) if before.len() < LONG && after.len() < LONG => {
                format!("{field} {before} -> {after}")
            }
            _ => field.clone(),
        });
    }
    if !changes.is_empty() {
        line.push_str(&format!(" ({})", changes.join(", ")));
    }
    line
}

/// Text as it is, names that are none with their bytes escaped.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => match serde_json::from_value::<Name>(value.clone()) {
            Ok(name) => name.0.escape_ascii().to_string(),
            Err(_) => value.to_string(),
        },
        value => value.to_string(),
    }
}

fn script(args: &ScriptArgs, context: &mut Context) -> Outcome {
    let found = inventory::read(&args.inventory)?;
    let sections = match args.only.as_slice() {
        [] => &Section::ALL[..],
        only => only,
    };
    let script = inventory::script(&found, sections);
    args.to.put(script.as_bytes(), true, context)?;
    Ok(Code::Ok)
}
