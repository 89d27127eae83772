use std::collections::BTreeMap;

use keepwatch_recognition::plate::ocr::TesseractSettings;
use keepwatch_recognition::plate::preprocess::{AdaptiveThreshold, Bilateral, Clahe};

use super::*;

mod backuphandler;
mod securevision;
mod server;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded> {
    let read = |path: &str| match path {
        "/run/secret" => Ok("hunter2\nmore".to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    Config::load(Some(text), &environment(variables), &read)
}

const FILE: &str = r#"
schema_version = 1

[store]
path = "/var/lib/keepwatch"

[retention]
events = "30d"
segments = "36h"

[cameras.front]
url = "rtsp://10.0.0.5/live"
user = "viewer"
password = "file:/run/secret"
record = "continuous"
pre_roll = "10s"
post_roll = 2.5

[[cameras.front.motion.zones]]
name = "drive"
points = [[0, 0.5], [1, 0.5], [1, 1]]

[cameras.yard]
url = "rtsp://u:${YARD_PASSWORD}@10.0.0.6/live?x=$$1"
"#;

#[test]
fn cameras_have_settings_of_their_own_and_secrets_by_reference() {
    let loaded = load(FILE, &[("YARD_PASSWORD", "hunter3")]).expect("it is read");
    let cameras = &loaded.config.cameras;
    let (front, yard) = (&cameras["front"], &cameras["yard"]);
    let password = |camera: &CameraSettings| {
        camera
            .url
            .credentials()
            .expect("it has them")
            .password()
            .to_owned()
    };
    assert_eq!(
        (password(front), password(yard)),
        ("hunter2".to_owned(), "hunter3".to_owned())
    );
    assert_eq!(front.pre_roll.as_secs(), 10);
    assert_eq!(front.post_roll.as_millis(), 2500);
    assert_eq!(front.motion.zones[0].name, "drive");
    assert!(yard.url.location().ends_with("?x=$1"));
    let retention = loaded.config.retention;
    assert_eq!(retention.events, Some(SignedDuration::from_hours(720)));
    assert_eq!(retention.segments, Some(SignedDuration::from_hours(36)));
}

#[test]
fn variables_go_before_the_file() {
    let variables = [
        ("YARD_PASSWORD", "x"),
        ("KEEPWATCH__CAMERAS__YARD__FPS_TARGET", "3"),
        ("KEEPWATCH__CAMERAS__FRONT__URL", "rtsp://other/live"),
        ("KEEPWATCH__RETENTION__EVENTS", "7d"),
        ("KEEPWATCH_PASSWORD", "is another matter"),
    ];
    let config = load(FILE, &variables).expect("it is read").config;
    assert!((config.cameras["yard"].fps_target - 3.0).abs() < 1e-6);
    assert_eq!(config.cameras["front"].url.location(), "rtsp://other/live");
    assert_eq!(
        config.retention.events,
        Some(SignedDuration::from_hours(168))
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_without_secrets() {
    let shown = |text: &str| {
        let error = load(text, &[]).expect_err("it is refused");
        format!("{error} / {}", error.hint().unwrap_or_default())
    };
    assert_eq!(
        shown("[cameras.a]\nurl = \"rtsp://h/\"\nprerol = \"5s\""),
        "cameras.a.prerol: unknown field `prerol`, expected one of `url`, `transport`, `tls`, `read_timeout`, \
         `retry_first`, `retry_longest`, `decode`, `fps_target`, `analysis_size`, `record`, \
         `pre_roll`, `post_roll`, `max_clip`, `motion`, `privacy_masks`, `recognize`, `realtime` \
         / perhaps pre_roll is meant"
    );
    for (text, expected) in [
        ("[cameras.a]\nurl = ", "line 2:"),
        ("schema_version = 9", "schema_version 9 is not known"),
        ("[cameras.\"a/b\"]\nurl = \"rtsp://h/\"", "camera a/b:"),
        (
            "[cameras.a]\nurl = \"rtsp://h/\"\nfps_target = 0",
            "fps_target: it must be",
        ),
        (
            "[cameras.a]\nurl = \"rtsp://u:hunter2@h:99999/\"",
            "host or port",
        ),
        (
            "[cameras.a]\nurl = \"rtsp://u:${NONE}@h/\"",
            "the variable NONE is not set",
        ),
        (
            "[cameras.a]\nurl = \"rtsp://u:pa$$w$rd@h/\"",
            "a reference in url",
        ),
        (
            "[cameras.a]\nurl = \"rtsp://h/\"\npassword = \"file:/none\"",
            "cannot read the password",
        ),
        ("[retention]\nevents = \"-3d\"", "is no age"),
        ("[store]\npth = \"x\"", "perhaps path is meant"),
        (
            "[server]\nlisten = [\"127.0.0.1:0\", \"here\"]",
            "server.listen[1]: invalid socket address syntax",
        ),
        ("[server]\nlisten = 8000", "server.listen: invalid type"),
        (
            "[cameras.a]\nurl = \"rtsp://h/\"\npre_roll = \"soon\"",
            "cameras.a.pre_roll: ",
        ),
    ] {
        let shown = shown(text);
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let shown = format!("{:?}", load(FILE, &[("YARD_PASSWORD", "hunter3")]));
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn a_password_in_a_variable_is_taken_as_it_is() {
    for password in ["0815", "true", "pa$$w${rd}", "\"quoted\"", "1_000"] {
        let variables = [
            ("YARD_PASSWORD", "x"),
            ("KEEPWATCH__CAMERAS__FRONT__PASSWORD", password),
        ];
        let config = load(FILE, &variables).expect("it is read").config;
        let credentials = config.cameras["front"].url.credentials();
        assert_eq!(credentials.expect("they are there").password(), password);
    }
}

const DOCUMENT: &str = include_str!("../../../docs/CONFIG.md");

/// The examples in the document.
fn examples() -> impl Iterator<Item = &'static str> {
    let blocks = DOCUMENT.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("there is a first"))
}

#[test]
fn the_examples_of_the_document_are_read() {
    let variables = [
        ("YARD_PASSWORD", "a"),
        ("SIDE_USER", "b"),
        ("SIDE_PASSWORD", "c"),
    ];
    let read = |path: &str| match path {
        "/run/secrets/front" | "/run/secrets/vault" | "/run/secrets/s3" => Ok("d\n".to_owned()),
        "/run/secrets/heartbeat" => Ok("https://hc.example/d\n".to_owned()),
        "/run/secrets/topic" => Ok("evidence-d\n".to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let mut names = Vec::new();
    for example in examples() {
        let loaded = Config::load(Some(example), &environment(&variables), &read);
        let config = loaded
            .unwrap_or_else(|error| panic!("{error}:\n{example}"))
            .config;
        names.extend(config.cameras.keys().cloned());
        if let Some(plain) = config.cameras.get("plain") {
            assert_eq!(plain, &CameraSettings::new(plain.url.clone()));
        }
    }
    assert_eq!(names, ["front", "yard", "plain", "gate", "side"]);
}

fn first_cell(line: &str) -> &str {
    line.split('|').nth(1).unwrap_or_default()
}

/// Of the tables in which every key that has a default has one that can be written.
#[test]
fn the_document_has_the_defaults_of_recognition() {
    let written = |value: serde_json::Result<serde_json::Value>| value.expect("it is written");
    let tesseract = written(serde_json::to_value(TesseractSettings::default()));
    let filters = ["bilateral", "clahe", "adaptive_threshold"];
    let tables = [
        written(serde_json::to_value(PlateSettings::default())),
        tesseract["preprocess"].clone(),
        tesseract,
        written(serde_json::to_value(RecognitionSettings::default())),
    ];
    let mut compared = 0;
    for (key, value) in tables
        .iter()
        .flat_map(|table| table.as_object().expect("a table"))
    {
        // What is off by default has no value, and tables have rows of their own.
        if value.is_null() || value.is_object() || value.is_array() {
            continue;
        }
        // Single precision has more digits in double.
        let value = match value.as_f64() {
            Some(number) if value.is_f64() => format!("{:?}", number as f32),
            _ => value.to_string(),
        };
        let plain = value.trim_end_matches(".0");
        let row =
            |line: &&str| line.starts_with("| `") && first_cell(line).contains(&format!("`{key}`"));
        let has = |line: &str| {
            [&value, plain]
                .iter()
                .any(|value| line.contains(&format!("| `{value}` | ")))
        };
        assert!(DOCUMENT.lines().filter(row).any(has), "{key}: {value}");
        compared += 1;
    }
    assert!(compared > 25, "{compared}");
    let of_filters = [
        written(serde_json::to_value(Bilateral::default())),
        written(serde_json::to_value(Clahe::default())),
        written(serde_json::to_value(AdaptiveThreshold::default())),
    ];
    for (filter, settings) in filters.iter().zip(of_filters) {
        let row = DOCUMENT
            .lines()
            .find(|line| line.starts_with(&format!("| `{filter}` | ")));
        let row = row.expect("it has a row");
        for (key, value) in settings.as_object().expect("a table") {
            assert!(row.contains(&format!("`{key}`")), "{key}");
            assert!(row.contains(&format!("`{value}`")), "{key}: {value}");
        }
    }
}

#[test]
fn the_document_names_every_key_with_its_default() {
    let camera = CameraSettings::new("rtsp://h/".parse().expect("an address"));
    let camera = serde_json::to_value(camera).expect("it is written");
    let keys_of = |value: &serde_json::Value| -> Vec<String> {
        let table = value.as_object().expect("it is a table");
        table.keys().cloned().collect()
    };
    let mut keys = keys_of(&camera);
    keys.extend(keys_of(&camera["motion"]));
    // The keys that come by no such way.
    keys.extend(["schema_version", "path", "recipients"].map(str::to_owned));
    keys.extend(["events", "segments", "segment_bytes"].map(str::to_owned));
    let table =
        |value: serde_json::Result<serde_json::Value>| keys_of(&value.expect("it is written"));
    keys.extend(table(serde_json::to_value(InferenceSettings::default())));
    keys.extend(table(serde_json::to_value(FaceSettings::default())));
    keys.extend(table(serde_json::to_value(PlateSettings::default())));
    keys.extend(table(serde_json::to_value(RecognitionSettings::default())));
    let tesseract = serde_json::to_value(TesseractSettings::default()).expect("it is written");
    keys.extend(keys_of(&tesseract));
    keys.extend(keys_of(&tesseract["preprocess"]));
    keys.retain(|key| key != "preprocess");
    keys.extend(["sha256", "kind", "normalization", "recognize"].map(str::to_owned));
    keys.retain(|key| key != "motion");
    for key in keys {
        let named = format!("`{key}`");
        let row = |line: &str| line.starts_with("| `") && first_cell(line).contains(&named);
        assert!(DOCUMENT.lines().any(row), "{key}");
    }
    let plain = examples().find(|example| example.contains("plain"));
    let plain = plain.expect("it is there");
    for key in keys_of(&camera).iter().chain(&keys_of(&camera["motion"])) {
        let line = plain
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key} = ")));
        let Some(default) = line.filter(|default| !matches!(*default, "[]")) else {
            assert!(
                matches!(key.as_str(), "motion" | "privacy_masks" | "zones" | "masks"),
                "{key}"
            );
            continue;
        };
        let row = DOCUMENT
            .lines()
            .find(|row| row.starts_with(&format!("| `{key}` | ")));
        let row = row.expect("it was found before");
        assert!(
            key == "url" || row.contains(&format!("| `{default}` | ")),
            "{row}"
        );
    }
}
