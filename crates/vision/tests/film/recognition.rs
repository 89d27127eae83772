//! Faces in a film, with real networks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keepwatch_core::events::EventKind;
use keepwatch_recognition::face::{FaceFinder, QualityGate};
use keepwatch_recognition::infer::{Backend, Engine};
use keepwatch_recognition::models::{DetectorSettings, ModelFile};
use keepwatch_vision::recognition::{
    Crop, FaceSighting, Recognition, RecognitionSettings, Recognizer, RecognizerFactory, Rules,
    Sightings, UnknownFaces,
};
use keepwatch_vision::{Result, Watch, source};

use crate::watch::{Place, film};

/// Finds faces, and knows nobody.
struct Faces(FaceFinder);

impl Recognizer for Faces {
    fn recognize(&mut self, crops: &[Crop<'_>]) -> Vec<Result<Sightings>> {
        let look = |crop: &Crop<'_>| {
            let found = self.0.find(crop.view)?;
            let faces = found.into_iter().map(|face| FaceSighting {
                bounds: face.detection.bounds,
                score: face.detection.score,
                quality: face.quality,
                person: None,
                similarity: None,
                comparable: face.embedding.is_ok(),
            });
            Ok(Sightings {
                faces: faces.collect(),
                ..Sightings::default()
            })
        };
        crops.iter().map(look).collect()
    }
}

fn finder() -> Faces {
    let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let engine = Engine::new(Backend::OnnxRuntime, &Vec::from_iter(library));
    let engine = engine.unwrap_or_else(|error| {
        panic!("{error}; set ORT_DYLIB_PATH to the library of ONNX Runtime")
    });
    let load = |name: &str| {
        let path = keepwatch_testkit::testdata().join(format!("models/{name}.onnx"));
        let model = ModelFile::at(path).load(&engine);
        model.expect("the model is there")
    };
    let detector = load("yunet_n_320_320").face_detector(&DetectorSettings::default());
    let embedder = load("mobilefacenet_112").embedder();
    // People are small in this film, and look down.
    let gate = QualityGate {
        min_score: 0.6,
        min_size: 10.0,
        min_sharpness: 0.0,
        max_turn: 10.0,
    };
    Faces(FaceFinder::new(
        detector.expect("it finds faces"),
        embedder.expect("it embeds"),
        gate,
    ))
}

#[test]
fn people_who_walk_up_to_a_table_are_unknown_faces() {
    let place = Place::new();
    let watch = Watch::new(place.store.clone(), place.store.media()).expect("it starts");
    let recognizer: RecognizerFactory = Arc::new(|| Ok(Box::new(finder()) as Box<dyn Recognizer>));
    let settings = RecognitionSettings {
        unknown_faces: UnknownFaces::Blur,
        ..RecognitionSettings::default()
    };
    let recognition = Recognition {
        settings,
        recognizer,
        rules: Rules::default(),
    };
    watch.set_recognition(recognition).expect("it starts");
    let settings = film("one-by-one-person-detection");
    let source = source::of(&settings);
    let added = watch.add("table".to_owned(), settings, source);
    added.expect("it is added");
    while !watch.is_over() {
        let _ = watch.events().recv_timeout(Duration::from_millis(50));
    }
    let status = watch.status().remove(0);
    watch.stop().expect("all is stored");
    assert_eq!((status.looks_skipped, status.looks_failed), (0, 0));
    assert!(status.looks > 100, "{status:?}");
    let events = place.events();
    let faces = events
        .iter()
        .filter(|event| event.kind == EventKind::FaceUnknown);
    let faces: Vec<_> = faces.collect();
    // Six people, of whom some are seen from the front for too short a time.
    assert!((3..=8).contains(&faces.len()), "{}", faces.len());
    for event in faces {
        let picture = place.open(event.snapshot.as_ref().expect("it has a picture"));
        assert!(picture.starts_with(&[0xff, 0xd8]));
        let details = event.details.as_ref().expect("there are some");
        assert!(
            details["quality"]["size"]
                .as_f64()
                .is_some_and(|size| size > 0.0)
        );
    }
    place.verify();
}
