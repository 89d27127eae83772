//! Faces, against what OpenCV makes of the same pictures.

use std::collections::BTreeMap;
use std::path::Path;

use keepwatch_core::jiff::Timestamp;
use keepwatch_recognition::detect::yunet::{Grid, YuNet, YuNetSettings, decode};
use keepwatch_recognition::detect::{Detection, Detector, Overlap, suppress};
use keepwatch_recognition::face::{
    Decision, Embedder, Embedding, FaceFinder, Gallery, Index, QualityGate, align, cosine,
};
use keepwatch_recognition::infer::{Backend, Engine, Model};
use keepwatch_recognition::models::{DetectorSettings, Kind, ModelFile, known};
use keepwatch_recognition::resample::Shrinker;
use keepwatch_recognition::{Channels, Picture, photo};

use crate::common::{Faces, Reference, engine, engines, reference_json, testdata};

#[test]
fn recorded_numbers_of_yunet_become_the_faces_of_opencv() {
    let reference = Reference::read();
    let folder = testdata().join("reference/yunet_raw");
    let index = std::fs::read(folder.join("index.json")).expect("the index is there");
    let index: serde_json::Value = serde_json::from_slice(&index).expect("it is JSON");
    let entries = index["entries"].as_array().expect("there are entries");
    for entry in entries {
        let file = entry["outputs_file"].as_str().expect("a name");
        let bytes = std::fs::read(folder.join(file)).expect("the numbers are there");
        let numbers: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
            .collect();
        let outputs = entry["outputs"].as_array().expect("there are outputs");
        let of = |name: String| {
            let output = outputs
                .iter()
                .find(|output| output["name"] == name.as_str());
            let output = output.expect("the output is there");
            let offset = output["offset_bytes"].as_u64().expect("a number") as usize / 4;
            let shape = output["shape"].as_array().expect("a shape");
            let len: u64 = shape
                .iter()
                .map(|side| side.as_u64().expect("a number"))
                .product();
            &numbers[offset..][..len as usize]
        };
        let grids = [8, 16, 32].map(|stride| Grid {
            class: of(format!("cls_{stride}")),
            object: of(format!("obj_{stride}")),
            bounds: of(format!("bbox_{stride}")),
            landmarks: of(format!("kps_{stride}")),
        });
        let mut found = Vec::new();
        decode(&grids, 320, 320, 0.6, &mut found).expect("the numbers fit");
        suppress(&mut found, 0.3, Overlap::WholePixels);
        let source = entry["source"].as_str().expect("a name");
        let expected = reference.faces(source, "320");
        assert_eq!(found.len(), expected.faces.len(), "{source}");
        for (found, face) in found.iter().zip(&expected.faces) {
            assert!(face.bounds.iou(&found.bounds) > 0.9999, "{source}");
            assert!((face.score - found.score).abs() < 1e-4, "{source}");
        }
    }
    assert_eq!(entries.len(), 3);
}

/// Every face of every picture is that of OpenCV: at the two sizes, with both backends.
#[test]
fn faces_are_those_of_opencv() {
    let reference = Reference::read();
    for engine in engines() {
        for (side, model) in [("640", "yunet_n_640_640"), ("320", "yunet_n_320_320")] {
            let model = testdata().join(format!("models/{model}.onnx"));
            let model = Model::read(&model, None).expect("the model is there");
            let yunet = |settings: YuNetSettings| {
                let session = engine.load(&model).expect("the engine knows its operators");
                YuNet::new(session, &model, settings).expect("it is a YuNet")
            };
            let mut yunet_of_one = yunet(YuNetSettings::default());
            let mut yunet_of_all = yunet(YuNetSettings {
                overlap: 1.0,
                ..YuNetSettings::default()
            });
            for file in reference.files() {
                let picture = photograph(file);
                let mut found = Vec::new();
                let mut all = Vec::new();
                let view = [picture.view()];
                yunet_of_one.detect(&view, &mut found).expect("it computes");
                yunet_of_all.detect(&view, &mut all).expect("it computes");
                let expected = reference.faces(file, side);
                let context = format!("{file} at {side}, {:?}", engine.backend());
                agree(&found[0], &all[0], &expected, &context);
            }
        }
    }
}

/// Each of a face's neighbouring cells gives a box of it, and the one with the highest score is
/// kept. Where scores are as good as equal, the last bits of the decoded JPEG decide which one that
/// is: then OpenCV's must be among them.
const TIE: f32 = 0.001;

