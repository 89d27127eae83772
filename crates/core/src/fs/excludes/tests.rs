use proptest::prelude::*;

use super::*;

fn excludes(patterns: &[&str]) -> Excludes {
    patterns
        .iter()
        .try_fold(ExcludesBuilder::new(), |builder, pattern| {
            builder.glob(pattern)
        })
        .and_then(ExcludesBuilder::build)
        .expect("valid patterns")
}

fn file(patterns: &[&str], path: &str) -> bool {
    excludes(patterns).matches(path.as_bytes(), false, 1)
}

fn dir(patterns: &[&str], path: &str) -> bool {
    excludes(patterns).matches(path.as_bytes(), true, 0)
}

#[test]
fn nothing_matches_nothing() {
    let none = Excludes::default();
    assert!(none.is_empty());
    for path in ["", "/", "/a", "/a/b", "a"] {
        assert!(!none.matches(path.as_bytes(), false, u64::MAX));
        assert!(!none.covers(path.as_bytes(), true, 0));
    }
}

#[test]
fn a_name_matches_at_any_depth() {
    assert!(file(&["*.o"], "/a.o"));
    assert!(file(&["*.o"], "/home/u/src/a.o"));
    assert!(file(&["*.o"], "a.o"));
    assert!(!file(&["*.o"], "/home/u/a.obj"));
    assert!(!file(&["*.o"], "/home/u.o/a"), "a walk does not get here");
    assert!(file(&["core"], "/core"));
    assert!(!file(&["core"], "/score"));
    assert!(file(&["v?[0-9]"], "/x/v.7"));
    assert!(file(&["*.{jpg,png}"], "/x/a.png"));
}

#[test]
fn what_lies_beneath_a_match_is_covered() {
    let objects = excludes(&["node_modules", "/tmp/"]);
    assert!(objects.covers(b"/p/node_modules/x/y.js", false, 1));
    assert!(objects.covers(b"/tmp/x", false, 1));
    assert!(objects.covers(b"/p/node_modules", false, 1));
    assert!(
        !objects.covers(b"/tmp", false, 1),
        "a file, and the pattern wants directories"
    );
    assert!(!objects.covers(b"/p/modules/x", false, 1));
}

#[test]
fn a_leading_slash_anchors() {
    assert!(dir(&["/home/*/tmp"], "/home/u/tmp"));
    assert!(!dir(&["/home/*/tmp"], "/mnt/home/u/tmp"));
    assert!(
        !dir(&["/home/*/tmp"], "/home/u/x/tmp"),
        "a star does not cross a slash"
    );
    assert!(dir(&["/home/**/tmp"], "/home/u/x/tmp"));
    assert!(dir(&["/home/**/tmp"], "/home/tmp"));
    assert!(file(&["/x"], "/x"));
    assert!(!file(&["/x"], "/y/x"));
}

#[test]
fn an_inner_slash_matches_at_any_depth() {
    assert!(dir(&["target/debug"], "/src/p/target/debug"));
    assert!(dir(&["target/debug"], "/target/debug"));
    assert!(!dir(&["target/debug"], "/src/mytarget/debug"));
    assert!(file(&["a/**/z"], "/q/a/b/c/z"));
    assert!(file(&["a/**"], "/q/a/b/c"));
    assert!(!dir(&["a/**"], "/q/a"));
    assert!(
        file(&["./x//y"], "/x/y"),
        "patterns are tidied as paths are"
    );
}

#[test]
fn a_trailing_slash_means_directories() {
    assert!(dir(&["cache/"], "/u/cache"));
    assert!(!file(&["cache/"], "/u/cache"));
    assert!(file(&["cache/", "cac*"], "/u/cache"));
}

#[test]
fn the_last_match_decides() {
    assert!(!file(&["*.o", "!keep.o"], "/keep.o"));
    assert!(file(&["*.o", "!keep.o"], "/lose.o"));
    assert!(file(&["!keep.o", "*.o"], "/keep.o"));
    assert!(file(&["*.o", "!keep.o", "keep.o"], "/keep.o"));
    assert!(
        file(&["*.o", "!*.o/"], "/a.o"),
        "only directories are taken back"
    );
    assert!(!file(&["!*.o"], "/a.o"));
}

#[test]
fn signs_can_be_escaped() {
    assert!(file(&["\\!x"], "/!x"));
    assert!(file(&["\\*"], "/*"));
    assert!(!file(&["\\*"], "/a"));
    assert!(file(&["[*]"], "/*"));
    assert!(file(&["#x"], "/#x"), "a comment only in files");
}

