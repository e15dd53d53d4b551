//! The server's clock: the system's, which the emulator may move ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use onhook_core::clock::Reading;
use onhook_core::time::Timestamp;

/// The time for signing in.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The time of a clock that nobody sets, for what is remembered and counted.
    pub steady: Instant,
    /// The time of the system's clock, for tokens, which clients and other servers read.
    pub wall: Timestamp,
}

/// The clock, and how far it has been moved.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    moved_ms: AtomicI64,
}

impl Clock {
    /// Returns a clock that is this many milliseconds ahead of the system's.
    #[must_use]
    pub fn new(moved_ms: i64) -> Self {
        Self { started: Instant::now(), moved_ms: AtomicI64::new(moved_ms) }
    }

    /// Returns the time now, as moved by the emulator.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.wall().plus_millis(self.moved_ms())
    }

    /// Returns the time of the system's clock.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Returns the milliseconds of a clock that nobody sets.
    #[must_use]
    pub fn steady_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Returns the readings of the system's clock and the steady one.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading { wall: self.wall(), steady_ms: self.steady_ms() }
    }

    /// Returns the time for signing in. The emulator does not move it.
    #[must_use]
    pub fn for_sign_in(&self) -> Now {
        Now { steady: Instant::now(), wall: self.wall() }
    }

    /// Returns how far the clock has been moved, in milliseconds.
    #[must_use]
    pub fn moved_ms(&self) -> i64 {
        self.moved_ms.load(Ordering::Acquire)
    }

    /// Moves the clock by this many milliseconds.
    pub fn advance(&self, by_ms: i64) {
        // The closure never refuses, so there is always a previous value.
        let _ = self
            .moved_ms
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |moved| Some(moved.saturating_add(by_ms)));
    }
}
