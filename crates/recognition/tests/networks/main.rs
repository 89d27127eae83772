//! Networks of several kinds and faults, with both engines.

mod plates;

use std::path::PathBuf;

use keepwatch_recognition::detect::scrfd::ScrfdSettings;
use keepwatch_recognition::detect::yolo::YoloSettings;
use keepwatch_recognition::detect::yunet::YuNetSettings;
use keepwatch_recognition::detect::{Detection, Detector, Scrfd, Yolo, YuNet};
use keepwatch_recognition::face::{ArcFace, Embedder, EmbedderNormalization};
use keepwatch_recognition::infer::{Backend, Engine, Model, Tensor};
use keepwatch_recognition::models::{Kind, ModelFile};
use keepwatch_recognition::{Channels, Error, Picture};
use keepwatch_testkit::onnx::{Constant, Network, Node, Value};

/// Both. Where the library of ONNX Runtime is missing that is a failure: nothing would be compared.
fn engines() -> [Engine; 2] {
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    [Backend::OnnxRuntime, Backend::Tract].map(|backend| {
        Engine::new(backend, &Vec::from_iter(library.clone())).unwrap_or_else(|error| {
            panic!("{error}; ORT_DYLIB_PATH names the library of ONNX Runtime")
        })
    })
}

fn model(network: &Network) -> Model {
    Model::new("test", network.to_bytes())
}

fn constant(name: &'static str, shape: &[u64], values: Vec<f32>) -> Constant {
    assert_eq!(shape.iter().product::<u64>(), values.len() as u64);
    Constant {
        name,
        shape: shape.to_vec(),
        values,
    }
}

fn zeros(name: &'static str, shape: &[u64]) -> Constant {
    let len = shape.iter().product::<u64>() as usize;
    constant(name, shape, vec![0.0; len])
}

fn picture(width: usize, height: usize) -> Picture {
    let pixels = vec![100; width * height * 3];
    Picture::new(pixels, width, height, Channels::Rgb).expect("it fits")
}

fn found(mut detector: impl Detector, picture: &Picture) -> Vec<Detection> {
    let mut found = Vec::new();
    detector
        .detect(&[picture.view()], &mut found)
        .expect("it computes");
    found.remove(0)
}

#[test]
fn what_is_no_network_is_an_error_with_its_name() {
    let good = Network::constant(&[1, 3, 32, 32], vec![zeros("a", &[1, 4])]).to_bytes();
    let unknown = Network {
        inputs: vec![Value::floats("input", &[1, 4])],
        outputs: vec![Value::floats("out", &[1, 4])],
        nodes: vec![Node {
            operation: "Frobnicate",
            inputs: vec!["input"],
            output: "out",
        }],
        ..Network::default()
    };
    let two_inputs = Network {
        inputs: vec![Value::floats("a", &[1, 4]), Value::floats("b", &[1, 4])],
        outputs: vec![Value::floats("out", &[1, 4])],
        nodes: vec![Node {
            operation: "Add",
            inputs: vec!["a", "b"],
            output: "out",
        }],
        ..Network::default()
    };
    let integers = Network {
        inputs: vec![Value {
            kind: 7,
            ..Value::floats("input", &[1, 4])
        }],
        outputs: vec![Value {
            kind: 7,
            ..Value::floats("out", &[1, 4])
        }],
        nodes: vec![Node {
            operation: "Identity",
            inputs: vec!["input"],
            output: "out",
        }],
        ..Network::default()
    };
    for engine in engines() {
        for (what, bytes) in [
            ("empty", Vec::new()),
            ("a text", b"no network at all".to_vec()),
            ("cut off", good[..good.len() / 2].to_vec()),
            ("an unknown operator", unknown.to_bytes()),
            ("two inputs", two_inputs.to_bytes()),
            ("integers", integers.to_bytes()),
        ] {
            let loaded = engine.load(&Model::new("the file", bytes));
            let error = loaded.err().unwrap_or_else(|| panic!("{what} was loaded"));
            assert!(matches!(error, Error::Model { .. }), "{what}: {error}");
            assert!(error.to_string().contains("the file"), "{what}: {error}");
        }
        let mut session = engine
            .load(&Model::new("good", good.clone()))
            .expect("it is a network");
        let wrong = Tensor::new(&[1, 3, 8, 8], vec![0.0; 192]).expect("it fits");
        let ran = session.run(&wrong, &mut Vec::new());
        assert!(matches!(ran, Err(Error::Inference { .. })), "another shape");
    }
}

#[test]
fn networks_with_other_shapes_are_refused_by_whoever_needs_certain_ones() {
    let network = Network::constant(&[1, 3, 48, 48], vec![zeros("a", &[1, 7])]);
    let model = model(&network);
    for engine in engines() {
        let session = || engine.load(&model).expect("it is a network");
        let errors = [
            YuNet::new(session(), &model, YuNetSettings::default()).err(),
            Scrfd::new(session(), &model, ScrfdSettings::default()).err(),
            Yolo::new(session(), &model, YoloSettings::default()).err(),
            ArcFace::new(session(), &model, EmbedderNormalization::ArcFace).err(),
        ];
        for error in errors {
            assert!(matches!(error, Some(Error::Model { .. })), "{error:?}");
        }
        assert_eq!(Kind::of(&*session()), None);
    }
}

