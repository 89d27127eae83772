//! Trying again what may work the next time.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::stop::Stop;

/// The first wait. Each is up to twice as long as the one before.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(20);

/// How long an operation is tried again before it counts as failed.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    pub patience: Duration,
    /// Ends it before.
    pub stop: Stop,
}

/// What became of one try.
pub(crate) enum Fault<E> {
    /// It may work the next time.
    Passing(E),
    /// It will not.
    Lasting(E),
}

impl Retry {
    /// Runs `act` until it works, fails for good, or patience ends, as it does with a stop. `act` is
    /// told how many tries there were before.
    ///
    /// Waits grow by doubling, and each is between half and all of that: many clients of a server
    /// that comes back do not all ask at once.
    pub async fn run<T, E, F>(
        &self,
        what: &'static str,
        mut act: impl FnMut(u32) -> F,
    ) -> Result<T, E>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, Fault<E>>>,
    {
        let end = Instant::now() + self.patience;
        let mut longest = FIRST;
        let mut tries = 0;
        loop {
            match act(tries).await {
                Ok(value) => return Ok(value),
                Err(Fault::Lasting(error)) => return Err(error),
                Err(Fault::Passing(error)) => {
                    let wait = longest.mul_f64(0.5 + 0.5 * share());
                    if self.stop.is_set() || Instant::now() + wait >= end {
                        return Err(error);
                    }
                    tries += 1;
                    tracing::warn!(%error, tries, "cannot {what}; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.stop.wanted() => return Err(error),
                    }
                    longest = (longest * 2).min(LONGEST);
                }
            }
        }
    }
}

/// A number from 0 to 1, by chance. Without chance the waits are just longer.
fn share() -> f64 {
    getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(future)
    }

    #[test]
    fn what_passes_is_tried_again() {
        let retry = Retry {
            patience: Duration::from_secs(60),
            stop: Stop::default(),
        };
        let result: Result<u32, String> = run(retry.run("act", |tries| async move {
            match tries {
                0..3 => Err(Fault::Passing("busy".to_owned())),
                tries => Ok(tries),
            }
        }));
        assert_eq!(result, Ok(3));
    }

    #[test]
    fn what_lasts_is_not() {
        let retry = Retry {
            patience: Duration::from_secs(60),
            stop: Stop::default(),
        };
        let result: Result<u32, String> = run(retry.run("act", |tries| async move {
            assert_eq!(tries, 0);
            Err(Fault::Lasting("no".to_owned()))
        }));
        assert_eq!(result, Err("no".to_owned()));
    }

    #[test]
    fn patience_ends() {
        let retry = Retry {
            patience: Duration::from_secs(60),
            stop: Stop::default(),
        };
        let (result, took) = run(async {
            let begin = Instant::now();
            let result: Result<(), String> = retry
                .run("act", |_| async { Err(Fault::Passing("away".to_owned())) })
                .await;
            (result, begin.elapsed())
        });
        assert_eq!(result, Err("away".to_owned()));
        assert!(took <= Duration::from_secs(60), "{took:?}");
        assert!(took >= Duration::from_secs(35), "{took:?}");
    }

    #[test]
    fn a_stop_ends_patience() {
        let retry = Retry {
            patience: Duration::from_secs(60),
            stop: Stop::default(),
        };
        let stop = retry.stop.clone();
        let (result, took) = run(async {
            let begin = Instant::now();
            // It comes during the wait after a try.
            let acting = retry.run("act", |_| async { Err(Fault::Passing("away".to_owned())) });
            let stopping = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                stop.stop();
                std::future::pending::<Result<(), String>>().await
            };
            let result = tokio::select! {
                result = acting => result,
                result = stopping => result,
            };
            (result, begin.elapsed())
        });
        assert_eq!(result, Err("away".to_owned()));
        assert!(took < Duration::from_millis(90), "{took:?}");

        let mut tries = 0;
        let result: Result<(), String> = run(retry.run("act", |_| {
            tries += 1;
            async { Err(Fault::Passing("away".to_owned())) }
        }));
        assert_eq!(result, Err("away".to_owned()));
        assert_eq!(tries, 1);
    }
}
