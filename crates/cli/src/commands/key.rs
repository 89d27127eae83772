//! `keepwatch key`

use clap::{Args, Subcommand, ValueEnum};
use keepwatch_core::{KeyInfo, Role};
use serde::Serialize;

use crate::commands::init::KdfName;
use crate::commands::{Context, Outcome};
use crate::credentials::NewCredential;
use crate::exit::Code;
use crate::output::Align;
use crate::values::human_time;

/// What to do with key slots.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List key slots
    List,
    /// Add a key slot
    Add(AddArgs),
    /// Remove a key slot, so that its holder cannot read what comes
    Remove(RemoveArgs),
    /// Change what opens the key slot that is used now
    Passwd(PasswdArgs),
    /// Start a new key epoch: what is written from now on is read with the keys that are there now
    Rotate,
}

/// A new key slot.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What it may do
    #[arg(long, value_enum, default_value_t)]
    role: RoleName,
    /// A name for it
    #[arg(long, value_name = "NAME", default_value = "")]
    label: String,
    /// What makes a key of the passphrase
    #[arg(long, value_enum, default_value_t)]
    kdf: KdfName,
    /// What opens it.
    #[command(flatten)]
    new: NewCredential,
}

/// Which key slot to remove.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its label, or the first digits of its id
    #[arg(value_name = "SLOT")]
    name: String,
}

/// A new credential for the key slot that is used now.
#[derive(Debug, Args)]
pub struct PasswdArgs {
    /// What makes a key of the passphrase
    #[arg(long, value_enum, default_value_t)]
    kdf: KdfName,
    /// What opens it.
    #[command(flatten)]
    new: NewCredential,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum RoleName {
    /// Everything
    #[default]
    Full,
    /// Add backups; read nothing back
    Writer,
}

#[derive(Serialize)]
struct Rotated {
    epoch: u32,
}

/// Manages key slots.
pub fn run(command: &KeyCommand, context: &mut Context) -> Outcome {
    let opened = context.open()?;
    let repository = &opened.repository;
    let now = context.now();
    match command {
        KeyCommand::List => list(&repository.keys()?, context)?,
        KeyCommand::Add(args) => {
            let role = match args.role {
                RoleName::Full => Role::Full,
                RoleName::Writer => Role::Writer,
            };
            let new = args.new.read()?;
            let key = repository.add_key(&new.lock(args.kdf.kdf()), role, &args.label, now)?;
            tell("added", &key, context)?;
        }
        KeyCommand::Remove(args) => tell("removed", &repository.remove_key(&args.name)?, context)?,
        KeyCommand::Passwd(args) => {
            let new = args.new.read()?;
            let lock = new.lock(args.kdf.kdf());
            let key = repository.change_key(&opened.credential, &lock, now)?;
            tell("changed", &key, context)?;
        }
        KeyCommand::Rotate => {
            let epoch = repository.rotate_key()?;
            match context.out.json {
                true => context.out.json(&Rotated { epoch })?,
                false => context.out.line(format_args!("key epoch {epoch} begins"))?,
            }
        }
    }
    Ok(Code::Ok)
}

fn tell(done: &str, key: &KeyInfo, context: &mut Context) -> std::io::Result<()> {
    match context.out.json {
        true => context.out.json(key),
        false => context.out.line(format_args!(
            "{done} key slot {}, {}",
            key.slot, key.credential
        )),
    }
}

fn list(keys: &[KeyInfo], context: &mut Context) -> std::io::Result<()> {
    if context.out.json {
        return context.out.json_rows(keys);
    }
    let columns = [
        ("Slot", Align::Left),
        ("Label", Align::Left),
        ("Role", Align::Left),
        ("Opens with", Align::Left),
        ("Made", Align::Left),
        ("Epoch", Align::Right),
    ];
    let rows: Vec<Vec<String>> = keys
        .iter()
        .map(|key| {
            vec![
                key.slot[..8].to_owned(),
                key.label.clone(),
                match key.role {
                    Role::Full => "full".to_owned(),
                    Role::Writer => "writer".to_owned(),
                },
                key.credential.clone(),
                human_time(key.created),
                key.epoch.to_string(),
            ]
        })
        .collect();
    context.out.table(&columns, &rows)
}
