//! What is otherwise when the database is on a server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{
    AuditFilter, EventFilter, EventKind, EventStore, FindingKind, PostgresUrl, Store, StoreOptions,
    StoreRole, VerifyOptions,
};
use keepwatch_core::{Error, with_causes};
use keepwatch_testkit::postgres::{PASSWORD, Postgres};

use crate::backend;
use crate::common::{create, credential, event, key, reopen};

const LONG: Duration = Duration::from_secs(60);

fn unavailable<T>(result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => false,
        Err(Error::Unavailable { .. }) => true,
        Err(other) => panic!("{}", with_causes(&other)),
    }
}

fn verified(store: &Store) {
    let report = store.verify(&VerifyOptions::default()).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn two_hosts_extend_one_chain_and_see_each_other() {
    const EACH: usize = 1000;
    let dir = tempfile::tempdir().unwrap();
    let stores = [create(dir.path()), reopen(dir.path())];
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(index, store)| {
                scope.spawn(move || {
                    let camera = format!("camera-{index}");
                    for second in 0..EACH {
                        let one = event(&camera, EventKind::Motion, second as i64);
                        store.put(&[one]).unwrap();
                    }
                })
            })
            .collect();
        let (store, written) = (&stores[0], &written);
        let follower = scope.spawn(move || {
            let (mut seen, mut others) = (0, 0);
            while others < EACH {
                assert!(!written.load(Ordering::SeqCst) || store.head().unwrap() > seen);
                let head = store.wait(seen, LONG).unwrap();
                assert!(head > seen, "it waited for a minute");
                for (number, event) in store.changes(seen, usize::MAX).unwrap() {
                    seen = number;
                    others += usize::from(event.camera == "camera-1");
                }
                seen = seen.max(head);
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        written.store(true, Ordering::SeqCst);
        follower.join().unwrap();
    });
    let counts = stores[1].count(&EventFilter::default()).unwrap();
    assert_eq!(counts[&EventKind::Motion], 2 * EACH as u64);
    verified(&stores[0]);
}

#[test]
fn a_server_that_goes_away_is_an_error_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Postgres::start();
    let url: PostgresUrl = server.create_database("events").parse().unwrap();
    let key = key();
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let store = Store::create_on_server(&url, dir.path(), &locks, &StoreOptions::default());
    let store = store.unwrap();
    let mut first = event("door", EventKind::Motion, 0);
    // An event that has not ended is held by a lock of the session that is lost.
    first.ended_at = None;
    store.put(std::slice::from_ref(&first)).unwrap();
    let head = store.head().unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| store.wait(head, LONG));
        server.stop();
        assert!(unavailable(waits.join().unwrap()));
    });
    let second = event("door", EventKind::Motion, 1);
    for _ in 0..3 {
        assert!(unavailable(store.put(std::slice::from_ref(&second))));
        assert!(unavailable(store.get(first.id)));
        assert!(unavailable(store.list(&EventFilter::default())));
        assert!(unavailable(store.head()));
        assert!(unavailable(store.wait(head, LONG)));
        assert!(unavailable(store.verify(&VerifyOptions::default())));
        assert!(unavailable(Store::open_on_server(
            &url,
            dir.path(),
            &credential()
        )));
    }
    server.restart();
    store.put(std::slice::from_ref(&second)).unwrap();
    assert_eq!(store.wait(head, LONG).unwrap(), store.head().unwrap());
    assert_eq!(
        store.list(&EventFilter::default()).unwrap(),
        [second, first]
    );
    // It is held again, in the new session.
    let other = Store::open_on_server(&url, dir.path(), &credential()).unwrap();
    assert!(other.recover().unwrap().others_recording);
    verified(&store);
    // What broke while nobody looked is an error once, and then works.
    server.stop();
    server.restart();
    let broken = (0..10).filter(|_| store.head().is_err()).count();
    assert_eq!(broken, 1);
}

#[test]
fn the_database_does_not_show_what_was_seen_nor_who_did_what() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let mut one = event("door", EventKind::PlateRead, 0);
    one.observations[0].label = "B-AB 1234".to_owned();
    one.reason = Some("a reason in words".to_owned());
    store.put(&[one]).unwrap();
    store.audit("annabelle", "look", "at it".into()).unwrap();
    let change = |_: Option<&[u8]>| Ok::<_, Error>(Some(b"who is known".to_vec()));
    store.change_private("faces", change).unwrap();
    let dump = backend::server().dump(&backend::database(dir.path()));
    let shows = |text: &[u8]| {
        let hex = hex::encode(text);
        [text, hex.as_bytes()]
            .iter()
            .any(|text| dump.windows(text.len()).any(|window| window == *text))
    };
    // So that it is looked for rightly.
    assert!(shows(b"door") && shows(b"plate_read"));
    for text in [
        "B-AB",
        "bab1234",
        "in words",
        "annabelle",
        "at it",
        "is known",
    ] {
        assert!(!shows(text.as_bytes()), "{text}");
    }
    assert_eq!(store.audit_log(&AuditFilter::default()).unwrap().len(), 1);
}

