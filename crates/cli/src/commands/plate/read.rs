//! `keepwatch plate read`

use std::path::{Path, PathBuf};

use clap::Args;
use keepwatch_recognition::photo;
use keepwatch_recognition::plate::area::Area;
use keepwatch_recognition::plate::grammar::Grammar;
use keepwatch_recognition::plate::list::PlateLists;
use keepwatch_recognition::plate::scan::Plate;
use keepwatch_recognition::settings::PlateScanner;
use serde::Serialize;

use super::PlateArgs;
use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, Failure, with_causes};
use crate::networks;

/// Which photographs.
#[derive(Debug, Args)]
pub struct ReadArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    plates: PlateArgs,
    /// Look at a part of each photograph only, in pixels; 0 is the far edge
    #[arg(long, value_name = "X1,Y1,X2,Y2", value_parser = area)]
    within: Option<Area>,
    /// Photographs
    #[arg(value_name = "PHOTO", required = true)]
    photos: Vec<PathBuf>,
}

fn area(text: &str) -> Result<Area, String> {
    text.parse().map_err(|_| {
        "it is not X1,Y1,X2,Y2: the left, upper, right and lower edge in pixels".to_owned()
    })
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

/// Reads photographs.
pub fn run(args: ReadArgs, context: &mut Context) -> Outcome {
    let config = args.config.load()?.config;
    let settings = args.plates.over(config.plates.clone());
    let grammar = settings.grammar()?;
    let lists = settings.lists()?;
    for text in lists.odd() {
        context.out.note(text);
    }
    let engine = networks::engine(&config)?;
    let mut scanner = settings.scanner(&config.models, &engine)?;
    let mut code = Code::Ok;
    for path in &args.photos {
        match look(path, args.within, &mut scanner, &grammar, lists.lists()) {
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

fn look(
    path: &Path,
    within: Option<Area>,
    scanner: &mut PlateScanner,
    grammar: &Grammar,
    lists: &PlateLists,
) -> Result<Read, Failure> {
    let picture = photo::read(path)?;
    let (whole, [width, height]) = (picture.view(), [picture.width(), picture.height()]);
    let view = match within {
        Some(area) => area.of(&whole).ok_or_else(|| {
            let path = path.display();
            let message = format!("{path}: nothing of its {width} x {height} pixels is looked at");
            Failure::refused(message, None)
        })?,
        None => whole,
    };
    let line = |plate: Plate| {
        let quad = match within {
            Some(area) => area.placed(&plate.candidate.quad),
            None => plate.candidate.quad,
        };
        let bounds = quad.bounds();
        let found = lists.find(&plate.text.clean);
        Line {
            confidence: plate.reading.confidence,
            bbox: [bounds.x, bounds.y, bounds.w, bounds.h],
            corners: quad.0.map(|corner| [corner.x, corner.y]),
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
    let plates = scanner.scan(view, grammar)?;
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
