//! What is done with repositories, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Span;
use jiff::fmt::serde::unsigned_duration::friendly::compact::optional as optional_duration;
use jiff::tz::TimeZone;
use keepwatch_core::fs::ExcludesBuilder;
use keepwatch_core::retention::Policy;
use keepwatch_ops::hook::{Environment, HookSettings, Hooks, HooksSettings};
use keepwatch_ops::notify::HeartbeatSettings;
use keepwatch_ops::schedule::{Schedule, ScheduleSettings};
use keepwatch_ops::tailscale::TailscaleSettings;
use keepwatch_ops::volume::{VolumeKind, check_size};
use serde::{Deserialize, Deserializer};

use crate::Config;
use crate::error::{Error, Result};
use crate::vault::check_name;

/// What a job does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Makes a snapshot.
    Backup,
    /// Looks for damage.
    Check,
    /// Frees what no snapshot needs.
    Prune,
    /// Restores a sample and compares it.
    Drill,
}

impl JobKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Backup => "backup",
            JobKind::Check => "check",
            JobKind::Prune => "prune",
            JobKind::Drill => "drill",
        }
    }
}

/// Something that is done with repositories.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobConfig {
    /// What.
    pub kind: JobKind,
    /// With which repositories, in this order; never empty. A backup reads its sources for the
    /// first and hands the snapshot on to the others.
    #[serde(rename = "repository", deserialize_with = "one_or_more")]
    pub repositories: Vec<String>,
    /// When it runs. Without, when somebody says so.
    #[serde(default)]
    pub schedule: Option<ScheduleSettings>,
    /// `backup`: files and directories.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
    /// `backup`: whether they are read from a snapshot that the file system makes of them.
    #[serde(default)]
    pub from_snapshot: Option<VolumeKind>,
    /// With that, for LVM: how much may be written to a volume meanwhile.
    #[serde(default)]
    pub snapshot_size: Option<String>,
    /// `backup`: databases, by their names in the configuration.
    #[serde(default)]
    pub databases: Vec<String>,
    /// `backup`: what is left out, as in .gitignore.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// `backup`: tags of the snapshot.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `backup`: which snapshots of the same paths stay, once a new one has been made.
    #[serde(default)]
    pub keep: Option<KeepConfig>,
    /// `backup`: whether what no snapshot needs any more is freed after that.
    #[serde(default)]
    pub prune: bool,
    /// `check`: how much data is read, in percent; what was not read for longest comes first.
    #[serde(default)]
    pub read_data_percent: Option<f64>,
    /// `drill`: how many files are restored.
    #[serde(default)]
    pub sample_files: Option<u32>,
    /// `drill`: how many bytes at most.
    #[serde(default)]
    pub sample_bytes: Option<u64>,
    /// `drill`: all files, and as one tree.
    #[serde(default)]
    pub all: bool,
    /// `drill`: a program that looks at what was restored, where it was restored.
    #[serde(default)]
    pub check: Option<HookSettings>,
    /// `drill`: databases whose dumps are restored into one of their own for a moment, and where: a
    /// name under `databases` of the snapshot, and that of a server in the configuration.
    #[serde(default)]
    pub scratch: BTreeMap<String, String>,
    /// `drill`: how old the newest snapshot may be.
    #[serde(default, with = "optional_duration")]
    pub max_age: Option<Duration>,
    /// How this machine is connected before it begins.
    #[serde(default)]
    pub tailscale: Option<TailscaleSettings>,
    /// What has to be so before it begins.
    #[serde(default)]
    pub preflight: PreflightConfig,
    /// Programs that are run around it.
    #[serde(default)]
    pub hooks: HooksSettings,
    /// Who hears of it, by their names in the configuration. Without, all.
    #[serde(default)]
    pub notify: Option<Vec<String>>,
    /// What hears that it runs, and raises the alarm when it does not.
    #[serde(default)]
    pub heartbeat: Option<HeartbeatSettings>,
    /// How far it stands back for other programs, 0 to 19.
    #[serde(default)]
    pub nice: Option<u8>,
    /// The same for disks.
    #[serde(default)]
    pub ionice: Option<IoClass>,
}

