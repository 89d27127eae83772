//! Rows of a list of plates: CSV as RFC 4180 has it, and as people and spreadsheets write it.

use std::ops::Range;

use crate::error::{Error, Result};

/// The longest row, in bytes.
pub(super) const MAX_ROW: usize = 4096;

/// What spreadsheets begin a file with, which is no part of the first plate.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// One row: the line that it begins in, counted from 1, and its fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub line: usize,
    pub fields: Vec<String>,
    /// Its bytes, with its line end, behind the mark.
    pub place: Range<usize>,
}

/// Reads rows one after the other. Empty ones and comments, whose first character is `#`, are left
/// out.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    name: &'a str,
    rest: &'a str,
    len: usize,
    line: usize,
    separator: char,
}

impl<'a> Rows<'a> {
    /// Takes the content of the file `name`.
    pub(super) fn new(bytes: &'a [u8], name: &'a str) -> Result<Self> {
        let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(error(name, None, "it is UTF-16: save it as UTF-8"));
        }
        let text = std::str::from_utf8(bytes).map_err(|bad| {
            let before = &bytes[..bad.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            error(name, Some(line), "it is not UTF-8: save the file as UTF-8")
        })?;
        let mut rows = Self {
            name,
            rest: text,
            len: text.len(),
            line: 1,
            separator: ',',
        };
        rows.skip_comments();
        rows.separator = separator(rows.rest);
        Ok(rows)
    }

    /// What parts the fields of a row.
    pub(super) fn separator(&self) -> char {
        self.separator
    }

    /// Where the next row begins, or would begin.
    pub(super) fn place(&self) -> usize {
        self.len - self.rest.len()
    }

    fn skip_comments(&mut self) {
        loop {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            let line = line.trim();
            if self.rest.is_empty() || !(line.is_empty() || line.starts_with('#')) {
                return;
            }
            self.rest = rest;
            self.line += 1;
        }
    }

    fn row(&mut self) -> Result<Row> {
        let first = self.line;
        let begin = self.place();
        let mut row = Row {
            line: first,
            fields: vec![String::new()],
            place: begin..begin,
        };
        let mut state = State::Start;
        let mut used = 0;
        for c in self.rest.chars() {
            used += c.len_utf8();
            if used > MAX_ROW {
                let problem = format!("it is longer than {MAX_ROW} bytes; is a quote not closed?");
                return Err(error(self.name, Some(first), &problem));
            }
            if c == '\n' {
                self.line += 1;
            }
            let field = row.fields.last_mut().expect("there is always one");
            state = match (state, c) {
                (State::Quoted, '"') => State::Quote,
                (State::Quoted, _) => {
                    field.push(c);
                    State::Quoted
                }
                // Two quotes are one of the text.
                (State::Quote, '"') => {
                    field.push('"');
                    State::Quoted
                }
                (_, '\n') => break,
                (state, '\r') => state,
                (_, c) if c == self.separator => {
                    row.fields.push(String::new());
                    State::Start
                }
                (State::Start, '"') => {
                    field.clear();
                    State::Quoted
                }
                (State::Start | State::Quote, ' ' | '\t') => state,
                (State::Quote, _) => {
                    let problem = "there is text behind a closing quote";
                    return Err(error(self.name, Some(first), problem));
                }
                _ => {
                    field.push(c);
                    State::Bare
                }
            };
        }
        if state == State::Quoted && used == self.rest.len() {
            return Err(error(self.name, Some(first), "a quote is not closed"));
        }
        self.rest = &self.rest[used..];
        row.place.end += used;
        for field in &mut row.fields {
            field.truncate(field.trim_end().len());
        }
        Ok(row)
    }
}

/// Where a reader of a row is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a field.
    Start,
    Bare,
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first of two.
    Quote,
}

impl Iterator for Rows<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_comments();
        if self.rest.is_empty() {
            return None;
        }
        let row = self.row();
        if row.is_err() {
            self.rest = "";
        }
        Some(row)
    }
}

/// Spreadsheets write semicolons where a comma is part of numbers, and some programs write tabs. The
/// first of these decides; a plate has none of them.
fn separator(text: &str) -> char {
    let mut quoted = false;
    for c in text.chars().take(MAX_ROW) {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted => break,
            ',' | ';' | '\t' if !quoted => return c,
            _ => {}
        }
    }
    ','
}

pub(super) fn error(name: &str, line: Option<usize>, problem: &str) -> Error {
    Error::List {
        name: name.to_owned(),
        problem: match line {
            Some(line) => format!("line {line}: {problem}"),
            None => problem.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        let rows = Rows::new(text.as_bytes(), "list").expect("UTF-8");
        rows.map(|row| row.map(|row| (row.line, row.fields)))
            .collect::<Result<_>>()
            .expect("rows")
    }

    fn problem(bytes: &[u8]) -> String {
        let rows = Rows::new(bytes, "list").and_then(Iterator::collect::<Result<Vec<_>>>);
        rows.expect_err("it is broken").to_string()
    }

    #[test]
    fn rows_are_read_as_people_write_them() {
        for (text, expected) in [
            ("", vec![]),
            ("\n \r\n# all\n", vec![]),
            ("A1", vec![(1, vec!["A1"])]),
            ("A1\r\nB2\r\n", vec![(1, vec!["A1"]), (2, vec!["B2"])]),
            ("\u{feff}A1 , Bob ", vec![(1, vec!["A1", "Bob"])]),
            (
                "#x\n\nA1;a,b\nB2",
                vec![(3, vec!["A1", "a,b"]), (4, vec!["B2"])],
            ),
            ("A1\tBob", vec![(1, vec!["A1", "Bob"])]),
            (
                "\"A;1\",\"say \"\"hi\"\",\nyou\" \nB2,",
                vec![(1, vec!["A;1", "say \"hi\",\nyou"]), (3, vec!["B2", ""])],
            ),
            ("A1,5\" x", vec![(1, vec!["A1", "5\" x"])]),
            ("A1\n  # B2\nC3", vec![(1, vec!["A1"]), (3, vec!["C3"])]),
            ("A1,\"\"", vec![(1, vec!["A1", ""])]),
        ] {
            let read = rows(text);
            let read: Vec<_> = read
                .iter()
                .map(|(line, fields)| (*line, fields.iter().map(String::as_str).collect()))
                .collect();
            assert_eq!(read, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_broken_says_where() {
        let long = format!("A1\nB2,{}", "x".repeat(MAX_ROW));
        for (bytes, expected) in [
            (&b"A1\n\"B2"[..], "line 2: a quote is not closed"),
            (
                b"A1\n\"B2\"x",
                "line 2: there is text behind a closing quote",
            ),
            (b"A1\nB\xfc", "line 2: it is not UTF-8"),
            (b"\xff\xfeA\0", "it is UTF-16"),
            (long.as_bytes(), "line 2: it is longer than 4096 bytes"),
        ] {
            let problem = problem(bytes);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
