//! From the reader's numbers to text (A. Graves et al., "Connectionist Temporal Classification",
//! ICML 2006, section 3.2).

use crate::error::{Error, Result};
use crate::plate::ocr::Reading;

/// What the numbers of a step are of: nothing, then these.
pub const CLASSES: &[u8; 37] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Other characters of a place are kept if they are as likely as this.
const LEAST_OTHER: f32 = 0.02;
/// The most characters of a plate; what is longer is none.
const MAX_CHARACTERS: usize = 16;

/// Reads the logits of all steps, [`CLASSES`] numbers each: of each step the likeliest class, equal
/// ones in a row being one character.
///
/// A character is as sure as the most certain of its steps.
///
/// # Errors
/// [`Error::Inference`] when the numbers are no steps.
pub fn read_steps(logits: &[f32]) -> Result<Reading> {
    const COUNT: usize = CLASSES.len();
    if logits.is_empty() || !logits.len().is_multiple_of(COUNT) {
        return Err(Error::Inference {
            problem: format!("{} numbers are no steps of {COUNT} classes", logits.len()),
        });
    }
    let mut places: Vec<Vec<(char, f32)>> = Vec::new();
    let mut last = 0;
    for step in logits.chunks_exact(COUNT) {
        let mut probabilities = [0.0; COUNT];
        let highest = step.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (probability, logit) in probabilities.iter_mut().zip(step) {
            *probability = (logit - highest).exp();
        }
        let sum: f32 = probabilities.iter().sum();
        // With a number that is none, nothing is known of the step.
        let known = sum.is_finite() && sum > 0.0;
        let class = if known { likeliest(&probabilities) } else { 0 };
        if class != 0 {
            let place = || {
                let others = probabilities.iter().enumerate().skip(1);
                let sure = others.map(|(class, p)| (char::from(CLASSES[class]), p / sum));
                let mut place: Vec<(char, f32)> =
                    sure.filter(|(_, sure)| *sure >= LEAST_OTHER).collect();
                place.sort_by(|a, b| b.1.total_cmp(&a.1));
                place
            };
            let sure = probabilities[class] / sum;
            match places.last_mut() {
                Some(before) if class == last => {
                    if before[0].1 < sure {
                        *before = place();
                    }
                }
                _ => places.push(place()),
            }
        }
        last = class;
    }
    if places.len() > MAX_CHARACTERS {
        places.clear();
    }
    Ok(Reading::new(places))
}

fn likeliest(probabilities: &[f32]) -> usize {
    let by_value = |a: &(usize, &f32), b: &(usize, &f32)| a.1.total_cmp(b.1);
    let best = probabilities.iter().enumerate().max_by(by_value);
    best.map_or(0, |(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that are sure of these classes.
    fn steps(text: &str, sure: f32) -> Vec<f32> {
        let mut logits = Vec::new();
        for class in text.bytes() {
            let index = CLASSES.iter().position(|other| *other == class);
            let mut step = [0.0; CLASSES.len()];
            step[index.expect("it is a class")] = sure;
            logits.extend(step);
        }
        logits
    }

    #[test]
    fn equal_steps_are_one_character_unless_something_is_between() {
        let read = |text: &str| read_steps(&steps(text, 20.0)).expect("the numbers fit");
        assert_eq!(read("-A-").text, "A");
        assert_eq!(read("AA-AB11--1").text, "AAB11");
        assert_eq!(read("----").text, "");
        assert!(read("A").confidence > 0.99);
        assert_eq!(read(&"A-".repeat(40)).text, "", "no plate is so long");
    }

    #[test]
    fn a_character_is_as_sure_as_its_best_step_and_knows_of_others() {
        let mut logits = steps("A", 2.0);
        logits.extend(steps("A", 9.0));
        let sure = read_steps(&logits).expect("the numbers fit");
        assert_eq!(sure.text, "A");
        assert!(sure.confidence > 0.99);
        let mut logits = steps("8", 9.0);
        logits[12] = 8.5;
        let unsure = read_steps(&logits).expect("the numbers fit");
        let characters: String = unsure.characters[0].iter().map(|(c, _)| *c).collect();
        assert_eq!(characters, "8B");
    }

    #[test]
    fn what_is_no_number_is_no_character() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let reading = read_steps(&[bad; CLASSES.len()]).expect("the numbers fit");
            assert_eq!(reading, Reading::default(), "{bad}");
        }
        assert!(read_steps(&[]).is_err());
        assert!(read_steps(&[0.0; 38]).is_err());
    }
}
