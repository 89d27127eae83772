//! Reed-Solomon over sectors, and the damage that a number of recovery shards withstands
//! (FORMAT.md, section 9.2).

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

/// What is lost on a disk is lost in pieces of this size, in bytes: a shard is one of them, so that
/// a piece that is lost costs one shard.
pub(super) const SECTOR: usize = 4096;
/// How much of the hash of a shard is kept, in bytes. It tells chance damage from sound bytes;
/// whether all of it is right the name of the whole object says.
pub(super) const SHARD_HASH: usize = 8;

pub(super) type ShardHash = [u8; SHARD_HASH];

/// The beginning of the BLAKE3 hash of a shard.
pub(super) fn shard_hash(shard: &[u8]) -> ShardHash {
    let hash = blake3::hash(shard);
    hash.as_bytes()[..SHARD_HASH]
        .try_into()
        .expect("a hash is longer")
}

/// How many recovery shards `shards` need, so that of all of them together more than those are lost
/// with a probability of `chance` at most, if each is lost with a probability of `lost`.
pub(super) fn recovery_shards(shards: usize, lost: f64, chance: f64) -> usize {
    // Fewer than what is lost on average do not suffice.
    let mut recovery = (lost * shards as f64 / (1.0 - lost)).ceil().max(1.0) as usize;
    while more_than(recovery, shards + recovery, lost) > chance {
        recovery += 1;
    }
    recovery
}

/// The probability that of `of` shards more than `count` are lost: the tail of the binomial
/// distribution, from its mean on.
fn more_than(count: usize, of: usize, lost: f64) -> f64 {
    let first = count + 1;
    let choices: f64 = (1..=first)
        .map(|nth| ((of - nth + 1) as f64 / nth as f64).ln())
        .sum();
    let mut term = choices + first as f64 * lost.ln() + (of - first) as f64 * (-lost).ln_1p();
    term = term.exp();
    let mut sum = 0.0;
    for nth in first..=of {
        sum += term;
        if term < sum * 1e-12 {
            break;
        }
        term *= (of - nth) as f64 / (nth + 1) as f64 * lost / (1.0 - lost);
    }
    sum
}

/// Calls `each` with the shards of `bytes` in order, the last filled up with zeros.
pub(super) fn for_each_shard(bytes: &[u8], shard: usize, each: &mut dyn FnMut(usize, &[u8])) {
    let whole = bytes.chunks_exact(shard);
    let rest = whole.remainder();
    let count = whole.len();
    for (at, part) in whole.enumerate() {
        each(at, part);
    }
    if !rest.is_empty() {
        let mut last = vec![0; shard];
        last[..rest.len()].copy_from_slice(rest);
        each(count, &last);
    }
}

/// The recovery shards of `bytes`, one after the other.
pub(super) fn encode(bytes: &[u8], shard: usize, recovery: usize) -> Vec<u8> {
    let count = bytes.len().div_ceil(shard);
    let sizes = "the caller keeps within what the code can do";
    let mut encoder = ReedSolomonEncoder::new(count, recovery, shard).expect(sizes);
    for_each_shard(bytes, shard, &mut |_, part| {
        encoder.add_original_shard(part).expect(sizes);
    });
    let encoded = encoder.encode().expect("all shards were added");
    let mut out = Vec::with_capacity(recovery * shard);
    encoded
        .recovery_iter()
        .for_each(|part| out.extend_from_slice(part));
    out
}

/// Fills in the shards of `bytes` that `have` lacks; false if too many are gone.
///
/// `bytes` are whole shards, `recovery` those recovery shards that are sound with their numbers of
/// `recovery_count`.
pub(super) fn decode(
    bytes: &mut [u8],
    have: &[bool],
    shard: usize,
    recovery: &[(usize, &[u8])],
    recovery_count: usize,
) -> bool {
    debug_assert_eq!(bytes.len(), have.len() * shard);
    let missing = have.iter().filter(|have| !**have).count();
    if missing == 0 {
        return true;
    }
    if missing > recovery.len() {
        return false;
    }
    let Ok(mut decoder) = ReedSolomonDecoder::new(have.len(), recovery_count, shard) else {
        return false;
    };
    for (at, part) in bytes.chunks_exact(shard).enumerate() {
        if have[at] && decoder.add_original_shard(at, part).is_err() {
            return false;
        }
    }
    // No more than needed: each costs time.
    for (at, part) in recovery.iter().take(missing) {
        if decoder.add_recovery_shard(*at, part).is_err() {
            return false;
        }
    }
    let Ok(decoded) = decoder.decode() else {
        return false;
    };
    for (at, part) in decoded.restored_original_iter() {
        bytes[at * shard..(at + 1) * shard].copy_from_slice(part);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn recovery_shards_are_as_many_as_the_binomial_distribution_asks_for() {
        // Summed up by hand for these: one shard is lost with all its copies, 0.05^7 < 1e-8.
        assert_eq!(recovery_shards(1, 0.05, 1e-8), 6);
        assert_eq!(recovery_shards(16, 0.05, 1e-8), 11);
        assert_eq!(recovery_shards(4096, 0.05, 1e-8), 306);
        assert_eq!(recovery_shards(4096, 0.1, 1e-8), 587);
        // The largest pack, at the largest percentage, is within what the code can do.
        let most = recovery_shards(32_768, 0.25, 1e-7);
        assert!(ReedSolomonEncoder::supports(32_768, most), "{most}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_shards_up_to_the_number_of_recovery_shards_come_back(
            length in 1_usize..3000,
            recovery in 1_usize..12,
            seed in any::<[u8; 32]>(),
        ) {
            let mut bytes = vec![0; length];
            let mut random = blake3::Hasher::new_keyed(&seed).finalize_xof();
            random.fill(&mut bytes);
            let parity = encode(&bytes, 64, recovery);
            prop_assert_eq!(parity.len(), recovery * 64);
            bytes.resize(length.div_ceil(64) * 64, 0);
            let whole = bytes.clone();
            let mut have = vec![true; bytes.len() / 64];
            let mut choice = [0; 12];
            random.fill(&mut choice);
            for at in choice.into_iter().take(recovery) {
                let at = usize::from(at) % have.len();
                have[at] = false;
                bytes[at * 64..][..64].fill(0xaa);
            }
            let shards: Vec<_> = parity.chunks_exact(64).enumerate().collect();
            let missing = have.iter().filter(|have| !**have).count();
            let mut short = bytes.clone();
            prop_assert!(!decode(&mut short, &have, 64, &shards[..missing - 1], recovery));
            // The last ones are as good as the first.
            prop_assert!(decode(&mut bytes, &have, 64, &shards[recovery - missing..], recovery));
            prop_assert_eq!(bytes, whole);
        }
    }
}
