//! The configuration file of Keepwatch, `keepwatch.toml`.
//!
//! [`Config::load`] takes the text of the file and the environment, as the frontend has read them,
//! and gives checked values. Precedence, the later wins: defaults, SecureVision's variables, the
//! file, `KEEPWATCH__SECTION__KEY` variables. In any text, `${VAR}` stands for a variable and `$$`
//! for a dollar sign; a user, password or token that begins with `file:` is the first line of that
//! file.

pub mod backuphandler;
mod error;
mod job;
mod merge;
mod run;
mod secret;
mod securevision;
mod server;
mod vault;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use keepwatch_core::events::{RetentionPolicy, check_camera_name};
use keepwatch_ops::notify::TargetSettings;
use keepwatch_ops::source::DatabaseSettings;
use keepwatch_recognition::settings::{
    FaceSettings, InferenceSettings, Models, ObjectSettings, PlateSettings,
};
use keepwatch_vision::CameraSettings;
use keepwatch_vision::recognition::{PlanSettings, RecognitionSettings};
use serde::Deserialize;

pub use error::{Error, Result};
pub use job::{EqualSpan, IoClass, JobConfig, JobKind, KeepConfig, PreflightConfig};
pub use keepwatch_core::SecretText;
pub use run::RunConfig;
pub use server::{Authentication, MetricsAccess, ServerConfig, ServerTls};
pub use toml::Table;
pub use vault::{RemoteConfig, RepositoryConfig};

/// The version of the file's form.
pub const SCHEMA_VERSION: i64 = 1;

/// Where events go.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The directory of the event store, or the address of a PostgreSQL database that holds it.
    pub path: Option<PathBuf>,
    /// With a database: the directory for clips and pictures.
    pub media: Option<PathBuf>,
    /// Who can open new clips, as age writes recipients; read when the store is made.
    pub recipients: Vec<String>,
}

/// The address of a database may hold a password.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().map(|path| match path.to_str() {
            Some(text) if text.contains("://") => Path::new("…"),
            _ => path,
        });
        f.debug_struct("StoreConfig")
            .field("path", &path)
            .field("media", &self.media)
            .field("recipients", &self.recipients)
            .finish()
    }
}

/// How long things are kept. For ever, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Events with their clips: `"30d"`.
    #[serde(deserialize_with = "age")]
    pub events: Option<SignedDuration>,
    /// Segments of continuous recording.
    #[serde(deserialize_with = "age")]
    pub segments: Option<SignedDuration>,
    /// The most bytes that segments take.
    pub segment_bytes: Option<u64>,
}

impl RetentionConfig {
    /// As the store takes it.
    pub fn policy(&self) -> RetentionPolicy {
        RetentionPolicy {
            events_max_age: self.events,
            segments_max_age: self.segments,
            segments_max_bytes: self.segment_bytes,
            ..RetentionPolicy::default()
        }
    }
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The version of the file's form, [`SCHEMA_VERSION`].
    pub schema_version: Option<i64>,
    /// Where events go.
    pub store: StoreConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// What computes networks.
    pub inference: InferenceSettings,
    /// The networks.
    pub models: Models,
    /// How faces are recognised.
    pub faces: FaceSettings,
    /// How plates are recognised; they are not, without it.
    pub plates: Option<PlateSettings>,
    /// How objects are recognised.
    pub objects: ObjectSettings,
    /// How faces, plates and objects are recognised in what cameras see.
    pub recognition: RecognitionSettings,
    /// The server.
    pub server: ServerConfig,
    /// Repositories that jobs use, by name.
    pub repositories: BTreeMap<String, RepositoryConfig>,
    /// What is done with them, by name.
    pub jobs: BTreeMap<String, JobConfig>,
    /// Databases, and commands whose output is backed up, by name.
    pub databases: BTreeMap<String, DatabaseSettings>,
    /// How jobs run.
    pub run: RunConfig,
    /// Who hears of jobs, by name.
    pub notify: BTreeMap<String, TargetSettings>,
    /// The cameras, by name.
    pub cameras: BTreeMap<String, CameraSettings>,
}

/// A configuration, and what is to be said about where it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Variables of SecureVision that were read, each with its new name, and those without one.
    pub notices: Vec<String>,
}

