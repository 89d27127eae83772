//! Characters that look alike, and how far two plates are from each other.
//!
//! The distance is that of Levenshtein (1966) with weights: a character that is missing, or another
//! one, costs 1; one that a reader takes for another costs less. Many countries stamp O and 0, or I
//! and 1, with one shape, so these cost least.
//!
//! Costs are whole hundredths inside, so that sums are exact and ties are ties.

/// What a wrong, missing or added character costs, in hundredths.
pub(crate) const ONE: u32 = 100;

/// Two plates that are no farther apart are taken for readings of one: they differ in characters
/// that look alike, and in few of them.
pub const SAME_PLATE: f32 = 0.5;

/// Pairs that readers confuse, with the cost in hundredths.
const PAIRS: [(u8, u8, u8); 44] = [
    (b'0', b'O', 10),
    (b'1', b'I', 10),
    (b'O', b'Q', 25),
    (b'0', b'Q', 25),
    (b'0', b'D', 35),
    (b'O', b'D', 35),
    (b'D', b'Q', 40),
    (b'1', b'L', 35),
    (b'I', b'L', 35),
    (b'B', b'8', 30),
    (b'S', b'5', 30),
    (b'Z', b'2', 30),
    (b'G', b'6', 35),
    (b'C', b'G', 50),
    (b'A', b'4', 50),
    (b'1', b'7', 50),
    (b'I', b'7', 60),
    (b'T', b'7', 60),
    (b'Z', b'7', 60),
    (b'2', b'7', 60),
    (b'1', b'T', 60),
    (b'I', b'T', 50),
    (b'1', b'J', 60),
    (b'I', b'J', 60),
    (b'3', b'8', 50),
    (b'3', b'B', 50),
    (b'6', b'8', 60),
    (b'0', b'8', 60),
    (b'5', b'6', 60),
    (b'0', b'6', 60),
    (b'0', b'C', 60),
    (b'O', b'C', 60),
    (b'O', b'G', 50),
    (b'Q', b'G', 60),
    (b'U', b'V', 50),
    (b'U', b'J', 60),
    (b'V', b'Y', 60),
    (b'E', b'F', 60),
    (b'P', b'R', 60),
    (b'M', b'N', 60),
    (b'H', b'N', 60),
    (b'H', b'M', 60),
    (b'K', b'X', 60),
    (b'M', b'W', 60),
];

const KINDS: usize = 36;

const TABLE: [[u8; KINDS]; KINDS] = {
    let mut table = [[ONE as u8; KINDS]; KINDS];
    let mut i = 0;
    while i < KINDS {
        table[i][i] = 0;
        i += 1;
    }
    let mut i = 0;
    while i < PAIRS.len() {
        let (a, b, cost) = PAIRS[i];
        let (a, b) = (kind(a as char), kind(b as char));
        table[a][b] = cost;
        table[b][a] = cost;
        i += 1;
    }
    table
};

/// The place of a letter or digit in the table; [`KINDS`] for anything else.
const fn kind(c: char) -> usize {
    match c {
        '0'..='9' => c as usize - '0' as usize,
        'A'..='Z' => c as usize - 'A' as usize + 10,
        _ => KINDS,
    }
}

/// What it costs to take one character for the other, in hundredths.
pub(crate) fn cost(a: char, b: char) -> u32 {
    match (kind(a), kind(b)) {
        (a, b) if a < KINDS && b < KINDS => u32::from(TABLE[a][b]),
        _ if a == b => 0,
        _ => ONE,
    }
}

/// The letters that a digit may be, or the digits that a letter may be, with the cost in hundredths;
/// the likeliest first.
pub(crate) fn counterparts(c: char) -> &'static [(char, u32)] {
    // Only what is likely: a pattern must not turn a plate into another.
    match c {
        '0' => &[('O', 10), ('Q', 25), ('D', 35)],
        '1' => &[('I', 10), ('L', 35)],
        '2' => &[('Z', 30)],
        '4' => &[('A', 50)],
        '5' => &[('S', 30)],
        '6' => &[('G', 35)],
        '7' => &[('T', 60)],
        '8' => &[('B', 30)],
        'O' => &[('0', 10)],
        'Q' => &[('0', 25)],
        'D' => &[('0', 35)],
        'I' => &[('1', 10)],
        'L' => &[('1', 35)],
        'Z' => &[('2', 30)],
        'A' => &[('4', 50)],
        'S' => &[('5', 30)],
        'G' => &[('6', 35)],
        'T' => &[('7', 60)],
        'B' => &[('8', 30)],
        _ => &[],
    }
}

