//! One text out of what was read of a plate in several frames, by votes on each character.
//!
//! The readings are aligned with the one among them that is nearest to all others (the centre star
//! of Gusfield, 1993) and vote on each of its characters, and on what lies between them, with their
//! confidence; as ROVER (Fiscus, 1997) does with several recognisers of speech. A reading that is
//! wrong in one place still counts in all others.

use super::lookalike::{ONE, cost, units};
use super::text::MAX_CHARS;

/// Readings that vote: the latest ones, as many as SecureVision remembers.
pub const MAX_READINGS: usize = 10;
/// What a character weighs of which its reader is not sure at all.
const LEAST_WEIGHT: f32 = 0.01;

/// What the readings agree on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fused {
    /// The text.
    pub text: String,
    /// How sure each of its characters is, 0 to 1: the mean confidence of the readings that have it,
    /// times their share of the weight.
    pub characters: Vec<f32>,
    /// The mean of these.
    pub confidence: f32,
    /// How far the readings agree, 0 to 1, which `ocr_agreement_threshold` is compared with: the
    /// share of the weight that is for the text at its least certain place, where characters that
    /// look alike are for each other in part.
    ///
    /// It is never less than `whole`, which is SecureVision's measure: what is agreed on there is
    /// agreed on here, and readings that are wrong in different places still agree.
    pub agreement: f32,
    /// The share of readings that are equal to the text.
    pub whole: f32,
    /// How many readings there are.
    pub readings: usize,
}

#[derive(Clone, Debug, Default)]
struct Reading {
    text: Vec<char>,
    weights: Vec<f32>,
}

impl Reading {
    fn mean(&self) -> f32 {
        self.weights.iter().sum::<f32>() / self.weights.len().max(1) as f32
    }
}

/// Collects readings of one plate. It keeps the latest [`MAX_READINGS`], and its memory.
#[derive(Clone, Debug, Default)]
pub struct Votes {
    /// A ring; the oldest is at `next` once it is full.
    readings: Vec<Reading>,
    next: usize,
    len: usize,
    scratch: Scratch,
}

#[derive(Clone, Debug, Default)]
struct Scratch {
    /// Costs of aligning two texts.
    table: Vec<u32>,
    /// What a reading says at each place of the centre: first what it has before place 0, then at
    /// place 0, and so on.
    aligned: Vec<Aligned>,
    columns: Vec<Column>,
}

/// A reading along the centre.
#[derive(Clone, Debug, Default)]
struct Aligned {
    /// Which of its characters stands at each place of the centre.
    at: Vec<Option<usize>>,
    /// Where those that stand between the places begin and end: one more than there are places.
    between: Vec<(usize, usize)>,
}

/// What is said at one place.
#[derive(Clone, Debug, Default)]
struct Column {
    /// Characters (none: there is no character) with their weight, and how many readings have them.
    said: Vec<(Option<char>, f32, u32)>,
}

impl Column {
    fn vote(&mut self, c: Option<char>, weight: f32) {
        match self.said.iter_mut().find(|(said, ..)| *said == c) {
            Some((_, sum, count)) => {
                *sum += weight;
                *count += 1;
            }
            None => self.said.push((c, weight, 1)),
        }
    }

    /// The winner with its weight and count; of equal ones the lesser character, and none before
    /// any.
    fn winner(&self) -> (Option<char>, f32, u32) {
        let better = |a: &(Option<char>, f32, u32), b: &(Option<char>, f32, u32)| {
            a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))
        };
        let best = self.said.iter().copied().max_by(better);
        best.unwrap_or((None, 0.0, 0))
    }

    fn total(&self) -> f32 {
        self.said.iter().map(|(_, weight, _)| weight).sum()
    }

    /// The share of the weight that is for `winner`, in part that of what looks like it.
    fn support(&self, winner: Option<char>) -> f32 {
        let for_it = |said: Option<char>| match (said, winner) {
            (Some(a), Some(b)) => 1.0 - units(cost(a, b)),
            _ => f32::from(u8::from(said == winner)),
        };
        let sum: f32 = self.said.iter().map(|said| said.1 * for_it(said.0)).sum();
        sum / self.total().max(f32::MIN_POSITIVE)
    }
}

impl Votes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all readings.
    pub fn clear(&mut self) {
        (self.next, self.len) = (0, 0);
    }

    /// How many readings vote.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a cleaned text with the confidence of each of its characters, 0 to 1. If there are fewer
    /// of these than characters, the last one is that of the others, too; none are 1. What is no
    /// number is 0.
    ///
    /// Characters beyond [`MAX_CHARS`] are left out, and an empty text is no reading.
    pub fn add(&mut self, text: &str, confidences: &[f32]) {
        if text.is_empty() {
            return;
        }
        if self.readings.len() < MAX_READINGS && self.next == self.readings.len() {
            self.readings.push(Reading::default());
        }
        let reading = &mut self.readings[self.next];
        reading.text.clear();
        reading.text.extend(text.chars().take(MAX_CHARS));
        let weight = |n: usize| {
            let given = confidences.get(n).or(confidences.last());
            let given = given.copied().unwrap_or(1.0);
            // What is no number is not above the least.
            if given > LEAST_WEIGHT {
                given.min(1.0)
            } else {
                LEAST_WEIGHT
            }
        };
        reading.weights.clear();
        reading.weights.extend((0..reading.text.len()).map(weight));
        self.next = (self.next + 1) % MAX_READINGS;
        self.len = (self.len + 1).min(MAX_READINGS);
    }

    /// What they agree on; an empty text if there are none, or most are against every character.
    pub fn fused(&mut self) -> Fused {
        let mut fused = Fused::default();
        self.fuse_into(&mut fused);
        fused
    }

    /// As [`Votes::fused`], in the memory of `fused`.
    pub fn fuse_into(&mut self, fused: &mut Fused) {
        fused.text.clear();
        fused.characters.clear();
        (fused.confidence, fused.agreement, fused.whole) = (0.0, 0.0, 0.0);
        fused.readings = self.len;
        if self.len == 0 {
            return;
        }
        // What was cleared is still in the ring, behind `len`; until it is full that begins at 0.
        let readings = &self.readings[..self.len];
        let scratch = &mut self.scratch;
        let center = scratch.center(readings);
        scratch.align_all(readings, center);
        scratch.count(readings, center);

        let mut agreement = 1.0_f32;
        for column in &scratch.columns {
            let (winner, weight, count) = column.winner();
            agreement = agreement.min(column.support(winner));
            if let Some(c) = winner {
                let share = weight / column.total();
                fused.text.push(c);
                fused.characters.push(share * weight / count as f32);
            }
        }
        let sum: f32 = fused.characters.iter().sum();
        fused.confidence = sum / fused.characters.len().max(1) as f32;
        let equal = readings
            .iter()
            .filter(|reading| fused.text.chars().eq(reading.text.iter().copied()));
        fused.whole = equal.count() as f32 / self.len as f32;
        fused.agreement = agreement.max(fused.whole);
    }
}

