//! The programs that make snapshots.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::VolumeError;
use crate::hook::Environment;
use crate::process::ask::{Answer, Bounds, Runner, directories};

/// Where programs for root are, which a user's `PATH` may lack.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// A file system that is busy is frozen when what is under way is written.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(180),
    output: 16 << 20,
};

#[derive(Debug)]
pub(super) struct Programs(Runner);

impl Programs {
    pub fn new(environment: &Environment) -> Self {
        let environment = environment.harmless();
        let path = environment.get(std::ffi::OsStr::new("PATH"));
        let mut search = path.map(|path| directories(path)).unwrap_or_default();
        search.extend(SBIN.map(PathBuf::from));
        Self(Runner {
            search,
            environment,
        })
    }

    /// Runs a program to its end, and gives what it said. `what` is what it does.
    pub fn run(&self, what: &str, argv: &[&str]) -> Result<String, VolumeError> {
        let failed = |problem: String| VolumeError::Failed {
            what: what.to_owned(),
            problem: format!("`{}`: {problem}", argv[0]),
        };
        match self.0.run(argv, BOUNDS) {
            Answer::Said(said) => Ok(String::from_utf8_lossy(&said).into_owned()),
            Answer::Missing | Answer::NotRun => Err(VolumeError::Missing {
                program: argv[0].to_owned(),
                what: what.to_owned(),
            }),
            Answer::Failed { code, complaint } => Err(failed(match (complaint.trim(), code) {
                ("", Some(code)) => format!("it ended with status {code}"),
                ("", None) => "a signal ended it".to_owned(),
                (complaint, _) => complaint.lines().collect::<Vec<_>>().join("; "),
            })),
            Answer::TooSlow => Err(failed("it does not come to an end".to_owned())),
            Answer::TooMuch => Err(failed("it said more than it ever should".to_owned())),
        }
    }
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> Result<&str, VolumeError> {
    path.to_str().ok_or_else(|| VolumeError::Name {
        path: path.to_owned(),
    })
}
