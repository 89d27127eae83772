//! The names by which snapshots of file systems are known as ours.

use std::path::Path;

use super::VolumeError;

/// All begin so; what follows is the job, whose state it is, and a number of the run.
pub(super) const PREFIX: &str = "keepwatch-snapshot-";
/// In hexadecimal digits.
const OWNER: usize = 8;
const NUMBER: usize = 16;

/// The names of the snapshots of one job.
///
/// The same job of another configuration may be running on the same file system, so that the state
/// directory is in the name: only with the same one a job runs once at a time, and what is there of
/// it at its beginning is left from a run that was killed.
#[derive(Debug)]
pub(super) struct Mark(String);

impl Mark {
    pub fn new(job: &str, state: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let owner = blake3::hash(state.as_os_str().as_bytes()).to_hex();
        Self(format!("{PREFIX}{job}-{}-", &owner[..OWNER]))
    }

    /// A name that nothing has.
    pub fn name(&self) -> Result<String, VolumeError> {
        let mut number = [0; NUMBER / 2];
        getrandom::fill(&mut number).map_err(|error| VolumeError::Failed {
            what: "finding a name for a snapshot".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(format!("{}{}", self.0, hex::encode(number)))
    }

    /// Whether it is the name of a snapshot of this job, hidden or not.
    pub fn is_of(&self, name: &str) -> bool {
        let name = name.strip_prefix('.').unwrap_or(name);
        let number = name.strip_prefix(&self.0);
        number.is_some_and(|number| is_hex(number, NUMBER))
    }
}

/// Whether it is the name of a snapshot of any job.
pub(super) fn is_one(name: &str) -> bool {
    let name = name.strip_prefix('.').unwrap_or(name);
    let mut parts = name.rsplitn(3, '-');
    let (number, owner) = (parts.next(), parts.next());
    name.starts_with(PREFIX)
        && number.is_some_and(|number| is_hex(number, NUMBER))
        && owner.is_some_and(|owner| is_hex(owner, OWNER))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_knows_its_own_names_only() {
        let state = Path::new("/var/lib/keepwatch");
        let mark = Mark::new("home", state);
        let name = mark.name().expect("a name");
        assert!(mark.is_of(&name) && mark.is_of(&format!(".{name}")) && is_one(&name));
        assert_ne!(name, mark.name().expect("a name"));
        let others = [
            Mark::new("home-a", state).name().expect("a name"),
            Mark::new("home", Path::new("/elsewhere"))
                .name()
                .expect("a name"),
            format!("{name}0"),
            "keepwatch-snapshot-home-mine".to_owned(),
            "@home".to_owned(),
        ];
        assert!(others.iter().all(|other| !mark.is_of(other)));
        assert!(is_one(&others[0]) && is_one(&others[1]));
        assert!(!is_one(&others[3]) && !is_one("x"));
    }
}