impl Scratch {
    /// The reading with the least distance to all others by their weight; of equal ones the heavier,
    /// then the first.
    fn center(&mut self, readings: &[Reading]) -> usize {
        let mut best = (0, f32::INFINITY, 0.0);
        for (n, reading) in readings.iter().enumerate() {
            let others = readings.iter().enumerate().filter(|(other, _)| *other != n);
            let mut sum = 0.0;
            for (_, other) in others {
                sum += self.distance(&reading.text, &other.text) as f32 * other.mean();
            }
            if sum < best.1 || (sum == best.1 && reading.mean() > best.2) {
                best = (n, sum, reading.mean());
            }
        }
        best.0
    }

    fn distance(&mut self, a: &[char], b: &[char]) -> u32 {
        let columns = b.len() + 1;
        self.table.clear();
        self.table.resize((a.len() + 1) * columns, 0);
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                let best = match (i, j) {
                    (0, _) => j as u32 * ONE,
                    (_, 0) => i as u32 * ONE,
                    _ => {
                        let above = (i - 1) * columns + j;
                        let left = i * columns + j - 1;
                        let changed = self.table[above - 1] + cost(a[i - 1], b[j - 1]);
                        changed.min(self.table[above].min(self.table[left]) + ONE)
                    }
                };
                self.table[i * columns + j] = best;
            }
        }
        self.table[a.len() * columns + b.len()]
    }

    fn align_all(&mut self, readings: &[Reading], center: usize) {
        if self.aligned.len() < readings.len() {
            self.aligned.resize_with(readings.len(), Aligned::default);
        }
        for (n, reading) in readings.iter().enumerate() {
            self.align(&readings[center].text, &reading.text, n);
        }
    }

    /// Goes back through the costs from the end.
    fn align(&mut self, center: &[char], text: &[char], n: usize) {
        self.distance(center, text);
        let columns = text.len() + 1;
        let table = &self.table;
        let aligned = &mut self.aligned[n];
        aligned.at.clear();
        aligned.at.resize(center.len(), None);
        aligned.between.clear();
        aligned.between.resize(center.len() + 1, (0, 0));
        let (mut i, mut j) = (center.len(), text.len());
        let mut end = j;
        loop {
            let here = table[i * columns + j];
            if i > 0
                && j > 0
                && here == table[(i - 1) * columns + j - 1] + cost(center[i - 1], text[j - 1])
            {
                aligned.between[i] = (j, end);
                (i, j) = (i - 1, j - 1);
                aligned.at[i] = Some(j);
                end = j;
            } else if j > 0 && here == table[i * columns + j - 1] + ONE {
                j -= 1;
            } else if i > 0 {
                aligned.between[i] = (j, end);
                i -= 1;
                end = j;
            } else {
                aligned.between[0] = (0, end);
                break;
            }
        }
    }

    fn count(&mut self, readings: &[Reading], center: usize) {
        let places = readings[center].text.len();
        let aligned = &self.aligned[..readings.len()];
        let mut used = 0;
        for place in 0..=places {
            let widths = aligned
                .iter()
                .map(|a| a.between[place].1 - a.between[place].0);
            for extra in 0..widths.max().unwrap_or(0) {
                let column = next_column(&mut self.columns, &mut used);
                for (reading, aligned) in readings.iter().zip(aligned) {
                    let (begin, end) = aligned.between[place];
                    let at = Some(begin + extra).filter(|at| *at < end);
                    vote(column, reading, at);
                }
            }
            if place < places {
                let column = next_column(&mut self.columns, &mut used);
                for (reading, aligned) in readings.iter().zip(aligned) {
                    vote(column, reading, aligned.at[place]);
                }
            }
        }
        // The memory of those beyond is kept, but they say nothing.
        for column in &mut self.columns[used..] {
            column.said.clear();
        }
    }
}

fn next_column<'a>(columns: &'a mut Vec<Column>, used: &mut usize) -> &'a mut Column {
    if *used == columns.len() {
        columns.push(Column::default());
    }
    *used += 1;
    let column = &mut columns[*used - 1];
    column.said.clear();
    column
}

/// A reading without a character is as sure of that as of the characters it has.
fn vote(column: &mut Column, reading: &Reading, at: Option<usize>) {
    match at {
        Some(at) => column.vote(Some(reading.text[at]), reading.weights[at]),
        None => column.vote(None, reading.mean()),
    }
}

#[cfg(test)]
mod tests;
