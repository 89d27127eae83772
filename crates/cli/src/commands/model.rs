//! `keepwatch model`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keepwatch_core::fs::HeldFile;
use keepwatch_core::fs::plain_path;
use keepwatch_recognition::face::EmbedderNormalization;
use keepwatch_recognition::infer::{Digest, Model};
use keepwatch_recognition::models::{Kind, ModelFile};
use keepwatch_recognition::settings::Models;
use serde::Serialize;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, with_causes};
use crate::networks;
use crate::output::Align;

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Name a model in the configuration, with its SHA-256
    Add(AddArgs),
    /// List the models that the configuration names
    List(ListArgs),
    /// Check that each model is there, is unchanged and can be computed
    Verify(ListArgs),
}

/// Which model.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The model, in ONNX
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is for [default: told by what it is, if it can only be one thing]
    #[arg(long = "as", value_name = "ROLE", value_parser = Models::ROLES)]
    role: Option<String>,
    /// What it was trained with, for an embedder of faces: arcface or imagenet
    #[arg(long, value_name = "NAME")]
    normalization: Option<EmbedderNormalization>,
    /// Take the place of the model that is there
    #[arg(long)]
    force: bool,
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs one of them.
pub fn run(command: ModelCommand, context: &mut Context) -> Outcome {
    match command {
        ModelCommand::Add(args) => add(args, context),
        ModelCommand::List(args) => list(&args, context),
        ModelCommand::Verify(args) => verify(&args, context),
    }
}

#[derive(Serialize)]
struct Added {
    role: String,
    kind: &'static str,
    path: String,
    sha256: Digest,
    config: String,
}

fn add(args: AddArgs, context: &mut Context) -> Outcome {
    let config = args.config.path().ok_or(Failure::Usage {
        message: "it is not known where the configuration is".to_owned(),
        hint: Some("use --config FILE"),
    })?;
    let path = plain_path(&args.file).map_err(Failure::file("find", &args.file))?;
    let engine = networks::engine(&args.config.load()?.config)?;
    let mut file = ModelFile::at(path);
    file.normalization = args.normalization;
    let loaded = file.load(&engine)?;
    let kind = loaded.kind();
    let role = match (args.role, kind) {
        (Some(role), _) => role,
        (None, Kind::YuNet | Kind::Scrfd) => "face_detector".to_owned(),
        (None, Kind::ArcFace) => "face_embedder".to_owned(),
        // Networks for plates have one class, those for objects many.
        (None, Kind::Yolo) if loaded.class_count() == Some(1) => "plate_detector".to_owned(),
        (None, Kind::Yolo) if loaded.class_count().is_some_and(|count| count > 8) => {
            "object_detector".to_owned()
        }
        (None, _) => {
            return Err(Failure::Usage {
                message: format!("it is not known what a {} is for", kind.name()),
                hint: Some("say so with --as"),
            });
        }
    };
    let fits = matches!(
        (role.as_str(), kind),
        ("face_detector", Kind::YuNet | Kind::Scrfd)
            | ("face_embedder", Kind::ArcFace)
            | ("plate_detector" | "object_detector", Kind::Yolo)
    );
    if !fits {
        let message = format!("a {} is no {role}", kind.name());
        return Err(Failure::usage(message));
    }
    file.sha256 = Some(loaded.model().digest());
    file.kind = Some(kind);
    write(&config, &role, &file, args.force)?;
    let added = Added {
        role,
        kind: kind.name(),
        path: file.path.display().to_string(),
        sha256: loaded.model().digest(),
        config: config.display().to_string(),
    };
    if context.out.json {
        context.out.json(&added)?;
    } else {
        context.out.line(format_args!(
            "{} is {} now, in {}",
            added.path, added.role, added.config
        ))?;
    }
    Ok(Code::Ok)
}

