//! `watch`, before cameras that see people, plates and objects

use keepwatch_recognition::resample::Shrinker;
use keepwatch_recognition::{Picture, photo};
use keepwatch_testkit::camera::write_film;
use keepwatch_testkit::onnx::{Constant, Network};
use serde_json::{Value, json};

use crate::faces;
use crate::world::{World, run};

const WIDTH: usize = 960;
const HEIGHT: usize = 540;
const FPS: u32 = 10;

/// Something that comes in, moves on by some pixels with each frame, and is gone.
struct Visit {
    photo: Picture,
    from: u32,
    to: u32,
}

/// A photograph of the test data, so high.
fn shown(file: &str, height: usize, from: u32, to: u32) -> Visit {
    let path = keepwatch_testkit::testdata().join(file);
    let whole = photo::read(&path).unwrap();
    let width = whole.width() * height / whole.height();
    let mut small = Picture::default();
    small.reset(width, height, whole.channels());
    Shrinker::default().shrink(whole.view(), width, height, &mut small);
    Visit {
        photo: small,
        from,
        to,
    }
}

/// A frame of a wall, and whatever is before it.
fn frame(visits: &[Visit], number: u32) -> Vec<u8> {
    let mut pixels: Vec<u8> = (0..WIDTH * HEIGHT)
        .flat_map(|at| [90 + (20 * (at / 40 % 2) + at / WIDTH / 16) as u8; 3])
        .collect();
    for visit in visits {
        if !(visit.from..visit.to).contains(&number) {
            continue;
        }
        let (x, y) = (60 + 6 * (number - visit.from) as usize, 80);
        for row in 0..visit.photo.height() {
            let at = ((y + row) * WIDTH + x) * 3;
            let of_photo = visit.photo.row(row);
            pixels[at..at + of_photo.len()].copy_from_slice(of_photo);
        }
    }
    pixels
}

fn film(world: &World, frames: u32, visits: Vec<Visit>) {
    write_film(
        &world.path("film.mp4"),
        [WIDTH, HEIGHT],
        FPS,
        frames,
        move |number| frame(&visits, number),
    );
}

/// What was recognised while the film was watched.
fn watch(world: &World, options: &[&str]) -> Vec<Value> {
    let mut args = vec!["watch", "--store", "store", "--camera", "door=film.mp4"];
    args.extend(options);
    let mut command = world.command(args);
    let library = std::env::var_os("ORT_DYLIB_PATH").expect("it names the library of ONNX Runtime");
    command.env("ORT_DYLIB_PATH", library);
    run(&mut command).ok();
    let listed = [
        "events", "list", "--store", "store", "--limit", "1000", "--json",
    ];
    let listed = world.run(listed).ok().json();
    world
        .run(["events", "verify", "--store", "store", "--media"])
        .ok();
    let mut events = listed.as_array().unwrap().clone();
    events.retain(|event| event["kind"] != "motion");
    events.sort_by_key(|event| event["started_at"].as_str().map(str::to_owned));
    events
}

/// What there is to tell apart in an event.
fn told(events: &[Value]) -> Vec<(&str, &str)> {
    let mut told = Vec::new();
    for event in events {
        let label = event["observations"][0]["label"].as_str().unwrap();
        told.push((event["kind"].as_str().unwrap(), label));
    }
    told
}

#[test]
fn people_and_plates_are_recorded_once_a_visit() {
    let world = faces::world();
    let first = keepwatch_testkit::testdata().join("faces/dev/gallery/d03/1.jpg");
    world
        .run([
            "face",
            "enroll",
            "--store",
            "store",
            "Ada",
            first.to_str().unwrap(),
        ])
        .ok();
    world.write(
        "allow.csv",
        "plate_text,description\nRK-755 AJ,the caterer\n",
    );
    let face = |file: &str, from| shown(&format!("faces/dev/probe/{file}"), 300, from, from + 40);
    let visits = vec![
        face("d03_1.jpg", 30),
        face("d04_1.jpg", 100),
        shown("plates/dev/eu/test_002.jpg", 360, 170, 210),
        face("d03_2.jpg", 240),
    ];
    film(&world, 300, visits);
    let events = watch(&world, &["--region", "eu", "--allow-list", "allow.csv"]);
    assert_eq!(
        told(&events),
        [
            ("face_match", "Ada"),
            ("face_unknown", "unknown"),
            ("plate_read", "RK755AJ"),
        ],
        "{events:#?}"
    );
    for event in &events {
        assert!(event["snapshot"].is_object(), "{event:#}");
        assert!(event["ended_at"].is_string(), "{event:#}");
    }
    assert_eq!(events[2]["details"]["verdict"], "allow");
    assert_eq!(events[2]["details"]["entry"]["description"], "the caterer");
    nothing_is_left_of_ada(&world);
}

