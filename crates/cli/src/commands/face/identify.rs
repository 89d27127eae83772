//! `keepwatch face identify`

use std::path::{Path, PathBuf};

use clap::Args;
use keepwatch_recognition::face::{Decision, FaceFinder, FoundFace, Index};
use keepwatch_recognition::photo;
use keepwatch_recognition::store::read_index;
use serde::Serialize;

use crate::commands::events::StoreArgs;
use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, with_causes};
use crate::networks;

/// Which photographs.
#[derive(Debug, Args)]
pub struct IdentifyArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Photographs
    #[arg(value_name = "PHOTO", required = true)]
    photos: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Identified<'a> {
    file: String,
    faces: Vec<Face<'a>>,
}

/// A face, the surest first.
#[derive(Serialize)]
struct Face<'a> {
    /// Who it is; null for somebody who is not enrolled, or a face that cannot be compared.
    person_id: Option<&'a str>,
    /// How alike the nearest person is, enrolled or not; null if there is nobody.
    similarity: Option<f32>,
    /// Left, top, width and height in pixels.
    bbox: [f32; 4],
    /// How sure it is a face.
    score: f32,
    /// Why it cannot be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

pub fn run(args: &IdentifyArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let engine = networks::engine(&config)?;
    let mut finder = config.faces.finder(&config.models, &engine)?;
    let decision = config.faces.decision(finder.model());
    let index = read_index(&args.store.open(context)?, finder.model())?;
    if index.is_empty() {
        context.out.note("nobody is enrolled");
    }
    let mut code = Code::Ok;
    for path in &args.photos {
        match look(path, &mut finder, &index, &decision) {
            Ok(identified) => show(&identified, context)?,
            Err(failure) if args.photos.len() == 1 => return Err(failure),
            Err(failure) => {
                context.problem(&with_causes(&failure), Code::Partly);
                code = Code::Partly;
            }
        }
    }
    Ok(code)
}

fn look<'a>(
    path: &Path,
    finder: &mut FaceFinder,
    index: &'a Index,
    decision: &Decision,
) -> Result<Identified<'a>, Failure> {
    let picture = photo::read(path)?;
    let face = |found: &FoundFace| {
        let bounds = found.detection.bounds;
        let embedding = found.embedding.as_ref();
        let identity = embedding
            .ok()
            .and_then(|embedding| index.identify(embedding, decision));
        Face {
            person_id: identity.and_then(|identity| identity.person),
            similarity: identity.map(|identity| identity.similarity),
            bbox: [bounds.x, bounds.y, bounds.w, bounds.h],
            score: found.detection.score,
            refused: embedding.err().map(ToString::to_string),
        }
    };
    let found = finder.find(picture.view())?;
    Ok(Identified {
        file: path.display().to_string(),
        faces: found.iter().map(face).collect(),
    })
}

fn show(identified: &Identified<'_>, context: &mut Context) -> Result<(), Failure> {
    if context.out.json {
        context.out.json(identified)?;
        return Ok(());
    }
    let file = &identified.file;
    if identified.faces.is_empty() {
        context.out.line(format_args!("{file}: no face"))?;
    }
    for face in &identified.faces {
        let who = match (face.person_id, &face.refused) {
            (Some(name), _) => name.to_owned(),
            (None, Some(refused)) => format!("not compared: {refused}"),
            (None, None) => "unknown".to_owned(),
        };
        let alike = face
            .similarity
            .map_or_else(String::new, |similarity| format!("  {similarity:.2}"));
        let [x, y, w, h] = face.bbox;
        context.out.line(format_args!(
            "{file}: {who}{alike}  at {x:.0},{y:.0} {w:.0}x{h:.0}"
        ))?;
    }
    Ok(())
}