/// Changes the one table; everything else in the file stays as somebody wrote it.
fn write(config: &Path, role: &str, file: &ModelFile, force: bool) -> Result<(), Failure> {
    let text = match std::fs::read_to_string(config) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(folder) = config.parent() {
                std::fs::create_dir_all(folder).map_err(Failure::file("make", folder))?;
            }
            String::new()
        }
        Err(error) => return Err(Failure::file("read", config)(error)),
    };
    let bad = |problem: String| Failure::refused(format!("{}: {problem}", config.display()), None);
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| bad(error.message().to_owned()))?;
    let models = document.entry("models").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let models = models
        .as_table_like_mut()
        .ok_or_else(|| bad("models is no table".to_owned()))?;
    if models.contains_key(role) && !force {
        return Err(Failure::refused(
            format!("{} names a {role} already", config.display()),
            Some("use --force to put this one in its place"),
        ));
    }
    let mut table = Table::new();
    let path = file.path.to_str();
    let path = path.ok_or_else(|| bad("the path of the model is no UTF-8".to_owned()))?;
    // A dollar sign begins the name of a variable there.
    table["path"] = value(path.replace('$', "$$"));
    if let Some(digest) = file.sha256 {
        table["sha256"] = value(digest.to_string());
    }
    if let Some(kind) = file.kind {
        table["kind"] = value(kind.name());
    }
    if let Some(normalization) = file.normalization {
        table["normalization"] = value(normalization.name());
    }
    models.insert(role, Item::Table(table));
    Ok(HeldFile::new(config)?.replace(document.to_string().as_bytes())?)
}

#[derive(Serialize)]
struct Listed {
    role: &'static str,
    path: String,
    sha256: Option<Digest>,
    kind: Option<&'static str>,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// How a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It is what it was.
    Ok,
    /// It is not there, or cannot be read.
    Missing,
    /// Its SHA-256 is another one.
    Changed,
    /// It cannot be computed, or is not what it is said to be.
    Unfit,
}

fn list(args: &ListArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let rows: Vec<Listed> = config
        .models
        .iter()
        .map(|(role, file)| listed(role, file, Model::read(&file.path, None).as_ref()))
        .collect();
    show(&rows, context)?;
    Ok(Code::Ok)
}

fn listed(
    role: &'static str,
    file: &ModelFile,
    read: Result<&Model, &keepwatch_recognition::Error>,
) -> Listed {
    let state = match read {
        Ok(model) if file.sha256.is_none_or(|digest| digest == model.digest()) => State::Ok,
        Ok(_) => State::Changed,
        Err(_) => State::Missing,
    };
    Listed {
        role,
        path: file.path.display().to_string(),
        sha256: file.sha256.or_else(|| Some(read.ok()?.digest())),
        kind: file.kind.map(Kind::name),
        state,
        problem: read.err().map(|error| with_causes(error)),
    }
}

fn show(rows: &[Listed], context: &mut Context) -> Result<(), Failure> {
    if context.out.json {
        context.out.json_rows(rows)?;
        return Ok(());
    }
    let text = |row: &Listed| {
        let state = match row.state {
            State::Ok => "ok",
            State::Missing => "missing",
            State::Changed => "changed",
            State::Unfit => "unfit",
        };
        let digest = row.sha256.map_or_else(String::new, |d| d.to_string());
        vec![
            row.role.to_owned(),
            row.kind.unwrap_or_default().to_owned(),
            state.to_owned(),
            digest.chars().take(16).collect(),
            row.path.clone(),
        ]
    };
    let columns = [
        ("ROLE", Align::Left),
        ("KIND", Align::Left),
        ("STATE", Align::Left),
        ("SHA-256", Align::Left),
        ("FILE", Align::Left),
    ];
    let rows: Vec<Vec<String>> = rows.iter().map(text).collect();
    Ok(context.out.table(&columns, &rows)?)
}

fn verify(args: &ListArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let engine = networks::engine(&config)?;
    let mut rows = Vec::new();
    for (role, file) in config.models.iter() {
        let read = Model::read(&file.path, None);
        let mut row = listed(role, file, read.as_ref());
        if row.state == State::Ok {
            match file.load(&engine) {
                Ok(loaded) => row.kind = Some(loaded.kind().name()),
                Err(error) => {
                    row.state = State::Unfit;
                    row.problem = Some(with_causes(&error));
                }
            }
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(Failure::Refused {
            message: "nothing was checked: the configuration names no model".to_owned(),
            hint: Some("keepwatch model add FILE names one"),
        });
    }
    show(&rows, context)?;
    let mut code = Code::Ok;
    for row in rows.iter().filter(|row| row.state != State::Ok) {
        let problem = row.problem.as_deref().unwrap_or("it was changed");
        let worse = match row.state {
            State::Changed => Code::Damaged,
            _ if code == Code::Damaged => code,
            _ => Code::Failed,
        };
        context.problem(&format!("{}: {}: {problem}", row.role, row.path), worse);
        code = worse;
    }
    Ok(code)
}
