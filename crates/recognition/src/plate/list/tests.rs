use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::plate::lookalike::distance;

fn list(text: &str) -> PlateList {
    PlateList::parse(text.as_bytes(), "list").expect("a list")
}

fn lists(allow: &str, deny: &str) -> PlateLists {
    PlateLists {
        allow: list(allow),
        deny: list(deny),
        ..PlateLists::default()
    }
}

fn verdict(lists: &PlateLists, clean: &str) -> Option<(ListKind, String, f32)> {
    let found = lists.find(clean)?;
    Some((found.list, found.entry.text.clone(), found.distance))
}

#[test]
fn lists_are_plain_or_have_descriptions() {
    for text in [
        "ABC1234\nB-KA 12\n",
        "plate_text,description\nABC1234,Family car\nB-KA 12,\"Bob, Jr.\"\n",
        "Plate\nabc 1234\nb-ka12",
        "\u{feff}ABC1234;Family car\r\n# gone: X1\r\n\r\nB·KÄ 12;Bob\r\n",
        "description,plate\nFamily car,ABC1234\nBob,BKA12\n",
        "ABC1234,id\nBKA12,plate",
    ] {
        let list = list(text);
        let texts: Vec<&str> = list
            .entries()
            .iter()
            .map(|entry| entry.text.as_str())
            .collect();
        assert_eq!(texts, ["ABC1234", "BKA12"], "{text:?}");
        assert!(list.warnings().is_empty());
    }
    let entry = list("plate_text,description\nABC-1234, Family car ").entries()[0].clone();
    assert_eq!((entry.written.as_str(), entry.line), ("ABC-1234", 2));
    assert_eq!(entry.description, "Family car");
}

#[test]
fn empty_lists_have_nobody_in_them() {
    for text in [
        "",
        "\n",
        "# nobody\n",
        "plate_text,description\n",
        "\u{feff}",
    ] {
        assert!(list(text).is_empty(), "{text:?}");
    }
    assert_eq!(verdict(&lists("", ""), "ABC1234"), None);
    assert_eq!(verdict(&lists("ABC1234", "XYZ1234"), ""), None);
}

