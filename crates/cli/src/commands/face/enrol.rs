//! `keepwatch face enroll`

use std::path::PathBuf;

use clap::Args;
use keepwatch_recognition::face::Photo;
use keepwatch_recognition::photo;
use keepwatch_recognition::store::enrol;
use serde::Serialize;

use crate::commands::events::StoreArgs;
use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, with_causes};
use crate::networks;
use crate::stores::{open_or_create, recipients};

/// Who, and what they look like.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Their name
    #[arg(value_name = "NAME")]
    name: String,
    /// Photographs with one face each
    #[arg(value_name = "PHOTO", required = true)]
    photos: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Enrolled {
    person_id: String,
    /// Photographs that were added.
    added: usize,
    /// Photographs that were there.
    known: usize,
    /// Photographs that the person has now.
    photos: usize,
    refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resembles: Option<Resembles>,
}

#[derive(Serialize)]
struct Refused {
    file: String,
    problem: String,
}

#[derive(Serialize)]
struct Resembles {
    person_id: String,
    similarity: f32,
}

pub fn run(args: &EnrolArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let engine = networks::engine(&config)?;
    let mut finder = config.faces.finder(&config.models, &engine)?;
    let decision = config.faces.decision(finder.model());
    let recipients = recipients(&config)?;
    let store = open_or_create(&args.store.place()?, recipients, context)?;
    let mut photos: Vec<Photo> = Vec::new();
    let mut refused = Vec::new();
    for path in &args.photos {
        let file = path.display().to_string();
        let read = photo::read(path);
        match read.and_then(|picture| finder.enrol(picture.view(), &file, context.now())) {
            Ok(photo) => photos.push(photo),
            Err(error) => {
                let problem = with_causes(&error);
                context.problem(&problem, Code::Partly);
                refused.push(Refused { file, problem });
            }
        }
    }
    if photos.is_empty() {
        return Err(Failure::Refused {
            message: format!("{:?} is not enrolled: no photograph can be used", args.name),
            hint: Some("one face, seen from the front, sharp, and at least 60 pixels wide"),
        });
    }
    let done = enrol(&store, &finder, &args.name, photos, decision.threshold)?;
    let resembles = done.resembles.map(|(person_id, similarity)| Resembles {
        person_id,
        similarity,
    });
    let enrolled = Enrolled {
        person_id: args.name.clone(),
        added: done.added,
        known: done.known,
        photos: done.photos,
        refused,
        resembles,
    };
    if context.out.json {
        context.out.json(&enrolled)?;
    } else {
        context.out.line(format_args!(
            "{} has {} photographs, {} of them new",
            enrolled.person_id, enrolled.photos, enrolled.added
        ))?;
    }
    if let Some(other) = &enrolled.resembles {
        context.out.note(format_args!(
            "{} looks like {} ({:.2}): if they are the same person, remove one of them; while both \
             are there, faces between them are nobody's",
            enrolled.person_id, other.person_id, other.similarity
        ));
    }
    Ok(match enrolled.refused.is_empty() {
        true => Code::Ok,
        false => Code::Partly,
    })
}
