//! What was read of a plate, as it is compared and stored: capitals and digits, and nothing else.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// The most characters of a cleaned plate. No country has plates half as long.
pub const MAX_CHARS: usize = 24;

/// Cleans a text: small letters become capitals; blanks, hyphens, dots and all else that is neither
/// letter nor digit go; letters that look like those from A to Z (Cyrillic, Greek, full width, with
/// accents) become these. Letters of other scripts stay, so that two plates that differ in one of
/// them stay two.
///
/// Of a longer text only the first [`MAX_CHARS`] characters are kept.
pub fn clean(raw: &str) -> String {
    let mut clean = String::new();
    clean_into(raw, &mut clean);
    clean
}

/// As [`clean`], in place of what `clean` holds and in its memory.
pub fn clean_into(raw: &str, clean: &mut String) {
    clean.clear();
    clean.extend(cleaned(raw).take(MAX_CHARS));
}

/// Whether [`clean`] would cut it off.
pub(crate) fn is_too_long(raw: &str) -> bool {
    cleaned(raw).nth(MAX_CHARS).is_some()
}

fn cleaned(raw: &str) -> impl Iterator<Item = char> {
    let capitals = raw.chars().map(common_form).flat_map(|c| match c {
        // Its capital form is SS, and what it was read from is a B.
        'ß' | 'ẞ' => 'B'.to_uppercase(),
        _ => c.to_uppercase(),
    });
    let letters = capitals.map(latin);
    letters.filter(|c| c.is_alphabetic() || c.is_ascii_digit())
}

/// Digits and letters of full width, as East Asian keyboards write them, and digits of Arabic and
/// Persian plates.
fn common_form(c: char) -> char {
    let from = |first: u32, ascii: char| char::from((c as u32 - first + ascii as u32) as u8);
    match c {
        '\u{ff01}'..='\u{ff5e}' => from(0xff01, '!'),
        '\u{660}'..='\u{669}' => from(0x660, '0'),
        '\u{6f0}'..='\u{6f9}' => from(0x6f0, '0'),
        _ => c,
    }
}

/// The letter from A to Z that a capital looks like.
fn latin(c: char) -> char {
    match c {
        '\0'..='\u{7f}' => c,
        // Latin with accents, strokes and hooks.
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' | 'Ǎ' | 'Ạ' | 'Æ' => 'A',
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => 'C',
        'Ð' | 'Ď' | 'Đ' => 'D',
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' | 'Ẹ' => 'E',
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => 'G',
        'Ĥ' | 'Ħ' => 'H',
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' | 'Ị' => 'I',
        'Ĵ' => 'J',
        'Ķ' => 'K',
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ŀ' | 'Ł' => 'L',
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' | 'Ŋ' => 'N',
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' | 'Ơ' | 'Ọ' | 'Œ' => 'O',
        'Ŕ' | 'Ŗ' | 'Ř' => 'R',
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' => 'S',
        'Ţ' | 'Ť' | 'Ŧ' | 'Ț' => 'T',
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' | 'Ư' | 'Ụ' => 'U',
        'Ŵ' => 'W',
        'Ý' | 'Ŷ' | 'Ÿ' => 'Y',
        'Ź' | 'Ż' | 'Ž' => 'Z',
        // Cyrillic: the twelve that plates may have (GOST R 50577), and those of other countries.
        'А' => 'A',
        'В' => 'B',
        'Е' | 'Ё' => 'E',
        'К' => 'K',
        'М' => 'M',
        'Н' => 'H',
        'О' => 'O',
        'Р' => 'P',
        'С' => 'C',
        'Т' => 'T',
        'У' => 'Y',
        'Х' => 'X',
        'І' | 'Ї' => 'I',
        'Ј' => 'J',
        'Ѕ' => 'S',
        // Greek: the fourteen that plates have.
        'Α' => 'A',
        'Β' => 'B',
        'Ε' => 'E',
        'Ζ' => 'Z',
        'Η' => 'H',
        'Ι' => 'I',
        'Κ' => 'K',
        'Μ' => 'M',
        'Ν' => 'N',
        'Ο' => 'O',
        'Ρ' => 'P',
        'Τ' => 'T',
        'Υ' => 'Y',
        'Χ' => 'X',
        _ => c,
    }
}

