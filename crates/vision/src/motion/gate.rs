//! From frames in which something moves to motion that begins and ends.

use std::time::Duration;

use super::detector::MotionFrame;
use super::settings::MotionSettings;

/// Frames further apart than this confirm motion by themselves: the next may come too late.
const SPARSE: Duration = Duration::from_millis(900);

/// How far back the first hit may be when the second comes.
const WINDOW: Duration = Duration::from_millis(800);

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateChange {
    /// Motion began.
    Started {
        /// With the frame of this time.
        at: Duration,
    },
    /// It ended.
    Ended {
        /// With the frame of this time, the last in which something moved.
        at: Duration,
    },
}

/// Motion begins when something has moved for the least duration, in two frames at least, and ends
/// when nothing has moved for a while.
#[derive(Debug)]
pub struct MotionGate {
    min_duration: Duration,
    quiet: Duration,
    /// The first hit of what is not motion yet, and the last of all.
    first: Option<Duration>,
    last: Duration,
    moving: bool,
    previous: Option<Duration>,
    /// The usual distance of frames.
    interval: Duration,
}

impl MotionGate {
    /// A gate without motion.
    pub fn new(settings: &MotionSettings) -> Self {
        Self {
            min_duration: settings.min_duration,
            quiet: settings.quiet,
            first: None,
            last: Duration::ZERO,
            moving: false,
            previous: None,
            interval: Duration::ZERO,
        }
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.first = None;
        self.moving = false;
        self.previous = None;
    }

    /// Whether there is motion, or the first sign of it.
    pub fn is_open(&self) -> bool {
        self.moving || self.first.is_some()
    }

    /// Takes the next frame.
    pub fn update(&mut self, pts: Duration, frame: &MotionFrame) -> Option<GateChange> {
        if let Some(previous) = self.previous {
            self.interval = pts.saturating_sub(previous);
        }
        self.previous = Some(pts);
        if self.moving {
            return self.go_on(pts, frame.is_moving());
        }
        if !frame.is_moving() {
            let window = WINDOW.max(self.min_duration);
            let late = |first: Duration| pts.saturating_sub(first) > window;
            if self.first.is_some() && late(self.last) {
                self.first = None;
            }
            return None;
        }
        let sparse = self.interval >= SPARSE;
        let first = *self.first.get_or_insert(pts);
        self.last = pts;
        let lasted = pts.saturating_sub(first);
        let confirmed = sparse || (lasted > Duration::ZERO && lasted >= self.min_duration);
        if !confirmed {
            return None;
        }
        self.first = None;
        self.moving = true;
        Some(GateChange::Started { at: first })
    }

    fn go_on(&mut self, pts: Duration, moving: bool) -> Option<GateChange> {
        if moving {
            self.last = pts;
            return None;
        }
        // With few frames a second, one without motion must not be the end yet.
        let quiet = self.quiet.max(self.interval * 3 / 2);
        if pts.saturating_sub(self.last) < quiet {
            return None;
        }
        self.moving = false;
        Some(GateChange::Ended { at: self.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(frames: &[(u64, bool)]) -> Vec<(u64, GateChange)> {
        let mut gate = MotionGate::new(&MotionSettings::default());
        let mut all = Vec::new();
        for &(ms, moving) in frames {
            let frame = MotionFrame::test(moving);
            if let Some(change) = gate.update(Duration::from_millis(ms), &frame) {
                all.push((ms, change));
            }
        }
        all
    }

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    #[test]
    fn motion_begins_with_its_first_frame_and_ends_with_its_last() {
        let frames: Vec<_> = (0..60)
            .map(|i| (i * 100, (10..20).contains(&i) || i == 25))
            .collect();
        assert_eq!(
            changes(&frames),
            [
                (1100, GateChange::Started { at: ms(1000) }),
                (4500, GateChange::Ended { at: ms(2500) })
            ]
        );
    }

    #[test]
    fn a_single_frame_is_no_motion_unless_frames_are_rare() {
        let single: Vec<_> = (0..60).map(|i| (i * 100, i == 30)).collect();
        assert_eq!(changes(&single), []);
        let rare: Vec<_> = (0..8).map(|i| (i * 2000, i == 3)).collect();
        assert_eq!(
            changes(&rare),
            [
                (6000, GateChange::Started { at: ms(6000) }),
                (10_000, GateChange::Ended { at: ms(6000) })
            ]
        );
    }
}
