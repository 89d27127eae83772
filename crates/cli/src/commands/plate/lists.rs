//! `keepwatch plate list`, `add` and `remove`

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use keepwatch_core::fs::HeldFile;
use keepwatch_recognition::Error;
use keepwatch_recognition::plate::list::{
    Addition, Entry, ListKind, ListText, PlateList, PlateLists,
};
use keepwatch_recognition::plate::lookalike::SAME_PLATE;
use keepwatch_recognition::settings::PlateSettings;
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure};
use crate::output::Align;

/// Which list.
#[derive(Debug, Args)]
struct ChosenArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The plates that are welcome: plates.allow_list of the configuration
    #[arg(long, group = "list")]
    allow: bool,
    /// The plates that are not: plates.deny_list
    #[arg(long, group = "list")]
    deny: bool,
    /// A file, one plate a line or plate_text,description
    #[arg(long, value_name = "FILE", group = "list")]
    file: Option<PathBuf>,
}

/// A list that is one of the configuration, or a file of its own.
struct Chosen {
    kind: Option<ListKind>,
    path: PathBuf,
    /// How far a reading may be from its plates.
    distance: f32,
    settings: PlateSettings,
}

impl ChosenArgs {
    fn settings(&self) -> Result<PlateSettings, Failure> {
        Ok(self.config.load()?.config.plates.unwrap_or_default())
    }

    /// The one that is named.
    fn one(&self) -> Result<Chosen, Failure> {
        let settings = self.settings()?;
        if let Some(path) = &self.file {
            return Ok(Chosen {
                kind: None,
                path: path.clone(),
                distance: SAME_PLATE,
                settings,
            });
        }
        let kind = match (self.allow, self.deny) {
            (true, _) => ListKind::Allow,
            (_, true) => ListKind::Deny,
            _ => {
                return Err(Failure::Usage {
                    message: "it is not said which list".to_owned(),
                    hint: Some("use --allow, --deny or --file FILE"),
                });
            }
        };
        let (path, distance) = configured(&settings, kind);
        let path = path.ok_or(Failure::Usage {
            message: format!("the configuration names no {kind} list"),
            hint: Some("set plates.allow_list or plates.deny_list there, or use --file FILE"),
        })?;
        Ok(Chosen {
            kind: Some(kind),
            path: path.to_owned(),
            distance,
            settings,
        })
    }

    /// That which is named, or both of the configuration.
    fn all(&self) -> Result<Vec<(Option<ListKind>, PathBuf)>, Failure> {
        if self.allow || self.deny || self.file.is_some() {
            let Chosen { kind, path, .. } = self.one()?;
            return Ok(vec![(kind, path)]);
        }
        let settings = self.settings()?;
        let both = [ListKind::Allow, ListKind::Deny].into_iter();
        let named = both.filter_map(|kind| {
            let path = configured(&settings, kind).0?;
            Some((Some(kind), path.to_owned()))
        });
        let named: Vec<_> = named.collect();
        match named.is_empty() {
            true => Err(Failure::Usage {
                message: "the configuration names no list of plates".to_owned(),
                hint: Some("set plates.allow_list or plates.deny_list there, or use --file FILE"),
            }),
            false => Ok(named),
        }
    }
}

fn configured(settings: &PlateSettings, kind: ListKind) -> (Option<&Path>, f32) {
    match kind {
        ListKind::Allow => (settings.allow_list.as_deref(), settings.allow_distance),
        ListKind::Deny => (settings.deny_list.as_deref(), settings.deny_distance),
    }
}

impl Chosen {
    /// As people call it.
    fn name(&self) -> String {
        named(self.kind, &self.path)
    }

    /// What the other list of the configuration has for a plate.
    fn on_the_other(&self, text: &str) -> Option<(ListKind, Entry)> {
        let other = match self.kind? {
            ListKind::Allow => ListKind::Deny,
            ListKind::Deny => ListKind::Allow,
        };
        let (path, distance) = configured(&self.settings, other);
        // One that cannot be read is no matter of this list.
        let list = PlateList::read(path?).ok()?;
        let (entry, _) = list.nearest(text, distance)?;
        Some((other, entry.clone()))
    }
}

fn named(kind: Option<ListKind>, path: &Path) -> String {
    match kind {
        Some(kind) => format!("the {kind} list {}", path.display()),
        None => path.display().to_string(),
    }
}

/// What is no plate is a mistake on the command line.
fn called_wrongly(error: Error) -> Failure {
    match error {
        Error::Setting { problem, .. } => Failure::usage(format!("PLATE: {problem}")),
        error => error.into(),
    }
}

/// Which lists.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
}

#[derive(Serialize)]
struct Listed {
    list: Option<ListKind>,
    plate: String,
    text_clean: String,
    description: String,
    file: String,
    line: usize,
}

