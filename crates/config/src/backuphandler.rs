//! BackupHandler's INI files: what of them becomes `keepwatch.toml`, and what has become of the rest.
//!
//! Nothing is dropped without a word: every key that is set has a [`Notice`]. No value is repeated in
//! one, and no secret in the TOML, which refers to variables that are named instead.

mod around;
mod destinations;
mod ini;
mod rules;

use std::collections::BTreeSet;

use serde::Serialize;
use toml::{Table, Value};

use ini::Ini;
pub use ini::IniError;
use rules::{Fate, SECTIONS, fate};

/// The variable for the passphrase of a repository, where the file names none.
const PASSWORD: &str = "KEEPWATCH_REPOSITORY_PASSWORD";
/// The variable that BackupHandler's own example has.
const OLD_PASSPHRASE: &str = "BACKUP_ENCRYPTION_PASSPHRASE";
/// The repository beside the old files.
const FOLDER: &str = "keepwatch";

/// What has become of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// It is in the TOML, and means the same.
    Taken,
    /// It is in the TOML, and means something else.
    Changed,
    /// It is not taken over: there is nothing of the kind yet.
    NotYet,
    /// It is not taken over: it is not needed, or meant nothing.
    NotNeeded,
    /// BackupHandler has no such key.
    Unknown,
}

/// What is to be said of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Notice {
    /// What has become of it.
    pub kind: NoticeKind,
    /// `SECTION.key`.
    pub key: String,
    /// Why, and what it is now.
    pub text: String,
    /// It is a secret: this variable is to be set to it.
    pub variable: Option<String>,
}

/// What is made of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// A `keepwatch.toml`.
    pub toml: String,
    /// What is to be said, by section and key.
    pub notices: Vec<Notice>,
}

impl Imported {
    /// Whether something that was set is not in the TOML.
    pub fn is_partial(&self) -> bool {
        let lost =
            |notice: &Notice| matches!(notice.kind, NoticeKind::NotYet | NoticeKind::Unknown);
        self.notices.iter().any(lost)
    }
}

/// Makes a `keepwatch.toml` of an INI file of BackupHandler.
///
/// # Errors
/// [`IniError`] for what Python's `configparser` would not read either, and for files of others.
pub fn import(text: &str) -> Result<Imported, IniError> {
    let ini = match Ini::parse(text) {
        Err(_) if text.contains("SECUREVISION__") => return Err(IniError::OfSecureVision),
        parsed => parsed?,
    };
    if !ini.sections().any(|section| SECTIONS.contains(&section)) {
        return Err(match text.contains("SECUREVISION__") {
            true => IniError::OfSecureVision,
            false => IniError::OfOthers,
        });
    }
    let mut import = Import {
        ini: &ini,
        table: Table::from_iter([(
            "schema_version".to_owned(),
            Value::Integer(crate::SCHEMA_VERSION),
        )]),
        notices: BTreeSet::new(),
        done: BTreeSet::new(),
    };
    import.jobs()?;
    import.rest()?;
    let toml = toml::to_string(&import.table).expect("tables of texts are TOML");
    Ok(Imported {
        toml,
        notices: import.notices.into_iter().collect(),
    })
}

struct Import<'i> {
    ini: &'i Ini,
    table: Table,
    notices: BTreeSet<Notice>,
    /// Keys that were told of.
    done: BTreeSet<(String, String)>,
}

