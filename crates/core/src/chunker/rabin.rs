//! The Rabin fingerprint of a window, modulo a secret polynomial over GF(2).
//!
//! M. O. Rabin, "Fingerprinting by random polynomials" (1981). Two different windows of 64 bytes
//! have the same fingerprint for at most 7 of the some 2^58 irreducible polynomials of degree 64,
//! so whoever does not know the polynomial does not find a collision.
//!
//! A polynomial of degree below 64 is a `u64`, bit k the coefficient of x^k. The modulus is kept
//! without its leading x^64.

use zeroize::Zeroize;

use super::WINDOW;

/// Adds bytes to a window and takes them away, in any order of windows.
pub(super) struct Rabin {
    /// t · x^64 for each byte t.
    carry: [u64; 256],
    /// t · x^(8 · 63) for each byte t: what the oldest byte of a full window contributes.
    oldest: [u64; 256],
}

impl Rabin {
    /// Takes the first irreducible modulus of a uniformly random sequence, which makes it uniform
    /// among all irreducible ones. About one in 64 is.
    pub(super) fn new(mut candidates: impl FnMut() -> u64) -> Self {
        let modulus = loop {
            let candidate = candidates();
            if is_irreducible(candidate) {
                break candidate;
            }
        };
        let oldest_power = (0..8 * (WINDOW - 1)).fold(1, |power, _| times_x(power, modulus));
        Self {
            carry: byte_multiples(modulus, modulus),
            oldest: byte_multiples(oldest_power, modulus),
        }
    }

    /// The fingerprint with `byte` appended.
    #[inline]
    pub(super) fn append(&self, print: u64, byte: u8) -> u64 {
        let [top, ..] = print.to_be_bytes();
        (print << 8) ^ u64::from(byte) ^ self.carry[usize::from(top)]
    }

    /// The fingerprint of a full window without `byte`, its first.
    #[inline]
    pub(super) fn drop_oldest(&self, print: u64, byte: u8) -> u64 {
        print ^ self.oldest[usize::from(byte)]
    }

    /// The fingerprint of `bytes`.
    pub(super) fn of(&self, bytes: &[u8]) -> u64 {
        bytes
            .iter()
            .fold(0, |print, &byte| self.append(print, byte))
    }
}

impl Drop for Rabin {
    fn drop(&mut self) {
        self.carry.zeroize();
        self.oldest.zeroize();
    }
}

fn byte_multiples(unit: u64, modulus: u64) -> [u64; 256] {
    std::array::from_fn(|byte| times(byte as u64, unit, modulus))
}

fn times_x(a: u64, modulus: u64) -> u64 {
    (a << 1) ^ if a >> 63 == 1 { modulus } else { 0 }
}

fn times(a: u64, b: u64, modulus: u64) -> u64 {
    (0..64).rev().fold(0, |product, bit| {
        times_x(product, modulus) ^ if a >> bit & 1 == 1 { b } else { 0 }
    })
}

/// Rabin's test (1980). The degree, 64, has 2 as its only prime factor, so x^64 + `modulus` is
/// irreducible when x^(2^64) = x and x^(2^32) - x has no factor in common with it.
fn is_irreducible(modulus: u64) -> bool {
    // Divisible by x.
    if modulus & 1 == 0 {
        return false;
    }
    const X: u64 = 2;
    let square_32_times = |a| (0..32).fold(a, |a, _| times(a, a, modulus));
    let half = square_32_times(X);
    square_32_times(half) == X && gcd(1 << 64 | u128::from(modulus), u128::from(half ^ X)) == 1
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        while a != 0 && a.leading_zeros() <= b.leading_zeros() {
            a ^= b << (b.leading_zeros() - a.leading_zeros());
        }
        (a, b) = (b, a);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_polynomials_are_judged_right() {
        // x^64 + x^4 + x^3 + x + 1, the first irreducible one of this degree (Seroussi, HPL-98-135).
        assert!(is_irreducible(0b1_1011));
        assert!((0..0b1_1011).all(|modulus| !is_irreducible(modulus)));
    }

    #[test]
    fn products_are_never_irreducible() {
        // (x^32 + a)(x^32 + b) for some a and b: the test must reject every one.
        for a in (1..2000_u64).step_by(37) {
            for b in (1..2000_u64).step_by(41) {
                let low = times(a, b, 0);
                assert!(!is_irreducible(low ^ (a ^ b) << 32), "{a} {b}");
            }
        }
    }

    #[test]
    fn one_candidate_in_64_is_irreducible() {
        let mut seed = blake3::Hasher::new().finalize_xof();
        let found = (0..20_000)
            .filter(|_| {
                let mut bytes = [0; 8];
                seed.fill(&mut bytes);
                is_irreducible(u64::from_le_bytes(bytes))
            })
            .count();
        assert!((250..=380).contains(&found), "{found}");
    }

    #[test]
    fn a_rolled_window_has_the_fingerprint_of_its_bytes() {
        let rabin = Rabin::new(|| 0b1_1011);
        let data: Vec<u8> = (0..1000_u32).map(|i| ((i * i) >> 3) as u8).collect();
        let mut print = rabin.of(&data[..WINDOW]);
        for (i, pair) in data.windows(WINDOW + 1).enumerate() {
            print = rabin.append(rabin.drop_oldest(print, pair[0]), pair[WINDOW]);
            let bytes = &data[i + 1..][..WINDOW];
            assert_eq!(print, rabin.of(bytes));
            // Bit by bit, without tables.
            let slow = bytes.iter().fold(0, |print, &byte| {
                let moved = (0..8).fold(print, |print, _| times_x(print, 0b1_1011));
                moved ^ u64::from(byte)
            });
            assert_eq!(print, slow);
        }
    }
}