#[test]
fn files_are_read_as_git_does() {
    let content = "\u{feff}# objects\n*.o\n\n  \n*.tmp   \r\nends\\ \n!keep.o\n\\#x\n";
    let excludes = ExcludesBuilder::new()
        .file_lines(content)
        .and_then(ExcludesBuilder::build)
        .expect("valid patterns");
    for (path, expected) in [
        ("/a.o", true),
        ("/keep.o", false),
        ("/a.tmp", true),
        ("/ends ", true),
        ("/ends", false),
        ("/#x", true),
        ("/# objects", false),
    ] {
        assert_eq!(
            excludes.matches(path.as_bytes(), false, 1),
            expected,
            "{path:?}"
        );
    }
}

#[test]
fn size_counts_for_files_only() {
    let excludes = ExcludesBuilder::new()
        .larger_than(1000)
        .build()
        .expect("no pattern");
    assert!(!excludes.is_empty());
    assert!(!excludes.matches(b"/a", false, 1000));
    assert!(excludes.matches(b"/a", false, 1001));
    assert!(!excludes.matches(b"/a", true, 1001));
    let both = ExcludesBuilder::new()
        .glob("!big")
        .map(|builder| builder.larger_than(1000))
        .and_then(ExcludesBuilder::build)
        .expect("valid patterns");
    assert!(
        both.matches(b"/big", false, 1001),
        "a name does not lift the limit"
    );
}

#[test]
fn names_need_not_be_utf8() {
    let stars = excludes(&["*.o"]);
    assert!(stars.matches(b"/\xff\xfe.o", false, 1));
    assert!(!stars.matches(b"/\xff\xfe.\xff", false, 1));
    assert!(excludes(&["?.x"]).matches(b"/\xff.x", false, 1));
    assert!(excludes(&["d\u{e9}j\u{e0}"]).matches("/déjà".as_bytes(), true, 0));
}

#[test]
fn useless_patterns_are_refused() {
    for bad in [
        "", "/", "//", "!", "!/", "./", "a/../b", "..", "[", "a[b", "{a", "x\\",
    ] {
        let error = ExcludesBuilder::new().glob(bad).expect_err(bad);
        assert_eq!(error.pattern, bad);
        assert!(!error.problem.is_empty());
    }
}

#[test]
fn gitignore_files_work_beneath_their_directory() {
    let rules = Ignore::parse(
        b"/src/p",
        b"# built\r\n/target\n*.log\n!keep.log\nbroken[\n\xff\n",
    );
    assert!(!rules.is_empty());
    assert_eq!(rules.matches(b"/src/p/target", true), Some(true));
    assert_eq!(rules.matches(b"/src/p/x/target", true), None);
    assert_eq!(rules.matches(b"/src/p/x/a.log", false), Some(true));
    assert_eq!(rules.matches(b"/src/p/x/keep.log", false), Some(false));
    assert_eq!(rules.matches(b"/src/p/\xff.log", false), Some(true));
    assert!(Ignore::parse(b"/x", b"# nothing\n\n").is_empty());
}

proptest! {
    #[test]
    fn no_pattern_and_no_path_make_it_panic(
        patterns in prop::collection::vec(any::<String>(), 0..6),
        lines in any::<String>(),
        path in prop::collection::vec(any::<u8>(), 0..64),
        is_dir: bool,
        size: u64,
    ) {
        let mut builder = ExcludesBuilder::new().larger_than(1 << 40);
        for pattern in &patterns {
            match builder.glob(pattern) {
                Ok(more) => builder = more,
                Err(_) => builder = ExcludesBuilder::new(),
            }
        }
        if let Ok(excludes) = builder.build() {
            excludes.covers(&path, is_dir, size);
        }
        if let Ok(excludes) = ExcludesBuilder::new().file_lines(&lines).and_then(ExcludesBuilder::build) {
            excludes.matches(&path, is_dir, size);
        }
        Ignore::parse(b"/", lines.as_bytes()).matches(&path, is_dir);
    }

    #[test]
    fn a_literal_name_matches_itself_everywhere(
        name in "[a-zA-Z0-9_ .-]{1,12}",
        above in "(/[a-z]{1,3}){0,4}",
    ) {
        prop_assume!(name != "." && name != "..");
        let excludes = excludes(&[&name]);
        let path = format!("{above}/{name}");
        prop_assert!(excludes.matches(path.as_bytes(), false, 1));
        let longer = format!("{path}x");
        prop_assert!(!excludes.matches(longer.as_bytes(), false, 1));
    }
}
