//! What the tests on published pictures share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keepwatch_recognition::infer::{Backend, Engine};
use keepwatch_recognition::{Box2, Point};

/// The folder of the test data.
pub fn testdata() -> PathBuf {
    let folder = std::env::var_os("KEEPWATCH_TESTDATA").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata")
    });
    assert!(
        folder.join("faces").is_dir(),
        "no test data at {}: set KEEPWATCH_TESTDATA to their folder",
        folder.display()
    );
    folder
}

/// Both engines. Where ONNX Runtime's library is missing, that is a failure, for nothing would be
/// compared.
pub fn engines() -> Vec<Engine> {
    vec![engine(Backend::OnnxRuntime), engine(Backend::Tract)]
}

/// One engine.
pub fn engine(backend: Backend) -> Engine {
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    Engine::new(backend, &Vec::from_iter(library)).unwrap_or_else(|error| {
        panic!("{error}; set ORT_DYLIB_PATH to the library of ONNX Runtime")
    })
}

/// A file of reference results.
pub fn reference_json(name: &str) -> serde_json::Value {
    let bytes = std::fs::read(testdata().join("reference").join(name));
    serde_json::from_slice(&bytes.expect("the reference is there")).expect("it is JSON")
}

/// What OpenCV found.
pub struct Reference(BTreeMap<String, serde_json::Value>);

/// The faces of one picture.
pub struct Faces {
    /// The network's pixels over the picture's.
    pub scale: f32,
    /// In the network's pixels.
    pub faces: Vec<Face>,
}

/// One face.
pub struct Face {
    /// Where.
    pub bounds: Box2,
    /// How sure.
    pub score: f32,
    /// Five points.
    pub landmarks: [Point; 5],
}

impl Reference {
    /// Reads it.
    pub fn read() -> Self {
        let all = reference_json("faces_yunet.json");
        let files = all["files"].as_array().expect("there are files");
        let name = |file: &serde_json::Value| file["file"].as_str().expect("a name").to_owned();
        Self(
            files
                .iter()
                .map(|file| (name(file), file.clone()))
                .collect(),
        )
    }

    /// All pictures.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The faces of one at a size.
    pub fn faces(&self, file: &str, side: &str) -> Faces {
        let run = &self.0[file]["runs"][side];
        let number = |value: &serde_json::Value| value.as_f64().expect("a number") as f32;
        let face = |face: &serde_json::Value| {
            let bounds = &face["box_xywh"];
            let [x, y, w, h] = [0, 1, 2, 3].map(|index| number(&bounds[index]));
            Face {
                bounds: Box2 { x, y, w, h },
                score: number(&face["score"]),
                landmarks: [0, 1, 2, 3, 4].map(|index| Point {
                    x: number(&face["landmarks"][index][0]),
                    y: number(&face["landmarks"][index][1]),
                }),
            }
        };
        let faces = run["faces"].as_array().expect("there are faces");
        Faces {
            scale: number(&run["scale"]),
            faces: faces.iter().map(face).collect(),
        }
    }
}
