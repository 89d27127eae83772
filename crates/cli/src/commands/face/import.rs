//! `keepwatch face import`

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use keepwatch_recognition::face::securevision;
use keepwatch_recognition::store::import;
use serde::Serialize;

use crate::commands::events::StoreArgs;
use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure};
use crate::networks;
use crate::stores::open_or_create;

/// The longest gallery that is read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// Which gallery.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// SecureVision's gallery, `gallery.npz`. It must have been made with the model that is
    /// configured as face_embedder: the file does not say with which
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Imported {
    people: usize,
    added: usize,
}

pub fn run(args: &ImportArgs, context: &mut Context) -> Outcome {
    let mut bytes = Vec::new();
    File::open(&args.file)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(Failure::file("read", &args.file))?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("{} is longer than any gallery", args.file.display());
        return Err(Failure::refused(message, None));
    }
    let people = securevision::read(&bytes)?;
    let config = args.config.load()?.config;
    let engine = networks::engine(&config)?;
    let finder = config.faces.finder(&config.models, &engine)?;
    let other = people
        .iter()
        .find(|(_, embedding)| embedding.values().len() != finder.dimensions());
    if let Some((_, embedding)) = other {
        return Err(Failure::Refused {
            message: format!(
                "its embeddings have {} numbers, and those of the configured model {}",
                embedding.values().len(),
                finder.dimensions()
            ),
            hint: Some("configure the model that SecureVision used as face_embedder"),
        });
    }
    let recipients = crate::stores::recipients(&config)?;
    let store = open_or_create(&args.store.place()?, recipients, context)?;
    let count = people.len();
    let added = import(&store, &finder, people, context.now())?;
    let imported = Imported {
        people: count,
        added,
    };
    if context.out.json {
        context.out.json(&imported)?;
    } else {
        context
            .out
            .line(format_args!("{count} people, {added} of them new"))?;
    }
    context.out.note(
        "pictures of them are not known: with another model they would have to be enrolled anew",
    );
    Ok(Code::Ok)
}
