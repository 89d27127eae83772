//! Lists of plates: those that are welcome, and those that are not.
//!
//! A list is a CSV file: one plate a line, or `plate_text,description` with or without that header.
//! Lines that begin with `#` are comments. An empty list has nobody in it: no plate is on it, and it
//! neither lets all pass nor keeps all out.
//!
//! A plate is looked for as it was read, cleaned, on both lists; then among those that look like it,
//! the nearest first. Of two that are equally near the denied one counts.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::lookalike::{Meter, SAME_PLATE, hundredths, units};
use super::text::{clean, is_too_long};
use crate::error::{Error, Result};

mod csv;
mod edit;
mod file;

pub use edit::{Addition, ListText};
pub use file::{ListChange, ListFile, ListFiles};

/// The largest file, in bytes.
pub const MAX_FILE: u64 = 16 << 20;
/// The most plates of a list.
pub const MAX_PLATES: usize = 100_000;

/// What the first column is called, for files that have a header.
const PLATE_HEADERS: [&str; 8] = [
    "plate_text",
    "plate",
    "number",
    "license",
    "licence",
    "license_plate",
    "licence_plate",
    "id",
];

/// Which of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// Those that are welcome: SecureVision's whitelist.
    Allow,
    /// Those that are not: its blacklist.
    Deny,
}

impl ListKind {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for ListKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A plate of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it stands in the file.
    pub written: String,
    /// … and cleaned.
    pub text: String,
    /// What the file says of it; may be empty.
    pub description: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// Something odd in lists that can be used nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A plate stands twice in one list; the first time counts.
    Duplicate {
        /// The list's name.
        name: String,
        /// The line of the second one.
        line: usize,
        /// The line of the first one.
        first: usize,
    },
    /// A plate is on both lists; the denied one counts.
    Conflict {
        /// Its line in the allow list.
        allow_line: usize,
        /// Its line in the deny list.
        deny_line: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { name, line, first } => {
                write!(f, "{name}: line {line} has the plate of line {first} again")
            }
            Self::Conflict {
                allow_line,
                deny_line,
            } => write!(
                f,
                "the plate in line {allow_line} of the allow list is in line {deny_line} of the \
                 deny list, too, and is denied"
            ),
        }
    }
}

/// A list.
#[derive(Clone, Debug, Default)]
pub struct PlateList {
    entries: Vec<Entry>,
    by_text: HashMap<String, usize>,
    warnings: Vec<Warning>,
}

impl PlateList {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Read`], also when there is none; and as [`PlateList::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&read(path)?, &path.display().to_string())
    }

    /// Reads what such a file holds. `name` is for messages.
    ///
    /// # Errors
    /// [`Error::List`] for what is too large, is not UTF-8, has an open quote, or a plate without
    /// letters and digits or with characters that no plate has. All of a list counts or nothing of
    /// it: half a deny list would let those in whom the other half names.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        if bytes.len() as u64 > MAX_FILE {
            let problem = format!("it has more than {MAX_FILE} bytes");
            return Err(csv::error(name, None, &problem));
        }
        let mut list = Self::default();
        for row in PlateRows::new(bytes, name)? {
            list.add(row?.entry, name)?;
        }
        Ok(list)
    }

    fn add(&mut self, entry: Entry, name: &str) -> Result<()> {
        if let Some(&first) = self.by_text.get(&entry.text) {
            self.warnings.push(Warning::Duplicate {
                name: name.to_owned(),
                line: entry.line,
                first: self.entries[first].line,
            });
            return Ok(());
        }
        if self.entries.len() >= MAX_PLATES {
            let problem = format!("there are more than {MAX_PLATES} plates");
            return Err(csv::error(name, Some(entry.line), &problem));
        }
        self.by_text.insert(entry.text.clone(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    /// Its plates, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many plates there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Plates that stand in it twice.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The plate that is written like this cleaned text.
    pub fn exact(&self, clean: &str) -> Option<&Entry> {
        self.by_text.get(clean).map(|&index| &self.entries[index])
    }

    /// The plate that is nearest to a cleaned text, no farther than `max_distance` as
    /// [`distance`](super::lookalike::distance) measures it, with how far it is. Of equally near
    /// ones it is the first of the file.
    pub fn nearest(&self, clean: &str, max_distance: f32) -> Option<(&Entry, f32)> {
        let (entry, distance) = self.nearest_within(clean, hundredths(max_distance))?;
        Some((entry, units(distance)))
    }

    fn nearest_within(&self, clean: &str, max: u32) -> Option<(&Entry, u32)> {
        if clean.is_empty() {
            return None;
        }
        if let Some(entry) = self.exact(clean) {
            return Some((entry, 0));
        }
        let mut meter = Meter::default();
        let mut best = None;
        let mut limit = max;
        for entry in &self.entries {
            if let Some(distance) = meter.within(clean, &entry.text, limit) {
                best = Some((entry, distance));
                // Only nearer ones are of interest; different texts are never at distance 0.
                limit = distance.saturating_sub(1);
                if distance <= 1 {
                    break;
                }
            }
        }
        best
    }
}

/// What is in a file, and one byte more than a list may have at most.
fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    // Whatever size a file claims, no more of it than this is read.
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// A plate of a file, and where its row is.
struct PlateRow {
    entry: Entry,
    /// As [`csv::Row::place`].
    place: Range<usize>,
}

/// The plates of a file, one after the other; the same one as often as it is there.
struct PlateRows<'a> {
    rows: csv::Rows<'a>,
    name: &'a str,
    layout: Layout,
}

/// How the rows of a file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    plate: usize,
    description: usize,
    /// How many columns the header names, if there is one.
    header: Option<usize>,
    separator: char,
    /// Where the first row is, or would be.
    first: usize,
}

