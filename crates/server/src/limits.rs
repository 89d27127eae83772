//! How much anybody may ask for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use keepwatch_config::ServerConfig;

use crate::accounts::network;
use crate::error::{ApiError, Result};

/// After so many keys those that have not asked for long are forgotten.
const SWEEP: usize = 10_000;

/// Requests by address and by account.
pub(crate) struct Limits {
    addresses: DefaultKeyedRateLimiter<[u8; 16]>,
    accounts: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl Limits {
    pub fn new(config: &ServerConfig) -> Self {
        let one = NonZeroU32::MIN;
        let quota = |times: u32| {
            let rate = NonZeroU32::new(config.requests_per_second.saturating_mul(times));
            let burst = NonZeroU32::new(config.requests_burst.saturating_mul(times));
            Quota::per_second(rate.unwrap_or(one)).allow_burst(burst.unwrap_or(one))
        };
        Self {
            addresses: RateLimiter::keyed(quota(1)),
            // An account may be used from several places.
            accounts: RateLimiter::keyed(quota(2)),
            clock: DefaultClock::default(),
        }
    }

    /// One more request of an address.
    pub fn address(&self, address: IpAddr) -> Result<()> {
        if self.addresses.len() > SWEEP {
            self.addresses.retain_recent();
        }
        self.refused(self.addresses.check_key(&network(address)))
    }

    /// One more of an account.
    pub fn account(&self, name: &str) -> Result<()> {
        if self.accounts.len() > SWEEP {
            self.accounts.retain_recent();
        }
        self.refused(self.accounts.check_key(&name.to_owned()))
    }

    fn refused(
        &self,
        checked: Result<(), NotUntil<<DefaultClock as Clock>::Instant>>,
    ) -> Result<()> {
        checked.map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            let seconds = wait.as_secs() + u64::from(wait > Duration::from_secs(wait.as_secs()));
            ApiError::too_many("too many requests", seconds.max(1))
        })
    }
}

/// Connections at once.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Open>);

struct Open {
    most: usize,
    most_of_one: usize,
    all: Mutex<(usize, HashMap<[u8; 16], usize>)>,
}

/// A connection that counts until it is dropped.
pub(crate) struct Held {
    open: Arc<Open>,
    network: [u8; 16],
}

impl Connections {
    pub fn new(config: &ServerConfig) -> Self {
        Self(Arc::new(Open {
            most: config.max_connections,
            // Behind a proxy all come from it.
            most_of_one: match config.behind_proxy {
                true => config.max_connections,
                false => config.max_connections_per_address,
            },
            all: Mutex::default(),
        }))
    }

    /// One more, if there may be one more.
    pub fn take(&self, address: IpAddr) -> Option<Held> {
        let network = network(address);
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, by_network) = &mut *all;
        let own = by_network.entry(network).or_default();
        if *count >= self.0.most || *own >= self.0.most_of_one {
            if *own == 0 {
                by_network.remove(&network);
            }
            return None;
        }
        *count += 1;
        *own += 1;
        Some(Held {
            open: self.0.clone(),
            network,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.open.all.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, by_network) = &mut *all;
        *count -= 1;
        if let Some(own) = by_network.get_mut(&self.network) {
            *own -= 1;
            if *own == 0 {
                by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_of_connections() {
        let config = ServerConfig {
            max_connections: 3,
            max_connections_per_address: 2,
            ..ServerConfig::default()
        };
        let connections = Connections::new(&config);
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = connections.take(one).expect("the first");
        let _second = connections.take(one).expect("the second");
        assert!(connections.take(one).is_none());
        let third = connections.take(two).expect("another address");
        assert!(connections.take(two).is_none(), "all are taken");
        drop((first, third));
        assert_eq!(connections.count(), 1);
        assert!(connections.take(one).is_some());
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_ask_again() {
        let config = ServerConfig {
            requests_per_second: 1,
            requests_burst: 3,
            ..ServerConfig::default()
        };
        let limits = Limits::new(&config);
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..3 {
            limits.address(address).expect("it is within the burst");
        }
        let refused = limits.address(address).expect_err("it is too often");
        assert_eq!(refused.status(), axum::http::StatusCode::TOO_MANY_REQUESTS);
        limits
            .address(IpAddr::from([192, 0, 2, 2]))
            .expect("another one");
    }
}
