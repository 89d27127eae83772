//! What plates of a country look like, and what a reading was meant to be by that.
//!
//! The patterns are one finite automaton. A reading that it does not know is changed where a digit
//! looks like the letter that a pattern wants, or the other way round: the cheapest way through the
//! automaton, as Viterbi (1967) finds it, with the costs of [`lookalike`](super::lookalike).

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::lookalike::{ONE, counterparts};
use super::text::{MAX_CHARS, clean, is_too_long};
use crate::error::{Error, Result};

mod shapes;

/// The most patterns of one's own.
pub const MAX_PATTERNS: usize = 64;
/// The longest of them, in bytes.
pub const MAX_PATTERN: usize = 1024;
/// The largest automaton of one's own patterns, in bytes; also while it is made.
const MAX_AUTOMATON: usize = 8 << 20;
/// What making a text fit one of few patterns may cost, in hundredths.
const BUDGET: u32 = 150;

/// Where plates are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// Europe: the usual forms of its countries, and else 5 to 8 characters with a digit.
    Eu,
    /// The USA: 2 to 8 characters, as people may choose them.
    Us,
    /// Brazil: `ABC1234`, and `ABC1D23` since 2018.
    Br,
    /// Germany.
    De,
}

impl Region {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Eu, Self::Us, Self::Br, Self::De];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::Us => "us",
            Self::Br => "br",
            Self::De => "de",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|region| region.name() == text);
        known.ok_or_else(|| Error::Setting {
            name: "region",
            problem: format!(
                "{text:?} is none of {}",
                Self::ALL.map(Self::name).join(", ")
            ),
        })
    }
}

/// What was read of a plate, cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlateText {
    /// Capitals and digits.
    pub clean: String,
    /// Whether plates may look so.
    pub fits: bool,
    /// Whether it has the form of a country's common series, and not only one that some plate may
    /// have. Where a region has no further forms, it is the same as `fits`.
    pub regular: bool,
    /// Characters that were replaced because a pattern wanted a digit or a letter in their place.
    pub corrected: usize,
    /// Which characters of the text, cleaned without a pattern, `clean` is made of, one from each.
    /// All of them, but for edges of a plate that were read as characters.
    pub kept: Range<usize>,
}

/// What plates look like.
#[derive(Clone)]
pub struct Grammar {
    shapes: Automat,
    /// Forms beyond the shapes.
    general: Option<General>,
    /// What making a text fit a shape may cost, in hundredths, where there are shapes only.
    budget: u32,
    /// … and for one that fits the general form as it is.
    general_budget: u32,
}

/// A length in characters, and whether there must be a digit.
#[derive(Clone, Debug)]
struct General {
    len: Range<usize>,
    digit: bool,
}

impl General {
    fn fits(&self, text: &str) -> bool {
        self.len.contains(&text.chars().count())
            && text.chars().all(|c| c.is_ascii_alphanumeric())
            && (!self.digit || text.contains(|c: char| c.is_ascii_digit()))
    }
}

impl Grammar {
    /// That of a region.
    pub fn new(region: Region) -> Self {
        // The more forms a region has, the nearer is one of them to any text: what may be changed is
        // less there.
        let (shapes, general, budget, general_budget) = match region {
            Region::Eu => (shapes::EU, Some((5..9, true)), 50, 50),
            // Plates of one's own choice are common: O and 0 only, or I and 1.
            Region::Us => (shapes::US, Some((2..9, false)), 20, 20),
            Region::Br => (shapes::BR, None, BUDGET, 0),
            Region::De => (shapes::DE, None, 100, 0),
        };
        Self {
            shapes: Automat::new(shapes).expect("the patterns are valid, as a test shows"),
            general: general.map(|(len, digit)| General { len, digit }),
            budget,
            general_budget,
        }
    }

    /// That of a region's name, or of `patterns` if the name is `custom`.
    ///
    /// # Errors
    /// [`Error::Setting`] for another name, for patterns beside a region, and as
    /// [`Grammar::custom`].
    pub fn parse<S: AsRef<str>>(region: &str, patterns: &[S]) -> Result<Self> {
        if region == "custom" {
            return Self::custom(patterns);
        }
        let known = region.parse::<Region>().map_err(|_| Error::Setting {
            name: "region",
            problem: format!(
                "{region:?} is none of {}, custom",
                Region::ALL.map(Region::name).join(", ")
            ),
        })?;
        if !patterns.is_empty() {
            return Err(bad(format!(
                "they are for the region custom, and the region is {known}"
            )));
        }
        Ok(Self::new(known))
    }

