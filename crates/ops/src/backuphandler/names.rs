//! Names that BackupHandler gives, and the times in them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How encrypted files end.
pub(super) const SUFFIX: &[u8] = b".enc";

/// The time in the name of a manifest, `backup_manifest_YYYYMMDD_HHMMSS.json`.
pub(super) fn stamp_of_manifest(name: &str) -> Option<&str> {
    let stamp = name.strip_prefix("backup_manifest_")?;
    stamp.strip_suffix(".json").filter(|stamp| is_stamp(stamp))
}

/// The time in the name of a zip, `backup_YYYYMMDD_HHMMSS.zip`.
pub(super) fn stamp_of_zip(name: &str) -> Option<&str> {
    let stamp = name.strip_prefix("backup_")?;
    stamp.strip_suffix(".zip").filter(|stamp| is_stamp(stamp))
}

fn is_stamp(text: &str) -> bool {
    civil(text).is_some()
}

/// The moment that a time stands for. Of the two that an hour has when clocks are set back, the first.
pub(super) fn time_of(stamp: &str, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_timestamp(civil(stamp)?).ok()
}

fn civil(stamp: &str) -> Option<DateTime> {
    let bytes = stamp.as_bytes();
    let is_digit = |at: &usize| bytes[*at].is_ascii_digit();
    if bytes.len() != 15
        || bytes[8] != b'_'
        || !(0..15).filter(|at| *at != 8).all(|at| is_digit(&at))
    {
        return None;
    }
    let part = |from: usize, to: usize| stamp[from..to].parse::<i8>().ok();
    let year = stamp[..4].parse().ok()?;
    let (month, day) = (part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(9, 11)?, part(11, 13)?, part(13, 15)?);
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_a_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let time = |stamp| time_of(stamp, &zone).unwrap().to_string();
        assert_eq!(time("20261122_011226"), "2026-11-22T00:12:26Z");
        assert_eq!(time("20260722_011226"), "2026-07-21T23:12:26Z");
        // The clock is set back: the first. And forward: there is no such time.
        assert_eq!(time("20261025_023000"), "2026-10-25T00:30:00Z");
        assert_eq!(time("20260329_023000"), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn only_what_has_a_time_is_a_manifest() {
        let manifest = |stamp: &str| format!("backup_manifest_{stamp}.json");
        assert_eq!(
            stamp_of_manifest(&manifest("20261122_011226")),
            Some("20261122_011226")
        );
        for stamp in [
            "",
            "20261122",
            "20261322_011226",
            "20261122_251226",
            "2026112２_01122",
            "+0261122_011226",
        ] {
            assert_eq!(stamp_of_manifest(&manifest(stamp)), None, "{stamp}");
        }
        assert_eq!(
            stamp_of_zip("backup_20261122_011432.zip"),
            Some("20261122_011432")
        );
        assert_eq!(stamp_of_zip("backup_notes.zip"), None);
    }
}
