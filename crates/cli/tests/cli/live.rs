//! `watch` and `camera probe` with cameras on the network.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use keepwatch_testkit::camera::{Auth, Behaviour, Film, RtspCamera, Scheme};
use serde_json::Value;

use crate::world::World;

/// What stands nowhere by itself, so that finding it means that it leaked.
const SECRET: &str = "Zq7w:X@/tops3cret";

/// The same, as it may look after some handling.
const FORMS: [&str; 4] = [
    "Zq7w",
    "tops3cret",
    // `admin:` and the secret in base64, from two offsets.
    "YWRtaW46WnE3dzpYQC90b3BzM2NyZXQ",
    "WnE3dzpYQC90b3BzM2NyZX",
];

fn place(camera: &RtspCamera) -> String {
    let url = camera.url();
    let (_, place) = url.rsplit_once('@').unwrap_or(("", &url[7..]));
    place.to_owned()
}

/// What something passes through for two seconds of four.
fn busy() -> Film {
    Film {
        frames: 100,
        passing: Some((25, 75)),
        ..Film::default()
    }
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for form in FORMS {
        assert!(!text.contains(form), "{form} is in {what}: {text}");
    }
}

/// No file beneath the world holds it, but those that were made with it.
fn assert_clean_files(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            assert_clean_files(&path);
        } else if name != "secret" {
            assert_clean(&path.display().to_string(), &fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_password_of_a_camera_comes_out_nowhere() {
    let basic = Auth::new(Scheme::Basic, "admin", SECRET);
    let digest = Auth::new(Scheme::Digest, "admin", SECRET);
    let other = Auth::new(Scheme::Digest, "admin", "something-else");
    let cameras = [basic, digest, other]
        .map(|auth| RtspCamera::start(Behaviour::showing(&busy()).for_user(auth)));
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    world.write("secret", SECRET);
    let config: String = ["basic", "digest", "wrong"]
        .iter()
        .zip(&cameras)
        .map(|(name, camera)| {
            format!(
                "[cameras.{name}]\nurl = \"rtsp://{}\"\nuser = \"admin\"\n\
                 password = \"file:secret\"\ndecode = \"all\"\nread_timeout = \"1s\"\n",
                place(camera)
            )
        })
        .collect();
    world.write("keepwatch.toml", config);
    let store = ["--store", "store", "--password-file", "pw"];
    for json in [true, false] {
        let mut watch = world.bare(["watch", "--config", "keepwatch.toml", "--for", "7s", "-vvv"]);
        watch
            .args(store)
            .env("KEEPWATCH_LOG", "trace")
            .env("GST_DEBUG", "rtsp*:9");
        if json {
            watch.arg("--json");
        }
        let ran = watch.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        // Not all that was asked for could be had.
        assert_eq!(ran.status.code(), Some(3), "{said}");
        assert!(said.contains("refuses user or password"), "{said}");
        assert_clean("what is said", &ran.stderr);
        assert_clean("what is put out", &ran.stdout);
    }
    for command in [vec!["events", "list"], vec!["events", "list", "--json"]] {
        let ran = world.run_bare(command.into_iter().chain(store)).ok();
        assert!(ran.text().contains("motion"), "{}", ran.text());
        assert_clean("the list", &ran.stdout);
    }
    for (camera, works) in [(&cameras[0], true), (&cameras[2], false)] {
        let encoded: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let url = format!("rtsp://admin:{encoded}@{}", place(camera));
        for json in ["--json", "-vvv"] {
            let ran = world
                .bare(["camera", "probe", json, &url])
                .output()
                .unwrap();
            assert_eq!(ran.status.success(), works);
            for bytes in [&ran.stdout, &ran.stderr] {
                assert_clean("the probe", bytes);
                assert!(!String::from_utf8_lossy(bytes).contains(&encoded));
            }
        }
    }
    assert_clean_files(&world.path(""));
}

#[test]
fn what_was_recorded_when_it_was_killed_is_there() {
    let camera = RtspCamera::start(Behaviour::showing(&busy()));
    let world = World::empty();
    world.write("pw", "a passphrase\n");
    let store = ["--store", "store", "--password-file", "pw"];
    let url = format!("yard={}", camera.url());
    let mut watch = world.bare(["watch", "--json", "--decode", "all", "--camera", &url]);
    watch.args(store).stdout(Stdio::piped());
    let mut child = watch.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let begun = lines.find(|event| event["kind"] == "motion" && event["ended_at"].is_null());
    let begun = begun.expect("something passes");
    // Some seconds of it are on disk.
    let sent = camera.stats().frames;
    camera.wait_for(std::time::Duration::from_secs(30), |stats| {
        stats.frames >= sent + 50
    });
    child.kill().unwrap();
    child.wait().unwrap();

    // As it was left: whole up to the last commit, with an event that has no end yet.
    world
        .run_bare(["events", "verify", "--media"].into_iter().chain(store))
        .ok();
    let list = || {
        let list = ["events", "list", "--json"].into_iter().chain(store);
        world.run_bare(list).ok().json()
    };
    let of = |events: &Value| {
        let events = events.as_array().unwrap().iter();
        events
            .clone()
            .find(|event| event["id"] == begun["id"])
            .unwrap()
            .clone()
    };
    assert!(of(&list())["ended_at"].is_null());

    // The next recording takes over what was cut off.
    let watch = ["watch", "--for", "1s", "--camera", &url];
    world.run_bare(watch.into_iter().chain(store)).ok();
    let event = of(&list());
    assert!(!event["ended_at"].is_null(), "{event}");
    assert!(!event["clip"].is_null(), "{event}");
    let id = event["id"].as_str().unwrap();
    let export = ["events", "export", "--clip", id, "-o", "clip.mp4"];
    // What there is of it.
    world.run_bare(export.into_iter().chain(store)).code(3);
    let probed = world
        .run_bare(["camera", "probe", "--json", "clip.mp4"])
        .ok()
        .json();
    let clip = fs::read(world.path("clip.mp4")).unwrap();
    let end = keepwatch_vision::mp4::scan(&clip[..]).unwrap();
    assert!(!end.cut && end.whole_bytes == clip.len() as u64, "{end:?}");
    // The pre-roll and what followed, to the last whole chunk.
    assert!(probed["frames"].as_u64().unwrap() >= 50, "{probed}");
    world
        .run_bare(["events", "verify", "--media"].into_iter().chain(store))
        .ok();
}
