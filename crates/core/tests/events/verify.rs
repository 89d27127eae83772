//! What a verification says of a store that nobody touched. How changes are found is tested where
//! the database can be changed.

use keepwatch_core::events::{EventKind, EventStore, VerifyOptions};

use crate::common::{create, event, reopen};

#[test]
fn an_empty_store_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let report = create(dir.path())
        .verify(&VerifyOptions::default())
        .unwrap();
    assert_eq!((report.records, report.head_seq), (0, 0));
    assert!(report.is_ok());
}

#[test]
fn a_batch_is_signed_on_its_way_and_the_rest_when_the_store_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let events: Vec<_> = (0..1000)
        .map(|second| event("door", EventKind::Motion, second))
        .collect();
    store.put(&events).unwrap();
    let open = store.verify(&VerifyOptions::default()).unwrap();
    assert!(open.checkpoints >= 15 && open.unsigned < 64, "{open:?}");
    store.close().unwrap();

    let store = reopen(dir.path());
    let expect = Some((open.head_seq, open.head_link));
    let report = store
        .verify(&VerifyOptions {
            media: true,
            expect,
        })
        .unwrap();
    assert_eq!((report.unsigned, report.findings), (0, vec![]));
    assert_eq!(report.signer, *store.signer());
}

#[test]
fn another_head_than_expected_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    store.put(&[event("door", EventKind::Motion, 0)]).unwrap();
    for expect in [(1, [0; 32]), (50, [0; 32])] {
        let options = VerifyOptions {
            media: false,
            expect: Some(expect),
        };
        assert_eq!(store.verify(&options).unwrap().findings.len(), 1);
    }
}
