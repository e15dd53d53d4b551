//! Whether the database takes writes, and how many writes failed.
//!
//! A write that is refused says so at once. A commit may also have no answer for as long as anybody waits: the database
//! hangs, or waits for a synchronous standby that is away. So commits under way are known by when they began.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Cause, Result, StoreError, Unwritable};

/// How long a commit may have no answer, while no other one has either. It is longer than any wait for a lock.
const SILENCE_MAX: Duration = Duration::from_secs(12);

/// What the node's writes have shown of the database.
#[derive(Default)]
pub(super) struct Health {
    unwritable: Mutex<Option<Unwritable>>,
    under_way: Mutex<UnderWay>,
    failed: [AtomicU64; Cause::ALL.len()],
}

/// The commits that have no answer yet.
#[derive(Default)]
struct UnderWay {
    next: u64,
    /// When each began, oldest first.
    begun: BTreeMap<u64, Instant>,
    /// When the one began that was given up after a long silence. No other one was answered since.
    given_up: Option<Instant>,
    /// When the last answer to one was there.
    answered: Option<Instant>,
}

impl UnderWay {
    /// Returns when the one began that waits for too long, if no other was answered meanwhile.
    fn silent_since(&self) -> Option<Instant> {
        let long_ago = |since: Instant| since.elapsed() > SILENCE_MAX;
        let oldest = self.given_up.or(self.begun.values().next().copied())?;
        (long_ago(oldest) && self.answered.is_none_or(long_ago)).then_some(oldest)
    }

    /// Returns why nothing more should be written, if one of them waits for too long.
    fn silence(&self) -> Option<Unwritable> {
        let why = |since: Instant| {
            format!(
                "a commit has no answer for {} s. Is the database overloaded, or away, or does it wait for a \
                 synchronous standby that does not follow it?",
                since.elapsed().as_secs()
            )
        };
        self.silent_since().map(|since| Unwritable::Database { why: why(since) })
    }
}

/// A commit under way. One that is given up after a long silence has shown that the database takes no writes.
pub(super) struct Commit {
    health: Arc<Health>,
    place: u64,
    is_answered: bool,
}

impl Commit {
    /// Notes how it ended. One that failed says nothing of the others that wait.
    pub(super) fn ended<T, E>(mut self, done: &std::result::Result<T, E>) {
        self.is_answered = done.is_ok();
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        let mut under_way = self.health.under_way();
        let silent_since = under_way.silent_since();
        under_way.begun.remove(&self.place);
        if self.is_answered {
            (under_way.given_up, under_way.answered) = (None, Some(Instant::now()));
        } else {
            under_way.given_up = silent_since;
        }
    }
}

impl Health {
    /// Returns `Ok` if the database took the last write, or why it did not.
    pub(super) fn get(&self) -> Result<()> {
        let why = self.unwritable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        why.or_else(|| self.under_way().silence()).map_or(Ok(()), |why| Err(why.into()))
    }

    /// Refuses what would wait behind commits that have no answer for too long. Each would wait with a connection that
    /// others need, and leave a session behind in the database when it is given up.
    pub(super) fn not_silent(&self) -> Result<()> {
        self.under_way().silence().map_or(Ok(()), |why| Err(why.into()))
    }

    /// Notes that a commit is asked for.
    pub(super) fn commit(self: &Arc<Self>) -> Commit {
        let mut under_way = self.under_way();
        let place = under_way.next;
        under_way.next += 1;
        under_way.begun.insert(place, Instant::now());
        Commit { health: self.clone(), place, is_answered: false }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether a write was done.
    pub(super) fn note<T>(&self, done: &Result<T>) {
        let unwritable = match done {
            Ok(_) => None,
            Err(StoreError::Unwritable(why)) => {
                self.count(why.cause());
                Some(why.clone())
            }
            Err(StoreError::Full) => return self.count(Cause::QueueFull),
            Err(StoreError::Broken(_)) => return self.count(Cause::Io),
            Err(_) => return,
        };
        *self.unwritable.lock().unwrap_or_else(PoisonError::into_inner) = unwritable;
    }

    fn count(&self, cause: Cause) {
        if let Some(count) = Cause::ALL.iter().position(|of| *of == cause).and_then(|at| self.failed.get(at))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many writes were refused or failed, by cause.
    pub(super) fn failed(&self) -> Vec<(Cause, u64)> {
        let counts = self.failed.iter().map(|count| count.load(Ordering::Relaxed));
        Cause::ALL.into_iter().zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock stands still, and is moved by hand.
    #[tokio::test(start_paused = true)]
    async fn a_commit_without_an_answer_shows_until_one_is_answered_also_when_it_is_given_up() {
        let health = Arc::new(Health::default());
        let silent = || health.get().is_err();
        let (first, second) = (health.commit(), health.commit());
        tokio::time::advance(SILENCE_MAX).await;
        assert!(!silent());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(silent() && health.not_silent().is_err());
        first.ended(&Ok::<_, ()>(()));
        assert!(!silent(), "the database answers");
        tokio::time::advance(SILENCE_MAX + Duration::from_millis(1)).await;
        assert!(silent(), "the second one still waits");
        drop(second);
        assert!(silent(), "it was given up");
        let probe = health.commit();
        assert!(silent());
        probe.ended(&Ok::<_, ()>(()));
        assert!(!silent());
        drop(health.commit());
        health.commit().ended(&Err::<(), _>(()));
        tokio::time::advance(2 * SILENCE_MAX).await;
        assert!(!silent(), "one that is given up at once, or fails, shows nothing");
    }
}