    /// That of one's own patterns: regular expressions, of which one must match all of the cleaned
    /// text, such as `[A-Z]{2}[0-9]{3,4}`. Cleaned texts have neither blanks nor hyphens.
    ///
    /// # Errors
    /// [`Error::Setting`] for none or too many, and for one that is no regular expression, is too
    /// large, or can match no cleaned text.
    pub fn custom<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
            return Err(bad(format!(
                "there are {}; 1 to {MAX_PATTERNS} are needed",
                patterns.len()
            )));
        }
        for pattern in patterns {
            let pattern = pattern.as_ref();
            if !Automat::new(&[pattern])?.matches_something() {
                return Err(bad(format!(
                    "{pattern:?} matches no text of capitals and digits: leave out blanks and \
                     hyphens, which are not part of cleaned plates"
                )));
            }
        }
        Ok(Self {
            shapes: Automat::new(patterns)?,
            general: None,
            budget: BUDGET,
            general_budget: 0,
        })
    }

    /// Whether plates may look like this cleaned text.
    pub fn fits(&self, clean: &str) -> bool {
        let general = self.general.as_ref();
        !clean.is_empty()
            && (self.shapes.matches(clean) || general.is_some_and(|form| form.fits(clean)))
    }

    /// Whether a cleaned text that does not fit may be of a plate that its owner chose: without a
    /// digit, where plates have one. Whoever reads it should be sure, since names of firms and cars
    /// look so as well.
    pub fn may_be_chosen(&self, clean: &str) -> bool {
        let form = self.general.as_ref().filter(|form| form.digit);
        form.is_some_and(|form| {
            form.len.contains(&clean.chars().count())
                && clean.chars().all(|c| c.is_ascii_uppercase())
        })
    }

    /// Cleans what was read, and corrects it where the patterns tell digits from letters.
    ///
    /// What fits a country's series stays as it is. What does not is corrected if few changes make
    /// it fit; if none do and it is too long, characters at one or both ends, which are often a
    /// plate's edge, are left out, one at each end. If that does not help either, it stays as it was
    /// read.
    pub fn read(&self, raw: &str) -> PlateText {
        let text = clean(raw);
        let len = text.chars().count();
        let as_read = |fits| PlateText {
            clean: text.clone(),
            fits,
            regular: fits && self.general.is_none(),
            corrected: 0,
            kept: 0..len,
        };
        if text.is_empty() || is_too_long(raw) {
            return as_read(false);
        }
        let general = self.general.as_ref().is_some_and(|form| form.fits(&text));
        let budget = match (&self.general, general) {
            (None, _) => self.budget,
            (Some(_), true) => self.general_budget,
            // Without a digit it is no misread plate but a chosen one, or none.
            (Some(_), false) => 0,
        };
        if let Some((_, corrected, clean)) = self.shapes.correct(&text, budget) {
            return PlateText {
                clean,
                fits: true,
                regular: true,
                corrected,
                kept: 0..len,
            };
        }
        if general {
            return as_read(true);
        }
        if self.general.as_ref().is_some_and(|form| len < form.len.end) {
            return as_read(false);
        }
        self.trimmed(&text, len).unwrap_or_else(|| as_read(false))
    }

    fn trimmed(&self, text: &str, len: usize) -> Option<PlateText> {
        // A word without a digit is no plate that was read badly at both ends and in between.
        let budget = match text.contains(|c: char| c.is_ascii_digit()) {
            true => self.budget,
            false => 0,
        };
        let candidates = [(1, 0), (0, 1), (1, 1)]
            .into_iter()
            .filter_map(|(left, right)| {
                let kept = left..len.checked_sub(right).filter(|end| *end > left)?;
                let part: String = text.chars().skip(left).take(kept.len()).collect();
                let (cost, corrected, clean) = self.shapes.correct(&part, budget)?;
                let cost = cost + (left + right) as u32 * ONE;
                let found = PlateText {
                    clean,
                    fits: true,
                    regular: true,
                    corrected,
                    kept,
                };
                Some((cost, found))
            });
        // The first of equal ones: edges on the left have country codes beside them.
        Some(candidates.min_by_key(|(cost, _)| *cost)?.1)
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar")
            .field("general", &self.general)
            .finish_non_exhaustive()
    }
}

