//! One clock for all that a camera sends, over reconnects and whatever its own clock does.

use std::time::Duration;

use keepwatch_core::jiff::{SignedDuration, Timestamp};

use crate::source::{RawPacket, monotonic};

/// How far a camera's timestamps may be away from the time its frames arrive. Beyond that its
/// clock has jumped, and is set anew by the arrival.
const TOLERANCE: Duration = Duration::from_secs(5);

/// How far the wall clock may drift away before the time of frames follows it at once.
const WALL_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// The least distance of two frames in decoding order.
const TICK: Duration = Duration::from_micros(100);

/// When something arrived here.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Since some fixed moment, never going back.
    pub monotonic: Duration,
    /// By the wall clock.
    pub wall: Timestamp,
}

/// Says when packets arrived.
#[derive(Debug)]
pub struct Arrivals {
    finite: bool,
    /// Where a file's own time begins.
    start: Option<(Duration, Arrival)>,
}

impl Arrivals {
    /// Of a source that ends, as a file does, or of one that is live.
    pub fn of(finite: bool) -> Self {
        Self {
            finite,
            start: None,
        }
    }

    /// When this one did, which was taken just now. A file arrives as fast as it can be read, and
    /// counts as if it had been played.
    pub fn of_packet(&mut self, packet: &RawPacket) -> Arrival {
        let now = Arrival {
            monotonic: monotonic(),
            wall: Timestamp::now(),
        };
        if !self.finite {
            return now;
        }
        let dts = packet.dts.unwrap_or(packet.pts);
        let (first, start) = *self.start.get_or_insert((dts, now));
        let played = dts.saturating_sub(first);
        Arrival {
            monotonic: start.monotonic + played,
            wall: start.wall.checked_add(played).unwrap_or(start.wall),
        }
    }
}

/// Where a frame is on the timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// When it is shown.
    pub pts: Duration,
    /// When it is decoded; later than that of every frame before.
    pub dts: Duration,
    /// When it is shown, by the wall clock.
    pub wall: Timestamp,
    /// Whether the camera's clock was set anew.
    pub jumped: bool,
}

/// Places the frames of one camera on a timeline that only goes forward.
///
/// Distances within a session are the camera's own, since arrival jitters. A new session, and a
/// jump of the camera's clock, continue where the monotonic clock says.
#[derive(Debug, Default)]
pub struct Timeline {
    /// What a camera's timestamp is moved by, in nanoseconds.
    shift: Option<i128>,
    last_dts: Option<Duration>,
    /// Wall time of the timeline's zero.
    wall_zero: Option<Timestamp>,
}

impl Timeline {
    /// A new session with the camera begins.
    pub fn reconnect(&mut self) {
        self.shift = None;
        self.wall_zero = None;
    }

    /// Places the next frame in decoding order.
    pub fn place(&mut self, pts: Duration, dts: Option<Duration>, arrival: Arrival) -> Placed {
        let camera_dts = dts.unwrap_or(pts).as_nanos() as i128;
        let now = arrival.monotonic.as_nanos() as i128;
        let (shift, jumped) = match self.shift {
            None => (now - camera_dts, false),
            Some(shift) => {
                let off = (camera_dts + shift - now).unsigned_abs();
                match off > TOLERANCE.as_nanos() {
                    true => (now - camera_dts, true),
                    false => (shift, false),
                }
            }
        };
        self.shift = Some(shift);
        let dts_here = to_duration(camera_dts + shift);
        let dts_here = match self.last_dts {
            Some(last) => dts_here.max(last + TICK),
            None => dts_here,
        };
        self.last_dts = Some(dts_here);
        let offset = pts.as_nanos() as i128 - camera_dts;
        let pts_here = to_duration(dts_here.as_nanos() as i128 + offset.max(0));
        Placed {
            pts: pts_here,
            dts: dts_here,
            wall: self.wall(pts_here, arrival),
            jumped,
        }
    }