#[test]
fn plates_that_look_like_none_are_recorded_when_they_are_sure_or_listed() {
    // Chosen by its owner, without a digit.
    let plate = || vec![shown("plates/dev/eu/eu4.jpg", 360, 30, 70)];
    let watched = |options: &[&str]| {
        let world = World::empty();
        world
            .run_bare(["plate", "add", "--file", "deny.csv", "bimm-ian"])
            .ok();
        film(&world, 100, plate());
        watch(&world, options)
    };
    let events = watched(&["--region", "eu"]);
    assert_eq!(told(&events), [("plate_read", "BIMMIAN")], "{events:#?}");
    assert_eq!(
        (
            &events[0]["details"]["fits"],
            &events[0]["details"]["verdict"]
        ),
        (&json!(false), &json!("unlisted"))
    );
    assert_eq!(told(&watched(&["--region", "br"])), []);
    let events = watched(&["--region", "br", "--deny-list", "deny.csv"]);
    assert_eq!(told(&events), [("plate_read", "BIMMIAN")], "{events:#?}");
    assert_eq!(events[0]["details"]["verdict"], "deny");
}

/// Whoever asks to be forgotten is, and nobody else.
fn nothing_is_left_of_ada(world: &World) {
    let purge = |options: &[&str]| {
        let mut args = vec!["face", "purge-events", "--store", "store", "--json", "Ada"];
        args.extend(options);
        world.run(args).ok().json()
    };
    let recordings = |purged: &Value| purged["recordings"].as_u64().unwrap();
    let planned = purge(&["--with-recordings", "--dry-run"]);
    assert_eq!(
        (&planned["matches"], &planned["lasting"]),
        (&json!(1), &json!(0))
    );
    assert!(
        recordings(&planned) >= 1,
        "the clip of the motion: {planned}"
    );
    let purged = purge(&["--with-recordings"]);
    assert_eq!(recordings(&purged), recordings(&planned));
    let listed = [
        "events", "list", "--store", "store", "--limit", "1000", "--json",
    ];
    let listed = world.run(listed).ok();
    assert!(!listed.text().contains("Ada"));
    let mut kinds: Vec<Value> = listed
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    kinds.retain(|kind| kind != "motion");
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, ["face_unknown", "plate_read"]);
    world
        .run(["events", "verify", "--store", "store", "--media"])
        .ok();
    assert_eq!(purge(&[])["matches"], 0);
}

#[test]
fn objects_are_recorded_by_the_names_of_their_classes() {
    let world = World::empty();
    // A network that sees a dog and a cup wherever it looks: in the middle of its 64 x 64 pixels,
    // and at the upper edge.
    let mut numbers = vec![0.0; 84 * 100];
    for (at, class, score, y) in [(3, 16, 0.9, 32.0), (7, 41, 0.8, 8.0)] {
        for (row, value) in [(0, 32.0), (1, y), (2, 24.0), (3, 12.0), (4 + class, score)] {
            numbers[row * 100 + at] = value;
        }
    }
    let output = Constant {
        name: "boxes",
        shape: vec![1, 84, 100],
        values: numbers,
    };
    world.write(
        "objects.onnx",
        Network::constant(&[1, 3, 64, 64], vec![output]).to_bytes(),
    );
    let added = world
        .run(["model", "add", "--json", "objects.onnx"])
        .ok()
        .json();
    assert_eq!(added["role"], "object_detector");
    film(
        &world,
        100,
        vec![shown("plates/dev/eu/eu1.jpg", 360, 30, 60)],
    );
    let config = world.path(".config/keepwatch/keepwatch.toml");
    let models = std::fs::read_to_string(&config).unwrap();

    std::fs::write(
        &config,
        format!("{models}\n[objects]\nlabels = [\"dgo\"]\n"),
    )
    .unwrap();
    let args = ["watch", "--store", "store", "--camera", "door=film.mp4"];
    let ran = world.run(args).code(1);
    assert!(
        ran.stderr.contains("no class is called \"dgo\""),
        "{}",
        ran.stderr
    );
    assert!(!world.path("store").exists());

    std::fs::write(
        &config,
        format!("{models}\n[objects]\nlabels = [\"dog\"]\n"),
    )
    .unwrap();
    let events = watch(&world, &[]);
    assert!(!events.is_empty());
    for event in &events {
        assert_eq!(
            (&event["kind"], &event["observations"][0]["label"]),
            (&json!("object"), &json!("dog"))
        );
        assert!((event["observations"][0]["score"].as_f64().unwrap() - 0.9).abs() < 1e-6);
        assert!(event["snapshot"].is_object(), "{event:#}");
    }
}
