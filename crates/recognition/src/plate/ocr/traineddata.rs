//! Tesseract's language files: a count, that many offsets, then the parts, each up to the next.
//!
//! (`tesseract/src/ccutil/tessdatamanager.cpp`: 32 bits for the count, 64 for each offset, little
//! endian, -1 for what is missing.)

/// The place of the list of words among the parts. With it, Tesseract sees words where there are
/// none; its setting `load_system_dawg` can only be given before the language is loaded, for which
/// the bindings have no call.
const LSTM_SYSTEM_DAWG: usize = 19;
/// More than any version has: what says otherwise is no such file.
const MAX_PARTS: usize = 64;

/// Takes the list of words out. False if it is no language file.
pub(super) fn forget_words(file: &mut [u8]) -> bool {
    let Some((count, rest)) = file.split_at_mut_checked(4) else {
        return false;
    };
    let count = u32::from_le_bytes(count.try_into().expect("4 bytes")) as usize;
    if !(1..=MAX_PARTS).contains(&count) || rest.len() < 8 * count {
        return false;
    }
    if let Some(offset) = rest[..8 * count].chunks_exact_mut(8).nth(LSTM_SYSTEM_DAWG) {
        offset.fill(0xff);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_are_forgotten() {
        let mut file = Vec::from(24_u32.to_le_bytes());
        for part in 0..24_i64 {
            file.extend((196 + part).to_le_bytes());
        }
        file.extend([7; 24]);
        let mut without = file.clone();
        assert!(forget_words(&mut without));
        let offset = 4 + 8 * LSTM_SYSTEM_DAWG;
        assert_eq!(without[offset..offset + 8], (-1_i64).to_le_bytes());
        without[offset..offset + 8].copy_from_slice(&file[offset..offset + 8]);
        assert_eq!(without, file);
    }

    #[test]
    fn what_is_no_language_file_is_refused() {
        assert!(!forget_words(&mut []));
        assert!(!forget_words(&mut [0; 300]));
        assert!(!forget_words(&mut [0xff; 300]));
        let mut cut = Vec::from(24_u32.to_le_bytes());
        cut.extend([0; 100]);
        assert!(!forget_words(&mut cut));
    }
}