/// A setting in hundredths; what is no number, or below 0, is 0.
pub(crate) fn hundredths(distance: f32) -> u32 {
    (distance * ONE as f32).round() as u32
}

/// Hundredths as they are told to others.
pub(crate) fn units(hundredths: u32) -> f32 {
    hundredths as f32 / ONE as f32
}

/// Measures distances in the memory that it keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    a: Vec<char>,
    b: Vec<char>,
    row: Vec<u32>,
}

impl Meter {
    /// The distance in hundredths, if it is not above `max`.
    pub(crate) fn within(&mut self, a: &str, b: &str, max: u32) -> Option<u32> {
        self.a.clear();
        self.a.extend(a.chars());
        self.b.clear();
        self.b.extend(b.chars());
        let apart = self.a.len().abs_diff(self.b.len()) as u32;
        if apart.saturating_mul(ONE) > max {
            return None;
        }
        if max < ONE {
            // Nothing may be missing, so that characters stay in their places.
            let mut sum = 0;
            for (&a, &b) in self.a.iter().zip(&self.b) {
                sum += cost(a, b);
                if sum > max {
                    return None;
                }
            }
            return Some(sum);
        }
        self.row.clear();
        self.row.extend((0..=self.b.len() as u32).map(|n| n * ONE));
        for (i, &a) in self.a.iter().enumerate() {
            let mut diagonal = self.row[0];
            self.row[0] = (i as u32 + 1) * ONE;
            let mut least = self.row[0];
            for (j, &b) in self.b.iter().enumerate() {
                let (left, above) = (self.row[j], self.row[j + 1]);
                let best = (diagonal + cost(a, b)).min(left.min(above) + ONE);
                diagonal = above;
                self.row[j + 1] = best;
                least = least.min(best);
            }
            if least > max {
                return None;
            }
        }
        let distance = self.row[self.b.len()];
        (distance <= max).then_some(distance)
    }
}

/// How far two cleaned plates are from each other: 0 if they are equal, and up to the length of the
/// longer one.
///
/// It is the same in both directions.
pub fn distance(a: &str, b: &str) -> f32 {
    let distance = Meter::default().within(a, b, u32::MAX);
    units(distance.expect("nothing is farther than the limit"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_alike_is_near() {
        for (a, b, expected) in [
            ("RK300AG", "RK300AG", 0.0),
            ("RK3OOAG", "RK300AG", 0.2),
            ("B123", "8I23", 0.4),
            ("S5Z2", "5SZ2", 0.6),
            ("G6", "6G", 0.7),
            ("ABC123", "ABC124", 1.0),
            ("ABC123", "ABC12", 1.0),
            ("ABC123", "BC123", 1.0),
            ("ABC123", "", 6.0),
            ("京A12345", "京A1234S", 0.3),
            ("京A12345", "沪A12345", 1.0),
        ] {
            assert!((distance(a, b) - expected).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn counterparts_cost_what_the_table_says() {
        for c in ('0'..='9').chain('A'..='Z') {
            for &(other, price) in counterparts(c) {
                assert_eq!(cost(c, other), price, "{c} {other}");
                assert_ne!(c.is_ascii_digit(), other.is_ascii_digit(), "{c} {other}");
            }
        }
    }

    #[test]
    fn a_limit_that_is_no_number_allows_nothing() {
        for bad in [f32::NAN, -1.0, f32::NEG_INFINITY] {
            assert_eq!(hundredths(bad), 0);
        }
        assert_eq!(hundredths(0.5), 50);
        assert_eq!(hundredths(f32::INFINITY), u32::MAX);
    }

    fn plate() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[A-Z0-9京]{0,9}").expect("a pattern")
    }

    proptest! {
        #[test]
        fn distances_are_symmetric_and_bounded(a in plate(), b in plate()) {
            let (ab, ba) = (distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(ab, ba);
            prop_assert_eq!(ab == 0.0, a == b);
            let (la, lb) = (a.chars().count(), b.chars().count());
            prop_assert!(ab >= la.abs_diff(lb) as f32 && ab <= la.max(lb) as f32);
        }

        #[test]
        fn a_limit_only_hides_what_is_beyond_it(a in plate(), b in plate(), max in 0_u32..500) {
            let mut meter = Meter::default();
            let all = meter.within(&a, &b, u32::MAX).expect("no limit");
            let within = meter.within(&a, &b, max);
            prop_assert_eq!(within, (all <= max).then_some(all));
        }
    }
}