/// How disks treat what a job reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoClass {
    /// When nobody else wants the disk.
    Idle,
    /// After others of the same class.
    Low,
}

/// What has to be so before a job begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreflightConfig {
    /// Directories that something is mounted on: a disk that is not there leaves an empty one, and
    /// an empty one is no backup.
    pub mounted: Vec<PathBuf>,
    /// So many bytes are free where repositories on this machine are.
    pub free_bytes: Option<u64>,
}

/// Which snapshots stay.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepConfig {
    /// So many of the newest.
    pub last: Option<u32>,
    /// The newest of each of the last so many hours that have one.
    pub hourly: Option<u32>,
    /// The same for days.
    pub daily: Option<u32>,
    /// The same for weeks.
    pub weekly: Option<u32>,
    /// The same for months.
    pub monthly: Option<u32>,
    /// The same for years.
    pub yearly: Option<u32>,
    /// Those at most this much older than the newest: `"30d"`, `"1y6mo"`.
    #[serde(deserialize_with = "span")]
    pub within: Option<EqualSpan>,
    /// Those that have all tags of one of these lists.
    pub tags: Vec<Vec<String>>,
    /// None that is older.
    #[serde(deserialize_with = "span")]
    pub max_age: Option<EqualSpan>,
    /// No more than so many.
    pub max_count: Option<u32>,
}

/// A span of the calendar that equals what is written the same.
#[derive(Clone, Copy, Debug)]
pub struct EqualSpan(pub Span);

impl PartialEq for EqualSpan {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl KeepConfig {
    /// As the vault takes it. Days begin where the machine is.
    pub fn policy(&self, zone: TimeZone) -> Policy {
        Policy {
            keep_last: self.last,
            keep_hourly: self.hourly,
            keep_daily: self.daily,
            keep_weekly: self.weekly,
            keep_monthly: self.monthly,
            keep_yearly: self.yearly,
            keep_within: self.within.map(|span| span.0),
            keep_tags: self.tags.clone(),
            max_age: self.max_age.map(|span| span.0),
            max_count: self.max_count,
            time_zone: Some(zone),
            ..Policy::default()
        }
    }
}

/// A name, or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "it is a name, or a list of names")]
    enum Names {
        One(String),
        More(Vec<String>),
    }
    Ok(match Names::deserialize(input)? {
        Names::One(name) => vec![name],
        Names::More(names) => names,
    })
}

fn span<'de, D: Deserializer<'de>>(input: D) -> Result<Option<EqualSpan>, D::Error> {
    use serde::de::Error as _;
    let text = String::deserialize(input)?;
    let span: Span = text
        .parse()
        .map_err(|_| D::Error::custom("it is no time such as \"30d\" or \"1y6mo\""))?;
    match span.is_positive() {
        true => Ok(Some(EqualSpan(span))),
        false => Err(D::Error::custom("it is more than nothing")),
    }
}

/// Refuses what cannot work.
pub(crate) fn check(config: &Config) -> Result<()> {
    for (name, database) in &config.databases {
        check_name("databases", name)?;
        database.check().map_err(|error| Error::Value {
            problem: format!("databases.{name}: {error}"),
            similar: None,
        })?;
    }
    for (name, job) in &config.jobs {
        check_name("jobs", name)?;
        job.check(config).map_err(|problem| Error::Value {
            problem: format!("jobs.{name}: {problem}"),
            similar: None,
        })?;
    }
    Ok(())
}

