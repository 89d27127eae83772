//! Tickets: what lets a browser open a WebSocket that it can give no header, once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::accounts::{Clock, Digest, Secret};
use crate::error::{ApiError, Result};
use crate::principal::Principal;

/// How long one is good for.
pub(crate) const LASTS: SignedDuration = SignedDuration::from_secs(30);
const MOST: usize = 10_000;

/// Tickets that were given and not used.
pub(crate) struct Tickets {
    now: Clock,
    given: Mutex<HashMap<Digest, (Principal, Timestamp)>>,
}

impl Tickets {
    pub fn new(now: Clock) -> Self {
        Self {
            now,
            given: Mutex::default(),
        }
    }

    /// A new one, for what its owner may.
    pub fn give(&self, who: &Principal) -> Result<Secret> {
        let secret = Secret::random().map_err(keepwatch_core::Error::from)?;
        let now = (self.now)();
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() >= MOST {
            given.retain(|_, (_, at)| now.duration_since(*at) < LASTS);
        }
        if given.len() >= MOST {
            return Err(ApiError::too_many("too many tickets", 30));
        }
        given.insert(secret.digest(), (who.clone(), now));
        Ok(secret)
    }

    /// Whose it is; it is used up.
    pub fn take(&self, text: &str) -> Option<Principal> {
        let digest = Secret::given(text).digest();
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let (who, at) = given.remove(&digest)?;
        ((self.now)().duration_since(at) < LASTS).then_some(who)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let time = Arc::new(AtomicI64::new(0));
        let clock = time.clone();
        let tickets = Tickets::new(Arc::new(move || {
            Timestamp::from_second(clock.load(Ordering::Relaxed)).expect("a time")
        }));
        let who = Principal::single();
        let (first, second) = (tickets.give(&who), tickets.give(&who));
        let (first, second) = (first.expect("a ticket"), second.expect("a ticket"));
        assert!(tickets.take("other").is_none());
        assert_eq!(
            tickets.take(first.expose()).expect("it is new").name,
            "auth_token"
        );
        assert!(tickets.take(first.expose()).is_none());
        time.store(30, Ordering::Relaxed);
        assert!(tickets.take(second.expose()).is_none());
    }
}