#[test]
fn scrfd_finds_what_its_numbers_tell() {
    // 64 x 64: grids of 8 x 8, 4 x 4 and 2 x 2 cells, two boxes each.
    let counts = [128, 32, 8_u64];
    let mut outputs = Vec::new();
    for (each, kind) in [(1, "score"), (4, "box"), (10, "point")] {
        for (level, count) in counts.into_iter().enumerate() {
            let name: &'static str = format!("{kind}{level}").leak();
            let mut output = zeros(name, &[count, each]);
            // The face: column 2, row 1 of the second grid, its first box.
            let index = (4 + 2) * 2;
            if level == 1 {
                let values: &[f32] = match each {
                    1 => &[0.875],
                    4 => &[1.0, 0.5, 1.0, 1.5],
                    _ => &[-0.5, 0.0, 0.5, 0.0, 0.0, 0.25, -0.5, 0.5, 0.5, 0.5],
                };
                output.values[index * each as usize..][..values.len()].copy_from_slice(values);
            }
            outputs.push(output);
        }
    }
    let model = model(&Network::constant(&[1, 3, 64, 64], outputs));
    for engine in engines() {
        let session = engine.load(&model).expect("it is a network");
        assert_eq!(Kind::of(&*session), Some(Kind::Scrfd));
        let scrfd = Scrfd::new(session, &model, ScrfdSettings::default());
        // Twice as large as the network's picture.
        let found = found(scrfd.expect("it is one"), &picture(128, 128));
        assert_eq!(found.len(), 1);
        let bounds = found[0].bounds;
        assert_eq!((bounds.x, bounds.y), (32.0, 16.0));
        assert_eq!((bounds.w, bounds.h), (64.0, 64.0));
        assert_eq!(found[0].score, 0.875);
        let landmarks = found[0].landmarks.expect("it has some");
        assert_eq!((landmarks[0].x, landmarks[0].y), (48.0, 32.0));
    }
}

#[test]
fn yolo_finds_what_its_numbers_tell() {
    // Two classes, 84 boxes of a 64 x 64 picture, of which two overlap.
    let mut output = zeros("boxes", &[1, 6, 84]);
    let mut set = |index: usize, values: [f32; 6]| {
        for (row, value) in values.into_iter().enumerate() {
            output.values[row * 84 + index] = value;
        }
    };
    set(3, [32.0, 32.0, 20.0, 8.0, 0.1, 0.9]);
    set(4, [33.0, 32.0, 20.0, 8.0, 0.1, 0.8]);
    set(7, [8.0, 24.0, 8.0, 8.0, 0.5, 0.2]);
    set(9, [f32::NAN, f32::INFINITY, 1.0, 1.0, 0.9, f32::NAN]);
    let model = model(&Network::constant(&[1, 3, 64, 64], vec![output]));
    for engine in engines() {
        let session = engine.load(&model).expect("it is a network");
        assert_eq!(Kind::of(&*session), Some(Kind::Yolo));
        let yolo = Yolo::new(session, &model, YoloSettings::default());
        // In the middle, with 16 rows of grey above and below.
        let found = found(yolo.expect("it is one"), &picture(64, 32));
        let places: Vec<(f32, f32, u32)> = found
            .iter()
            .map(|d| (d.bounds.x, d.bounds.y, d.class))
            .collect();
        assert_eq!(places, [(22.0, 12.0, 1), (4.0, 4.0, 0)]);
    }
}

#[test]
fn embeddings_that_point_nowhere_are_none() {
    for (values, known) in [
        (vec![0.5; 16], true),
        (vec![0.0; 16], false),
        (vec![f32::NAN; 16], false),
    ] {
        let output = constant("numbers", &[1, 16], values);
        let model = model(&Network::constant(&[1, 3, 112, 112], vec![output]));
        for engine in engines() {
            let session = engine.load(&model).expect("it is a network");
            let arcface = ArcFace::new(session, &model, EmbedderNormalization::ArcFace);
            let mut arcface = arcface.expect("it is one");
            let face = picture(112, 112);
            let embedded = arcface.embed(&[face.view(), face.view()]);
            let embedded = embedded.expect("it computes");
            assert_eq!(embedded.len(), 2);
            assert!(embedded.iter().all(|e| e.is_some() == known));
            assert!(arcface.embed(&[picture(64, 64).view()]).is_err());
        }
    }
}

#[test]
fn files_that_are_missing_or_changed_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    let engine = &engines()[1];
    let mut file = ModelFile::at(path.clone());
    let error = file.load(engine).err().expect("it is not there");
    assert!(matches!(error, Error::Read { .. }), "{error}");
    let network = Network::constant(&[1, 3, 112, 112], vec![zeros("a", &[1, 32])]);
    std::fs::write(&path, network.to_bytes()).expect("it can be written");
    let loaded = file.load(engine).expect("it is a network");
    assert_eq!(loaded.kind(), Kind::ArcFace);
    file.sha256 = Some(loaded.model().digest());
    file.load(engine).expect("it is unchanged");
    std::fs::write(&path, [network.to_bytes(), vec![0]].concat()).expect("it can be written");
    let error = file.load(engine).err().expect("it was changed");
    assert!(error.to_string().contains("SHA-256"), "{error}");
}
