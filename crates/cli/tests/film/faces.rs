//! `face` and `model`

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::world::{Ran, World, run};

pub fn testdata() -> PathBuf {
    let folder = std::env::var_os("KEEPWATCH_TESTDATA").map(PathBuf::from);
    let folder = folder.expect("KEEPWATCH_TESTDATA names the folder of the test data");
    assert!(
        folder.join("faces").is_dir(),
        "no test data at {}",
        folder.display()
    );
    folder
}

fn photo(file: &str) -> String {
    let path = testdata().join("faces/dev").join(file);
    path.to_str().unwrap().to_owned()
}

fn model(file: &str) -> String {
    let path = testdata().join("models").join(file);
    path.to_str().unwrap().to_owned()
}

fn faces(world: &World, args: &[&str]) -> Ran {
    let mut all = vec!["face", args[0], "--store", "store"];
    all.extend(&args[1..]);
    world.run(all)
}

/// A world whose configuration names the models.
pub fn world() -> World {
    let world = World::empty();
    for file in ["yunet_n_640_640.onnx", "mobilefacenet_112.onnx"] {
        world.run(["model", "add", &model(file)]).ok();
    }
    world
}

fn people(world: &World, file: &str) -> Vec<Value> {
    let identified = faces(world, &["identify", "--json", &photo(file)])
        .ok()
        .json();
    let faces = identified["faces"].as_array().unwrap();
    faces.iter().map(|face| face["person_id"].clone()).collect()
}

