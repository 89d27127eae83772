//! `keepwatch face list`, `remove` and `refresh`

use clap::Args;
use jiff::Timestamp;
use keepwatch_recognition::infer::Digest;
use keepwatch_recognition::store::{self, read_gallery};
use serde::Serialize;

use crate::commands::events::StoreArgs;
use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure};
use crate::networks;
use crate::output::Align;
use crate::values::human_time;

/// Of which store.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Serialize)]
struct Listed {
    model: Option<Digest>,
    people: Vec<Person>,
}

#[derive(Serialize)]
struct Person {
    person_id: String,
    photos: usize,
    added: Option<Timestamp>,
}

/// Lists who is enrolled.
pub fn list(args: &ListArgs, context: &mut Context) -> Outcome {
    let gallery = read_gallery(&args.store.open(context)?)?;
    let people = gallery.iter().flat_map(|gallery| gallery.people());
    let listed = Listed {
        model: gallery.as_ref().map(|gallery| gallery.model()),
        people: people
            .map(|person| Person {
                person_id: person.name.clone(),
                photos: person.photos.len(),
                added: person.photos.iter().map(|photo| photo.added).max(),
            })
            .collect(),
    };
    if context.out.json {
        context.out.json(&listed)?;
        return Ok(Code::Ok);
    }
    let columns = [
        ("PHOTOGRAPHS", Align::Right),
        ("LAST", Align::Left),
        ("NAME", Align::Left),
    ];
    let row = |person: &Person| {
        vec![
            person.photos.to_string(),
            person.added.map_or_else(String::new, human_time),
            person.person_id.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = listed.people.iter().map(row).collect();
    context.out.table(&columns, &rows)?;
    Ok(Code::Ok)
}

/// Whom to forget.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Their name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Serialize)]
struct Removed<'a> {
    person_id: &'a str,
    photos: usize,
}

/// Forgets somebody.
pub fn remove(args: &RemoveArgs, context: &mut Context) -> Outcome {
    let store = args.store.open(context)?;
    let photos = store::remove(&store, &args.name)?;
    let photos = photos.ok_or_else(|| Failure::Refused {
        message: format!("nobody is enrolled as {:?}", args.name),
        hint: Some("keepwatch face list says who is"),
    })?;
    let removed = Removed {
        person_id: &args.name,
        photos,
    };
    if context.out.json {
        context.out.json(&removed)?;
    } else {
        context.out.line(format_args!(
            "{} is forgotten, with {photos} photographs",
            args.name
        ))?;
    }
    context.out.note(
        "events that name them are still there: keepwatch face purge-events deletes them; backups \
         of the store have what they had",
    );
    Ok(Code::Ok)
}

/// With which model.
#[derive(Debug, Args)]
pub struct RefreshArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Serialize)]
struct Refreshed {
    model: Digest,
    people: usize,
    lost: Vec<Lost>,
}

#[derive(Serialize)]
struct Lost {
    person_id: String,
    photos: usize,
}

/// Enrols everybody anew.
pub fn refresh(args: &RefreshArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let engine = networks::engine(&config)?;
    let mut finder = config.faces.finder(&config.models, &engine)?;
    let store = args.store.open(context)?;
    let done = store::refresh(&store, finder.embedder())?.ok_or(Failure::Refused {
        message: "nobody is enrolled".to_owned(),
        hint: None,
    })?;
    let lost = done.lost.into_iter();
    let refreshed = Refreshed {
        model: done.model,
        people: done.people,
        lost: lost
            .map(|(person_id, photos)| Lost { person_id, photos })
            .collect(),
    };
    if context.out.json {
        context.out.json(&refreshed)?;
    } else {
        context.out.line(format_args!(
            "{} people are enrolled anew",
            refreshed.people
        ))?;
    }
    for lost in &refreshed.lost {
        let problem = format!(
            "{} photographs of {} could not be enrolled anew",
            lost.photos, lost.person_id
        );
        context.problem(&problem, Code::Partly);
    }
    Ok(match refreshed.lost.is_empty() {
        true => Code::Ok,
        false => Code::Partly,
    })
}
