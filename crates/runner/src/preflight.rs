//! What has to be so before a job begins.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use keepwatch_config::{Config, JobConfig};
use keepwatch_core::with_causes;
use keepwatch_ops::hook::Environment;
use keepwatch_ops::source::DatabaseSettings;
use keepwatch_remote::Location;
use rustix::fs::statvfs;

/// Nobody who runs this lives before it; a machine without a battery for its clock starts there.
const EARLIEST: i64 = 1_767_225_600; // 2026-01-01
/// A clock that is further behind the last run is plainly wrong. An hour is not: clocks are set.
const MAX_BEHIND: SignedDuration = SignedDuration::from_hours(24);

/// What is not as it has to be.
pub(crate) fn problems(
    config: &Config,
    job: &JobConfig,
    now: Timestamp,
    last: Option<Timestamp>,
) -> Vec<String> {
    let mut problems = Vec::new();
    if now.as_second() < EARLIEST {
        problems.push(format!("the clock says {now:.0}: it is not set"));
    }
    if let Some(last) = last.filter(|last| last.duration_since(now) > MAX_BEHIND) {
        problems.push(format!(
            "the clock says {now:.0}, long before the last run ended, at {last:.0}"
        ));
    }
    for path in &job.preflight.mounted {
        match is_mount_point(path) {
            Ok(true) => {}
            Ok(false) => problems.push(format!("nothing is mounted at {}", path.display())),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    if let Some(wanted) = job.preflight.free_bytes {
        let named = job.repositories.iter();
        for repository in named.filter_map(|name| config.repositories.get(name)) {
            let Ok(Location::Local(path)) = Location::parse(repository.path.as_os_str()) else {
                continue;
            };
            match statvfs(&path) {
                Ok(found) => {
                    let free = found.f_bavail.saturating_mul(found.f_frsize);
                    if free < wanted {
                        problems.push(format!(
                            "{}: {free} bytes are free, {wanted} are wanted",
                            path.display()
                        ));
                    }
                }
                Err(error) => problems.push(format!("{}: {error}", path.display())),
            }
        }
    }
    problems
}

/// Databases that could not be dumped, or into which nothing could be restored.
pub(crate) fn databases(
    config: &Config,
    job: &JobConfig,
    environment: &Environment,
) -> Vec<String> {
    // A dump of SQLite is tried in a file of its own: that which is named need not be there.
    let is_server = |name: &&String| {
        !matches!(
            config.databases.get(*name),
            Some(DatabaseSettings::Sqlite(_))
        )
    };
    let scratch = job.scratch.values().filter(is_server);
    let named = job.databases.iter().chain(scratch);
    named
        .filter_map(|name| {
            let error = config.databases.get(name)?.probe(environment).err()?;
            Some(format!("database {name}: {}", with_causes(&error)))
        })
        .collect()
}

/// Whether another file system begins there. That something is mounted is not enough: service
/// managers mount directories onto themselves to make them writable, also empty ones.
fn is_mount_point(path: &Path) -> std::io::Result<bool> {
    let path = path.canonicalize()?;
    let Some(parent) = path.parent() else {
        return Ok(true);
    };
    Ok(path.metadata()?.dev() != parent.metadata()?.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(job: &str) -> Config {
        let text = format!(
            "[repositories.a]\npath = \"/\"\nkey_file = \"/k\"\n\
             [jobs.j]\nkind = \"backup\"\nrepository = \"a\"\npaths = [\"/x\"]\n{job}"
        );
        let read = |_: &str| unreachable!("it names no file");
        let loaded = Config::load(Some(&text), &std::collections::BTreeMap::new(), &read);
        loaded.expect("it works").config
    }

    fn found(job: &str, last: Option<Timestamp>) -> Vec<String> {
        let config = config(job);
        problems(&config, &config.jobs["j"], Timestamp::now(), last)
    }

    #[test]
    fn a_disk_that_is_not_mounted_is_missed() {
        let dir = tempfile::tempdir().expect("it works");
        let path = dir.path().display();
        let told = found(&format!("preflight = {{ mounted = [\"{path}\"] }}"), None);
        assert_eq!(told, [format!("nothing is mounted at {path}")]);
        assert!(found("preflight = { mounted = [\"/proc\", \"/\"] }", None).is_empty());
        let told = found("preflight = { mounted = [\"/nowhere\"] }", None);
        assert!(told[0].starts_with("/nowhere: "), "{told:?}");
    }

    #[test]
    fn room_and_a_clock_are_wanted() {
        assert!(found("preflight = { free_bytes = 1 }", None).is_empty());
        let told = found("preflight = { free_bytes = 9000000000000000000 }", None);
        assert!(told[0].ends_with("are wanted"), "{told:?}");
        let hour = Timestamp::now() + SignedDuration::from_hours(1);
        assert!(found("", Some(hour)).is_empty());
        let told = found("", Some(hour + MAX_BEHIND));
        assert!(told[0].contains("long before the last run"), "{told:?}");
    }
}
