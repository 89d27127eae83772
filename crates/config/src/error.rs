//! What can be wrong with a configuration.

/// The result of reading a configuration.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with a configuration. No value is ever repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// It is no TOML.
    #[error("line {line}: {problem}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A key is not known, or has a value that it cannot have.
    #[error("{problem}")]
    Value {
        /// What is wrong.
        problem: String,
        /// A key that may have been meant.
        similar: Option<String>,
    },
    /// Written for another version.
    #[error("schema_version {version} is not known to this version")]
    Version {
        /// The version given.
        version: i64,
    },
    /// A camera has settings that cannot work.
    #[error("camera {camera}: {problem}")]
    Camera {
        /// Its name.
        camera: String,
        /// What is wrong.
        problem: String,
    },
    /// A variable that is referred to is not set.
    #[error("the variable {name} is not set")]
    NoVariable {
        /// Its name.
        name: String,
    },
    /// A reference is not understood.
    #[error("a reference in {key} is not understood: ${{NAME}} stands for a variable, $$ for $")]
    Reference {
        /// The key.
        key: String,
    },
    /// A file that holds a secret cannot be read.
    #[error("cannot read the {what} of {of} from {path}: {problem}")]
    SecretFile {
        /// User, password or token.
        what: &'static str,
        /// Whose.
        of: String,
        /// The file.
        path: String,
        /// Why not.
        problem: String,
    },
}

impl Error {
    /// What to do about it, where it is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Value {
                similar: Some(similar),
                ..
            } => Some(format!("perhaps {similar} is meant")),
            Error::Version { .. } => Some("use a later version of keepwatch".to_owned()),
            Error::NoVariable { .. } => Some("set it, or write $$ for a dollar sign".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn syntax(error: &toml::de::Error, text: &str) -> Self {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        Error::Syntax {
            line: text.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1,
            problem: error.message().to_owned(),
        }
    }

    /// A value that cannot be, with the key that it is at.
    pub(crate) fn value(error: &serde_path_to_error::Error<toml::de::Error>) -> Self {
        let problem = error.inner().message();
        Error::Value {
            similar: similar(problem),
            problem: match error.path().iter().next() {
                Some(_) => format!("{}: {problem}", error.path()),
                None => problem.to_owned(),
            },
        }
    }
}

/// The nearest of the expected names, out of "unknown field `a`, expected one of `b`, `c`".
fn similar(problem: &str) -> Option<String> {
    let mut names = problem.split('`').skip(1).step_by(2);
    let unknown = names.next().filter(|_| problem.starts_with("unknown"))?;
    let scored = names.map(|name| (strsim::jaro_winkler(unknown, name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.7).then(|| best.1.to_owned())
}
