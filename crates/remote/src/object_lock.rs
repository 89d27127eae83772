//! For how long a bucket holds on to what is written.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;

/// An object lock of S3: until it ends, nobody can remove what was written, or write over it, so that
/// it is gone. For buckets that were made with object lock, which keep all versions of an object.
///
/// Written `30d`, or `30d-governance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLock {
    days: u16,
    mode: LockMode,
}

/// Who can end a lock before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody, not even the owner of the account.
    Compliance,
    /// Who has the permission `s3:BypassGovernanceRetention`.
    Governance,
}

impl ObjectLock {
    /// The longest, in days. What is locked in compliance mode is paid for until its end.
    pub const MOST: u16 = 3650;

    /// So many days, from 1 to [`ObjectLock::MOST`]; otherwise nothing.
    pub fn new(days: u16, mode: LockMode) -> Option<Self> {
        (1..=Self::MOST)
            .contains(&days)
            .then_some(Self { days, mode })
    }

    /// For how long.
    pub fn period(self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.days))
    }

    /// Who can end it.
    pub fn mode(self) -> LockMode {
        self.mode
    }
}

impl FromStr for ObjectLock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (days, mode) = match text.strip_suffix("-governance") {
            Some(days) => (days, LockMode::Governance),
            None => (text, LockMode::Compliance),
        };
        days.strip_suffix('d')
            .and_then(|days| days.parse().ok())
            .and_then(|days| Self::new(days, mode))
            .ok_or_else(|| {
                format!(
                    "{text} is no object lock: 1d to {}d, or with -governance after it",
                    Self::MOST
                )
            })
    }
}

impl fmt::Display for ObjectLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, mode } = self;
        match mode {
            LockMode::Compliance => write!(f, "{days}d"),
            LockMode::Governance => write!(f, "{days}d-governance"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_it_is_written() {
        for text in ["1d", "30d", "3650d", "7d-governance"] {
            let lock: ObjectLock = text.parse().expect(text);
            assert_eq!(lock.to_string(), text);
        }
        let lock: ObjectLock = "2d".parse().expect("two days");
        assert_eq!(lock.period(), SignedDuration::from_hours(48));
        assert_eq!(lock.mode(), LockMode::Compliance);
        for text in [
            "",
            "d",
            "30",
            "0d",
            "3651d",
            "-1d",
            "1h",
            "1d-",
            "1d-compliance",
        ] {
            assert!(text.parse::<ObjectLock>().is_err(), "{text}");
        }
    }
}
