//! Whoever guesses waits, longer with each wrong guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use keepwatch_core::events::{AuditEntry, AuditFilter, Store};

use super::AccountError;
use crate::audit::Audit;

/// So many wrong ones are a mistake.
const FREE: u32 = 5;
/// The first wait, doubled with each further wrong one.
const FIRST: SignedDuration = SignedDuration::from_secs(2);
/// The longest.
const LONGEST: SignedDuration = SignedDuration::from_mins(15);
/// After so long without a wrong one it is forgotten.
const FORGET: SignedDuration = SignedDuration::from_hours(24);
/// The most that is remembered: the oldest go first.
const MOST: usize = 20_000;

/// How long somebody has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub seconds: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    Account(String),
    /// An address; of IPv6, the network of one customer.
    Address([u8; 16]),
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// Wrong guesses by account and by address.
#[derive(Default)]
pub(crate) struct Guesses {
    all: Mutex<HashMap<Who, Failures>>,
}

fn both(account: &str, address: IpAddr) -> [Who; 2] {
    // What somebody sends as a name is kept no longer than a name can be.
    let account = account.chars().take(64).collect();
    [Who::Account(account), Who::Address(network(address))]
}

/// A /64 of IPv6 belongs to one customer, who may use all of its addresses.
pub(crate) fn network(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            octets
        }
    }
}

impl Guesses {
    /// What the audit log knows of them: a restart makes nobody wait less.
    pub fn recall(store: &Store, now: Timestamp) -> Result<Self, keepwatch_core::Error> {
        let page = AuditFilter {
            limit: Some(1000),
            ..AuditFilter::default()
        };
        let (mut entries, mut before) = (Vec::new(), None);
        while entries.len() < MOST {
            let older = store.audit_log_before(&page, before)?;
            let Some((number, oldest)) = older.last() else {
                break;
            };
            before = Some(*number);
            let done = now.duration_since(oldest.at) > FORGET;
            entries.extend(older.into_iter().map(|(_, entry)| entry));
            if done {
                break;
            }
        }
        entries.reverse();
        Ok(Self::of(&entries))
    }

    /// Those in entries of the audit log, oldest first.
    fn of(entries: &[AuditEntry]) -> Self {
        let guesses = Self::default();
        for entry in entries {
            let address = entry.detail["address"].as_str();
            let Some(address) = address.and_then(|address| address.parse().ok()) else {
                continue;
            };
            if entry.action == Audit::LogInFailed.name() {
                guesses.wrong(&entry.actor, address, entry.at);
            } else if entry.action == Audit::LogIn.name() {
                guesses.right(&entry.actor, address);
            }
        }
        guesses
    }

    /// Refuses who has to wait.
    pub fn check(
        &self,
        account: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = both(account, address)
            .into_iter()
            .filter_map(|who| all.get(&who)?.wait(now));
        match waits.max_by_key(|wait| wait.seconds) {
            Some(wait) => Err(AccountError::Wait(wait)),
            None => Ok(()),
        }
    }

    /// Somebody was wrong.
    pub fn wrong(&self, account: &str, address: IpAddr, now: Timestamp) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for who in both(account, address) {
            let failures = all.entry(who).or_insert(Failures {
                count: 0,
                last: now,
            });
            if now.duration_since(failures.last) > FORGET {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
        if all.len() > MOST {
            all.retain(|_, failures| now.duration_since(failures.last) <= FORGET);
            let mut times: Vec<Timestamp> = all.values().map(|failures| failures.last).collect();
            times.sort_unstable();
            if let Some(limit) = times
                .len()
                .checked_sub(MOST / 2)
                .and_then(|at| times.get(at))
            {
                all.retain(|_, failures| failures.last >= *limit);
            }
        }
    }

    /// Somebody was right.
    pub fn right(&self, account: &str, address: IpAddr) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for who in both(account, address) {
            all.remove(&who);
        }
    }
}

