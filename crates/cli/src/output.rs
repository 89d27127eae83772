//! Data on standard output, messages on standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// What it means that nobody reads standard output any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// A listing has said enough: it ends, and that is no failure.
    Ends,
    /// What counts is what the command does: it goes on, and its exit code is told.
    GoesOn,
    /// Data that nobody took is lost: it fails.
    Fails,
}

/// Standard output as long as somebody reads it.
#[derive(Debug)]
struct Listener {
    out: StdoutLock<'static>,
    unread: Unread,
}

impl Write for Listener {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self.out.write(data) {
            Err(error) if self.is_deaf(&error) => Ok(data.len()),
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.out.flush() {
            Err(error) if self.is_deaf(&error) => Ok(()),
            result => result,
        }
    }
}

impl Listener {
    fn is_deaf(&self, error: &io::Error) -> bool {
        self.unread == Unread::GoesOn && error.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Standard output, and whether it gets JSON.
#[derive(Debug)]
pub struct Output {
    out: BufWriter<Listener>,
    /// Whether to print JSON.
    pub json: bool,
    quiet: bool,
    /// Names and labels in a repository must not give orders to a terminal.
    terminal: bool,
}

impl Output {
    /// Locks standard output.
    pub fn new(json: bool, quiet: bool, unread: Unread) -> Self {
        let out = io::stdout().lock();
        Self {
            out: BufWriter::new(Listener { out, unread }),
            json,
            quiet,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// One JSON value in a line.
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }

    /// A JSON array with a line for each element.
    pub fn json_rows<T: Serialize>(&mut self, rows: &[T]) -> io::Result<()> {
        self.out.write_all(b"[")?;
        for (nth, row) in rows.iter().enumerate() {
            self.out.write_all(if nth == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut self.out, row)?;
        }
        self.out
            .write_all(if rows.is_empty() { b"]\n" } else { b"\n]\n" })
    }

    /// A line of text.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        self.bytes(&[text.to_string().as_bytes()])
    }

    /// A line with bytes that need not be UTF-8, as they are.
    pub fn bytes(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            if self.terminal {
                let text = String::from_utf8_lossy(part);
                self.out.write_all(harmless(&text).as_bytes())?;
            } else {
                self.out.write_all(part)?;
            }
        }
        self.out.write_all(b"\n")
    }

    /// Rows beneath headings, each column as wide as its widest cell.
    pub fn table(&mut self, columns: &[(&str, Align)], rows: &[Vec<String>]) -> io::Result<()> {
        let headings: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut widths: Vec<usize> = headings.iter().map(|cell| width(cell)).collect();
        for row in rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        for row in std::iter::once(&headings).chain(rows) {
            let mut line = String::new();
            for ((cell, &widest), (_, align)) in row.iter().zip(&widths).zip(columns) {
                let blanks = " ".repeat(widest - width(cell));
                match align {
                    Align::Left => line.extend([cell, blanks.as_str(), "  "]),
                    Align::Right => line.extend([blanks.as_str(), cell, "  "]),
                }
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Names and values, one a line.
    pub fn facts(&mut self, facts: &[(&str, String)]) -> io::Result<()> {
        let widest = facts.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        for (name, value) in facts {
            self.line(format_args!("{name:widest$}  {value}"))?;
        }
        Ok(())
    }

    /// Raw data.
    pub fn writer(&mut self) -> &mut (dyn Write + 'static) {
        &mut self.out
    }

    /// Everything was said.
    pub fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A message that is no data, on standard error.
    pub fn note(&mut self, text: impl Display) {
        if !self.quiet && !self.json {
            // On a terminal it comes after what was said before; a broken pipe shows up later.
            let _ = self.out.flush();
            // Nothing can be said when this fails.
            let text = harmless(&text.to_string());
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }
}

/// The text without control characters.
pub fn harmless(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// `1 file`, `2 files`.
pub fn counted(count: u64, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}
