//! From the clock on the wall to moments.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::times::Times;

/// A stretch of time during which a zone's offset stays.
struct Stretch {
    start: Timestamp,
    offset: Offset,
    /// The offset before it.
    before: Offset,
    end: Timestamp,
}

impl Stretch {
    /// The one that a moment is in.
    fn around(zone: &TimeZone, moment: Timestamp) -> Self {
        let nanosecond = SignedDuration::from_nanos(1);
        let just_after = moment.checked_add(nanosecond).unwrap_or(Timestamp::MAX);
        let start = zone.preceding(just_after).next();
        let end = zone.following(moment).next();
        let offset = zone.to_offset(moment);
        let before = start.as_ref().and_then(|start| {
            Some(zone.to_offset(start.timestamp().checked_sub(nanosecond).ok()?))
        });
        Self {
            start: start.map_or(Timestamp::MIN, |start| start.timestamp()),
            offset,
            before: before.unwrap_or(offset),
            end: end.map_or(Timestamp::MAX, |end| end.timestamp()),
        }
    }

    /// The one after it. Not found by looking back from its start: where a zone's table ends and its
    /// rule begins, the database has changes that are seen in one direction only.
    fn next(&self, zone: &TimeZone) -> Self {
        let end = zone.following(self.end).next();
        Self {
            start: self.end,
            offset: zone.to_offset(self.end),
            before: self.offset,
            end: end.map_or(Timestamp::MAX, |end| end.timestamp()),
        }
    }

    /// What the clock shows when it begins, and what it would have shown without the change.
    fn clock_at_start(&self) -> (DateTime, DateTime) {
        let (now, before) = (self.offset, self.before);
        (now.to_datetime(self.start), before.to_datetime(self.start))
    }
}

/// The first slot after a moment. The rules are those of the module above.
pub(super) fn slot_after(times: &Times, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut stretch = Stretch::around(zone, after);
    let mut from = next_second(stretch.offset.to_datetime(after))?;
    loop {
        let (shown, would_show) = stretch.clock_at_start();
        let is_fold = shown < would_show;
        if is_fold && !times.is_hourly() {
            // The clock has shown these times before.
            from = from.max(would_show);
        }
        // What comes much later comes in a later stretch, perhaps with another offset.
        let found = times.at_or_after(from)?;
        match stretch.offset.to_timestamp(found) {
            Ok(moment) if moment < stretch.end => return Some(moment),
            _ if stretch.end == Timestamp::MAX => return None,
            _ => {}
        }
        stretch = stretch.next(zone);
        let (shown, would_show) = stretch.clock_at_start();
        let left_out = times.at_or_after(would_show)?;
        if left_out < shown {
            return Some(stretch.start);
        }
        from = shown;
    }
}

/// The first whole second after a time on the clock.
fn next_second(time: DateTime) -> Option<DateTime> {
    let whole = time.with().subsec_nanosecond(0).build().ok()?;
    whole.checked_add(SignedDuration::from_secs(1)).ok()
}