#[test]
fn whatever_is_changed_in_the_database_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events: Vec<_> = (0..10)
        .map(|second| event("door", EventKind::Motion, second))
        .collect();
    store.put(&events).unwrap();
    store.audit("ann", "look", serde_json::Value::Null).unwrap();
    let good = store.verify(&VerifyOptions::default()).unwrap();
    assert_eq!(good.findings, []);
    let database = backend::database(dir.path());
    let server = backend::server();
    server.run(
        &database,
        "CREATE SCHEMA good; CREATE TABLE good.records AS TABLE keepwatch.records;
         CREATE TABLE good.events AS TABLE keepwatch.events;
         CREATE TABLE good.labels AS TABLE keepwatch.labels",
    );
    for (change, kind) in [
        (
            "UPDATE records SET body = overlay(body PLACING '\\x00' FROM 60) WHERE seq = 3",
            FindingKind::Changed,
        ),
        (
            "UPDATE records SET body = (SELECT body FROM records WHERE seq = 4) WHERE seq = 3",
            FindingKind::Changed,
        ),
        (
            "UPDATE records SET kind = 3 WHERE seq = 3",
            FindingKind::Changed,
        ),
        (
            "UPDATE records SET subject = NULL WHERE seq = 3",
            FindingKind::Changed,
        ),
        (
            "UPDATE records SET link = digest WHERE seq = 3",
            FindingKind::Broken,
        ),
        ("DELETE FROM records WHERE seq = 3", FindingKind::Removed),
        ("DELETE FROM events WHERE seq = 3", FindingKind::Projection),
        (
            "UPDATE events SET camera = 'yard' WHERE seq = 3",
            FindingKind::Projection,
        ),
        (
            "UPDATE events SET kind = 'tamper' WHERE seq = 3",
            FindingKind::Projection,
        ),
        (
            "UPDATE events SET started = started + 1 WHERE seq = 3",
            FindingKind::Projection,
        ),
        (
            "UPDATE events SET ended = NULL WHERE seq = 3",
            FindingKind::Projection,
        ),
        (
            "DELETE FROM labels WHERE id = (SELECT id FROM events WHERE seq = 3)",
            FindingKind::Projection,
        ),
        (
            "UPDATE labels SET label = id WHERE ctid = (SELECT min(ctid) FROM labels)",
            FindingKind::Projection,
        ),
        (
            "INSERT INTO labels VALUES ('\\x00112233445566778899aabbccddeeff', '\\x00', 1)",
            FindingKind::Projection,
        ),
    ] {
        server.run(&database, &format!("SET search_path = keepwatch; {change}"));
        let report = store.verify(&VerifyOptions::default()).unwrap();
        let found = report.findings.iter().any(|finding| finding.kind == kind);
        assert!(found, "{change}: {:?}", report.findings);
        server.run(
            &database,
            "SET search_path = keepwatch; TRUNCATE records, events, labels;
             INSERT INTO records TABLE good.records; INSERT INTO events TABLE good.events;
             INSERT INTO labels TABLE good.labels",
        );
    }
    verified(&store);
    let expect = Some((good.head_seq, good.head_link));
    server.run(&database, "DELETE FROM keepwatch.records WHERE kind = 3");
    let options = VerifyOptions {
        media: false,
        expect,
    };
    let report = store.verify(&options).unwrap();
    assert_eq!(report.findings.last().unwrap().kind, FindingKind::Truncated);
}

#[test]
fn no_store_a_wrong_key_and_a_second_store_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    let missing = Store::open_on_server(&backend::url(&place("a")), dir.path(), &credential());
    assert!(matches!(missing, Err(Error::NoStore { .. })), "{missing:?}");
    backend::server().create_database(&backend::database(&place("a")));
    let empty = Store::open_on_server(&backend::url(&place("a")), dir.path(), &credential());
    assert!(matches!(empty, Err(Error::NoStore { .. })), "{empty:?}");
    drop(create(&place("a")));
    let other = Credential::KeyFile(Key::from_bytes([1; 32]));
    let wrong = backend::open(&place("a"), &other);
    assert!(matches!(wrong, Err(Error::WrongKey { .. })), "{wrong:?}");
    let key = key();
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let (url, options) = (backend::url(&place("a")), StoreOptions::default());
    for media in ["a", "b"] {
        let again = Store::create_on_server(&url, &place(media), &locks, &options);
        assert!(matches!(again, Err(Error::StoreExists { .. })), "{again:?}");
    }
    // With the header of another store no key fits.
    drop(create(&place("c")));
    let server = backend::server();
    let header = server.run(
        &backend::database(&place("c")),
        "SELECT encode(bytes, 'hex') FROM keepwatch.files WHERE name = 'store'",
    );
    let change = format!("UPDATE keepwatch.files SET bytes = '\\x{header}' WHERE name = 'store'");
    server.run(&backend::database(&place("a")), &change);
    assert!(backend::open(&place("a"), &credential()).is_err());
}

