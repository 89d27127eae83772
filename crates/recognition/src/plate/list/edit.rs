//! Lists that are changed: what is not changed stays as somebody wrote it.

use std::ops::Range;
use std::path::Path;

use super::csv::{self, MARK};
use super::{Entry, Layout, PlateList, PlateRows, plate, read};
use crate::error::{Error, Result};

/// The text of a list, with its comments, columns and line ends.
#[derive(Clone, Debug)]
pub struct ListText {
    name: String,
    /// As it began with.
    mark: &'static [u8],
    text: String,
    list: PlateList,
}

/// What became of a plate that was to be added.
#[derive(Clone, Debug, PartialEq)]
pub enum Addition {
    /// It is on the list now.
    Added(Entry),
    /// This one is, and nothing was changed: it is the same, or looks like it.
    Known {
        /// What stands there.
        entry: Entry,
        /// How far it is from the one that was to be added; 0 if it is the same.
        distance: f32,
    },
}

impl ListText {
    /// Reads a file.
    ///
    /// # Errors
    /// As [`PlateList::read`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&read(path)?, &path.display().to_string())
    }

    /// Takes what such a file holds; nothing, for a list that is new. `name` is for messages.
    ///
    /// # Errors
    /// As [`PlateList::parse`].
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let list = PlateList::parse(bytes, name)?;
        let mark = if bytes.starts_with(MARK) { MARK } else { &[] };
        let text = std::str::from_utf8(&bytes[mark.len()..]).expect("it was read as UTF-8 above");
        Ok(Self {
            name: name.to_owned(),
            mark,
            text: text.to_owned(),
            list,
        })
    }

    /// What is on it.
    pub fn list(&self) -> &PlateList {
        &self.list
    }

    /// What the file is to hold.
    pub fn bytes(&self) -> Vec<u8> {
        [self.mark, self.text.as_bytes()].concat()
    }

    /// Adds a plate at the end, with a description that may be empty, unless the list has one that
    /// is no farther from it than `distance`, as
    /// [`distance`](crate::plate::lookalike::distance) measures it. Blanks at their ends are left
    /// out, and a plate is in one line.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is no plate; [`Error::List`] when the list is full, or the row is
    /// too long.
    pub fn add(&mut self, written: &str, description: &str, distance: f32) -> Result<Addition> {
        let words: Vec<&str> = written.split_whitespace().collect();
        let (written, description) = (words.join(" "), description.trim());
        let text = cleaned(&written)?;
        if let Some((entry, distance)) = self.list.nearest(&text, distance) {
            let entry = entry.clone();
            return Ok(Addition::Known { entry, distance });
        }
        let mut expected = self.content(|_| true);
        expected.push((written.clone(), description.to_owned()));
        let mut changed = self.text.clone();
        let line_end = self.line_end();
        if !changed.is_empty() && !changed.ends_with('\n') {
            changed.push_str(line_end);
        }
        let layout = PlateRows::new(changed.as_bytes(), &self.name)?.layout;
        changed.push_str(&row(&layout, &written, description));
        changed.push_str(line_end);
        self.put(changed, &layout, &expected)?;
        let added = self.list.exact(&text).expect("it was just added");
        Ok(Addition::Added(added.clone()))
    }

    /// Removes a plate, as often as it is there, and gives what stood there: nothing if it is not on
    /// the list. Only what is the same counts, and not what looks like it.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is no plate.
    pub fn remove(&mut self, written: &str) -> Result<Vec<Entry>> {
        let text = cleaned(written)?;
        let mut removed = Vec::new();
        let mut places: Vec<Range<usize>> = Vec::new();
        let rows = PlateRows::new(self.text.as_bytes(), &self.name)?;
        let layout = rows.layout;
        for row in rows {
            let row = row?;
            if row.entry.text == text {
                places.push(row.place);
                removed.push(row.entry);
            }
        }
        if removed.is_empty() {
            return Ok(removed);
        }
        let expected = self.content(|entry| entry.text != text);
        let mut changed = self.text.clone();
        for place in places.into_iter().rev() {
            changed.replace_range(place, "");
        }
        self.put(changed, &layout, &expected)?;
        Ok(removed)
    }

    fn content(&self, keep: impl Fn(&Entry) -> bool) -> Vec<(String, String)> {
        content(&self.list, keep)
    }

    /// That of the first line, or the usual one.
    fn line_end(&self) -> &'static str {
        match self.text.split_once('\n') {
            Some((first, _)) if first.ends_with('\r') => "\r\n",
            _ => "\n",
        }
    }

    /// Takes the changed text, if it says what it should. The first row of a file says what is a
    /// header and what parts the columns: where another one is the first now, and says something
    /// else, a header comes before it.
    fn put(
        &mut self,
        changed: String,
        layout: &Layout,
        expected: &[(String, String)],
    ) -> Result<()> {
        let header = format!(
            "plate_text{}description{}",
            layout.separator,
            self.line_end()
        );
        let mut with_header = changed.clone();
        with_header.insert_str(layout.first, &header);
        let mut problem = None;
        for text in [changed, with_header] {
            match PlateList::parse(text.as_bytes(), &self.name) {
                Ok(list) if content(&list, |_| true) == expected => {
                    (self.text, self.list) = (text, list);
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => problem = Some(error),
            }
        }
        let problem = problem
            .unwrap_or_else(|| csv::error(&self.name, None, "it cannot be changed without a loss"));
        Err(problem)
    }
}

