//! `keepwatch user`

use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use keepwatch_server::{Role, UserInfo, Users};
use serde_json::json;

use crate::commands::events::StoreArgs;
use crate::commands::{Context, Outcome};
use crate::credentials::NewPassword;
use crate::exit::{Code, Failure};
use crate::output::Align;
use crate::values::human_time;

/// Who can log in to the server.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users
    List(ListArgs),
    /// Make a user
    Add(AddArgs),
    /// Give a user another password
    Passwd(PasswdArgs),
    /// End the second factor of a user who has lost it
    ResetTotp(NameArgs),
    /// Remove a user
    Remove(NameArgs),
}

/// The event store.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
}

/// Whom to make.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
    /// What the user may do
    #[arg(long, value_enum, default_value_t)]
    role: RoleName,
    #[command(flatten)]
    password: NewPassword,
}

/// Whose password.
#[derive(Debug, Args)]
pub struct PasswdArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    password: NewPassword,
}

/// Which user.
#[derive(Debug, Args)]
pub struct NameArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum RoleName {
    /// Look
    #[default]
    Viewer,
    /// Also keep faces and plates, export evidence and run jobs
    Operator,
    /// Everything
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Role::Viewer,
            RoleName::Operator => Role::Operator,
            RoleName::Admin => Role::Admin,
        }
    }
}

/// Changes users, and writes down that it was done here.
pub fn run(command: &UserCommand, context: &mut Context) -> Outcome {
    let args = match command {
        UserCommand::List(args) => &args.store,
        UserCommand::Add(args) => &args.store,
        UserCommand::Passwd(args) => &args.store,
        UserCommand::ResetTotp(args) | UserCommand::Remove(args) => &args.store,
    };
    let store = Arc::new(args.open(context)?);
    let users = Users::open(store.clone())?;
    let note = |act: &str, name: &str| store.audit("command line", act, json!({ "user": name }));
    match command {
        UserCommand::List(_) => return list(&users.list(), context),
        UserCommand::Add(AddArgs {
            name,
            role,
            password,
            ..
        }) => {
            let user = users.add(name, password.read()?.expose(), (*role).into())?;
            note("user-add", name)?;
            done(&user, "can log in", context)?;
        }
        UserCommand::Passwd(PasswdArgs { name, password, .. }) => {
            let user = users.set_password(name, password.read()?.expose())?;
            note("user-change", name)?;
            done(&user, "has a new password", context)?;
        }
        UserCommand::ResetTotp(NameArgs { name, .. }) => {
            let user = users.remove_second_factor(name)?;
            note("user-change", name)?;
            done(&user, "has no second factor", context)?;
        }
        UserCommand::Remove(NameArgs { name, .. }) => {
            users.remove(name)?;
            note("user-remove", name)?;
            match context.out.json {
                true => context.out.json(&json!({ "removed": name }))?,
                false => context.out.line(format_args!("{name} is removed"))?,
            }
        }
    }
    Ok(Code::Ok)
}

fn done(user: &UserInfo, what: &str, context: &mut Context) -> Result<(), Failure> {
    match context.out.json {
        true => context.out.json(user)?,
        false => context.out.line(format_args!("{} {what}", user.name))?,
    }
    Ok(())
}

fn list(users: &[UserInfo], context: &mut Context) -> Outcome {
    if context.out.json {
        context.out.json_rows(users)?;
        return Ok(Code::Ok);
    }
    let columns = ["NAME", "ROLE", "CAMERAS", "SECOND FACTOR", "LAST LOGIN"];
    let rows = users.iter().map(|user| {
        let cameras = user.cameras.as_ref().map_or_else(
            || "all".to_owned(),
            |cameras| cameras.iter().cloned().collect::<Vec<_>>().join(" "),
        );
        let role = match user.disabled {
            true => "disabled".to_owned(),
            false => format!("{:?}", user.role).to_lowercase(),
        };
        let factor = if user.totp { "yes" } else { "no" };
        let last = user
            .last_login_at
            .map_or_else(|| "never".to_owned(), human_time);
        vec![user.name.clone(), role, cameras, factor.to_owned(), last]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    context
        .out
        .table(&columns.map(|name| (name, Align::Left)), &rows)?;
    Ok(Code::Ok)
}
