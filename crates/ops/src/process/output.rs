//! The end of what a program writes.

use std::collections::VecDeque;

/// As much is kept of what a program writes: the end, where errors stand.
pub const MAX_OUTPUT: usize = 64 * 1024;

/// The end of what a program wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    kept: VecDeque<u8>,
    dropped: u64,
}

impl Output {
    /// Adds what comes next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        let excess = self.kept.len().saturating_sub(MAX_OUTPUT);
        self.kept.drain(..excess);
        self.dropped += excess as u64;
    }

    /// The text, at most [`MAX_OUTPUT`] bytes before what is no UTF-8 was replaced.
    pub fn text(&self) -> String {
        let (first, second) = self.kept.as_slices();
        let bytes = [first, second].concat();
        // The beginning may be in the middle of a character.
        let is_inside = |byte: &&u8| self.dropped > 0 && **byte & 0xc0 == 0x80;
        let inside = bytes.iter().take(3).take_while(is_inside).count();
        String::from_utf8_lossy(&bytes[inside..]).into_owned()
    }

    /// How many bytes before it were not kept.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_from_a_whole_character_on() {
        let mut output = Output::default();
        output.push("ü".repeat(MAX_OUTPUT).as_bytes());
        output.push(b"!");
        assert_eq!(output.dropped(), MAX_OUTPUT as u64 + 1);
        let text = output.text();
        assert!(text.ends_with("ü!") && !text.contains('\u{fffd}'));
        assert_eq!(text.len(), MAX_OUTPUT - 1);
    }
}
