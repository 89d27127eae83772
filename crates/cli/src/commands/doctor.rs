//! `keepwatch doctor`

use clap::Args;
use keepwatch_core::crypto::Suite;
use keepwatch_recognition::infer::Engine;
use keepwatch_recognition::plate::ocr::TesseractReader;
use keepwatch_recognition::settings::{PlateSettings, ReaderKind};
use serde::Serialize;

use crate::commands::{Context, Outcome};
use crate::configuration::ConfigArgs;
use crate::exit::{Code, with_causes};
use crate::networks;

/// With which configuration.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

fn finding(what: &'static str, result: Result<String, String>) -> Finding {
    let ok = result.is_ok();
    let (Ok(detail) | Err(detail)) = result;
    Finding { what, ok, detail }
}

/// Says what this machine has of what Keepwatch can use, and what is wrong.
pub fn run(args: &DoctorArgs, context: &mut Context) -> Outcome {
    let mut findings = vec![
        finding("version", Ok(env!("CARGO_PKG_VERSION").to_owned())),
        finding("cipher suite", Ok(Suite::recommended().name().to_owned())),
    ];
    let named = args.config.path().filter(|path| path.exists());
    let place = named.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let loaded = args.config.load();
    let read = loaded.as_ref().map(|_| place);
    let read = read.map_err(|error| with_causes(error));
    findings.push(finding("configuration", read));
    let config = loaded.map(|loaded| loaded.config).unwrap_or_default();
    findings.push(finding(
        "GStreamer",
        keepwatch_vision::version().map_err(|error| with_causes(&error)),
    ));
    let engine = networks::engine(&config);
    let described = engine.as_ref().map(Engine::describe);
    let described = described.map_err(|error| with_causes(error));
    findings.push(finding("inference", described));
    let plates = config.plates.as_ref();
    if let Some(plates) = plates.filter(|plates| plates.reader == ReaderKind::Tesseract) {
        findings.push(finding("tesseract", tesseract(plates)));
    }
    if let Ok(engine) = &engine {
        findings.extend(models(&config, engine));
    }
    if context.out.json {
        context.out.json_rows(&findings)?;
    } else {
        for finding in &findings {
            let mark = if finding.ok { "ok  " } else { "FAIL" };
            context
                .out
                .line(format_args!("{mark}  {}: {}", finding.what, finding.detail))?;
        }
    }
    Ok(match findings.iter().all(|finding| finding.ok) {
        true => Code::Ok,
        false => Code::Failed,
    })
}

/// Its version, if it can read with its settings.
fn tesseract(plates: &PlateSettings) -> Result<String, String> {
    let settings = plates.tesseract.clone().unwrap_or_default();
    let started = TesseractReader::new(&settings).and_then(|_| TesseractReader::version());
    let version = started.map_err(|error| with_causes(&error))?;
    Ok(format!("{version}, {}", settings.language))
}

fn models(config: &keepwatch_config::Config, engine: &Engine) -> Vec<Finding> {
    let model = |(role, file): (&'static str, &keepwatch_recognition::models::ModelFile)| {
        let loaded = file.load(engine);
        let result =
            loaded.map(|loaded| format!("{}, {}", loaded.kind().name(), loaded.model().name()));
        finding(role, result.map_err(|error| with_causes(&error)))
    };
    config.models.iter().map(model).collect()
}
