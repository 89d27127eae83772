//! What is in the directory of a store.

use keepwatch_core::Error;
use keepwatch_core::crypto::{Credential, Key, Lock};
use keepwatch_core::events::{Store, StoreOptions, StoreRole};

use crate::common::{create, credential, key};

#[test]
fn a_directory_with_something_in_it_becomes_no_store() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter"), "dear").unwrap();
    let key = key();
    let locks = [(Lock::KeyFile(&key), StoreRole::Full)];
    let error = Store::create(dir.path(), &locks, &StoreOptions::default()).unwrap_err();
    assert!(matches!(error, Error::StoreExists { .. }), "{error}");
}

#[test]
fn no_store_a_wrong_key_and_damage_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Store::open(&dir.path().join("none"), &credential()).unwrap_err();
    assert!(matches!(missing, Error::NoStore { .. }), "{missing}");
    let missing = Store::open(dir.path(), &credential()).unwrap_err();
    assert!(matches!(missing, Error::NoStore { .. }), "{missing}");

    let at = dir.path().join("store");
    drop(create(&at));
    let other = Credential::KeyFile(Key::from_bytes([1; 32]));
    let wrong = Store::open(&at, &other).unwrap_err();
    assert!(matches!(wrong, Error::WrongKey { .. }), "{wrong}");

    for name in ["store", "events.db"] {
        let path = at.join(name);
        let good = std::fs::read(&path).unwrap();
        // All of it, or one bit of it.
        for changed in [vec![7; good.len()], {
            let mut bytes = good.clone();
            let middle = 100;
            bytes[middle] ^= 1;
            bytes
        }] {
            std::fs::write(&path, changed).unwrap();
            let damaged = Store::open(&at, &credential()).unwrap_err();
            assert!(damaged.is_damage(), "{name}: {damaged}");
        }
        std::fs::write(&path, good).unwrap();
    }
    Store::open(&at, &credential()).unwrap();
}

#[test]
fn every_bit_of_the_header_and_of_the_key_slot_counts() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    for name in ["store", "keys/main"] {
        let path = dir.path().join(name);
        let good = std::fs::read(&path).unwrap();
        for byte in 0..good.len() {
            let mut bytes = good.clone();
            bytes[byte] ^= 1 << (byte % 8);
            std::fs::write(&path, bytes).unwrap();
            assert!(
                Store::open(dir.path(), &credential()).is_err(),
                "{name}, byte {byte}"
            );
        }
        std::fs::write(&path, good).unwrap();
    }
    Store::open(dir.path(), &credential()).unwrap();
}
