//! How much of a path in a manifest is the directory that was backed up.
//!
//! A manifest names files by their paths in the source, and the backup has them at the same paths
//! beneath another directory. Nothing says where the one ends and the other begins, so that is found
//! out for whole sources at once: looking for each file by its name would take one file for another.

use std::collections::HashMap;

/// A backup has no more sources than this; of what is left nothing is found.
const MAX_SOURCES: usize = 64;
/// Names in a path that are looked at.
const MAX_NAMES: usize = 512;

/// For each path, how many of its first bytes are its source with the slash; nothing where no
/// beginning leads to a file.
///
/// That is the beginning under which most of the paths have a file. Of two that explain as much it is
/// the shorter: it keeps more of the path.
pub(super) fn sources(paths: &[&[u8]], has: impl Fn(&[u8]) -> bool) -> Vec<Option<usize>> {
    let beginnings: Vec<Vec<usize>> = paths
        .iter()
        .map(|path| {
            let starts = starts_of_names(path).into_iter();
            starts.filter(|at| has(&path[*at..])).collect()
        })
        .collect();
    let mut found = vec![None; paths.len()];
    let mut left: Vec<usize> = (0..paths.len()).collect();
    for _ in 0..MAX_SOURCES {
        let mut votes: HashMap<&[u8], usize> = HashMap::new();
        for &number in &left {
            for &at in &beginnings[number] {
                *votes.entry(&paths[number][..at]).or_default() += 1;
            }
        }
        let best = votes.into_iter().max_by(|(one, many), (other, more)| {
            let shorter = other.len().cmp(&one.len());
            many.cmp(more).then(shorter).then(other.cmp(one))
        });
        let Some((best, _)) = best else { break };
        left.retain(|&number| {
            let is_of = paths[number].starts_with(best);
            if is_of {
                found[number] = Some(best.len());
            }
            !is_of
        });
    }
    found
}

/// Where names begin in a path, the first one first.
fn starts_of_names(path: &[u8]) -> Vec<usize> {
    let first = path
        .iter()
        .position(|byte| *byte != b'/')
        .unwrap_or(path.len());
    let slashes = (first..path.len()).filter(|at| path[*at] == b'/');
    let mut starts = vec![first];
    starts.extend(slashes.map(|at| at + 1));
    starts.truncate(MAX_NAMES);
    starts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split<'p>(paths: &[&'p str], there: &[&str]) -> Vec<Option<&'p str>> {
        let bytes: Vec<&[u8]> = paths.iter().map(|path| path.as_bytes()).collect();
        let found = sources(&bytes, |path| there.iter().any(|is| is.as_bytes() == path));
        let rest = |(path, at): (&&'p str, Option<usize>)| at.map(|at| &path[at..]);
        paths.iter().zip(found).map(rest).collect()
    }

    #[test]
    fn files_of_one_name_are_told_apart() {
        let there = ["x/config.ini", "y/config.ini", "config.ini"];
        assert_eq!(
            split(
                &["/src/x/config.ini", "/src/y/config.ini", "/src/config.ini"],
                &there
            ),
            [
                Some("x/config.ini"),
                Some("y/config.ini"),
                Some("config.ini")
            ]
        );
        // One that is missing is not found elsewhere.
        assert_eq!(
            split(&["s/x/a", "s/y/a", "s/z/b"], &["x/a", "z/b"]),
            [Some("x/a"), Some("y/a"), Some("z/b")]
        );
    }

    #[test]
    fn several_sources_have_a_beginning_each() {
        assert_eq!(
            split(
                &["/home/a/1", "/home/a/2", "/srv/www/3", "gone/4"],
                &["1", "2", "3"]
            ),
            [Some("1"), Some("2"), Some("3"), None]
        );
    }

    #[test]
    fn odd_paths_lead_nowhere() {
        let odd = ["", "/", "//", "..", "../x", "a/../../x", "/etc/passwd"];
        for (path, found) in odd.iter().zip(split(&odd, &[])) {
            assert_eq!(found, None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_an_ending(
            paths in proptest::collection::vec("/?[ab]{1,2}(/[ab]{1,2}){0,3}", 1..20),
            there in proptest::collection::vec("[ab]{1,2}(/[ab]{1,2}){0,2}", 0..10),
        ) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let there: Vec<&str> = there.iter().map(String::as_str).collect();
            for (path, rest) in paths.iter().zip(split(&paths, &there)) {
                if let Some(rest) = rest {
                    let before = &path[..path.len() - rest.len()];
                    prop_assert!(before.is_empty() || before.ends_with('/'));
                    prop_assert!(!there.is_empty());
                }
            }
        }
    }
}
