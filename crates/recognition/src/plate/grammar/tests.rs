use proptest::prelude::*;

use super::*;

fn read(region: Region, raw: &str) -> (String, bool, usize) {
    let text = Grammar::new(region).read(raw);
    (text.clean, text.fits, text.corrected)
}

#[test]
fn regions_have_valid_patterns_that_match_something() {
    for region in Region::ALL {
        let grammar = Grammar::new(region);
        assert!(grammar.shapes.matches_something(), "{region}");
        assert_eq!(
            region.name().parse::<Region>().expect("its own name"),
            region
        );
    }
    assert!("fr".parse::<Region>().is_err());
}

#[test]
fn a_pattern_says_where_digits_and_letters_are() {
    for (region, raw, expected) in [
        (Region::Br, "ABC-1234", "ABC1234"),
        (Region::Br, "ABC1D23", "ABC1D23"),
        // The second form wants a letter there, the first a digit: nothing to correct.
        (Region::Br, "ABCI234", "ABC1234"),
        (Region::Br, "A8C1Z34", "ABC1Z34"),
        (Region::Br, "0AB1O34", "OAB1O34"),
        (Region::Br, "GWT2I8O", "GWT2I80"),
        (Region::De, "B-0B 123", "BOB123"),
        (Region::De, "M-X IOO", "MX100"),
        (Region::De, "Y-12345G", "Y123456"),
        (Region::Eu, "AB1ZCDE", "AB12CDE"),
        // Both are forms of some country: nothing tells which was meant.
        (Region::Eu, "4BO4979", "4BO4979"),
        (Region::Eu, "RK30OAG", "RK30OAG"),
        (Region::Us, "8SAM123", "8SAM123"),
        (Region::Us, "7ABCI23", "7ABC123"),
        (Region::Us, "LOVE", "LOVE"),
    ] {
        let (text, fits, _) = read(region, raw);
        assert_eq!((text.as_str(), fits), (expected, true), "{region} {raw}");
    }
}

#[test]
fn what_no_plate_looks_like_does_not_fit_and_stays() {
    for (region, raw) in [
        (Region::Br, ""),
        (Region::Br, "ABCXYZT"),
        (Region::Br, "AB12"),
        (Region::De, "1234567890"),
        (Region::De, "BIMMIAN"),
        (Region::Eu, "GWAGENS"),
        (Region::Eu, "BIMMIAN"),
        (Region::Eu, "A1"),
        (Region::Eu, "ABCDEFGH123"),
        (Region::Us, "A"),
        (Region::Us, "ABCDEFGHI"),
        (Region::Us, "京A1234"),
    ] {
        let (text, fits, corrected) = read(region, raw);
        assert_eq!(
            (text.as_str(), fits, corrected),
            (raw, false, 0),
            "{region}"
        );
    }
    let long = "A".repeat(MAX_CHARS + 1);
    let text = Grammar::custom(&["A+"]).expect("a pattern").read(&long);
    assert!(!text.fits && text.clean.len() == MAX_CHARS);
}

#[test]
fn an_edge_that_was_read_as_a_character_is_left_out() {
    let grammar = Grammar::new(Region::Br);
    for (raw, kept) in [("TGWT2180", 1..8), ("GWT2180T", 0..7), ("TGWT2180T", 1..8)] {
        let text = grammar.read(raw);
        assert_eq!((text.clean.as_str(), text.kept), ("GWT2180", kept), "{raw}");
    }
}

#[test]
fn the_general_form_is_no_regular_one() {
    let regular = |region, raw| Grammar::new(region).read(raw).regular;
    assert!(regular(Region::Eu, "RK300AG") && regular(Region::Us, "7ABC123"));
    assert!(!regular(Region::Eu, "12X4Y6Z") && !regular(Region::Us, "NEILDMND"));
    assert!(regular(Region::Br, "ABC1234") && !regular(Region::Br, "ABC12345X7"));
}

#[test]
fn plates_without_a_digit_may_be_chosen_where_others_have_one() {
    let may = |region, text| Grammar::new(region).may_be_chosen(text);
    assert!(may(Region::Eu, "GWAGEN") && may(Region::Eu, "BIMMIAN"));
    for (region, text) in [
        (Region::Eu, "TAXI"),
        (Region::Eu, "AMBULANCE"),
        (Region::Eu, "GWAGEN1"),
        (Region::Eu, "КВАРТАЛ"),
        (Region::Eu, ""),
        // They fit, or there are none.
        (Region::Us, "NEILDMND"),
        (Region::De, "GWAGEN"),
        (Region::Br, "GWAGENS"),
    ] {
        assert!(!may(region, text), "{region} {text}");
    }
}

#[test]
fn ones_own_patterns_match_all_of_the_text() {
    let grammar = Grammar::parse("custom", &["[A-Z]{2}[0-9]{3}", r"X\d+"]).expect("patterns");
    assert!(grammar.fits("AB123") && grammar.fits("X1"));
    assert!(!grammar.fits("AB1234") && !grammar.fits("XAB123") && !grammar.fits(""));
    assert_eq!(grammar.read("a8-i23").clean, "AB123");
    // The default of SecureVision, with its Cyrillic letters.
    let grammar = Grammar::custom(&[r"[A-Z0-9\u0410-\u042F\u0401-]{4,10}"]).expect("a pattern");
    assert!(grammar.fits("AB123") && grammar.fits("Д123") && !grammar.fits("AB1"));
    // A pattern that takes nothing does not make nothing a plate.
    assert!(!Grammar::custom(&[".*"]).expect("a pattern").fits(""));
}

#[test]
fn patterns_that_cannot_work_are_refused() {
    let long = "A".repeat(MAX_PATTERN + 1);
    for pattern in [
        "(",
        "A)|(B",
        "[A-Z]{2}-[0-9]{3}",
        "[a-z]+",
        "",
        r"\bA1",
        "A{999999999}",
        "(?:[A-Z0-9]{1,9}[0-9]{1,9}[A-Z]{1,99}){1,99}",
        r"(?:\w{1,99}X){1,99}",
        "[0-9]{25}",
        long.as_str(),
    ] {
        let problem = Grammar::custom(&[pattern]).expect_err(pattern);
        assert!(problem.to_string().starts_with("patterns: "), "{problem}");
    }
    assert!(Grammar::custom::<&str>(&[]).is_err());
    assert!(Grammar::custom(&vec!["A"; MAX_PATTERNS + 1]).is_err());
    assert!(Grammar::parse("eu", &["A"]).is_err());
    assert!(Grammar::parse::<&str>("xx", &[]).is_err());
}

proptest! {
    #[test]
    fn a_correction_changes_only_what_looks_alike(raw in "[A-Z0-9 -]{0,12}", at in 0_usize..4) {
        let grammar = Grammar::new(Region::ALL[at]);
        let text = grammar.read(&raw);
        prop_assert_eq!(text.fits, grammar.fits(&text.clean));
        let before: Vec<char> = clean(&raw).chars().collect();
        let after: Vec<char> = text.clean.chars().collect();
        prop_assert_eq!(text.kept.len(), after.len());
        let pairs = before[text.kept.clone()].iter().zip(&after);
        let mut changed = 0;
        for (&from, &to) in pairs.filter(|(from, to)| from != to) {
            prop_assert!(counterparts(from).iter().any(|(other, _)| *other == to));
            changed += 1;
        }
        prop_assert_eq!(changed, text.corrected);
        if text.fits {
            prop_assert_eq!(grammar.read(&text.clean).clean, text.clean);
        }
    }
}