impl Config {
    /// Reads the text of a file, if there is one, and the variables of the environment.
    ///
    /// `read` gives the contents of a file that a secret refers to.
    ///
    /// # Errors
    /// The first thing that is wrong, with where it is. Values are not repeated, since they may be
    /// secret.
    pub fn load(
        text: Option<&str>,
        environment: &BTreeMap<String, String>,
        read: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Loaded> {
        let file: Table = match text {
            Some(text) => toml::from_str(text).map_err(|error| Error::syntax(&error, text))?,
            None => Table::new(),
        };
        Self::load_table(file, environment, read)
    }

    /// The same of what such a file holds.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_table(
        file: Table,
        environment: &BTreeMap<String, String>,
        read: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Loaded> {
        let mut given = file;
        merge::overrides(&mut given, environment)?;
        let (mut table, notices) = securevision::settings(environment, &given)?;
        merge::onto(&mut table, given);
        secret::expand(&mut table, environment)?;
        secret::read_files(&mut table, read)?;
        let credentials = secret::take_credentials(&mut table, read)?;
        let mut config: Config = serde_path_to_error::deserialize(toml::Value::Table(table))
            .map_err(|error| Error::value(&error))?;
        for (camera, (user, password)) in credentials {
            if let Some(settings) = config.cameras.get_mut(&camera) {
                settings.url = settings.url.clone().with_credentials(&user, &password);
            }
        }
        config.check()?;
        Ok(Loaded { config, notices })
    }

    /// Lets paths that are relative begin at a folder: that of the file they are from.
    pub fn place(&mut self, folder: &Path) {
        let models = &mut self.models;
        let files = [
            &mut models.face_detector,
            &mut models.face_embedder,
            &mut models.plate_detector,
            &mut models.object_detector,
        ];
        for file in files.into_iter().flatten() {
            file.path = folder.join(&file.path);
        }
        for repository in self.repositories.values_mut() {
            if !repository.is_remote() {
                repository.path = folder.join(&repository.path);
            }
            let remote = &mut repository.remote;
            for file in [
                &mut repository.key_file,
                &mut repository.identity,
                &mut remote.key_file,
                &mut remote.known_hosts,
            ] {
                *file = file.take().map(|path| folder.join(path));
            }
        }
        for database in self.databases.values_mut() {
            let file = match database {
                DatabaseSettings::Mysql(settings) => settings.option_file.as_mut(),
                DatabaseSettings::Postgres(settings) => settings.password_file.as_mut(),
                DatabaseSettings::Sqlite(settings) => Some(&mut settings.path),
                DatabaseSettings::Command(_) => None,
            };
            if let Some(file) = file {
                *file = folder.join(&*file);
            }
        }
        for job in self.jobs.values_mut() {
            for path in job.paths.iter_mut().chain(&mut job.preflight.mounted) {
                *path = folder.join(&*path);
            }
        }
        if let ServerTls::Files { certificate, key } = &mut self.server.tls {
            for file in [certificate, key] {
                *file = folder.join(&*file);
            }
        }
        let mut others = vec![
            &mut self.inference.library,
            &mut self.server.identity,
            &mut self.run.state,
        ];
        if let Some(plates) = &mut self.plates {
            others.extend([&mut plates.allow_list, &mut plates.deny_list]);
            others.extend(
                plates
                    .tesseract
                    .as_mut()
                    .map(|tesseract| &mut tesseract.datapath),
            );
        }
        for path in others.into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    /// What is recognised in what cameras see, and with what.
    pub fn plan(&self) -> PlanSettings {
        PlanSettings {
            recognition: self.recognition.clone(),
            faces: self.faces.clone(),
            plates: self.plates.clone(),
            objects: self.objects.clone(),
            models: self.models.clone(),
        }
    }

    fn check(&self) -> Result<()> {
        if let Some(version) = self
            .schema_version
            .filter(|version| *version != SCHEMA_VERSION)
        {
            return Err(Error::Version { version });
        }
        let value = |table: &str, problem: String| Error::Value {
            problem: format!("{table}: {problem}"),
            similar: None,
        };
        self.faces
            .validate()
            .map_err(|error| value("faces", error.to_string()))?;
        if let Some(plates) = &self.plates {
            plates
                .validate()
                .map_err(|error| value("plates", error.to_string()))?;
        }
        self.objects
            .validate()
            .map_err(|error| value("objects", error.to_string()))?;
        self.recognition
            .validate()
            .map_err(|error| value("recognition", error.to_string()))?;
        self.server.check()?;
        vault::check(&self.repositories)?;
        run::check(self)?;
        job::check(self)?;
        for (name, settings) in &self.cameras {
            let camera = |problem: String| Error::Camera {
                camera: name.clone(),
                problem,
            };
            check_camera_name(name).map_err(|error| camera(error.to_string()))?;
            settings
                .validate()
                .map_err(|error| camera(error.to_string()))?;
        }
        Ok(())
    }
}

/// `"30d"`, `"12h"`: a day is 24 hours here.
fn age<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<SignedDuration>, D::Error> {
    use serde::de::Error as _;
    let text = String::deserialize(input)?;
    let bad = || D::Error::custom(format!("{text:?} is no age such as \"30d\" or \"12h\""));
    let trimmed = text.trim();
    let days = trimmed
        .strip_suffix('d')
        .and_then(|days| days.trim().parse::<i64>().ok());
    let age = match days {
        Some(days) => days.checked_mul(24).map(SignedDuration::from_hours),
        None => trimmed.parse().ok(),
    };
    let age = age.filter(|age| *age > SignedDuration::ZERO);
    age.map(Some).ok_or_else(bad)
}

#[cfg(test)]
mod tests;
