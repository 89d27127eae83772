//! What people write of plates, and what readers make of pictures of them.

use std::sync::LazyLock;

use crate::plate::grammar::{Grammar, Region};
use crate::plate::list::{Addition, ListText, PlateList};
use crate::plate::lookalike::{SAME_PLATE, distance};
use crate::plate::text::{MAX_CHARS, clean};
use crate::plate::vote::Votes;

static GRAMMARS: LazyLock<Vec<Grammar>> =
    LazyLock::new(|| Region::ALL.into_iter().map(Grammar::new).collect());

/// A list of plates: each of its plates is found, and written down again it is the same list.
pub fn plate_list(bytes: &[u8]) {
    let Ok(list) = PlateList::parse(bytes, "a list") else {
        return;
    };
    let mut written = String::from("plate_text,description\n");
    for entry in list.entries() {
        assert_eq!(list.exact(&entry.text), Some(entry));
        assert_eq!(clean(&entry.text), entry.text);
        let description = entry.description.replace('"', "\"\"");
        written += &format!("{},\"{description}\"\n", entry.text);
    }
    // A row that grew by its quotes may be too long now.
    let Ok(again) = PlateList::parse(written.as_bytes(), "again") else {
        return;
    };
    assert!(again.warnings().is_empty());
    let content = |list: &PlateList| -> Vec<(String, String)> {
        let entries = list.entries().iter();
        entries
            .map(|entry| (entry.text.clone(), entry.description.clone()))
            .collect()
    };
    assert_eq!(content(&list), content(&again));
    for entry in list.entries().iter().take(8) {
        let (nearest, far) = again.nearest(&entry.text, SAME_PLATE).expect("it is there");
        assert_eq!((nearest.text.as_str(), far), (entry.text.as_str(), 0.0));
    }
    change(bytes, &list);
}

/// Changes a list: nothing but the one plate is another then.
fn change(bytes: &[u8], list: &PlateList) {
    const NEW: &str = "ZZ-99999";
    let mut text = ListText::parse(bytes, "a list").expect("it was read as a list");
    assert_eq!(text.bytes(), bytes);
    match text.add(NEW, "a;b, \"c\"", 0.0) {
        Ok(Addition::Added(_)) => {
            assert_eq!(text.list().len(), list.len() + 1);
            assert_eq!(text.remove(NEW).expect("it was added").len(), 1);
        }
        Ok(Addition::Known { .. }) => assert!(list.exact("ZZ99999").is_some()),
        // The list is full.
        Err(_) => return,
    }
    assert_eq!(text.list().len(), list.len());
    if let Some(entry) = list.entries().first() {
        assert!(!text.remove(&entry.text).expect("it is there").is_empty());
        assert_eq!(text.list().len(), list.len() - 1);
    }
}

/// Texts of plates, one a line, as one track's readings; and the whole as a pattern.
pub fn plate_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut votes = Votes::new();
    for line in text.lines().take(16) {
        let cleaned = clean(line);
        assert!(cleaned.chars().count() <= MAX_CHARS);
        assert_eq!(clean(&cleaned), cleaned);
        for grammar in GRAMMARS.iter() {
            check(grammar, line, &cleaned);
        }
        votes.add(&cleaned, &[0.9, 0.5, 0.1]);
        let fused = votes.fused();
        assert_eq!(fused.text.chars().count(), fused.characters.len());
        assert!((0.0..=1.001).contains(&fused.agreement) && fused.agreement >= fused.whole);
        assert_eq!(
            distance(&fused.text, &cleaned),
            distance(&cleaned, &fused.text)
        );
    }
    // Automata of some patterns take long to make, within their bound; long ones only more of it.
    if text.len() <= 32
        && let Ok(grammar) = Grammar::custom(&[text])
    {
        check(&grammar, "AB-123", "AB123");
    }
}

fn check(grammar: &Grammar, raw: &str, cleaned: &str) {
    let read = grammar.read(raw);
    assert_eq!(
        read.fits,
        !read.clean.is_empty() && fits(grammar, raw, &read.clean)
    );
    assert_eq!(read.clean.chars().count(), read.kept.len());
    let kept = cleaned
        .chars()
        .skip(read.kept.start)
        .zip(read.clean.chars());
    assert_eq!(kept.filter(|(a, b)| a != b).count(), read.corrected);
}

/// What was cut off does not fit, whatever is left.
fn fits(grammar: &Grammar, raw: &str, read: &str) -> bool {
    grammar.fits(read) && !crate::plate::text::is_too_long(raw)
}