#[test]
fn a_broken_list_is_refused_as_a_whole() {
    for (text, expected) in [
        (
            "ABC1234\n---\n",
            "the list of plates list: line 2: there is no plate in it",
        ),
        ("AB*", "line 1: '*' is in no plate"),
        ("ABC1234\n,Bob\n", "line 2: there is no plate in it"),
        ("ABC1234\nX12;Bob\n", "line 2: ';' is in no plate"),
        ("ABC1234\n\n{\"a\": 1}", "line 3: '{' is in no plate"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "line 1: no plate is so long"),
        ("\"ABC", "line 1: a quote is not closed"),
    ] {
        let error = PlateList::parse(text.as_bytes(), "list").expect_err(text);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let large = vec![b'\n'; MAX_FILE as usize + 1];
    assert!(PlateList::parse(&large, "list").is_err());
    let many: String = (0..=MAX_PLATES).map(|n| format!("P{n}\n")).collect();
    let error = PlateList::parse(many.as_bytes(), "list").expect_err("one too many");
    assert!(error.to_string().contains("line 100001"), "{error}");
}

#[test]
fn duplicates_and_conflicts_are_told() {
    let lists = lists("AB-1,one\nab1,two\nCD2", "X1\nC D 2");
    assert_eq!(lists.allow.entries()[0].description, "one");
    assert_eq!(
        verdict(&lists, "CD2"),
        Some((ListKind::Deny, "CD2".into(), 0.0))
    );
    let told: Vec<String> = lists.warnings().iter().map(Warning::to_string).collect();
    assert_eq!(
        told,
        [
            "list: line 2 has the plate of line 1 again",
            "the plate in line 3 of the allow list is in line 2 of the deny list, too, and is denied",
        ]
    );
}

#[test]
fn what_is_equal_comes_before_what_looks_alike() {
    let mut lists = lists("RK300AG\nB123", "RK3OOAG\n8I23\nAB1");
    for (read, expected) in [
        ("RK300AG", Some((ListKind::Allow, "RK300AG", 0.0))),
        ("RK3OOAG", Some((ListKind::Deny, "RK3OOAG", 0.0))),
        // Equally near to both.
        ("RK30OAG", Some((ListKind::Deny, "RK3OOAG", 0.1))),
        ("BI23", Some((ListKind::Allow, "B123", 0.1))),
        ("8123", Some((ListKind::Deny, "8I23", 0.1))),
        ("AB2", None),
        ("AB", None),
    ] {
        let expected = expected.map(|(list, text, far)| (list, text.to_owned(), far));
        assert_eq!(verdict(&lists, read), expected, "{read}");
    }
    (lists.allow_distance, lists.deny_distance) = (0.0, 1.0);
    assert_eq!(
        verdict(&lists, "BI23"),
        Some((ListKind::Deny, "8I23".into(), 0.3))
    );
    assert_eq!(
        verdict(&lists, "AB"),
        Some((ListKind::Deny, "AB1".into(), 1.0))
    );
    (lists.allow_distance, lists.deny_distance) = (f32::NAN, -1.0);
    assert_eq!(verdict(&lists, "AB"), None);
}

#[test]
fn of_equally_near_ones_the_first_counts() {
    let found = list("A0O\nAO0\nAQQ");
    let (entry, far) = found.nearest("A00", 1.0).expect("both are near");
    assert_eq!((entry.text.as_str(), far), ("A0O", 0.1));
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_is_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let (allow, deny) = (
        folder.path().join("allow.csv"),
        folder.path().join("deny.csv"),
    );
    fs::write(&allow, "AB1\n").expect("written");
    let missing = ListFiles::open(Some(&allow), Some(&deny)).expect_err("there is no deny list");
    assert!(missing.to_string().contains("deny.csv"));
    fs::write(&deny, "XY1\n").expect("written");
    let mut files = ListFiles::open(Some(&allow), Some(&deny)).expect("both are there");
    let at = Duration::from_millis;
    assert!(files.check(at(0)).is_empty());

    // Editors write another file and give it the name.
    let replace = |text: &str| {
        let new = folder.path().join("new");
        fs::write(&new, text).expect("written");
        fs::rename(&new, &deny).expect("renamed");
    };
    replace("XY2\n");
    assert!(
        files.check(at(999)).is_empty(),
        "it was looked at less than a second ago"
    );
    let changes = files.check(at(1000));
    assert!(matches!(
        changes[..],
        [(ListKind::Deny, ListChange::Reloaded { plates: 1 })]
    ));
    assert!(files.lists().find("XY2").is_some() && files.lists().find("XY1").is_none());

    replace("XY3\n\"");
    let changes = files.check(at(2000));
    assert!(matches!(
        changes[..],
        [(ListKind::Deny, ListChange::Broken(Error::List { .. }))]
    ));
    assert!(
        files.lists().find("XY2").is_some(),
        "what was read before is in force"
    );
    assert!(files.check(at(3000)).is_empty(), "it is said once");

    fs::remove_file(&deny).expect("removed");
    assert!(matches!(
        files.check(at(4000))[..],
        [(ListKind::Deny, ListChange::Broken(Error::Read { .. }))]
    ));
    assert!(files.check(at(5000)).is_empty(), "it is said once");
    assert!(
        files.lists().find("XY2").is_some(),
        "what was read before is in force"
    );
    fs::write(&deny, "XY4\nXY5\n").expect("written");
    // The clock may begin anew.
    assert!(matches!(
        files.check(at(10))[..],
        [(ListKind::Deny, ListChange::Reloaded { plates: 2 })]
    ));
    assert!(files.lists().find("AB1").is_some() && files.lists().find("XY4").is_some());
}

#[test]
fn a_list_without_a_file_is_empty() {
    let mut files = ListFiles::open(None, None).expect("nothing to read");
    assert!(files.lists().find("AB1").is_none() && files.check(Duration::ZERO).is_empty());
    assert!(files.warnings().is_empty());
}

proptest! {
    #[test]
    fn no_plate_is_nearer_than_the_nearest(
        plates in prop::collection::vec("[A-C0-3OIS5]{1,5}", 0..12),
        read in "[A-C0-3OIS5]{1,5}",
        max in 0.0_f32..2.0,
    ) {
        let list = list(&plates.join("\n"));
        let far = |entry: &Entry| distance(&read, &entry.text);
        let best = list.entries().iter().map(far).fold(f32::INFINITY, f32::min);
        match list.nearest(&read, max) {
            Some((entry, found)) => {
                prop_assert_eq!((found, far(entry)), (best, best));
                let first = list.entries().iter().find(|entry| far(entry) == best);
                prop_assert_eq!(first, Some(entry));
            }
            // Limits are whole hundredths.
            None => prop_assert!(best > max - 0.0051),
        }
    }

    #[test]
    fn a_reading_is_as_near_to_an_entry_as_the_other_way_round(a in "[A-Z0-9]{1,8}", b in "[A-Z0-9]{1,8}") {
        // As a first row of its own it is the name of a column, and no plate.
        prop_assume!(a != "ID" && b != "ID");
        let near = |listed: &str, read: &str| {
            list(&format!("x0\n{listed}")).nearest(read, 9.0).map(|found| found.1)
        };
        // A first row may be a header; `X0` is far from everything or as near to both.
        let (ab, ba) = (near(&a, &b), near(&b, &a));
        let least = distance(&a, &b);
        prop_assert!(ab.is_some_and(|far| far <= least) && ba.is_some_and(|far| far <= least));
        prop_assert_eq!(lists(&a, &b).find(&a).is_some(), lists(&b, &a).find(&b).is_some());
    }

    #[test]
    fn what_is_written_is_read_again(
        rows in prop::collection::btree_map("[A-Z0-9]{3,8}", "[ -~\\n]{0,20}", 1..9)
    ) {
        let field = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let body: String = rows.iter().map(|(plate, text)| format!("{plate},{}\n", field(text))).collect();
        let list = list(&format!("plate_text,description\n{body}"));
        let read = list.entries().iter().map(|entry| (&entry.text, entry.description.as_str()));
        let written = rows.iter().map(|(plate, text)| (plate, text.trim_end()));
        prop_assert!(read.eq(written));
    }
}
