//! The code within one pack, or within the sum of a group of packs (FORMAT.md, section 9.2).

use crate::config::MAX_PACK;
use crate::parity::code::{
    SECTOR, SHARD_HASH, ShardHash, decode, encode, for_each_shard, recovery_shards, shard_hash,
};

/// Of so many packs that lose the share which they are made for, fewer than one loses more by
/// chance than its own code mends.
const PACKS: f64 = 1e7;

/// The share of all sectors that parity of so many percent withstands.
pub(super) fn lost_share(percent: u8) -> f64 {
    f64::from(percent) / 200.0
}

/// Hashes of the shards of some bytes and of their recovery shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coded {
    /// How long the bytes are.
    pub length: u32,
    data: Vec<ShardHash>,
    recovery: Vec<ShardHash>,
}

impl Coded {
    /// Codes bytes; gives the recovery shards.
    pub fn of(bytes: &[u8], percent: u8) -> (Self, Vec<u8>) {
        let count = bytes.len().div_ceil(SECTOR);
        let recovery = recovery_shards(count, lost_share(percent), PACKS.recip());
        let parity = encode(bytes, SECTOR, recovery);
        let coded = Self {
            length: bytes.len() as u32,
            data: hashes(bytes),
            recovery: hashes(&parity),
        };
        (coded, parity)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&(self.recovery.len() as u32).to_le_bytes());
        for hash in self.data.iter().chain(&self.recovery) {
            out.extend_from_slice(hash);
        }
    }

    /// Reads what [`Coded::write`] wrote, up to the end of `bytes`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        let recovery = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
        let hashes = bytes.get(8..)?;
        let count = (length as usize).div_ceil(SECTOR);
        if length == 0 || u64::from(length) > MAX_PACK || recovery == 0 || recovery > 1 << 15 {
            return None;
        }
        if hashes.len() != (count + recovery) * SHARD_HASH {
            return None;
        }
        let mut all = hashes
            .chunks_exact(SHARD_HASH)
            .map(|hash| hash.try_into().expect("of this size"));
        Some(Self {
            length,
            data: all.by_ref().take(count).collect(),
            recovery: all.collect(),
        })
    }

    /// Which shards of `bytes` are sound; `bytes` get the length of whole shards.
    pub fn examine(&self, bytes: &mut Vec<u8>) -> Vec<bool> {
        // Only the zeros after the end are known whatever was lost.
        bytes.truncate(self.length as usize);
        bytes.resize(self.data.len() * SECTOR, 0);
        bytes
            .chunks_exact(SECTOR)
            .zip(&self.data)
            .map(|(shard, hash)| shard_hash(shard) == *hash)
            .collect()
    }

    /// Mends `bytes` of whole shards with the recovery shards; false if too much is gone.
    pub fn mend(&self, bytes: &mut [u8], have: &mut [bool], parity: &[u8]) -> bool {
        let sound: Vec<(usize, &[u8])> = parity
            .chunks_exact(SECTOR)
            .zip(&self.recovery)
            .enumerate()
            .filter(|(_, (shard, hash))| shard_hash(shard) == **hash)
            .map(|(at, (shard, _))| (at, shard))
            .collect();
        let mended = decode(bytes, have, SECTOR, &sound, self.recovery.len());
        if mended {
            have.fill(true);
        }
        mended
    }
}

fn hashes(bytes: &[u8]) -> Vec<ShardHash> {
    let mut hashes = Vec::with_capacity(bytes.len().div_ceil(SECTOR));
    for_each_shard(bytes, SECTOR, &mut |_, shard| {
        hashes.push(shard_hash(shard));
    });
    hashes
}
