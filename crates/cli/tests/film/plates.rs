//! `plate read`

use serde_json::{Value, json};

use crate::faces::testdata;
use crate::world::{Ran, World};

fn photo(file: &str) -> String {
    let path = testdata().join("plates/dev").join(file);
    path.to_str().unwrap().to_owned()
}

fn read(world: &World, args: &[&str]) -> Ran {
    world.run_bare(["plate", "read", "--json"].iter().chain(args))
}

fn first(ran: Ran) -> Value {
    ran.ok().json()["plates"][0].clone()
}

#[test]
fn plates_of_photographs_are_read_and_looked_up() {
    let world = World::empty();
    world
        .run_bare([
            "plate",
            "add",
            "--file",
            "list.csv",
            "BIMM-IAN",
            "--description",
            "Ann",
        ])
        .ok();
    let plate = first(read(
        &world,
        &["--allow-list", "list.csv", &photo("eu/eu4.jpg")],
    ));
    assert_eq!(
        (
            &plate["text_clean"],
            &plate["matched_list"],
            &plate["description"]
        ),
        (&json!("BIMMIAN"), &json!("allow"), &json!("Ann"))
    );
    // It has no digit.
    assert_eq!(plate["fits"], false);
}

#[test]
fn a_part_of_a_photograph_is_looked_at() {
    let world = World::empty();
    let eu2 = photo("eu/eu2.jpg");
    let whole = first(read(&world, &[&eu2]));
    let part = first(read(&world, &["--within", "100,200,350,0", &eu2]));
    assert_eq!(
        (&whole["text_clean"], &part["text_clean"]),
        (&json!("GWAGEN"), &json!("GWAGEN"))
    );
    for side in 0..4 {
        let at = |plate: &Value| plate["bbox"][side].as_f64().unwrap();
        assert!((at(&whole) - at(&part)).abs() < 12.0, "{whole} {part}");
    }
    let none = read(&world, &["--within", "0,0,100,100", &eu2]).ok().json();
    assert_eq!(none["plates"], json!([]));
    // One that is too small for it, among others.
    let beyond = ["--within", "100,200,350,0"];
    world.write("small.bmp", bitmap(40, 30));
    let ran = read(&world, &[&beyond[..], &["small.bmp", &eu2]].concat()).code(3);
    assert!(ran.stderr.contains("40 x 30"), "{}", ran.stderr);
    assert_eq!(ran.json_lines().len(), 1);
    read(&world, &[&beyond[..], &["small.bmp"]].concat()).code(1);
}

/// A black picture, as Windows bitmaps are.
fn bitmap(width: u32, height: u32) -> Vec<u8> {
    let pixels = (width * 3).next_multiple_of(4) * height;
    let mut bytes = b"BM".to_vec();
    for number in [54 + pixels, 0, 54, 40, width, height] {
        bytes.extend(number.to_le_bytes());
    }
    // One plane of 24 bits.
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(54 + pixels as usize, 0);
    bytes
}

#[test]
fn what_is_set_of_reading_counts() {
    let world = World::empty();
    let with = |config: &str| {
        world.write("k.toml", config);
        read(&world, &["--config", "k.toml", &photo("eu/eu4.jpg")])
    };
    let plate = first(with("[plates]\nsubstitutions = { I = \"1\", B = \"8\" }"));
    assert_eq!(
        (&plate["text_raw"], &plate["text_clean"]),
        (&json!("BIMMIAN"), &json!("81MM1AN"))
    );
    let plate = first(with(
        "[plates]\nreader = \"tesseract\"\n[plates.tesseract]\nwhitelist = \"BIMAN- \"",
    ));
    assert!(
        plate["text_clean"].as_str().unwrap().ends_with("IMMIAN"),
        "{plate}"
    );
    // Without two of its letters, something else is read.
    let other = first(with(
        "[plates]\nreader = \"tesseract\"\n[plates.tesseract]\nwhitelist = \"BIANHT\"",
    ));
    assert!(
        !other["text_clean"]
            .as_str()
            .unwrap_or_default()
            .contains('M'),
        "{other}"
    );
    let ran = with("[plates.tesseract]\nlanguage = \"eng\"").code(2);
    assert_eq!(
        ran.stderr.matches("tesseract: it says").count(),
        1,
        "{}",
        ran.stderr
    );
    let ran =
        with("[plates]\nreader = \"tesseract\"\n[plates.tesseract]\nlanguage = \"xyz\"").code(1);
    assert!(ran.stderr.contains("no xyz.traineddata"), "{}", ran.stderr);
}