impl Import<'_> {
    /// The source and the destinations: a job, and a repository for each of these.
    fn jobs(&mut self) -> Result<(), IniError> {
        for mode in ["local", "ssh", "s3"] {
            self.truth("MODES", mode)?;
        }
        let source = self.value("DEFAULT", "source_dir")?;
        let database = self.database()?;
        if source.is_none() && database.is_none() {
            if self.list("BACKUPS", "backup_dirs")?.is_some() {
                let text = "without DEFAULT.source_dir there is nothing to back up";
                self.tell(NoticeKind::NotYet, "BACKUPS", "backup_dirs", text);
            }
            return Ok(());
        }
        // It says of each destination what becomes of it.
        let mut repositories = self.destinations()?;
        if repositories.is_empty() {
            return Ok(());
        }
        let (opens, value) = self.credential()?;
        for (_, repository) in &mut repositories {
            repository.insert(opens.to_owned(), value.clone());
        }
        let names: Vec<Value> = repositories.iter().map(|(name, _)| text(name)).collect();
        let mut job = Table::from_iter([
            ("kind".to_owned(), text("backup")),
            (
                "repository".to_owned(),
                match names.as_slice() {
                    [only] => only.clone(),
                    _ => Value::Array(names),
                },
            ),
        ]);
        if let Some(source) = source {
            let paths = Value::Array(vec![text(&escaped(&source))]);
            job.insert("paths".to_owned(), paths);
            self.tell(
                NoticeKind::Taken,
                "DEFAULT",
                "source_dir",
                "is jobs.backup.paths now; a relative path begins where keepwatch.toml is",
            );
        }
        if let Some(database) = database {
            let name = "main".to_owned();
            job.insert("databases".to_owned(), Value::Array(vec![text(&name)]));
            let databases = Table::from_iter([(name, Value::Table(database))]);
            self.table
                .insert("databases".to_owned(), Value::Table(databases));
        }
        let exclude = self.exclude()?;
        if !exclude.is_empty() {
            job.insert("exclude".to_owned(), Value::Array(exclude));
        }
        self.around(&mut job)?;
        let jobs = Table::from_iter([("backup".to_owned(), Value::Table(job))]);
        self.table.insert("jobs".to_owned(), Value::Table(jobs));
        let repositories = repositories
            .into_iter()
            .map(|(name, repository)| (name, Value::Table(repository)));
        self.table.insert(
            "repositories".to_owned(),
            Value::Table(repositories.collect()),
        );
        Ok(())
    }

    /// The database, which BackupHandler dumped beside the files.
    fn database(&mut self) -> Result<Option<Table>, IniError> {
        if self.truth("MODES", "db")? != Some(true) {
            self.not_asked("DATABASE")?;
            return Ok(None);
        }
        let Some(name) = self.value("DATABASE", "database")? else {
            return Ok(None);
        };
        self.tell(NoticeKind::Taken, "MODES", "db", "databases.main says it");
        let names = Value::Array(vec![text(&escaped(&name))]);
        let mut database = Table::from_iter([
            ("kind".to_owned(), text("mysql")),
            ("databases".to_owned(), names),
        ]);
        let said = "is in databases.main now; `keepwatch restore-db` brings its dumps back";
        self.tell(NoticeKind::Taken, "DATABASE", "database", said);
        let host = self.value("DATABASE", "host")?;
        // The programs take `localhost` for the socket, and a port for TCP.
        let is_local = host.as_deref().is_none_or(|host| host == "localhost");
        let said = "is in databases.main now";
        for key in ["host", "user"] {
            let Some(value) = self.value("DATABASE", key)? else {
                continue;
            };
            self.tell(NoticeKind::Taken, "DATABASE", key, said);
            if key == "user" || !is_local {
                database.insert(key.to_owned(), text(&escaped(&value)));
            }
        }
        if let Some(port) = self.number("DATABASE", "port")? {
            self.tell(NoticeKind::Taken, "DATABASE", "port", said);
            if !is_local || port != 3306 {
                database.insert("port".to_owned(), Value::Integer(port));
            }
        }
        let (name, kind) = ("DB_PASSWORD", NoticeKind::Taken);
        let said = "is databases.main.password now, by reference to a variable";
        if let Some(password) = self.secret("DATABASE", "password", name, kind, said)? {
            database.insert("password".to_owned(), password);
        }
        if self.truth("DATABASE", "binlog_position")? == Some(true) {
            database.insert("binlog_position".to_owned(), Value::Boolean(true));
            let said = "is databases.main.binlog_position now";
            self.tell(NoticeKind::Taken, "DATABASE", "binlog_position", said);
        }
        if self.value("DATABASE", "single_transaction")?.is_some() {
            let said = "always so: tables that know transactions are dumped as of one moment";
            self.tell(
                NoticeKind::NotNeeded,
                "DATABASE",
                "single_transaction",
                said,
            );
        }
        Ok(Some(database))
    }

    /// What opens the repositories: the key of a repository, and its value.
    fn credential(&mut self) -> Result<(&'static str, Value), IniError> {
        let variable = |name: &str| Value::String(format!("${{{name}}}"));
        if self.truth("ENCRYPTION", "enabled")? != Some(true) {
            let key = ("ENCRYPTION".to_owned(), "enabled".to_owned());
            self.done.insert(key);
            self.notices.insert(Notice {
                kind: NoticeKind::Changed,
                key: "ENCRYPTION.enabled".to_owned(),
                text: "a repository is always encrypted: choose a passphrase".to_owned(),
                variable: Some(PASSWORD.to_owned()),
            });
            return Ok(("password", variable(PASSWORD)));
        }
        self.tell(
            NoticeKind::NotNeeded,
            "ENCRYPTION",
            "enabled",
            "a repository is always encrypted",
        );
        if let Some(path) = self.value("ENCRYPTION", "key_file")? {
            let text =
                "is repositories.main.key_file now; a relative path begins where keepwatch.toml is";
            self.tell(NoticeKind::Taken, "ENCRYPTION", "key_file", text);
            if self.value("ENCRYPTION", "passphrase")?.is_some() {
                let text = "was not used, since there is a key file";
                self.tell(NoticeKind::NotNeeded, "ENCRYPTION", "passphrase", text);
            }
            return Ok(("key_file", Value::String(escaped(&path))));
        }
        let Some(given) = self.value("ENCRYPTION", "passphrase")? else {
            return Ok(("password", variable(PASSWORD)));
        };
        let name = reference(&given).unwrap_or(OLD_PASSPHRASE);
        self.done
            .insert(("ENCRYPTION".to_owned(), "passphrase".to_owned()));
        self.notices.insert(Notice {
            kind: NoticeKind::Taken,
            key: "ENCRYPTION.passphrase".to_owned(),
            text: "is repositories.main.password now, by reference to a variable".to_owned(),
            variable: Some(name.to_owned()),
        });
        Ok(("password", variable(name)))
    }

    fn exclude(&mut self) -> Result<Vec<Value>, IniError> {
        let Some(patterns) = self.list("DEFAULT", "exclude_patterns")? else {
            return Ok(Vec::new());
        };
        self.tell(
            NoticeKind::Changed,
            "DEFAULT",
            "exclude_patterns",
            "is jobs.backup.exclude now: a pattern leaves out folders of its name, too, with all in them; one with a \
             slash matches in any folder, and its `*` no slash",
        );
        Ok(patterns
            .iter()
            .map(|pattern| Value::String(escaped(&glob(pattern))))
            .collect())
    }

    /// Everything else that is set.
    fn rest(&mut self) -> Result<(), IniError> {
        let keys: Vec<(String, String)> = self.ini.keys().collect();
        for (section, key) in keys {
            if self.done.contains(&(section.clone(), key.clone())) {
                continue;
            }
            let Some(value) = self.value(&section, &key)? else {
                continue;
            };
            let (kind, text, secret) = match fate(&section, &key) {
                Some(Fate::NotYet(_)) if is_off(&value) => {
                    (NoticeKind::NotNeeded, "it is off", None)
                }
                Some(Fate::NotYet(text)) => (NoticeKind::NotYet, text, None),
                Some(Fate::Secret(name, text)) => {
                    let name = reference(&value).unwrap_or(name);
                    (NoticeKind::NotYet, text, Some(name.to_owned()))
                }
                Some(Fate::NotNeeded(text)) => (NoticeKind::NotNeeded, text, None),
                None => (NoticeKind::Unknown, "BackupHandler has no such key", None),
            };
            self.notices.insert(Notice {
                kind,
                key: format!("{section}.{key}"),
                text: text.to_owned(),
                variable: secret,
            });
        }
        Ok(())
    }

    fn tell(&mut self, kind: NoticeKind, section: &str, key: &str, text: &str) {
        self.done.insert((section.to_owned(), key.to_owned()));
        self.notices.insert(Notice {
            kind,
            key: format!("{section}.{key}"),
            text: text.to_owned(),
            variable: None,
        });
    }

    /// A secret, which becomes a reference to a variable; what the file says stays out of the TOML.
    fn secret(
        &mut self,
        section: &str,
        key: &str,
        variable: &str,
        kind: NoticeKind,
        said: &str,
    ) -> Result<Option<Value>, IniError> {
        let Some(value) = self.value(section, key)? else {
            return Ok(None);
        };
        let name = reference(&value).unwrap_or(variable);
        self.done.insert((section.to_owned(), key.to_owned()));
        self.notices.insert(Notice {
            kind,
            key: format!("{section}.{key}"),
            text: said.to_owned(),
            variable: Some(name.to_owned()),
        });
        Ok(Some(text(&format!("${{{name}}}"))))
    }

    /// A number above 0, which is none.
    fn number(&self, section: &str, key: &str) -> Result<Option<i64>, IniError> {
        let Some(value) = self.value(section, key)? else {
            return Ok(None);
        };
        match value.parse::<i64>() {
            Ok(number) if number >= 0 => Ok(Some(number).filter(|number| *number > 0)),
            _ => Err(IniError::Value {
                key: format!("{section}.{key}"),
                problem: "is no number",
            }),
        }
    }

    /// A value, if it is one: `None` and nothing are none.
    fn value(&self, section: &str, key: &str) -> Result<Option<String>, IniError> {
        let value = self.ini.get(section, key)?;
        let value = value.map(|text| text.trim().to_owned());
        Ok(value.filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("none")))
    }

    fn list(&self, section: &str, key: &str) -> Result<Option<Vec<String>>, IniError> {
        let value = self.value(section, key)?;
        let parts = value.map(|text| {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect::<Vec<_>>()
        });
        Ok(parts.filter(|parts| !parts.is_empty()))
    }

    /// As Python's `getboolean` reads it.
    fn truth(&self, section: &str, key: &str) -> Result<Option<bool>, IniError> {
        let Some(value) = self.value(section, key)? else {
            return Ok(None);
        };
        match value.to_ascii_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(Some(true)),
            _ if is_off(&value) => Ok(Some(false)),
            _ => Err(IniError::Value {
                key: format!("{section}.{key}"),
                problem: "is neither true nor false",
            }),
        }
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// Whether a value turns something off.
fn is_off(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "0" | "no" | "false" | "off"
    )
}

/// The variable that a value is, if it is nothing else.
fn reference(value: &str) -> Option<&str> {
    let name = value.strip_prefix("${")?.strip_suffix('}')?;
    is_variable(name).then_some(name)
}

fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A text for the TOML: references stay, and other dollar signs are what they were.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest
            .find('}')
            .filter(|end| reference(&rest[..=*end]).is_some());
        match end {
            Some(end) => {
                out.push_str(&rest[..=end]);
                rest = &rest[end + 1..];
            }
            None => {
                out.push_str("$$");
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A pattern of Python's `fnmatch`, in which braces and backslashes are nothing special.
fn glob(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for (at, c) in pattern.char_indices() {
        if matches!(c, '{' | '}' | '\\') || (at == 0 && c == '!') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