impl JobConfig {
    fn check(&self, config: &Config) -> Result<(), String> {
        let no = |problem: &str| Err(problem.to_owned());
        if self.repositories.is_empty() {
            return no("it names no repository");
        }
        let mut seen = BTreeSet::new();
        for repository in &self.repositories {
            if !config.repositories.contains_key(repository) {
                return Err(format!("there is no repository {repository}"));
            }
            if !seen.insert(repository) {
                return Err(format!("{repository} is named twice"));
            }
        }
        known("databases", self.databases.iter(), &config.databases)?;
        known("scratch", self.scratch.values(), &config.databases)?;
        known("notify", self.notify.iter().flatten(), &config.notify)?;
        self.check_kind()?;
        for pattern in &self.exclude {
            ExcludesBuilder::new()
                .glob(pattern)
                .map_err(|error| format!("exclude: {error}"))?;
        }
        if let Some(schedule) = &self.schedule {
            // Whether a zone is known is what the machine says, wherever it is.
            Schedule::new(schedule, &TimeZone::UTC)
                .map_err(|error| format!("schedule: {error}; {}", error.hint()))?;
        }
        if let Some(keep) = &self.keep
            && keep.policy(TimeZone::UTC).is_empty()
        {
            return no("keep: it says nothing of what stays");
        }
        Hooks::new(self.hooks.clone(), Environment::default())
            .map_err(|error| format!("hooks: {error}"))?;
        if let Some(tailscale) = &self.tailscale {
            tailscale.check().map_err(|error| error.to_string())?;
        }
        if let Some(check) = &self.check {
            check.check_alone().map_err(|error| error.to_string())?;
        }
        if self.nice.is_some_and(|nice| nice > 19) {
            return no("nice: it is 0 to 19");
        }
        Ok(())
    }

    /// What belongs to another kind has no effect, which is not what somebody wants who writes it.
    fn check_kind(&self) -> Result<(), String> {
        let backup = self.kind == JobKind::Backup;
        let drill = self.kind == JobKind::Drill;
        let of_backup = [
            ("paths", !self.paths.is_empty()),
            ("from_snapshot", self.from_snapshot.is_some()),
            ("snapshot_size", self.snapshot_size.is_some()),
            ("databases", !self.databases.is_empty()),
            ("exclude", !self.exclude.is_empty()),
            ("tags", !self.tags.is_empty()),
            ("keep", self.keep.is_some()),
            ("prune", self.prune),
        ];
        let of_drill = [
            ("sample_files", self.sample_files.is_some()),
            ("sample_bytes", self.sample_bytes.is_some()),
            ("all", self.all),
            ("check", self.check.is_some()),
            ("max_age", self.max_age.is_some()),
            ("scratch", !self.scratch.is_empty()),
        ];
        let other = of_backup
            .iter()
            .filter(|_| !backup)
            .chain(of_drill.iter().filter(|_| !drill))
            .find(|(_, given)| *given);
        if let Some((key, _)) = other {
            return Err(format!("{key}: not for a {}", self.kind.as_str()));
        }
        if !backup && self.repositories.len() > 1 {
            return Err(format!("a {} is of one repository", self.kind.as_str()));
        }
        if backup && self.paths.is_empty() && self.databases.is_empty() {
            return Err("it names neither paths nor databases to back up".to_owned());
        }
        if self.from_snapshot.is_some() && self.paths.is_empty() {
            return Err("from_snapshot: it is for paths".to_owned());
        }
        if let Some(size) = &self.snapshot_size {
            if !matches!(self.from_snapshot, Some(VolumeKind::Lvm | VolumeKind::Auto)) {
                return Err("snapshot_size: it is for from_snapshot = \"lvm\"".to_owned());
            }
            check_size(size).map_err(|error| error.to_string())?;
        }
        if let Some(percent) = self.read_data_percent {
            if self.kind != JobKind::Check {
                return Err("read_data_percent: it is for a check".to_owned());
            }
            if !(percent > 0.0 && percent <= 100.0) {
                return Err("read_data_percent: it is 0 to 100".to_owned());
            }
        }
        if self.sample_files == Some(0) || self.sample_bytes == Some(0) {
            return Err("a drill of nothing proves nothing".to_owned());
        }
        if self.all && (self.sample_files.is_some() || self.sample_bytes.is_some()) {
            return Err("all: a sample is not all".to_owned());
        }
        Ok(())
    }
}

/// Whether all that is named is there.
fn known<'a, T>(
    what: &str,
    names: impl Iterator<Item = &'a String>,
    all: &BTreeMap<String, T>,
) -> Result<(), String> {
    for name in names {
        if !all.contains_key(name) {
            return Err(format!("{what}: there is no {name}"));
        }
    }
    Ok(())
}
