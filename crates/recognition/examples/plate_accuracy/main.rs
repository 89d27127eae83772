//! Prints how many plates of labelled photographs are found and read.
//!
//!     KEEPWATCH_TESTDATA=... cargo run --release --example plate_accuracy -- \
//!         [--classical] [--tract] [--boxes] [--failures]
//!
//! `--classical` finds without a network and reads with Tesseract; `--tract` computes without ONNX
//! Runtime, whose library `ORT_DYLIB_PATH` names; `--boxes` reads the labelled boxes alone; `--failures` lists what went wrong.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]
#![allow(clippy::print_stderr, reason = "usage")]

mod measure;

use std::path::PathBuf;
use std::process::ExitCode;

use keepwatch_recognition::infer::{Backend, Engine};
use measure::{Chain, What};

fn main() -> ExitCode {
    let mut what = What::All;
    let mut failures = false;
    let mut chain = Chain::default();
    let mut backend = Backend::OnnxRuntime;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--classical" => chain = Chain::Classical,
            "--tract" => backend = Backend::Tract,
            "--boxes" => what = What::Boxes,
            "--failures" => failures = true,
            other => {
                eprintln!(
                    "unknown: {other}; there are --classical, --tract, --boxes and --failures"
                );
                return ExitCode::from(2);
            }
        }
    }
    let Some(testdata) = std::env::var_os("KEEPWATCH_TESTDATA") else {
        eprintln!("KEEPWATCH_TESTDATA does not say where the test data are");
        return ExitCode::from(2);
    };
    let folder = PathBuf::from(testdata).join("plates/dev");
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let engine = match Engine::new(backend, &Vec::from_iter(library)) {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut accuracy = measure::measure(&folder, chain, &engine, what);
    let share = |n: usize, all: usize| format!("{n:>4} {:>3.0} %", 100.0 * n as f64 / all as f64);
    match what {
        What::All => println!(
            "{:6} {:>4} {:>10} {:>10} {:>12} {:>10} {:>10}",
            "region", "n", "found", "as first", "candidates", "strict", "folded"
        ),
        What::Boxes => println!(
            "{:6} {:>4} {:>10} {:>10}",
            "region", "n", "strict", "folded"
        ),
    }
    for (region, c) in &accuracy.regions {
        let part = |n| share(n, c.all);
        match what {
            What::All => println!(
                "{region:6} {:>4} {:>10} {:>10} {:>12.1} {:>10} {:>10}",
                c.all,
                part(c.found),
                part(c.first),
                c.candidates as f64 / c.all as f64,
                part(c.end_strict),
                part(c.end_folded),
            ),
            What::Boxes => println!(
                "{region:6} {:>4} {:>10} {:>10}",
                c.all,
                part(c.box_strict),
                part(c.box_folded)
            ),
        }
    }
    accuracy.times.sort();
    if let (Some(median), Some(slowest)) = (
        accuracy.times.get(accuracy.times.len() / 2),
        accuracy.times.last(),
    ) {
        println!("time for a picture: {median:.1?} in the median, {slowest:.1?} at most");
    }
    if failures {
        for failure in &accuracy.failures {
            println!("{failure}");
        }
    }
    ExitCode::SUCCESS
}
