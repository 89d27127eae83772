//! The networks for plates on scenes that `tools/plates` has drawn, against what its own program
//! made of them.

use std::path::Path;

use keepwatch_recognition::plate::grammar::{Grammar, Region};
use keepwatch_recognition::plate::network::{NetworkFinder, NetworkReader};
use keepwatch_recognition::plate::scan::{PlateFinder, ScanSettings, Scanner};
use keepwatch_recognition::{Point, photo};
use serde_json::Value;

use crate::engines;

fn corners(value: &Value) -> [Point; 4] {
    let number = |value: &Value| value.as_f64().expect("a number") as f32;
    [0, 1, 2, 3].map(|index| Point {
        x: number(&value[index][0]),
        y: number(&value[index][1]),
    })
}

#[test]
fn drawn_scenes_are_read_as_the_training_program_reads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plates");
    let expected = std::fs::read(folder.join("expected.json")).expect("it is there");
    let expected: Value = serde_json::from_slice(&expected).expect("it is JSON");
    let scenes = expected["scenes"].as_array().expect("there are scenes");
    assert!(scenes.len() >= 8);
    for engine in engines() {
        let mut finder = NetworkFinder::new(&engine).expect("it is a network");
        let mut scanner = Scanner::new(
            NetworkFinder::new(&engine).expect("it is a network"),
            NetworkReader::new(&engine).expect("it is a network"),
            ScanSettings::default(),
        );
        for scene in scenes {
            let file = scene["file"].as_str().expect("a name");
            let picture = photo::read(&folder.join(file)).expect("it is there");
            let context = format!("{file} with {:?}", engine.backend());
            let mut found = Vec::new();
            let ran = finder.find(picture.view(), &mut found);
            ran.expect("it computes");
            let closer = scene["closer"].as_array().expect("a list");
            let sure = |value: &&Value| value["score"].as_f64().is_some_and(|score| score > 0.5);
            for plate in closer.iter().filter(sure) {
                let theirs = corners(&plate["corners"]);
                let near = |quad: &keepwatch_recognition::Quad| {
                    let apart = quad.0.iter().zip(&theirs);
                    let apart = apart.map(|(a, b)| (a.x - b.x).hypot(a.y - b.y));
                    apart.fold(0.0, f32::max)
                };
                let nearest = found
                    .iter()
                    .map(|ours| near(&ours.quad))
                    .fold(f32::MAX, f32::min);
                assert!(nearest < 3.0, "{context}: {nearest} pixels off");
            }
            let plates = scanner.scan(picture.view(), &Grammar::new(Region::Eu));
            let plates = plates.expect("it computes");
            let best = plates.first().map(|plate| plate.reading.text.as_str());
            match scene["text"].as_str() {
                Some(text) if !text.is_empty() => assert_eq!(best, Some(text), "{context}"),
                _ => {
                    let sure = plates.first().is_some_and(|plate| plate.value > 0.5);
                    assert!(!sure, "{context}: there is none, and {best:?} was read");
                }
            }
        }
    }
}