    /// The wall clock is read through the monotonic one, so that small corrections of it do not
    /// show up between frames.
    fn wall(&mut self, pts: Duration, arrival: Arrival) -> Timestamp {
        let zero_now = minus(arrival.wall, arrival.monotonic);
        let zero = match self.wall_zero {
            Some(zero) if zero_now.duration_since(zero).abs() <= WALL_TOLERANCE => zero,
            _ => zero_now,
        };
        self.wall_zero = Some(zero);
        let pts = SignedDuration::try_from(pts).unwrap_or(SignedDuration::MAX);
        zero.checked_add(pts).unwrap_or(arrival.wall)
    }
}

fn minus(time: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.checked_sub(duration).unwrap_or(time)
}

fn to_duration(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Arrival {
        arrival(ms, 0)
    }

    fn arrival(ms: u64, wall_step_s: i64) -> Arrival {
        let wall = Timestamp::from_second(1_700_000_000 + wall_step_s).expect("in range");
        Arrival {
            monotonic: Duration::from_millis(ms),
            wall: wall + SignedDuration::from_millis(ms as i64),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn distances_are_the_cameras_own_however_frames_arrive() {
        let mut timeline = Timeline::default();
        let arrivals = [1000, 1041, 1130, 1131, 1160];
        let placed: Vec<_> = (0..5)
            .map(|i| timeline.place(ms(50_000 + 40 * i), None, at(arrivals[i as usize])))
            .collect();
        assert_eq!(placed[0].pts, ms(1000));
        for pair in placed.windows(2) {
            assert_eq!(pair[1].pts - pair[0].pts, ms(40));
            assert_eq!(
                pair[1].wall.duration_since(pair[0].wall),
                SignedDuration::from_millis(40)
            );
        }
    }

    #[test]
    fn a_jump_of_the_cameras_clock_is_not_one_of_ours() {
        for jump in [3_600_000_u64, 0] {
            let mut timeline = Timeline::default();
            let before = timeline.place(ms(100_000), None, at(1000));
            let after = timeline.place(ms(jump), None, at(1040));
            assert!(after.jumped);
            assert_eq!(after.pts - before.pts, ms(40), "{jump}");
            let next = timeline.place(ms(jump + 40), None, at(1080));
            assert!(!next.jumped);
            assert_eq!(next.pts - after.pts, ms(40));
        }
    }

    #[test]
    fn decoding_times_only_grow_over_jitter_small_steps_back_and_reconnects() {
        let mut timeline = Timeline::default();
        let mut last = Duration::ZERO;
        for (i, pts) in [0, 40, 30, 30, 120, 80, 160].into_iter().enumerate() {
            let placed = timeline.place(ms(pts), None, at(500 + 40 * i as u64));
            assert!(placed.dts > last);
            assert!(placed.pts >= placed.dts);
            last = placed.dts;
        }
        timeline.reconnect();
        let placed = timeline.place(ms(0), None, at(10_000));
        assert_eq!(placed.pts, ms(10_000));
    }

    #[test]
    fn frames_that_are_shown_later_than_decoded_keep_that_distance() {
        let mut timeline = Timeline::default();
        let placed = timeline.place(ms(120), Some(ms(40)), at(1000));
        assert_eq!(placed.pts - placed.dts, ms(80));
    }

    #[test]
    fn a_set_wall_clock_is_followed_and_a_slewed_one_is_not_felt() {
        let mut timeline = Timeline::default();
        let first = timeline.place(ms(0), None, at(0));
        let mut slewed = at(40);
        slewed.wall += SignedDuration::from_millis(300);
        let second = timeline.place(ms(40), None, slewed);
        assert_eq!(
            second.wall.duration_since(first.wall),
            SignedDuration::from_millis(40)
        );
        let third = timeline.place(ms(80), None, arrival(80, 3600));
        assert_eq!(third.wall.duration_since(first.wall).as_secs(), 3600);
    }
}
