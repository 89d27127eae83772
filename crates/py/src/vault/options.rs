//! Keyword arguments as the vault's options.

use std::path::PathBuf;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use keepwatch_core::chunker::ChunkerId;
use keepwatch_core::fs::{Excludes, ExcludesBuilder};
use keepwatch_core::retention::GroupBy;
use keepwatch_core::{Compression, Filter, Mode, Name, Overwrite, Padding, ReadData, Role};
use keepwatch_crypto::Suite;
use pyo3::prelude::*;
use std::os::unix::ffi::OsStrExt;

use crate::credential::one_of;
use crate::errors::{Raise, Result, wrong_type};
use crate::record::Strings;

/// One path, or several.
#[derive(Clone, Debug, Default)]
pub struct Paths(pub Vec<PathBuf>);

impl<'py> FromPyObject<'_, 'py> for Paths {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(one) = object.extract::<PathBuf>() {
            return Ok(Self(vec![one]));
        }
        let problem = || wrong_type("a path, or several of them, is needed");
        let mut all = Vec::new();
        for item in object.try_iter().map_err(|_| problem())? {
            all.push(item?.extract::<PathBuf>().map_err(|_| problem())?);
        }
        Ok(Self(all))
    }
}

impl Paths {
    fn names(&self) -> Vec<Name> {
        let name = |path: &PathBuf| Name(path.as_os_str().as_bytes().to_vec());
        self.0.iter().map(name).collect()
    }
}

/// Chooses snapshots.
pub fn filter(host: Option<String>, tags: Option<Strings>, paths: Option<Paths>) -> Filter {
    Filter {
        host,
        tags: tags.map(|tags| vec![tags.0]).unwrap_or_default(),
        paths: paths.unwrap_or_default().names(),
    }
}

/// Patterns as in `.gitignore`.
pub fn patterns(argument: &'static str, globs: Option<&Strings>) -> Result<Option<Excludes>> {
    let globs = match globs {
        Some(globs) if !globs.0.is_empty() => &globs.0,
        _ => return Ok(None),
    };
    let refuse =
        |error: keepwatch_core::fs::PatternError| Raise::value(argument, error.to_string());
    let mut builder = ExcludesBuilder::new();
    for glob in globs {
        builder = builder.glob(glob).map_err(refuse)?;
    }
    Ok(Some(builder.build().map_err(refuse)?))
}

/// A word that stands for a value.
fn choose<T: Copy>(argument: &'static str, word: &str, values: &[(&str, T)]) -> Result<T> {
    match values.iter().find(|(name, _)| *name == word) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            Err(one_of(argument, word, &names))
        }
    }
}

pub fn mode(word: &str) -> Result<Mode> {
    let modes = [
        ("full", Mode::Full),
        ("incremental", Mode::Incremental),
        ("differential", Mode::Differential),
    ];
    choose("mode", word, &modes)
}

pub fn compression(word: &str) -> Result<Compression> {
    let levels = [
        ("off", Compression::Off),
        ("fast", Compression::Fast),
        ("better", Compression::Better),
        ("max", Compression::Max),
    ];
    choose("compression", word, &levels)
}

pub fn overwrite(word: &str) -> Result<Overwrite> {
    let ways = [
        ("never", Overwrite::Never),
        ("if-changed", Overwrite::IfChanged),
        ("always", Overwrite::Always),
    ];
    choose("overwrite", word, &ways)
}

pub fn chunker(word: &str) -> Result<ChunkerId> {
    let chunkers = [
        ("gear-keyed", ChunkerId::GearKeyed),
        ("prf", ChunkerId::Prf),
    ];
    choose("chunker", word, &chunkers)
}

pub fn padding(word: &str) -> Result<Padding> {
    choose(
        "padding",
        word,
        &[("none", Padding::None), ("padme", Padding::Padme)],
    )
}

pub fn role(word: &str) -> Result<Role> {
    choose(
        "role",
        word,
        &[("full", Role::Full), ("writer", Role::Writer)],
    )
}

pub fn suite(word: &str) -> Result<Suite> {
    let names = Suite::ALL.map(Suite::name);
    word.parse().map_err(|_| one_of("suite", word, &names))
}

/// How much of the data a check reads: all, or a part.
#[derive(FromPyObject)]
pub enum Subset {
    /// Bytes.
    #[pyo3(transparent, annotation = "int")]
    Bytes(u64),
    /// `1/7` or `5%`.
    #[pyo3(transparent, annotation = "str")]
    Text(String),
}

impl Subset {
    pub fn parse(&self) -> Result<ReadData> {
        let refuse = |problem: &str| Err(Raise::value("subset", problem));
        match self {
            Subset::Bytes(0) => refuse("0 bytes are nothing to check"),
            Subset::Bytes(bytes) => Ok(ReadData::Bytes(*bytes)),
            Subset::Text(text) => match (text.split_once('/'), text.strip_suffix('%')) {
                (Some((n, of)), _) => match (n.parse::<u32>(), of.parse::<u32>()) {
                    (Ok(n), Ok(of)) if (1..=of).contains(&n) => Ok(ReadData::Part { n, of }),
                    _ => refuse("it is no part such as 1/7"),
                },
                (None, Some(percent)) => match percent.trim().parse::<f64>() {
                    Ok(percent) if percent > 0.0 && percent <= 100.0 => {
                        Ok(ReadData::Percent(percent))
                    }
                    _ => refuse("it is no percentage above 0% and up to 100%"),
                },
                (None, None) => refuse("it is neither a part such as 1/7, nor 5%, nor bytes"),
            },
        }
    }
}

/// A time span: a `timedelta`, or words such as `30d`, `1y6mo`, `36h`.
#[derive(FromPyObject)]
pub enum Age {
    /// Of fixed length.
    #[pyo3(transparent, annotation = "datetime.timedelta")]
    Delta(std::time::Duration),
    /// As the calendar has it.
    #[pyo3(transparent, annotation = "str")]
    Text(String),
}

impl Age {
    /// As a calendar's span.
    pub fn span(&self, argument: &'static str) -> Result<Span> {
        match self {
            Age::Delta(delta) => {
                let refuse = |_| Raise::value(argument, "it is too long");
                let delta = SignedDuration::try_from(*delta).map_err(refuse)?;
                Span::try_from(delta).map_err(refuse)
            }
            Age::Text(text) => match text.parse::<Span>() {
                Ok(span) if !span.is_negative() => Ok(span),
                _ => Err(Raise::value(
                    argument,
                    format!("{text:?} is no time span; write 36h, 30d, 2w, 6mo or 1y"),
                )),
            },
        }
    }

    /// With days of 24 hours.
    pub fn duration(&self, argument: &'static str) -> Result<SignedDuration> {
        let days = SpanRelativeTo::days_are_24_hours();
        self.span(argument)?.to_duration(days).map_err(|_| {
            Raise::value(
                argument,
                "months and years have no fixed length; say it in days",
            )
        })
    }
}

/// Which snapshots compete: those of the same `host`, `paths`, `tags`.
pub fn group_by(words: &Strings) -> Result<GroupBy> {
    let mut by = GroupBy {
        host: false,
        paths: false,
        tags: false,
    };
    for word in &words.0 {
        match word.as_str() {
            "host" => by.host = true,
            "paths" => by.paths = true,
            "tags" => by.tags = true,
            _ => return Err(one_of("group_by", word, &["host", "paths", "tags"])),
        }
    }
    Ok(by)
}