impl<'a> PlateRows<'a> {
    /// Reads the header.
    fn new(bytes: &'a [u8], name: &'a str) -> Result<Self> {
        let mut rows = csv::Rows::new(bytes, name)?;
        let separator = rows.separator();
        let mut layout = Layout {
            plate: 0,
            description: 1,
            header: None,
            separator,
            first: rows.place(),
        };
        let mut ahead = rows.clone();
        if let Some(Ok(row)) = ahead.next()
            && let Some((plate, description)) = header(&row.fields)
        {
            (layout.plate, layout.description) = (plate, description);
            layout.header = Some(row.fields.len());
            rows = ahead;
        }
        Ok(Self { rows, name, layout })
    }

    fn entry(&self, row: &csv::Row) -> Result<Entry> {
        let field = |column| row.fields.get(column).map_or("", String::as_str);
        let written = field(self.layout.plate);
        let text =
            plate(written).map_err(|problem| csv::error(self.name, Some(row.line), &problem))?;
        Ok(Entry {
            written: written.to_owned(),
            text,
            description: field(self.layout.description).to_owned(),
            line: row.line,
        })
    }
}

impl Iterator for PlateRows<'_> {
    type Item = Result<PlateRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.and_then(|row| {
            Ok(PlateRow {
                entry: self.entry(&row)?,
                place: row.place,
            })
        }))
    }
}

/// The columns of the plate and of its description, if this is a header.
fn header(fields: &[String]) -> Option<(usize, usize)> {
    let named = |names: &[&str]| {
        fields
            .iter()
            .position(|field| names.contains(&field.to_lowercase().as_str()))
    };
    let plate = named(&PLATE_HEADERS)?;
    // A header of other columns, or none if this row is a plate's whose description is such a word.
    let description = named(&["description"]);
    if plate > 0 && description.is_none() {
        return None;
    }
    Some((plate, description.unwrap_or(plate + 1)))
}

/// A plate of a file, cleaned.
fn plate(written: &str) -> Result<String, String> {
    let odd = |c: &char| {
        let joins = c.is_whitespace() || "-‐‑–—−.·•/:_'’".contains(*c);
        // Accents may stand behind their letter.
        !joins && !c.is_alphanumeric() && !('\u{300}'..='\u{36f}').contains(c)
    };
    if let Some(c) = written.chars().find(odd) {
        return Err(format!("{c:?} is in no plate"));
    }
    let text = clean(written);
    if text.is_empty() {
        return Err("there is no plate in it".to_owned());
    }
    if is_too_long(written) {
        return Err("no plate is so long".to_owned());
    }
    Ok(text)
}

/// A plate that was found on a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Match<'a> {
    /// On which.
    pub list: ListKind,
    /// What stands there.
    pub entry: &'a Entry,
    /// How far what was read is from it, as [`distance`](super::lookalike::distance) measures it: 0
    /// if it is the same.
    pub distance: f32,
}

/// Both lists.
#[derive(Clone, Debug)]
pub struct PlateLists {
    /// Those that are welcome.
    pub allow: PlateList,
    /// Those that are not.
    pub deny: PlateList,
    /// How far a reading may be from a plate of the allow list; 0: it must be the same.
    pub allow_distance: f32,
    /// How far it may be from one of the deny list.
    pub deny_distance: f32,
}

impl Default for PlateLists {
    fn default() -> Self {
        Self {
            allow: PlateList::default(),
            deny: PlateList::default(),
            allow_distance: SAME_PLATE,
            deny_distance: SAME_PLATE,
        }
    }
}

impl PlateLists {
    /// Looks a cleaned text up: what is written like it, first on the deny list, then what is
    /// nearest; if a plate of both lists is equally near, the denied one.
    pub fn find(&self, clean: &str) -> Option<Match<'_>> {
        if let Some(entry) = self.deny.exact(clean) {
            return Some(found(ListKind::Deny, entry, 0));
        }
        if let Some(entry) = self.allow.exact(clean) {
            return Some(found(ListKind::Allow, entry, 0));
        }
        let denied = self
            .deny
            .nearest_within(clean, hundredths(self.deny_distance));
        let allowed = self
            .allow
            .nearest_within(clean, hundredths(self.allow_distance));
        match (denied, allowed) {
            (Some((entry, distance)), Some((_, other))) if distance <= other => {
                Some(found(ListKind::Deny, entry, distance))
            }
            (_, Some((entry, distance))) => Some(found(ListKind::Allow, entry, distance)),
            (Some((entry, distance)), None) => Some(found(ListKind::Deny, entry, distance)),
            (None, None) => None,
        }
    }

    /// What is odd in them: plates that are on both, and those that are twice on one.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.allow.warnings.clone();
        warnings.extend_from_slice(&self.deny.warnings);
        for entry in &self.allow.entries {
            if let Some(denied) = self.deny.exact(&entry.text) {
                warnings.push(Warning::Conflict {
                    allow_line: entry.line,
                    deny_line: denied.line,
                });
            }
        }
        warnings
    }
}

fn found(list: ListKind, entry: &Entry, distance: u32) -> Match<'_> {
    Match {
        list,
        entry,
        distance: units(distance),
    }
}

#[cfg(test)]
mod tests;