impl Failures {
    fn wait(&self, now: Timestamp) -> Option<Wait> {
        let beyond = self.count.checked_sub(FREE)?;
        let longest = i32::try_from(LONGEST.as_secs()).unwrap_or(i32::MAX);
        let factor = 1_i32
            .checked_shl(beyond.min(16))
            .unwrap_or(i32::MAX)
            .min(longest);
        let wait = (FIRST * factor).min(LONGEST);
        let left = wait - now.duration_since(self.last);
        // A clock that went back makes nobody wait for ever.
        let left = left.min(LONGEST);
        let seconds = u64::try_from(left.as_millis()).unwrap_or(0).div_ceil(1000);
        (seconds > 0).then_some(Wait { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("it is a time")
    }

    fn wait(guesses: &Guesses, account: &str, address: IpAddr, now: i64) -> u64 {
        match guesses.check(account, address, at(now)) {
            Ok(()) => 0,
            Err(AccountError::Wait(wait)) => wait.seconds,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let guesses = Guesses::default();
        for _ in 0..4 {
            guesses.wrong("ada", HERE, at(0));
            assert_eq!(wait(&guesses, "ada", HERE, 0), 0);
        }
        for expected in [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            guesses.wrong("ada", HERE, at(0));
            assert_eq!(wait(&guesses, "ada", HERE, 0), expected);
        }
        assert_eq!(wait(&guesses, "ada", HERE, 899), 1);
        assert_eq!(wait(&guesses, "ada", HERE, 900), 0);
    }

    #[test]
    fn an_account_is_guarded_from_everywhere_and_an_address_for_all_accounts() {
        let guesses = Guesses::default();
        for number in 0..5 {
            guesses.wrong(&format!("user{number}"), HERE, at(0));
            guesses.wrong("ada", IpAddr::from([198, 51, 100, number]), at(0));
        }
        assert_eq!(wait(&guesses, "ada", THERE, 0), 2);
        assert_eq!(wait(&guesses, "zoe", HERE, 0), 2);
        assert_eq!(wait(&guesses, "zoe", THERE, 0), 0);
    }

    #[test]
    fn the_right_one_ends_it_and_so_does_a_day() {
        let guesses = Guesses::default();
        (0..6).for_each(|_| guesses.wrong("ada", HERE, at(0)));
        guesses.right("ada", HERE);
        assert_eq!(wait(&guesses, "ada", HERE, 0), 0);
        (0..6).for_each(|_| guesses.wrong("ada", HERE, at(0)));
        guesses.wrong("ada", HERE, at(90_000));
        assert_eq!(wait(&guesses, "ada", HERE, 90_000), 0);
    }

    #[test]
    fn who_has_a_network_has_one_try() {
        let guesses = Guesses::default();
        for number in 0..5 {
            let address = format!("2001:db8:0:1::{number}")
                .parse()
                .expect("an address");
            guesses.wrong("ada", address, at(0));
        }
        let next = "2001:db8:0:1:ffff::1".parse().expect("an address");
        assert_eq!(wait(&guesses, "zoe", next, 0), 2);
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(network(mapped), network(HERE));
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::default();
        for number in 0..(MOST as u32 + 100) {
            guesses.wrong(
                &number.to_string(),
                IpAddr::from(number.to_be_bytes()),
                at(i64::from(number)),
            );
        }
        assert!(guesses.all.lock().expect("it is free").len() <= MOST);
    }

    #[test]
    fn the_audit_log_knows_who_guessed() {
        let entry = |second, action: Audit, actor: &str, address| AuditEntry {
            at: at(second),
            actor: actor.to_owned(),
            action: action.name().to_owned(),
            detail: json!({ "address": address }),
        };
        let mut entries: Vec<AuditEntry> = (0..6)
            .map(|second| entry(second, Audit::LogInFailed, "ada", "192.0.2.1"))
            .collect();
        entries.push(entry(6, Audit::LogIn, "bob", "192.0.2.2"));
        entries.push(entry(6, Audit::ClipSeen, "ada", "192.0.2.1"));
        let guesses = Guesses::of(&entries);
        assert_eq!(wait(&guesses, "ada", THERE, 5), 4);
        assert_eq!(wait(&guesses, "bob", HERE, 5), 4);
        assert_eq!(wait(&guesses, "bob", THERE, 5), 0);
        entries.push(entry(20, Audit::LogIn, "ada", "192.0.2.1"));
        assert_eq!(wait(&Guesses::of(&entries), "ada", HERE, 20), 0);
    }
}
