//! How long plates take: `plate_rate FOLDER` finds and reads what is in the photographs of a folder
//! after making frames of 1920 x 1080 pixels of them, with both engines, and without a network.
//!
//! One line of JSON for each figure: milliseconds, the median and the least of all frames. The
//! library of ONNX Runtime is named by `ORT_DYLIB_PATH`.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use keepwatch_recognition::infer::{Backend, Engine};
use keepwatch_recognition::plate::grammar::Grammar;
use keepwatch_recognition::resample::{Homography, Outside, warp};
use keepwatch_recognition::settings::{
    FinderKind, Models, PlateScanner, PlateSettings, ReaderKind,
};
use keepwatch_recognition::{Picture, photo};

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
/// How often each frame is read.
const RUNS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder] = &args[..] else {
        return Err("plate_rate FOLDER".into());
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "jpg"));
    files.sort();
    let frames: Vec<Picture> = files
        .iter()
        .map(|file| frame(file))
        .collect::<Result<_, _>>()?;
    if frames.is_empty() {
        return Err(format!("no photographs in {}", folder.display()).into());
    }
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let grammar = Grammar::parse("br", &[] as &[&str])?;
    for backend in [Backend::OnnxRuntime, Backend::Tract] {
        let engine = Engine::new(backend, &Vec::from_iter(library.clone()))?;
        let settings = PlateSettings::default();
        let scanner = settings.scanner(&Models::default(), &engine)?;
        let name = format!("{backend:?}").to_lowercase();
        measure(
            &format!("plates of a 1080p frame, {name}"),
            scanner,
            &frames,
            &grammar,
        )?;
        if backend == Backend::OnnxRuntime {
            let settings = PlateSettings {
                finder: FinderKind::Classical,
                reader: ReaderKind::Tesseract,
                ..settings
            };
            let scanner = settings.scanner(&Models::default(), &engine)?;
            measure(
                "plates of a 1080p frame, classical and Tesseract",
                scanner,
                &frames,
                &grammar,
            )?;
        }
    }
    Ok(())
}

/// A photograph, stretched.
fn frame(file: &Path) -> Result<Picture, Box<dyn Error>> {
    let photo = photo::read(file)?;
    let scale = |from: usize, to: usize| from as f64 / to as f64;
    let (x, y) = (scale(photo.width(), WIDTH), scale(photo.height(), HEIGHT));
    let mut frame = Picture::default();
    frame.reset(WIDTH, HEIGHT, photo.channels());
    let map = Homography::affine([x, 0.0, 0.0, 0.0, y, 0.0]);
    warp(photo.view(), &map, Outside::Edge, &mut frame);
    Ok(frame)
}

fn measure(
    what: &str,
    mut scanner: PlateScanner,
    frames: &[Picture],
    grammar: &Grammar,
) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::with_capacity(frames.len() * RUNS);
    let mut read = 0;
    for run in 0..=RUNS {
        for frame in frames {
            let start = Instant::now();
            let plates = scanner.scan(frame.view(), grammar)?;
            let took = start.elapsed().as_secs_f64() * 1e3;
            // The first round makes it warm.
            if run > 0 {
                times.push(took);
                read += usize::from(!plates.is_empty());
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let what = format!("{what} ({read} of {} with a plate)", times.len());
    println!(
        "{{\"what\": {what:?}, \"median_ms\": {:.3}, \"min_ms\": {:.3}}}",
        times[times.len() / 2],
        times[0]
    );
    Ok(())
}
