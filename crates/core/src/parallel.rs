//! The same for several things at once, where most of it is waiting for an answer.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does the same with each of some items, with so many at once, and gives the results in order.
///
/// # Panics
/// When `act` does.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    at_once: usize,
    act: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = at_once.min(items.len());
    if threads <= 1 {
        return items.iter().map(act).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = act(item);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does two things: at the same time where more than one is worth it, else one after the other.
///
/// # Panics
/// When one of them does.
pub(crate) fn join<A: Send, B>(
    at_once: usize,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    if at_once <= 1 {
        return (first(), second());
    }
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (first.join().expect("it does not panic"), second)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_are_in_order_and_some_at_once() {
        let both = Barrier::new(2);
        let results = map(&[3, 1, 4, 1], 2, |n| {
            both.wait();
            n * 10
        });
        assert_eq!(results, [30, 10, 40, 10]);
        let (one, other) = join(2, || both.wait().is_leader(), || both.wait().is_leader());
        assert_ne!(one, other, "they have met");
        assert_eq!(join(1, || 1, || 2), (1, 2));
        assert!(map(&[], 4, |n: &i32| *n).is_empty());
        assert_eq!(map(&[1, 2], 1, |n| *n), [1, 2]);
    }
}