/// What a list says, wherever it says it.
fn content(list: &PlateList, keep: impl Fn(&Entry) -> bool) -> Vec<(String, String)> {
    let entries = list.entries().iter().filter(|entry| keep(entry));
    let said = |entry: &Entry| (entry.written.clone(), entry.description.clone());
    entries.map(said).collect()
}

fn cleaned(written: &str) -> Result<String> {
    plate(written).map_err(|problem| Error::Setting {
        name: "plate",
        problem,
    })
}

/// A row with as many columns as the header has, or as are needed.
fn row(layout: &Layout, written: &str, description: &str) -> String {
    let needed = match description.is_empty() {
        true => layout.plate + 1,
        false => layout.plate.max(layout.description) + 1,
    };
    let mut fields = vec![String::new(); needed.max(layout.header.unwrap_or(0))];
    fields[layout.plate] = field(written);
    if !description.is_empty() {
        fields[layout.description] = field(description);
    }
    fields.join(&layout.separator.to_string())
}

/// In quotes where it could be taken for something else, whatever parts the columns.
fn field(text: &str) -> String {
    match text.contains(['"', ',', ';', '\t', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plate::lookalike::SAME_PLATE;

    fn text(text: &str) -> ListText {
        ListText::parse(text.as_bytes(), "list").expect("a list")
    }

    fn shown(list: &ListText) -> String {
        String::from_utf8(list.bytes()).expect("it is text")
    }

    #[test]
    fn a_plate_is_added_as_the_others_are_written() {
        for (before, plate, description, after) in [
            ("", "b-ka 12", "", "b-ka 12\n"),
            ("", "B1", "Ann, mine", "B1,\"Ann, mine\"\n"),
            ("A1\nB2", " C3 ", "", "A1\nB2\nC3\n"),
            ("A1\r\nB2\r\n", "C3", "", "A1\r\nB2\r\nC3\r\n"),
            (
                "\u{feff}A1;Bob\r\n",
                "C3",
                "say \"hi\"",
                "\u{feff}A1;Bob\r\nC3;\"say \"\"hi\"\"\"\r\n",
            ),
            (
                "# all\n\nA1 , Bob # friend\n\n",
                "C3",
                "",
                "# all\n\nA1 , Bob # friend\n\nC3\n",
            ),
            (
                "plate_text,description\nA1,Bob\n",
                "C\n3",
                "",
                "plate_text,description\nA1,Bob\nC 3,\n",
            ),
            (
                "owner;plate;since;description\n;A1;2020;\n",
                "C3",
                "Eve",
                "owner;plate;since;description\n;A1;2020;\n;C3;;Eve\n",
            ),
            // What looks like a header is none.
            ("", "ID", "", "plate_text,description\nID\n"),
            (
                "# mine",
                "plate",
                "x",
                "# mine\nplate_text,description\nplate,x\n",
            ),
        ] {
            let mut list = text(before);
            let added = list.add(plate, description, SAME_PLATE).expect("it fits");
            assert_eq!(shown(&list), after, "{before:?}");
            let Addition::Added(entry) = added else {
                panic!("{before:?}: {added:?}");
            };
            assert_eq!(entry.description, description);
            assert_eq!(list.list().exact(&entry.text), Some(&entry));
        }
    }

    #[test]
    fn a_plate_that_is_there_is_not_added() {
        let before = "RK-300AG,Ann\nX1\n";
        let mut list = text(before);
        for (plate, far) in [("rk 300 ag", 0.0), ("RK3OOAG", 0.2), ("ＲＫ300AG", 0.0)] {
            let known = list.add(plate, "", SAME_PLATE).expect("it is a plate");
            let Addition::Known { entry, distance } = known else {
                panic!("{plate}: {known:?}");
            };
            assert_eq!((entry.written.as_str(), entry.line), ("RK-300AG", 1));
            assert!((distance - far).abs() < 1e-6, "{plate}");
        }
        assert_eq!(shown(&list), before);
        let added = list
            .add("RK3OOAG", "", 0.0)
            .expect("it is another one then");
        assert!(matches!(added, Addition::Added(_)));
        let known = list.add("RK3OOAG", "", 0.0).expect("it is a plate");
        assert!(matches!(known, Addition::Known { .. }));
    }

    #[test]
    fn a_plate_is_removed_with_its_line() {
        for (before, plate, after, lines) in [
            ("A1\nB2\nC3", "b-2", "A1\nC3", &[2][..]),
            (
                "A1\r\n# B2\r\nB2,x\r\n\r\nC3\r\n",
                "B2",
                "A1\r\n# B2\r\n\r\nC3\r\n",
                &[3],
            ),
            ("A1,\"two\nlines\"\nB2\nA 1\n", "A1", "B2\n", &[1, 4]),
            ("plate;who\nA1;x\n", "A1", "plate;who\n", &[2]),
            ("\u{feff}A1\n", "A1", "\u{feff}", &[1]),
            ("A1\nB2\n", "C3", "A1\nB2\n", &[]),
            ("RK300AG\n", "RK3OOAG", "RK300AG\n", &[]),
            // The next row would be a header, or have other columns.
            (
                "A1\nplate\nC3\n",
                "A1",
                "plate_text,description\nplate\nC3\n",
                &[1],
            ),
            (
                "#\nA1;x\n\"B2\";\"y, z\"\nC3;a,b\n",
                "A1",
                "#\n\"B2\";\"y, z\"\nC3;a,b\n",
                &[2],
            ),
            (
                "A1\tx\nB2\nC3\ty,z\n",
                "A1",
                "plate_text\tdescription\nB2\nC3\ty,z\n",
                &[1],
            ),
        ] {
            let mut list = text(before);
            let removed = list.remove(plate).expect("it can be removed");
            assert_eq!(shown(&list), after, "{before:?}");
            let found: Vec<usize> = removed.iter().map(|entry| entry.line).collect();
            assert_eq!(found, lines, "{before:?}");
        }
    }

    #[test]
    fn what_is_no_plate_is_refused_and_changes_nothing() {
        let mut list = text("A1\n");
        for bad in ["", "--", "A*1", "A,1", "# A1", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] {
            let error = list.add(bad, "", 0.5).expect_err(bad).to_string();
            assert!(error.starts_with("plate: "), "{error}");
            assert!(list.remove(bad).is_err(), "{bad}");
        }
        let long = "x".repeat(csv::MAX_ROW);
        let error = list.add("B2", &long, 0.5).expect_err("too long");
        assert!(error.to_string().contains("longer than"), "{error}");
        assert_eq!(shown(&list), "A1\n");
    }

    proptest! {
        #[test]
        fn what_is_added_and_removed_again_leaves_the_file_as_it_was(
            rows in prop::collection::vec(("[A-Z0-9]{2,6}|plate|id", "[ -~]{0,9}"), 0..6),
            semicolons in any::<bool>(),
            crlf in any::<bool>(),
            description in "[ -~\\n;,\"]{0,12}",
        ) {
            let (separator, end) = (if semicolons { ";" } else { "," }, if crlf { "\r\n" } else { "\n" });
            let mut before = String::new();
            for (plate, said) in &rows {
                before += &format!("{plate}{separator}\"{}\"{end}", said.replace('"', "\"\""));
            }
            let mut list = text(&before);
            let there = content(list.list(), |_| true);
            let added = list.add("ZZ-99999", &description, 0.0).expect("it fits");
            prop_assert!(matches!(added, Addition::Added(_)));
            let mut expected = there.clone();
            expected.push(("ZZ-99999".to_owned(), description.trim().to_owned()));
            prop_assert_eq!(content(list.list(), |_| true), expected);
            prop_assert!(shown(&list).starts_with(&before));
            prop_assert_eq!(list.remove("zz99999").expect("it is there").len(), 1);
            prop_assert_eq!(shown(&list), before);
        }

        #[test]
        fn the_others_stay_when_one_is_removed(
            rows in prop::collection::vec("(A1|B2|C3|id|A1,x|\"B2\",\"y;z\"|C3;x|# A1|)", 0..8),
            at in 0_usize..3,
        ) {
            let before = rows.join("\n");
            let Ok(mut list) = ListText::parse(before.as_bytes(), "list") else {
                return Ok(());
            };
            let plate = ["A1", "B2", "C3"][at];
            let expected = list.content(|entry| entry.text != plate);
            list.remove(plate).expect("it can be removed");
            prop_assert_eq!(content(list.list(), |_| true), expected);
            prop_assert!(list.list().exact(plate).is_none());
        }

        #[test]
        fn whatever_a_list_looks_like_only_the_one_plate_changes(
            before in "\u{feff}?([ABid1-3 ,;\t\"#x\r]|\n|plate\n|description|,){0,40}",
        ) {
            let Ok(mut list) = ListText::parse(before.as_bytes(), "list") else {
                return Ok(());
            };
            prop_assert_eq!(shown(&list), before);
            let there = content(list.list(), |_| true);
            list.add("ZZ-99999", "a;b, \"c\"", 0.0).expect("it fits");
            list.remove("ZZ99999").expect("it was added");
            prop_assert_eq!(content(list.list(), |_| true), there.clone());
            if let Some(first) = list.list().entries().first().cloned() {
                list.remove(&first.written).expect("it is there");
                prop_assert_eq!(&content(list.list(), |_| true)[..], &there[1..]);
            }
        }
    }
}