fn agree(found: &[Detection], all: &[Detection], expected: &Faces, context: &str) {
    assert_eq!(found.len(), expected.faces.len(), "{context}");
    let placed = |detection: &Detection| detection.placed(expected.scale, 0.0, 0.0);
    for face in &expected.faces {
        let overlap = |detection: &Detection| placed(detection).bounds.iou(&face.bounds);
        let nearest = |detections: &[Detection]| {
            let by_overlap = |a: &&Detection, b: &&Detection| overlap(a).total_cmp(&overlap(b));
            *detections.iter().max_by(by_overlap).expect("there is one")
        };
        let mut ours = nearest(found);
        if overlap(&ours) < 0.98 {
            let tied = nearest(all);
            let apart = ours.score - tied.score;
            assert!(apart < TIE, "{context}: {} and {apart}", overlap(&ours));
            ours = tied;
        }
        assert!(overlap(&ours) >= 0.98, "{context}: {}", overlap(&ours));
        let score = (ours.score - face.score).abs();
        assert!(score <= 0.005, "{context}: score differs by {score}");
        let landmarks = placed(&ours).landmarks.expect("YuNet gives landmarks");
        for (ours, theirs) in landmarks.iter().zip(&face.landmarks) {
            let distance = (ours.x - theirs.x).hypot(ours.y - theirs.y);
            assert!(
                distance <= 1.0,
                "{context}: a landmark is {distance} pixels off"
            );
        }
    }
}

fn photograph(file: &str) -> Picture {
    let path = testdata().join("faces/dev").join(file);
    photo::read(&path).expect("the picture can be read")
}

/// The network's picture: `side` x `side`, with the photograph at the top left.
fn letterboxed(file: &str, side: usize, scale: f32) -> Picture {
    let photograph = photograph(file);
    let shrunk = |length: usize| (length as f32 * scale).round_ties_even() as usize;
    let mut picture = Picture::default();
    picture.reset(side, side, Channels::Rgb);
    picture.fill(0);
    let (width, height) = (shrunk(photograph.width()), shrunk(photograph.height()));
    Shrinker::default().shrink(photograph.view(), width, height, &mut picture);
    picture
}

fn embedder(engine: &Engine) -> Box<dyn Embedder> {
    let file = ModelFile::at(testdata().join("models/mobilefacenet_112.onnx"));
    let model = file.load(engine).expect("the model is there");
    assert_eq!(model.kind(), Kind::ArcFace);
    model.embedder().expect("it embeds")
}

fn finder(engine: &Engine, detector: &str) -> FaceFinder {
    let file = ModelFile::at(testdata().join(format!("models/{detector}.onnx")));
    let model = file.load(engine).expect("the model is there");
    let detector = model.face_detector(&DetectorSettings::default());
    FaceFinder::new(
        detector.expect("it finds faces"),
        embedder(engine),
        QualityGate::default(),
    )
}

/// From OpenCV's landmarks to its aligned faces and their embeddings.
#[test]
fn aligned_faces_and_embeddings_are_the_published_ones() {
    let reference = Reference::read();
    let published = reference_json("embeddings_mobilefacenet.json");
    let files = published["files"].as_array().expect("there are files");
    for engine in engines() {
        let mut embedder = embedder(&engine);
        for entry in files {
            let file = entry["file"].as_str().expect("a name");
            let expected = reference.faces(file, "640");
            let index = entry["face_index"].as_u64().expect("a number") as usize;
            let picture = letterboxed(file, 640, expected.scale);
            let mut aligned = Picture::default();
            assert!(align(
                picture.view(),
                &expected.faces[index].landmarks,
                &mut aligned
            ));
            let theirs = entry["aligned_png"].as_str().expect("a name");
            let theirs = photo::read(&testdata().join("reference").join(theirs));
            let theirs = theirs.expect("the picture is there");
            let differ = aligned.data().iter().zip(theirs.data());
            let sum: u64 = differ.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = sum as f64 / aligned.data().len() as f64;
            assert!(
                mean < 0.5,
                "{file}: the aligned faces differ by {mean} of 255"
            );
            let embeddings = embedder.embed(&[aligned.view()]).expect("it computes");
            let ours = embeddings[0].as_ref().expect("it points somewhere");
            let theirs: Vec<f32> = entry["embedding"]
                .as_array()
                .expect("there is one")
                .iter()
                .map(|value| value.as_f64().expect("a number") as f32)
                .collect();
            let theirs = Embedding::new(theirs).expect("it points somewhere");
            let cosine = cosine(ours, &theirs);
            assert!(cosine >= 0.999, "{file}, {:?}: {cosine}", engine.backend());
        }
    }
    assert_eq!(files.len(), 38);
}