/// Characters to put in place of others, wherever they are; none by default.
///
/// Where a country's patterns tell digits from letters, a
/// [`Grammar`](crate::plate::grammar::Grammar) does better.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitutions(BTreeMap<char, char>);

impl Substitutions {
    /// Takes pairs of what is read and what stands for it, such as `('O', '0')`.
    ///
    /// # Errors
    /// [`Error::Setting`] for what no cleaned plate can have, and for two values of one character.
    pub fn new(pairs: impl IntoIterator<Item = (char, char)>) -> Result<Self> {
        let mut map = BTreeMap::new();
        for (from, to) in pairs {
            for c in [from, to] {
                let mut encoded = [0; 4];
                let text: &str = c.encode_utf8(&mut encoded);
                if clean(text) != text {
                    return Err(bad(format!("{c:?} is no capital or digit of a plate")));
                }
            }
            if map.insert(from, to).is_some_and(|before| before != to) {
                return Err(bad(format!("{from:?} has two values")));
            }
        }
        Ok(Self(map))
    }

    /// Puts them into a cleaned text; each character is replaced once, and its length stays.
    pub fn apply(&self, clean: &mut String) {
        if self.0.is_empty() || !clean.contains(|c| self.0.contains_key(&c)) {
            return;
        }
        let replaced = clean.chars().map(|c| self.0.get(&c).copied().unwrap_or(c));
        *clean = replaced.collect();
    }
}

fn bad(problem: String) -> Error {
    Error::Setting {
        name: "substitutions",
        problem,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_become_capitals_and_digits() {
        for (raw, expected) in [
            ("b-kä 1234", "BKA1234"),
            ("ABC·1D23", "ABC1D23"),
            (" RK\t300\n AG.", "RK300AG"),
            ("М 123 ЕО", "M123EO"),
            ("ΙΒΜ-1234", "IBM1234"),
            ("ＡＢＣ１２３", "ABC123"),
            ("M\u{fc}-X 1", "MUX1"),
            ("Mu\u{308}-X 1", "MUX1"),
            ("aß1", "AB1"),
            ("ı1", "I1"),
            ("京A·12345", "京A12345"),
            ("١٢٣-۴۵", "12345"),
            ("[{(|)}] ²½", ""),
            ("", ""),
        ] {
            assert_eq!(clean(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "a ".repeat(1000);
        assert_eq!(clean(&long), "A".repeat(MAX_CHARS));
        assert!(is_too_long(&long) && !is_too_long(&"a ".repeat(MAX_CHARS)));
    }

    #[test]
    fn substitutions_are_made_once_and_not_in_a_chain() {
        let map = Substitutions::new([('O', '0'), ('0', 'D'), ('I', '1')]).expect("capitals");
        let mut text = clean("Oh I 0");
        map.apply(&mut text);
        assert_eq!(text, "0H1D");
        for bad in [('o', '0'), ('O', '-'), ('Ä', 'A'), (' ', 'A')] {
            assert!(Substitutions::new([bad]).is_err(), "{bad:?}");
        }
        assert!(Substitutions::new([('O', '0'), ('O', 'Q')]).is_err());
        Substitutions::new([('O', '0'), ('O', '0')]).expect("it is the same twice");
    }

    proptest! {
        #[test]
        fn cleaning_is_done_at_once(raw in ".*") {
            let once = clean(&raw);
            prop_assert!(once.chars().count() <= MAX_CHARS);
            prop_assert!(once.chars().all(|c| c.is_alphabetic() || c.is_ascii_digit()));
            prop_assert_eq!(clean(&once), once);
        }
    }
}
