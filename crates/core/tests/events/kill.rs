//! A recorder that is killed at any moment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use keepwatch_core::events::{
    Event, EventFilter, EventId, EventKind, EventStore, MediaKind, VerifyOptions,
};

use crate::backend;
use crate::common::{create, event, reopen};

const STORE: &str = "KEEPWATCH_TEST_KILLED_STORE";

/// Not a test by itself: what the other one starts and kills.
#[test]
fn recorder_that_is_killed() {
    let Some(dir) = std::env::var_os(STORE) else {
        return;
    };
    record(Path::new(&dir));
}

/// Records until it is killed, and says on standard output what is durable.
fn record(dir: &Path) {
    let store = reopen(dir);
    let media = store.media();
    let content = vec![7; 100_000];
    let mut out = std::io::stdout().lock();
    for second in 0.. {
        let mut one = event("door", EventKind::Motion, second);
        one.ended_at = None;
        store.put(std::slice::from_ref(&one)).unwrap();
        writeln!(out, "put {}", one.id).unwrap();
        let mut writer = media
            .create(MediaKind::Clip, "door", one.started_at, one.id)
            .unwrap();
        for _ in 0..5 {
            writer.write_all(&content).unwrap();
        }
        one.clip = Some(writer.finish(1000).unwrap());
        one.ended_at = Some(one.started_at);
        store.put(std::slice::from_ref(&one)).unwrap();
        writeln!(out, "end {}", one.id).unwrap();
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_and_the_chain_verifies() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let mut put: Vec<EventId> = Vec::new();
    let mut ended: Vec<EventId> = Vec::new();
    // After an odd number of lines a clip is being written, after an even one nothing or the next.
    for lines in [1, 2, 7, 16, 33] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::recorder_that_is_killed", "--nocapture"])
            .env(STORE, dir.path())
            .envs(backend::environment())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let mut read = |line: &str| {
            // The harness writes on the same line before.
            let mut words = line.rsplitn(3, ' ');
            let (Some(id), Some(what)) = (words.next(), words.next()) else {
                return false;
            };
            let Ok(id) = id.parse() else { return false };
            match what {
                "put" => put.push(id),
                _ => ended.push(id),
            }
            true
        };
        while seen < lines {
            seen += usize::from(read(&out.next().unwrap().unwrap()));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in out.map_while(Result::ok) {
            read(&line);
        }

        let store = reopen(dir.path());
        let report = store.recover().unwrap();
        assert!(!report.others_recording);
        let verified = store
            .verify(&VerifyOptions {
                media: true,
                expect: None,
            })
            .unwrap();
        assert_eq!(verified.findings, []);
        let events = store.list(&EventFilter::default()).unwrap();
        let find =
            |id: &EventId| -> &Event { events.iter().find(|event| event.id == *id).unwrap() };
        for id in &put {
            assert!(find(id).ended_at.is_some());
        }
        for id in &ended {
            assert!(find(id).clip.as_ref().unwrap().complete);
        }
        assert_eq!(store.media().unfinished().unwrap(), []);
        let credential = store.clip_credential().unwrap();
        for media in &report.adopted {
            let mut reader = store.media().open(media, &credential).unwrap();
            let copied = std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
            assert!(copied <= 500_000);
        }
    }
}