#[test]
fn people_are_enrolled_identified_and_forgotten() {
    let world = world();
    let (first, second) = (photo("gallery/d03/1.jpg"), photo("gallery/d03/2.jpg"));
    let enrolled = faces(&world, &["enroll", "--json", "Ada", &first, &second])
        .ok()
        .json();
    assert_eq!(
        (&enrolled["added"], &enrolled["photos"]),
        (&json!(2), &json!(2))
    );
    let again = faces(&world, &["enroll", "--json", "Ada", &first])
        .ok()
        .json();
    assert_eq!((&again["added"], &again["known"]), (&json!(0), &json!(1)));
    faces(&world, &["enroll", "Ben", &photo("gallery/d07/1.jpg")]).ok();

    assert_eq!(people(&world, "probe/d03_1.jpg"), ["Ada"]);
    assert_eq!(people(&world, "probe/d07_1.jpg"), ["Ben"]);
    assert_eq!(
        people(&world, "probe/d04_1.jpg"),
        [Value::Null],
        "a stranger"
    );
    let identified = faces(&world, &["identify", "--json", &photo("probe/d03_1.jpg")]);
    let face = identified.ok().json()["faces"][0].clone();
    assert!(face["similarity"].as_f64().unwrap() > 0.48);
    assert!(face["score"].as_f64().unwrap() > 0.8);
    assert_eq!(face["bbox"].as_array().unwrap().len(), 4);

    let listed = faces(&world, &["list", "--json"]).ok().json();
    let names: Vec<&Value> = listed["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["person_id"])
        .collect();
    assert_eq!(names, ["Ada", "Ben"]);

    faces(&world, &["remove", "Ada"]).ok();
    assert_eq!(people(&world, "probe/d03_1.jpg"), [Value::Null]);
    faces(&world, &["remove", "Ada"]).code(1);
    faces(&world, &["remove", "Ben"]).ok();
    assert!(!world.path("store/private/faces").exists());
}

#[test]
fn photographs_that_cannot_be_used_are_told_and_left_out() {
    let world = world();
    world.write("broken.jpg", b"\xff\xd8\xff\xe0 and nothing more");
    let good = photo("gallery/d01/1.jpg");
    let group = photo("multi/group_a.jpg");
    let ran = faces(
        &world,
        &["enroll", "Ada", "broken.jpg", &group, &good, "no.jpg"],
    )
    .code(3);
    for problem in ["broken.jpg", "faces in it", "cannot read no.jpg"] {
        assert!(ran.stderr.contains(problem), "{}", ran.stderr);
    }
    assert_eq!(people(&world, "probe/d01_1.jpg"), ["Ada"]);
    faces(&world, &["enroll", "Ben", "broken.jpg"]).code(1);
    faces(&world, &["enroll", " ", &good]).code(1);
    let listed = faces(&world, &["list", "--json"]).ok().json();
    assert_eq!(listed["people"].as_array().unwrap().len(), 1);
}

#[test]
fn pictures_are_what_they_hold_and_not_what_they_are_called() {
    let world = world();
    faces(&world, &["enroll", "Eve", &photo("gallery/d08/1.jpg")]).ok();
    faces(&world, &["enroll", "Fay", &photo("gallery/d05/1.jpg")]).ok();
    // WebP by the name of JPEG, and PNG with transparency.
    assert_eq!(people(&world, "probe/d08_5.jpg"), ["Eve"]);
    assert_eq!(people(&world, "probe/d05_7.png"), ["Fay"]);
}

#[test]
fn models_are_named_with_their_digest_and_a_change_is_found() {
    let world = World::empty();
    let ran = faces(&world, &["enroll", "Ada", &photo("gallery/d01/1.jpg")]).code(1);
    assert!(
        ran.stderr.contains("no model is set as face_detector"),
        "{}",
        ran.stderr
    );
    world.run(["model", "verify"]).code(1);

    world.write(
        "keepwatch.toml",
        "# mine\n[store]\npath = \"store\" # here\n",
    );
    let named = ["--config", "keepwatch.toml"];
    let copy = world.path("embedder.onnx");
    std::fs::copy(model("mobilefacenet_112.onnx"), &copy).unwrap();
    let add = |file: &str| {
        let args = ["model", "add"].into_iter().chain(named).chain([file]);
        world.run(args)
    };
    add("embedder.onnx").ok();
    add(&model("yunet_n_dynamic.onnx")).ok();
    let ran = add("embedder.onnx").code(1);
    assert!(ran.stderr.contains("already"), "{}", ran.stderr);
    add("keepwatch.toml").code(1);
    let text = std::fs::read_to_string(world.path("keepwatch.toml")).unwrap();
    assert!(
        text.starts_with("# mine\n[store]\npath = \"store\" # here\n"),
        "{text}"
    );

    let config = |command: &str| {
        let args = ["model", command, "--json"].into_iter().chain(named);
        world.run(args)
    };
    let verified = config("verify").ok().json();
    let row = |index: usize| {
        let row = &verified[index];
        (
            row["role"].as_str().unwrap(),
            row["kind"].as_str().unwrap(),
            row["state"].as_str().unwrap(),
        )
    };
    assert_eq!(row(0), ("face_detector", "yunet", "ok"));
    assert_eq!(row(1), ("face_embedder", "arcface", "ok"));

    let mut bytes = std::fs::read(&copy).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    config("verify").code(13);
    assert_eq!(config("list").ok().json()[1]["state"], "changed");
    let args = ["face", "enroll", "--store", "s", "Ada"].map(str::to_owned);
    let args = args.into_iter().chain([photo("gallery/d01/1.jpg")]);
    let ran = world.run(args.chain(named.map(str::to_owned))).code(1);
    assert!(ran.stderr.contains("it was changed"), "{}", ran.stderr);
    std::fs::remove_file(&copy).unwrap();
    assert_eq!(config("list").ok().json()[1]["state"], "missing");
    config("verify").code(1);
}

#[test]
fn the_doctor_says_what_computes_networks() {
    let world = world();
    let report = |command: &mut std::process::Command| run(command).ok().json();
    let detail = |report: &Value, what: &str| {
        let findings = report.as_array().unwrap();
        let finding = findings
            .iter()
            .find(|finding| finding["what"] == what)
            .unwrap();
        finding["detail"].as_str().unwrap().to_owned()
    };
    let library = std::env::var_os("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH names the library");
    let mut command = world.command(["doctor", "--json"]);
    let found = report(command.env("ORT_DYLIB_PATH", &library));
    assert!(detail(&found, "inference").contains("ONNX Runtime"));
    assert!(detail(&found, "face_detector").contains("yunet"));
    let mut command = world.command(["doctor", "--json"]);
    command.env("KEEPWATCH__INFERENCE__BACKEND", "tract");
    assert_eq!(detail(&report(&mut command), "inference"), "tract");
    let mut command = world.command(["doctor", "--json"]);
    command.env("KEEPWATCH__PLATES__READER", "tesseract");
    let tesseract = detail(&report(&mut command), "tesseract");
    assert!(
        tesseract.starts_with("5.") && tesseract.ends_with(", eng"),
        "{tesseract}"
    );
    let mut command = world.command(["doctor"]);
    command.env(
        "KEEPWATCH__INFERENCE__LIBRARY",
        "/nowhere/libonnxruntime.so",
    );
    let ran = run(&mut command).code(1);
    assert!(
        ran.text().contains("/nowhere/libonnxruntime.so"),
        "{}",
        ran.text()
    );
}

#[test]
fn what_cannot_be_recognised_leaves_no_store() {
    let world = World::empty();
    let watch = |args: &[&str]| {
        let base = [
            "watch", "--store", "s", "--camera", "t=test:", "--for", "1s",
        ];
        let ran = world.run(base.iter().chain(args));
        assert!(!world.path("s").exists());
        ran
    };
    let ran = watch(&["--region", "xx"]).code(2);
    assert!(ran.stderr.contains("xx"), "{}", ran.stderr);
    let ran = watch(&["--allow-list", "nowhere.csv"]).code(1);
    assert!(ran.stderr.contains("nowhere.csv"), "{}", ran.stderr);
}

#[test]
fn a_gallery_is_backed_up_with_its_store() {
    let world = world();
    faces(&world, &["enroll", "Ada", &photo("gallery/d03/1.jpg")]).ok();
    world.run(["init"]).ok();
    world.run(["backup", "--event-store", "store"]).ok();
    let store = world.path("store");
    std::fs::rename(&store, world.path("old")).unwrap();
    let path = store.to_str().unwrap();
    world
        .run(["restore", "latest", "--path", path, "--target", "store"])
        .ok();
    assert_eq!(people(&world, "probe/d03_1.jpg"), ["Ada"]);
}
