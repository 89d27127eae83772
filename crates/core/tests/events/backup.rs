//! Copies of the database while it is in use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use keepwatch_core::events::{EventFilter, EventKind, EventStore, Store, VerifyOptions};

use crate::common::{create, credential, event};

#[test]
fn a_copy_made_while_others_write_opens_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir.path().join("store"));
    let first: Vec<_> = (0..500)
        .map(|second| event("door", EventKind::Motion, second))
        .collect();
    store.put(&first).unwrap();
    let copy = dir.path().join("copy");
    fs::create_dir_all(copy.join("keys")).unwrap();
    fs::create_dir(copy.join("media")).unwrap();
    for name in ["store", "keys/main"] {
        fs::copy(store.dir().join(name), copy.join(name)).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) || written == 0 {
                let one = event("yard", EventKind::Object, 1000 + written);
                store.put(&[one]).unwrap();
                written += 1;
            }
        });
        for _ in 0..5 {
            let _ = fs::remove_file(copy.join("events.db"));
            store.backup_to(&copy.join("events.db")).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
    assert!(
        store.backup_to(&copy.join("events.db")).is_err(),
        "it is there"
    );

    let path = copy.join("events.db");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!fs::read(&path).unwrap().starts_with(b"SQLite format 3"));
    assert_eq!(
        fs::read_dir(&copy).unwrap().count(),
        4,
        "nothing temporary is left"
    );
    let copied = Store::open(&copy, &credential()).unwrap();
    let report = copied.verify(&VerifyOptions::default()).unwrap();
    assert_eq!(report.findings, []);
    let filter = EventFilter {
        cameras: vec!["door".to_owned()],
        oldest_first: true,
        ..EventFilter::default()
    };
    assert_eq!(copied.list(&filter).unwrap(), first);
}
