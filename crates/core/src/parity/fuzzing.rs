//! Entry point for the fuzz target of parity objects.

use std::sync::LazyLock;

use crate::id::Id;
use crate::parity::armour::{self, Kind};
use crate::parity::code::SECTOR;
use crate::parity::record::{GroupRecord, PackRecord, parse_small, write_small};

/// Parity objects, as they are; and a valid one that was changed in few places, which still opens,
/// and gives back the pack that was damaged as well.
pub(crate) fn parity_object(bytes: &[u8]) {
    static PACK: LazyLock<Vec<u8>> = LazyLock::new(|| vec![7; 20_000]);
    static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| PackRecord::seal(Id::of(&PACK), &PACK, 10));
    if let Some(opened) = armour::open(bytes) {
        let _ = GroupRecord::parse(&opened.content);
        let _ = PackRecord::parse(&opened.content);
    }
    // What a container holds was put there by somebody.
    let _ = GroupRecord::parse(bytes);
    if let Some(objects) = parse_small(bytes) {
        let content = write_small(&objects);
        if !content.is_empty() {
            assert_eq!(parse_small(&content), Some(objects));
            let sealed = armour::seal(Kind::Small, Id::ZERO, &content, &[], 0.05);
            let opened = armour::open(&sealed).expect("what was written can be read");
            assert_eq!(opened.content, content);
        }
    }
    if let Some(record) = PackRecord::parse(bytes) {
        let mut damaged = bytes.to_vec();
        let mut have = record.coded.examine(&mut damaged);
        let _ = record.coded.mend(&mut damaged, &mut have, bytes);
    }
    let mut object = VALID.clone();
    let sectors = object.len() / SECTOR;
    let mut pack = PACK.clone();
    for (turn, byte) in bytes.iter().take(2).enumerate() {
        let at = usize::from(*byte) % sectors * SECTOR;
        object[at..at + SECTOR].fill(*byte);
        pack[turn * SECTOR] ^= byte;
    }
    let opened = armour::open(&object).expect("two sectors are fewer than it can lose");
    let record = PackRecord::parse(&opened.content).expect("it is as it was");
    let mut have = record.coded.examine(&mut pack);
    let parity = &object[opened.head.front() * SECTOR..];
    assert!(record.coded.mend(&mut pack, &mut have, parity));
    pack.truncate(PACK.len());
    assert_eq!(pack, *PACK);
}