/// Lists plates.
pub fn list(args: &ListArgs, context: &mut Context) -> Outcome {
    let mut rows = Vec::new();
    let mut lists = PlateLists::default();
    for (kind, path) in args.chosen.all()? {
        let list = PlateList::read(&path)?;
        rows.extend(list.entries().iter().map(|entry| Listed {
            list: kind,
            plate: entry.written.clone(),
            text_clean: entry.text.clone(),
            description: entry.description.clone(),
            file: path.display().to_string(),
            line: entry.line,
        }));
        match kind {
            Some(ListKind::Deny) => lists.deny = list,
            _ => lists.allow = list,
        }
    }
    for warning in lists.warnings() {
        let text = format_args!("the lists of plates: {warning}");
        context.out.note(text);
    }
    if context.out.json {
        context.out.json_rows(&rows)?;
        return Ok(Code::Ok);
    }
    let columns = [
        ("LIST", Align::Left),
        ("PLATE", Align::Left),
        ("DESCRIPTION", Align::Left),
    ];
    let text = |row: &Listed| {
        let list = row
            .list
            .map_or_else(|| row.file.clone(), |kind| kind.to_string());
        vec![list, row.plate.clone(), row.description.clone()]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(text).collect();
    context.out.table(&columns, &rows)?;
    Ok(Code::Ok)
}

/// Which plate.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
    /// The plate; blanks and hyphens do not count
    #[arg(value_name = "PLATE")]
    plate: String,
    /// What is to be said of it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,
    /// Add it also if the list has one that looks like it
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Added {
    list: Option<ListKind>,
    plate: String,
    text_clean: String,
    description: String,
    file: String,
    line: usize,
    /// False for one that is there already, which is the one that is told.
    added: bool,
    /// How far it is from the one that was to be added.
    distance: f32,
}

/// Puts a plate on a list.
pub fn add(args: &AddArgs, context: &mut Context) -> Outcome {
    let chosen = args.chosen.one()?;
    let held = HeldFile::new(&chosen.path)?;
    let mut text = match ListText::read(held.path()) {
        Err(Error::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            ListText::parse(&[], &chosen.path.display().to_string())?
        }
        text => text?,
    };
    let distance = match args.force {
        true => 0.0,
        false => chosen.distance,
    };
    let addition = text.add(&args.plate, &args.description, distance);
    let (entry, added, distance) = match addition.map_err(called_wrongly)? {
        Addition::Added(entry) => {
            held.replace(&text.bytes())?;
            (entry, true, 0.0)
        }
        Addition::Known { entry, distance } => (entry, false, distance),
    };
    let name = chosen.name();
    if context.out.json {
        context.out.json(&Added {
            list: chosen.kind,
            plate: entry.written,
            text_clean: entry.text.clone(),
            description: entry.description,
            file: chosen.path.display().to_string(),
            line: entry.line,
            added,
            distance,
        })?;
    } else if added {
        let plate = &entry.written;
        context.out.line(format_args!("{plate} is in {name} now"))?;
    } else if distance == 0.0 {
        let Entry { written, line, .. } = &entry;
        context.out.line(format_args!(
            "{} is in {name} already: line {line} is {written}",
            args.plate
        ))?;
    } else {
        let Entry { written, line, .. } = &entry;
        context.out.line(format_args!(
            "{} was not added to {name}: {written} in line {line} looks like it",
            args.plate
        ))?;
        context
            .out
            .note("a reading of either is the plate of that line; --force adds it nevertheless");
    }
    if let Some((other, there)) = chosen.on_the_other(&entry.text) {
        context.out.note(format_args!(
            "{} is on the {other} list, too; {}",
            there.written, "of two that are equally near a reading, the denied one counts"
        ));
    }
    Ok(Code::Ok)
}

/// Which plate.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
    /// The plate; blanks and hyphens do not count
    #[arg(value_name = "PLATE")]
    plate: String,
}

#[derive(Serialize)]
struct Removed<'a> {
    list: Option<ListKind>,
    plate: &'a str,
    text_clean: &'a str,
    file: String,
    /// How often it was there.
    lines: usize,
}

/// Takes a plate off a list.
pub fn remove(args: &RemoveArgs, context: &mut Context) -> Outcome {
    let chosen = args.chosen.one()?;
    let held = HeldFile::new(&chosen.path)?;
    let mut text = ListText::read(held.path())?;
    let name = chosen.name();
    let removed = text.remove(&args.plate).map_err(called_wrongly)?;
    let Some(entry) = removed.first() else {
        let cleaned = keepwatch_recognition::plate::text::clean(&args.plate);
        let alike = text.list().nearest(&cleaned, chosen.distance);
        return Err(Failure::refused(
            match alike {
                Some((Entry { written, line, .. }, _)) => format!(
                    "{} is not in {name}; {written} in line {line} looks like it",
                    args.plate
                ),
                None => format!("{} is not in {name}", args.plate),
            },
            Some("keepwatch plate list says what is"),
        ));
    };
    held.replace(&text.bytes())?;
    if context.out.json {
        context.out.json(&Removed {
            list: chosen.kind,
            plate: &entry.written,
            text_clean: &entry.text,
            file: chosen.path.display().to_string(),
            lines: removed.len(),
        })?;
    } else {
        let plate = &entry.written;
        context
            .out
            .line(format_args!("{plate} is in {name} no more"))?;
    }
    Ok(Code::Ok)
}