/// The whole way, from files to embeddings; with the threshold of the model, who is the same person
/// is told right.
#[test]
fn labelled_pairs_are_told_apart() {
    let engine = engine(Backend::OnnxRuntime);
    let mut finder = finder(&engine, "yunet_n_640_640");
    let pairs = std::fs::read_to_string(testdata().join("faces/dev/pairs.csv"));
    let pairs = pairs.expect("the pairs are there");
    let mut embeddings: BTreeMap<String, Embedding> = BTreeMap::new();
    let threshold = known(finder.model()).expect("it is known").threshold;
    let (mut right, mut all) = (0, 0);
    for line in pairs.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [a, b] = [fields[0], fields[1]].map(|file| {
            let of = || {
                let faces = finder.find(photograph(file).view()).expect("it computes");
                let best = faces.into_iter().next().expect("there is a face");
                best.embedding
                    .unwrap_or_else(|refusal| panic!("{file}: {refusal}"))
            };
            embeddings.entry(file.to_owned()).or_insert_with(of).clone()
        });
        let same = cosine(&a, &b) >= threshold;
        right += u32::from(same == (fields[2] == "1"));
        all += 1;
    }
    assert_eq!(all, 692);
    let accuracy = f64::from(right) / f64::from(all);
    assert!(accuracy >= 0.997, "{right} of {all}");
}

/// People are enrolled with the pictures of the gallery; the others are of them or of a stranger.
#[test]
fn known_people_are_recognised_and_strangers_are_not() {
    let engine = engine(Backend::OnnxRuntime);
    for detector in ["yunet_n_640_640", "yunet_n_dynamic"] {
        let mut finder = finder(&engine, detector);
        let mut gallery = Gallery::new(finder.model(), finder.dimensions());
        let folder = testdata().join("faces/dev");
        for person in names(&folder.join("gallery")) {
            for photo in names(&folder.join("gallery").join(&person)) {
                let file = format!("gallery/{person}/{photo}");
                let photo = finder.enrol(photograph(&file).view(), &file, Timestamp::UNIX_EPOCH);
                let photo = photo.unwrap_or_else(|error| panic!("{error}"));
                gallery.add(&person, photo).expect("it can be added");
            }
        }
        let gallery = Gallery::from_bytes(&gallery.to_bytes()).expect("it is one");
        let index = Index::new(&gallery);
        let decision = Decision {
            threshold: known(finder.model()).expect("it is known").threshold,
            ..Decision::default()
        };
        let probes = names(&folder.join("probe"));
        for probe in &probes {
            let file = format!("probe/{probe}");
            let faces = finder.find(photograph(&file).view()).expect("it computes");
            let best = faces.first().expect("there is a face");
            let embedding = best.embedding.as_ref();
            let embedding = embedding.unwrap_or_else(|refusal| panic!("{file}: {refusal}"));
            let identity = index
                .identify(embedding, &decision)
                .expect("people are enrolled");
            let person = probe.split('_').next().expect("the person's name");
            let known = gallery.person(person).map(|person| person.name.as_str());
            assert_eq!(
                identity.person, known,
                "{file} with {detector}: {identity:?}"
            );
        }
        assert_eq!(probes.len(), 26);
    }
}

/// Of a network for pictures of any size, files say nothing of what follows from the size.
#[test]
fn networks_of_any_size_find_the_same_with_both_backends() {
    let picture = photograph("probe/d03_3.jpg");
    let found = engines().into_iter().map(|engine| {
        let found = finder(&engine, "yunet_n_dynamic").find(picture.view());
        found.expect("it computes")
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found[0].len(), 3);
    assert_eq!(found[0].len(), found[1].len());
    for (a, b) in found[0].iter().zip(&found[1]) {
        assert!(a.detection.bounds.iou(&b.detection.bounds) > 0.99);
        assert_eq!(a.embedding.is_ok(), b.embedding.is_ok());
    }
}

#[test]
fn photographs_of_several_people_or_none_enrol_nobody() {
    let engine = engine(Backend::Tract);
    let mut finder = finder(&engine, "yunet_n_640_640");
    let group = photograph("multi/group_a.jpg");
    let error = finder
        .enrol(group.view(), "group", Timestamp::UNIX_EPOCH)
        .expect_err("there are several faces");
    assert!(error.to_string().contains("faces in it"), "{error}");
    let wall = Picture::new(vec![127; 320 * 240 * 3], 320, 240, Channels::Rgb).expect("it fits");
    let error = finder
        .enrol(wall.view(), "wall", Timestamp::UNIX_EPOCH)
        .expect_err("there is none");
    assert!(error.to_string().contains("no face"), "{error}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("it can be read").file_name().into_string()
    };
    let mut names: Vec<String> = entries.map(|e| name(e).expect("it is text")).collect();
    names.sort();
    names
}
