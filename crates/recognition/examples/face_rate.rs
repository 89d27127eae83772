//! How long faces take: `face_rate MODELS PHOTO` measures the networks in a folder on a photograph,
//! with both engines, and identification in a gallery of 100 000 embeddings.
//!
//! One line of JSON for each figure: milliseconds, the median and the least of many runs. The library
//! of ONNX Runtime is named by `ORT_DYLIB_PATH`.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use keepwatch_core::jiff::Timestamp;
use keepwatch_recognition::detect::yunet::{Grid, decode};
use keepwatch_recognition::detect::{Overlap, suppress};
use keepwatch_recognition::face::{
    Decision, Embedding, FaceFinder, Gallery, Index, Photo, QualityGate,
};
use keepwatch_recognition::infer::{Backend, Digest, Engine, Model, Tensor};
use keepwatch_recognition::models::{DetectorSettings, ModelFile};
use keepwatch_recognition::resample::Shrinker;
use keepwatch_recognition::{Channels, Picture, photo};

const RUNS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [models, file] = &args[..] else {
        return Err("face_rate MODELS PHOTO".into());
    };
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let picture = photo::read(file)?;
    for backend in [Backend::OnnxRuntime, Backend::Tract] {
        let engine = Engine::new(backend, &Vec::from_iter(library.clone()))?;
        networks(&engine, models, &picture)?;
    }
    identification()?;
    Ok(())
}

fn networks(engine: &Engine, models: &Path, picture: &Picture) -> Result<(), Box<dyn Error>> {
    let name = format!("{:?}", engine.backend()).to_lowercase();
    for side in [320_usize, 640] {
        let path = models.join(format!("yunet_n_{side}_{side}.onnx"));
        let model = Model::read(&path, None)?;
        let mut session = engine.load(&model)?;
        let mut input = Tensor::default();
        input.reset(&[1, 3, side, side]);
        let (mut shrinker, mut small) = (Shrinker::default(), Picture::default());
        small.reset(side, side, Channels::Rgb);
        let scale = side as f64 / picture.width().max(picture.height()) as f64;
        let shrunk = |length: usize| ((length as f64 * scale) as usize).clamp(1, side);
        let (width, height) = (shrunk(picture.width()), shrunk(picture.height()));
        let planes = |small: &Picture, input: &mut Tensor| {
            let planes = input.data_mut().chunks_exact_mut(side * side);
            for (plane, channel) in planes.zip([2, 1, 0]) {
                for (number, pixel) in plane.iter_mut().zip(small.data().chunks_exact(3)) {
                    *number = f32::from(pixel[channel]);
                }
            }
        };
        let of = [picture.width(), picture.height()];
        measure(
            &format!("yunet {side}: scaling {} x {}", of[0], of[1]),
            || {
                shrinker.shrink(picture.view(), width, height, &mut small);
            },
        );
        measure(&format!("yunet {side}: picture to planes"), || {
            planes(&small, &mut input);
        });
        let mut outputs = Vec::new();
        session.run(&input, &mut outputs)?;
        measure(&format!("yunet {side}: network, {name}"), || {
            session.run(&input, &mut outputs).expect("it ran before");
        });
        let of = |name: String| {
            let mut ports = session.outputs().iter();
            let index = ports.position(|port| port.name == name);
            outputs[index.expect("YuNet has it")].data()
        };
        let grids = [8, 16, 32].map(|stride| Grid {
            class: of(format!("cls_{stride}")),
            object: of(format!("obj_{stride}")),
            bounds: of(format!("bbox_{stride}")),
            landmarks: of(format!("kps_{stride}")),
        });
        let mut found = Vec::new();
        measure(&format!("yunet {side}: decoding"), || {
            decode(&grids, side, side, 0.6, &mut found).expect("the numbers fit");
            suppress(&mut found, 0.3, Overlap::WholePixels);
        });
    }
    let detector = ModelFile::at(models.join("yunet_n_640_640.onnx")).load(engine)?;
    let detector = detector.face_detector(&DetectorSettings::default())?;
    let embedder = ModelFile::at(models.join("mobilefacenet_112.onnx")).load(engine)?;
    let mut finder = FaceFinder::new(detector, embedder.embedder()?, QualityGate::default());
    let count = finder.find(picture.view())?.len();
    let what = format!("photograph to {count} embedded faces, {name}");
    measure(&what, || {
        black_box(finder.find(picture.view()).expect("it ran before"));
    });
    Ok(())
}

fn identification() -> Result<(), Box<dyn Error>> {
    const PEOPLE: usize = 100_000;
    const DIMENSIONS: usize = 128;
    // xorshift64 (G. Marsaglia, 2003): any directions do.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut direction = || {
        let number = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        Embedding::new((0..DIMENSIONS).map(number).collect()).expect("it points somewhere")
    };
    let mut gallery = Gallery::new(Digest::of(b"any"), DIMENSIONS);
    for person in 0..PEOPLE {
        let photo = Photo {
            added: Timestamp::UNIX_EPOCH,
            embedding: direction(),
            face: Vec::new(),
        };
        // In the order of their names nobody has to move.
        gallery.add(&format!("{person:06}"), photo)?;
    }
    let index = Index::new(&gallery);
    let (face, decision) = (direction(), Decision::default());
    measure("identification among 100 000", || {
        black_box(index.identify(&face, &decision));
    });
    Ok(())
}

fn measure(what: &str, mut run: impl FnMut()) {
    run();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{{\"what\": {what:?}, \"median_ms\": {:.3}, \"min_ms\": {:.3}}}",
        times[RUNS / 2],
        times[0]
    );
}
