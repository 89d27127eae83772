//! The forms of plates, without blanks and hyphens, as their countries describe them.

/// Brazil (CONTRAN resolutions 231/2007 and 729/2018).
pub(super) const BR: &[&str] = &["[A-Z]{3}[0-9]{4}", "[A-Z]{3}[0-9][A-Z][0-9]{2}"];

/// Germany (FZV, annexes 1 and 2): ordinary ones with E and H, of 8 characters at most; authorities;
/// dealers, short-term and old vehicles; the armed forces; diplomats.
pub(super) const DE: &[&str] = &[
    "[A-Z]{1,3}[A-Z][1-9][0-9]{0,3}[EH]?",
    "[A-Z]{1,2}[A-Z]{2}[1-9][0-9]{0,3}",
    "[A-Z]{1,2}[A-Z]{2}[1-9][0-9]{0,2}[EH]",
    "[A-Z]{3}[A-Z]{2}[1-9][0-9]{0,2}",
    "[A-Z]{3}[A-Z]{2}[1-9][0-9]{0,1}[EH]",
    "[A-Z]{1,3}[1-9][0-9]{0,4}",
    "[A-Z]{1,3}0[3-7][0-9]{2,4}",
    "[XY][0-9]{6}",
    "0[0-9]{3,7}",
];

/// The common series of the countries of Europe. Where one leaves out letters that look like digits,
/// so do these.
pub(super) const EU: &[&str] = &[
    // Germany, Austria, Switzerland, and older series of many countries.
    "[A-Z]{1,3}[A-Z]{1,2}[1-9][0-9]{0,3}[EH]?",
    "[A-Z]{1,2}[1-9][0-9]{2,5}",
    "[A-Z]{1,2}[1-9][0-9]{1,4}[A-Z]{1,3}",
    // Slovakia, France, Italy, and others with two letters at each end.
    "[A-Z]{2}[0-9]{3}[A-Z]{2}",
    "[A-Z]{2}[0-9]{4}[A-Z]{2}",
    "[0-9]{1,4}[A-Z]{2,3}[0-9]{2}",
    // Czechia: a digit, a region's letter, and a letter or digit before four digits.
    "[0-9][ABCEHJKLMPSTUZ][0-9A-Z][0-9]{4}",
    "[A-Z]{2,3}[0-9]{4}",
    // Poland (no B, D, I, O, Z after the region).
    "[A-Z]{2}[0-9]{5}",
    "[A-Z]{2}[0-9]{4}[AC-HJ-NP-Y]",
    "[A-Z]{2}[0-9]{3}[AC-HJ-NP-Y]{2}",
    "[A-Z]{2}[0-9][AC-HJ-NP-Y][0-9]{3}",
    "[A-Z]{2}[0-9][AC-HJ-NP-Y]{2}[0-9]{2}",
    "[A-Z]{3}[AC-HJ-NP-Y][0-9]{3}",
    "[A-Z]{3}[0-9]{2}[AC-HJ-NP-Y]{2}",
    "[A-Z]{3}[0-9][AC-HJ-NP-Y][0-9]{2}",
    "[A-Z]{3}[0-9]{2}[AC-HJ-NP-Y][0-9]",
    "[A-Z]{3}[0-9][AC-HJ-NP-Y]{2}[0-9]",
    "[A-Z]{3}[AC-HJ-NP-Y]{2}[0-9]{2}",
    "[A-Z]{3}[0-9]{5}",
    "[A-Z]{3}[0-9]{4}[AC-HJ-NP-Y]",
    "[A-Z]{3}[0-9]{3}[AC-HJ-NP-Y]{2}",
    // The United Kingdom: since 2001, and the prefix and suffix series before.
    "[A-Z]{2}[0-9]{2}[A-Z]{3}",
    "[A-Z][0-9]{1,3}[A-Z]{3}",
    "[A-Z]{3}[0-9]{1,3}[A-Z]?",
    // The Netherlands.
    "[0-9]{2}[A-Z]{2,3}[0-9]{1,2}",
    "[0-9][A-Z]{3}[0-9]{2}",
    "[A-Z]{2}[0-9]{3}[A-Z]",
    "[A-Z][0-9]{3}[A-Z]{2}",
    "[0-9]{2}[A-Z]{4}",
    "[A-Z]{2}[0-9]{2}[A-Z]{2}",
    // Belgium, Spain, Portugal, Hungary, Sweden, Finland, Lithuania.
    "[1-9][A-Z]{3}[0-9]{3}",
    "[0-9]{4}[A-Z]{2,3}",
    "[0-9]{2}[A-Z]{2}[0-9]{2}",
    "[0-9]{4}[A-Z]{2}",
    "[A-Z]{4}[0-9]{3}",
    "[A-Z]{3}[0-9]{2}[0-9A-Z]",
    // Denmark, Norway, Estonia, Luxembourg, Ireland, Bulgaria, Romania, Greece, Croatia.
    "[A-Z]{2}[0-9]{5}",
    "[0-9]{3}[A-Z]{3}",
    "[0-9]{2,3}[A-Z]{1,2}[0-9]{1,6}",
    "[A-Z]{1,2}[0-9]{4}[A-Z]{2}",
    "[A-Z]{1,2}[0-9]{2,3}[A-Z]{3}",
    "[A-Z]{3}[0-9]{4}",
    "[A-Z]{2}[0-9]{3,4}[A-Z]{1,2}",
];

/// Common series of the states of the USA.
pub(super) const US: &[&str] = &[
    "[0-9][A-Z]{3}[0-9]{3}",
    "[A-Z]{3}[0-9]{3,4}",
    "[0-9]{3}[A-Z]{3}",
    "[0-9]{3}[A-Z]{2}",
    "[A-Z]{2}[0-9][A-Z][0-9][A-Z]",
    "[A-Z][0-9]{6}",
    "[A-Z]{2}[0-9]{4,5}",
    "[0-9]{7}",
];