fn bad(problem: String) -> Error {
    Error::Setting {
        name: "patterns",
        problem,
    }
}

/// Patterns of which one matches a whole text. Time is linear in the text, whatever they are.
#[derive(Clone)]
struct Automat(dense::DFA<Vec<u32>>);

/// A way through the automaton: what it costs, how many characters it changes, and the text. The
/// least is the best; texts break ties, so that the same reading gives the same text everywhere.
type Way = (u32, usize, String);

impl Automat {
    fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        let mut whole = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let pattern = pattern.as_ref();
            if pattern.len() > MAX_PATTERN {
                return Err(bad(format!("one is longer than {MAX_PATTERN} bytes")));
            }
            // By itself: `a)(b` must not become right by what is put around it.
            syntax::parse(pattern).map_err(|error| bad(format!("{pattern:?}: {error}")))?;
            whole.push(format!(r"\A(?:{pattern})\z"));
        }
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_AUTOMATON))
            .determinize_size_limit(Some(MAX_AUTOMATON));
        let nfa = thompson::Config::new().nfa_size_limit(Some(MAX_AUTOMATON));
        let built = dense::Builder::new()
            .configure(config)
            .thompson(nfa)
            .build_many(&whole);
        built
            .map(Self)
            .map_err(|error| bad(format!("they cannot be used: {error}")))
    }

    fn start(&self) -> StateID {
        let anchored = start::Config::new().anchored(Anchored::Yes);
        let state = self.0.start_state(&anchored);
        state.expect(
            "it was made for anchored searches, and has no word boundaries to look back for",
        )
    }

    fn step(&self, state: StateID, c: char) -> Option<StateID> {
        let mut encoded = [0; 4];
        let bytes = c.encode_utf8(&mut encoded).as_bytes();
        let end = bytes
            .iter()
            .fold(state, |state, &byte| self.0.next_state(state, byte));
        (!self.0.is_dead_state(end) && !self.0.is_quit_state(end)).then_some(end)
    }

    fn ends(&self, state: StateID) -> bool {
        self.0.is_match_state(self.0.next_eoi_state(state))
    }

    fn matches(&self, text: &str) -> bool {
        let end = text
            .chars()
            .try_fold(self.start(), |at, c| self.step(at, c));
        end.is_some_and(|state| self.ends(state))
    }

    /// The cheapest change of letters to digits, and the other way round, that makes the text match
    /// for no more than `budget`.
    fn correct(&self, text: &str, budget: u32) -> Option<Way> {
        if self.matches(text) {
            return Some((0, 0, text.to_owned()));
        }
        let mut ways: HashMap<StateID, Way> = HashMap::new();
        ways.insert(self.start(), Way::default());
        for c in text.chars() {
            let mut next: HashMap<StateID, Way> = HashMap::new();
            for (state, (cost, changes, so_far)) in &ways {
                let changed = counterparts(c).iter().map(|&(to, price)| (to, price, 1));
                for (to, price, change) in [(c, 0, 0)].into_iter().chain(changed) {
                    if cost + price > budget {
                        continue;
                    }
                    let Some(state) = self.step(*state, to) else {
                        continue;
                    };
                    let mut longer = so_far.clone();
                    longer.push(to);
                    let way = (cost + price, changes + change, longer);
                    let best = next.entry(state).or_insert_with(|| way.clone());
                    if way < *best {
                        *best = way;
                    }
                }
            }
            ways = next;
        }
        let ends = ways.into_iter().filter(|(state, _)| self.ends(*state));
        ends.map(|(_, way)| way).min()
    }

    /// Whether there is a cleaned text that it matches.
    fn matches_something(&self) -> bool {
        let mut reached = vec![self.start()];
        for _ in 0..MAX_CHARS {
            let mut next = Vec::new();
            for &state in &reached {
                // Bytes of other scripts are those of their letters, or might be.
                for byte in (b'0'..=b'9').chain(b'A'..=b'Z').chain(0x80..=0xff) {
                    next.push(self.0.next_state(state, byte));
                }
            }
            next.retain(|state| !self.0.is_dead_state(*state) && !self.0.is_quit_state(*state));
            next.sort_unstable();
            next.dedup();
            if next.iter().any(|state| self.ends(*state)) {
                return true;
            }
            reached = next;
        }
        false
    }
}

#[cfg(test)]
mod tests;
