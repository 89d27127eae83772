//! Who was here lately.

use std::time::Duration;

/// Identities with the time they were last seen, the earliest first as they came.
#[derive(Debug)]
pub(super) struct Visits {
    cooldown: Duration,
    max: usize,
    seen: Vec<(String, Duration)>,
}

impl Visits {
    pub(super) fn new(cooldown: Duration, max: usize) -> Self {
        Self {
            cooldown,
            max,
            seen: Vec::new(),
        }
    }

    /// Whether one that is the `same` was here less than the cooldown before `since`, or from then
    /// to `at`, which is now. What was seen long after now was seen by another clock.
    pub(super) fn is_here(
        &self,
        since: Duration,
        at: Duration,
        mut same: impl FnMut(&str) -> bool,
    ) -> bool {
        if self.cooldown.is_zero() {
            return false;
        }
        let since = since.min(at);
        let recent = |last: Duration| {
            since < last.saturating_add(self.cooldown) && last < at.saturating_add(self.cooldown)
        };
        let mut seen = self.seen.iter();
        seen.any(|(identity, last)| recent(*last) && same(identity))
    }

    /// Notes that an identity is here.
    pub(super) fn see(&mut self, identity: &str, at: Duration) {
        if let Some((_, last)) = self.seen.iter_mut().find(|(known, _)| known == identity) {
            // Looks may come out of order, and do not make a visit shorter; another clock does.
            if *last < at || last.abs_diff(at) >= self.cooldown {
                *last = at;
            }
            return;
        }
        if self.seen.len() >= self.max {
            let cooldown = self.cooldown;
            self.seen.retain(|(_, last)| at.abs_diff(*last) < cooldown);
        }
        if self.seen.len() >= self.max {
            let oldest = (0..self.seen.len()).min_by_key(|&index| self.seen[index].1);
            self.seen
                .remove(oldest.expect("there are at least as many as the bound, which is no 0"));
        }
        self.seen.push((identity.to_owned(), at));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_lasts_as_long_as_one_is_seen() {
        let at = Duration::from_secs;
        let mut visits = Visits::new(at(30), 8);
        let here = |visits: &Visits, now| visits.is_here(at(now), at(now), |who| who == "ann");
        assert!(!here(&visits, 0));
        for now in [0, 20, 40, 60] {
            visits.see("ann", at(now));
            assert!(here(&visits, now + 29) && !here(&visits, now + 30));
            assert!(!visits.is_here(at(now), at(now), |who| who == "bob"));
        }
        // Somebody who was seen since a while ago, and another one in between.
        assert!(visits.is_here(at(10), at(95), |who| who == "ann"));
        assert!(!visits.is_here(at(90), at(95), |who| who == "ann"));
        // A look that was late, and a clock that began anew.
        visits.see("ann", at(55));
        assert!(here(&visits, 89));
        visits.see("ann", at(1));
        assert!(here(&visits, 30) && !here(&visits, 60));
    }

    #[test]
    fn without_a_cooldown_all_is_new() {
        let mut visits = Visits::new(Duration::ZERO, 8);
        let at = Duration::from_secs;
        visits.see("ann", at(5));
        assert!(!visits.is_here(at(5), at(5), |_| true));
        assert!(!visits.is_here(at(1), at(9), |_| true));
    }

    #[test]
    fn what_was_seen_longest_ago_is_forgotten_first() {
        let at = Duration::from_secs;
        let mut visits = Visits::new(at(30), 2);
        for (who, now) in [("ann", 0), ("bob", 1), ("ann", 2), ("eve", 3)] {
            visits.see(who, at(now));
        }
        let here = |visits: &Visits, name: &str| visits.is_here(at(3), at(3), |who| who == name);
        assert!(here(&visits, "ann") && here(&visits, "eve") && !here(&visits, "bob"));
        visits.see("joe", at(99));
        assert_eq!(visits.len(), 1);
    }
}
