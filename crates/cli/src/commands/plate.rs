//! `keepwatch plate`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keepwatch_recognition::photo;
use keepwatch_recognition::plate::grammar::Grammar;
use keepwatch_recognition::plate::list::{ListFiles, PlateLists};
use keepwatch_recognition::plate::scan::Plate;
use keepwatch_recognition::settings::{PlateScanner, PlateSettings};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, with_causes};
use crate::networks;

/// What can be done with plates.
#[derive(Debug, Subcommand)]
pub enum PlateCommand {
    /// Read the plates in photographs
    Read(ReadArgs),
}

/// Which photographs.
#[derive(Debug, Args)]
pub struct ReadArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    plates: PlateArgs,
    /// Photographs
    #[arg(value_name = "PHOTO", required = true)]
    photos: Vec<PathBuf>,
}

/// What goes before the configuration.
#[derive(Debug, Args)]
pub struct PlateArgs {
    /// Where plates are from: eu, us, br, de
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// A file with plates that are welcome, one a line or plate_text,description
    #[arg(long, value_name = "FILE")]
    allow_list: Option<PathBuf>,
    /// A file with plates that are not
    #[arg(long, value_name = "FILE")]
    deny_list: Option<PathBuf>,
}

impl PlateArgs {
    /// Whether any of them is given.
    pub fn is_given(&self) -> bool {
        self.region.is_some() || self.allow_list.is_some() || self.deny_list.is_some()
    }

    /// The configuration, with what is given here in its place.
    pub fn over(self, configured: Option<PlateSettings>) -> PlateSettings {
        let mut settings = configured.unwrap_or_default();
        if let Some(region) = self.region {
            settings.region = region;
            settings.patterns = Vec::new();
        }
        settings.allow_list = self.allow_list.or(settings.allow_list);
        settings.deny_list = self.deny_list.or(settings.deny_list);
        settings
    }
}

/// Runs one of them.
pub fn run(command: PlateCommand, context: &mut Context) -> Outcome {
    match command {
        PlateCommand::Read(args) => read(args, context),
    }
}

#[derive(Serialize)]
struct Read {
    file: String,
    plates: Vec<Line>,
}

/// A plate, the likeliest first.
#[derive(Serialize)]
struct Line {
    /// Capitals and digits, corrected where the region's patterns tell letters from digits.
    text_clean: String,
    /// As it was read.
    text_raw: String,
    /// How sure the reading is, 0 to 1.
    confidence: f32,
    /// Left, top, width and height in pixels.
    bbox: [f32; 4],
    /// Top left, top right, bottom right, bottom left.
    corners: [[f32; 2]; 4],
    /// Whether plates of the region look so.
    fits: bool,
    /// On which list it is: allow, deny or none.
    matched_list: Option<&'static str>,
    /// The plate as the list has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_plate: Option<String>,
    /// What the list says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

fn read(args: ReadArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let settings = args.plates.over(config.plates.clone());
    let grammar = settings.grammar()?;
    let lists = settings.lists()?;
    for text in odd(&lists) {
        context.out.note(text);
    }
    let engine = networks::engine(&config)?;
    let mut scanner = settings.scanner(&config.models, &engine)?;
    let mut code = Code::Ok;
    for path in &args.photos {
        match look(path, &mut scanner, &grammar, lists.lists()) {
            Ok(read) => show(&read, context)?,
            Err(failure) if args.photos.len() == 1 => return Err(failure),
            Err(failure) => {
                context.problem(&with_causes(&failure), Code::Partly);
                code = Code::Partly;
            }
        }
    }
    Ok(code)
}

/// What is odd in the lists, in words.
pub fn odd(lists: &ListFiles) -> Vec<String> {
    let warnings = lists.warnings().into_iter();
    warnings
        .map(|warning| format!("the lists of plates: {warning}"))
        .collect()
}

fn look(
    path: &Path,
    scanner: &mut PlateScanner,
    grammar: &Grammar,
    lists: &PlateLists,
) -> Result<Read, Failure> {
    let picture = photo::read(path)?;
    let line = |plate: Plate| {
        let bounds = plate.candidate.quad.bounds();
        let found = lists.find(&plate.text.clean);
        Line {
            confidence: plate.reading.confidence,
            bbox: [bounds.x, bounds.y, bounds.w, bounds.h],
            corners: plate.candidate.quad.0.map(|corner| [corner.x, corner.y]),
            fits: plate.text.fits,
            matched_list: found.as_ref().map(|found| found.list.name()),
            matched_plate: found.as_ref().map(|found| found.entry.written.clone()),
            description: found
                .map(|found| found.entry.description.clone())
                .filter(|text| !text.is_empty()),
            text_clean: plate.text.clean,
            text_raw: plate.reading.text,
        }
    };
    let plates = scanner.scan(picture.view(), grammar)?;
    Ok(Read {
        file: path.display().to_string(),
        plates: plates.into_iter().map(line).collect(),
    })
}

fn show(read: &Read, context: &mut Context) -> Result<(), Failure> {
    if context.out.json {
        context.out.json(read)?;
        return Ok(());
    }
    let file = &read.file;
    if read.plates.is_empty() {
        context.out.line(format_args!("{file}: no plate"))?;
    }
    for plate in &read.plates {
        let listed = match (plate.matched_list, &plate.description) {
            (Some(list), Some(description)) => format!("  {list}: {description}"),
            (Some(list), None) => format!("  {list}"),
            (None, _) => String::new(),
        };
        let [x, y, w, h] = plate.bbox;
        context.out.line(format_args!(
            "{file}: {}  {:.2}  at {x:.0},{y:.0} {w:.0}x{h:.0}{listed}",
            plate.text_clean, plate.confidence
        ))?;
    }
    Ok(())
}