#[test]
fn private_files_are_changed_by_one_at_a_time_and_tell_their_state() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [create(dir.path()), reopen(dir.path())];
    assert_eq!(stores[0].private_stamp("count").unwrap(), None);
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(move || {
                for _ in 0..50 {
                    let add = |old: Option<&[u8]>| {
                        let old = old.map_or(0, |old| old[0]);
                        Ok::<_, Error>(Some(vec![old + 1]))
                    };
                    store.change_private("count", add).unwrap();
                }
            });
        }
    });
    let read = |store: &Store| store.read_private("count").unwrap().map(|bytes| bytes[0]);
    assert_eq!(read(&stores[1]), Some(100));
    let stamp = stores[0].private_stamp("count").unwrap();
    assert_eq!(stores[1].private_stamp("count").unwrap(), stamp);
    let failed =
        stores[0].change_private("count", |_| Err::<Option<Vec<u8>>, _>(Error::Interrupted));
    assert!(failed.is_err());
    assert_eq!(read(&stores[0]), Some(100));
    stores[0]
        .change_private("count", |_| Ok::<_, Error>(None))
        .unwrap();
    assert_eq!(read(&stores[1]), None);
    assert_ne!(stores[0].private_stamp("count").unwrap(), stamp);
}

#[test]
fn a_refused_password_is_told_without_it() {
    let server = backend::server();
    let good = server.tcp_url("postgres");
    let wrong: PostgresUrl = good.replace("%70", "%71").parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open_on_server(&wrong, dir.path(), &credential()).unwrap_err();
    assert!(matches!(error, Error::DatabaseServer { .. }), "{error:?}");
    let told = format!("{} {error:?} {wrong:?}", with_causes(&error));
    assert!(!told.contains(&PASSWORD[1..]), "{told}");
    let good: PostgresUrl = good.parse().unwrap();
    let error = Store::open_on_server(&good, dir.path(), &credential()).unwrap_err();
    assert!(matches!(error, Error::NoStore { .. }), "{error:?}");
}

#[test]
fn the_certificate_of_a_server_is_verified_as_the_address_says() {
    let named = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = named("127.0.0.1");
    let (other, other_key) = named("elsewhere");
    let open = |url: &str, parameters: &str| {
        let url: PostgresUrl = format!("{url}?{parameters}").parse().unwrap();
        match Store::open_on_server(&url, dir.path(), &credential()).unwrap_err() {
            // It was let in, and there is none.
            Error::NoStore { .. } => true,
            Error::Unavailable { .. } => false,
            error => panic!("{}", with_causes(&error)),
        }
    };
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, &certificate).unwrap();
    let others = dir.path().join("others.pem");
    std::fs::write(&others, &other).unwrap();
    let (roots, others) = (roots.display(), others.display());

    let server = Postgres::start_with_tls(&certificate, &key);
    let url = server.tcp_url("postgres");
    assert!(open(&url, "sslmode=disable"));
    assert!(open(&url, "sslmode=require"));
    for mode in ["require", "verify-ca", "verify-full"] {
        assert!(
            open(&url, &format!("sslmode={mode}&sslrootcert={roots}")),
            "{mode}"
        );
        assert!(
            !open(&url, &format!("sslmode={mode}&sslrootcert={others}")),
            "{mode}"
        );
    }
    assert!(!open(&url, "sslmode=verify-full"));

    // One whose certificate is that of another host, and one that has none.
    let server = Postgres::start_with_tls(&other, &other_key);
    let url = server.tcp_url("postgres");
    assert!(open(
        &url,
        &format!("sslmode=verify-ca&sslrootcert={others}")
    ));
    assert!(!open(
        &url,
        &format!("sslmode=verify-full&sslrootcert={others}")
    ));
    let plain = backend::server().tcp_url("postgres");
    assert!(open(&plain, "sslmode=prefer"));
    assert!(!open(&plain, "sslmode=require"));
}
