//! Values on the command line and how they read in output.

use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use keepwatch_core::ReadData;

const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A size such as `512`, `100M`, `1.5GiB`: units are powers of 1024, and `B` or `iB` may follow.
pub fn size(text: &str) -> Result<u64, String> {
    let problem = || format!("{text:?} is no size; write 500, 100K, 1.5M, 2G or 1T");
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| problem())?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1_u64 << 40,
        _ => return Err(problem()),
    };
    let bytes = number * factor as f64;
    if !bytes.is_finite() || bytes >= u64::MAX as f64 {
        return Err(problem());
    }
    Ok(bytes as u64)
}

/// A size of at most 4 GiB.
pub fn size_u32(text: &str) -> Result<u32, String> {
    u32::try_from(size(text)?).map_err(|_| format!("{text} is too large"))
}

/// How many to keep: a number, or `unlimited`.
pub fn count(text: &str) -> Result<u32, String> {
    match text {
        "unlimited" => Ok(u32::MAX),
        _ => text
            .parse()
            .map_err(|_| format!("{text:?} is neither a number nor `unlimited`")),
    }
}

/// A time span such as `30d`, `1y6mo`, `36h`.
pub fn span(text: &str) -> Result<Span, String> {
    let span: Span = text
        .parse()
        .map_err(|_| format!("{text:?} is no time span; write 36h, 30d, 2w, 6mo or 1y"))?;
    match span.is_negative() {
        true => Err("a time span is not negative".to_owned()),
        false => Ok(span),
    }
}

/// A time span of hours, days and weeks, in which a day has 24 hours.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    if text == "0" {
        return Ok(SignedDuration::ZERO);
    }
    span(text)?
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("{text:?}: months and years have no fixed length; write days"))
}

/// An age, longer than nothing.
pub fn age(text: &str) -> Result<SignedDuration, String> {
    match duration(text)? {
        SignedDuration::ZERO => Err("everything is older than that".to_owned()),
        age => Ok(age),
    }
}

/// A moment: `2026-11-25T06:00:00Z`, `2026-11-25 06:00` or `2026-11-25` by the clock of this
/// machine, or how long ago, `2h`.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(local) = text.parse::<jiff::civil::DateTime>() {
        let zoned = local.to_zoned_datetime(TimeZone::system());
        return zoned
            .map(|zoned| zoned.timestamp())
            .map_err(|error| error.to_string());
    }
    let ago = duration(text).map_err(|_| format!("{text:?} is neither a time nor an age"))?;
    Timestamp::now()
        .checked_sub(ago)
        .map_err(|_| format!("{text:?} is too long ago"))
}

/// A part of a whole, such as `5%` or `5`.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.trim().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(format!("{text:?} is not between 0% and 100%")),
    }
}

/// How much to read in a check: `n/t`, `x%` or a size.
pub fn subset(text: &str) -> Result<ReadData, String> {
    if let Some((n, of)) = text.split_once('/') {
        return match (n.parse::<u32>(), of.parse::<u32>()) {
            (Ok(n), Ok(of)) if (1..=of).contains(&n) => Ok(ReadData::Part { n, of }),
            _ => Err(format!("{text:?} is no part such as 1/7")),
        };
    }
    if text.ends_with('%') {
        let percent = percent(text)?;
        return match percent > 0.0 {
            true => Ok(ReadData::Percent(percent)),
            false => Err("0% is nothing to check".to_owned()),
        };
    }
    match size(text)? {
        0 => Err("0 bytes are nothing to check".to_owned()),
        bytes => Ok(ReadData::Bytes(bytes)),
    }
}

/// Bytes in the largest unit that gives at least 1, with up to two decimals.
pub fn human_size(bytes: u64) -> String {
    let (unit, factor) = UNITS
        .into_iter()
        .find(|(_, factor)| bytes >= *factor)
        .unwrap_or(("B", 1));
    match factor {
        1 => format!("{bytes} B"),
        _ => {
            let value = bytes as f64 / factor as f64;
            let decimals = if value < 9.995 {
                2
            } else {
                usize::from(value < 99.95)
            };
            format!("{value:.decimals$} {unit}")
        }
    }
}

/// A time as the user's clock shows it, to the second.
pub fn human_time(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Seconds as `1 h 02 min`, `3 min 04 s` or `5.6 s`.
pub fn human_seconds(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// The first digits of an id, enough to tell a few thousand apart.
pub fn short(id: &keepwatch_core::Id) -> String {
    id.to_string()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("1.5M"), Ok(3 << 19));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        assert_eq!(size("1tb"), Ok(1 << 40));
        for bad in ["", "M", "-1", "1X", "1.2.3", "99999999999T", "1e9"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10 << 20, "10.0 MiB"),
            (300 << 30, "300 GiB"),
            (5 << 40, "5.00 TiB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn parts_of_a_repository() {
        assert_eq!(subset("2/7"), Ok(ReadData::Part { n: 2, of: 7 }));
        assert_eq!(subset("2.5%"), Ok(ReadData::Percent(2.5)));
        assert_eq!(subset("10M"), Ok(ReadData::Bytes(10 << 20)));
        for bad in ["0/3", "4/3", "1/0", "0%", "101%", "0", "", "a/b"] {
            assert!(subset(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(duration("0"), Ok(SignedDuration::ZERO));
        assert_eq!(duration("7d"), Ok(SignedDuration::from_hours(168)));
        assert_eq!(duration("1d12h"), Ok(SignedDuration::from_hours(36)));
        assert!(duration("1mo").is_err());
        assert!(span("1y6mo").is_ok());
        assert!(span("-1d").is_err());
        assert!(span("soon").is_err());
        assert_eq!(human_seconds(5.55), "5.5 s");
        assert_eq!(human_seconds(61.0), "1 min 01 s");
        assert_eq!(human_seconds(3660.0), "1 h 01 min");
    }
}
