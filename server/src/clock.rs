//! The server's clock: the system's, which the emulator may move ahead, slow down, hurry or stop.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// The clock, how far it has been moved, and how fast it goes.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    /// How far it is ahead of the system's, while it goes as fast as that one.
    ahead_ms: AtomicI64,
    /// How far it has been moved.
    moved_ms: AtomicI64,
    /// True while it does not go as the system's: then the hands show the time.
    own: AtomicBool,
    hands: Mutex<Hands>,
}

/// A clock that goes at a pace of its own.
#[derive(Clone, Copy, Debug)]
struct Hands {
    /// What it showed at `wall` by the system's clock.
    shown: Timestamp,
    wall: Timestamp,
    /// How many times as fast as the system's it goes since then.
    rate: f64,
    /// The instant at which it is held.
    held: Option<Timestamp>,
}

impl Hands {
    /// Returns what it would show if nobody held it.
    fn unheld(&self, wall: Timestamp) -> Timestamp {
        let passed = Duration::from_millis(wall.since(self.wall).max(0).unsigned_abs());
        let passed = Duration::try_from_secs_f64(passed.as_secs_f64() * self.rate).unwrap_or_default();
        self.shown.plus_millis(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Clock {
    /// Returns a clock that is this many milliseconds ahead of the system's.
    #[must_use]
    pub fn new(moved_ms: i64) -> Self {
        let epoch = Timestamp::from_millis(0);
        Self {
            started: Instant::now(),
            ahead_ms: AtomicI64::new(moved_ms),
            moved_ms: AtomicI64::new(moved_ms),
            own: AtomicBool::new(false),
            hands: Mutex::new(Hands { shown: epoch, wall: epoch, rate: 1.0, held: None }),
        }
    }

    /// Returns the time now, as moved by the emulator.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let wall = self.wall();
        if !self.own.load(Ordering::Acquire) {
            return wall.plus_millis(self.ahead_ms.load(Ordering::Acquire));
        }
        let hands = self.hands();
        hands.held.unwrap_or_else(|| hands.unheld(wall))
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

    /// Returns how far the clock is ahead of the system's now, in milliseconds: by moves, and by its rate.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        self.now().since(self.wall())
    }

    /// Returns how many times as fast as the system's the clock goes.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.own.load(Ordering::Acquire) { self.hands().rate } else { 1.0 }
    }

    /// Lets the clock go this many times as fast as the system's from now on. 0 stops it.
    pub fn set_rate(&self, rate: f64) {
        let (mut hands, wall) = self.taken();
        let shown = hands.unheld(wall);
        self.go(&mut hands, wall, shown, rate);
    }

    /// True while the clock is held at an instant.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.own.load(Ordering::Acquire) && self.hands().held.is_some()
    }

    /// Holds the clock at an instant, until it is let go.
    pub fn hold(&self, at: Timestamp) {
        let (mut hands, _) = self.taken();
        hands.held = Some(at);
        self.own.store(true, Ordering::Release);
    }

    /// Lets the clock go again, moved by this much from where it would be if nobody had held it.
    pub fn let_go_by(&self, by_ms: i64) {
        let (mut hands, wall) = self.taken();
        let (shown, rate) = (hands.unheld(wall).plus_millis(by_ms), hands.rate);
        self.moved_ms.fetch_add(by_ms, Ordering::AcqRel);
        self.go(&mut hands, wall, shown, rate);
    }

    /// Lets the clock go again from an instant.
    pub fn let_go_at(&self, at: Timestamp) {
        let (mut hands, wall) = self.taken();
        let (unheld, rate) = (hands.unheld(wall), hands.rate);
        self.moved_ms.fetch_add(at.since(unheld), Ordering::AcqRel);
        self.go(&mut hands, wall, at, rate);
    }

    /// Begins anew: at an instant or else with the system's clock, as if it had never been moved.
    pub fn begin(&self, at: Option<Timestamp>, rate: f64) {
        let (mut hands, wall) = self.taken();
        self.moved_ms.store(0, Ordering::Release);
        self.go(&mut hands, wall, at.unwrap_or(wall), rate);
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the hands as they are now, and the time of the system's clock.
    fn taken(&self) -> (MutexGuard<'_, Hands>, Timestamp) {
        let (wall, mut hands) = (self.wall(), self.hands());
        if !self.own.load(Ordering::Acquire) {
            let shown = wall.plus_millis(self.ahead_ms.load(Ordering::Acquire));
            *hands = Hands { shown, wall, rate: 1.0, held: None };
        }
        (hands, wall)
    }

    fn go(&self, hands: &mut Hands, wall: Timestamp, shown: Timestamp, rate: f64) {
        *hands = Hands { shown, wall, rate, held: None };
        let as_system = (rate - 1.0).abs() < f64::EPSILON;
        self.ahead_ms.store(shown.since(wall), Ordering::Release);
        self.own.store(!as_system, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_clock_shows_one_instant_and_goes_on_from_where_it_would_be() {
        let clock = Clock::new(7);
        let at = clock.now().plus_millis(1_000_000);
        clock.hold(at);
        assert_eq!((clock.now(), clock.now()), (at, at));
        clock.let_go_by(5_000_000);
        assert_eq!((clock.moved_ms(), clock.ahead_ms()), (5_000_007, 5_000_007));
    }

    #[test]
    fn a_stopped_clock_stands_still_and_can_be_moved() {
        let clock = Clock::new(0);
        let at: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        clock.begin(Some(at), 0.0);
        assert_eq!((clock.now(), clock.moved_ms(), clock.rate()), (at, 0, 0.0));
        clock.hold(at.plus_millis(5));
        clock.let_go_by(10);
        assert_eq!((clock.now(), clock.moved_ms()), (at.plus_millis(10), 10));
        clock.let_go_at(at.plus_millis(30));
        assert_eq!((clock.now(), clock.moved_ms()), (at.plus_millis(30), 30));
        clock.set_rate(1.0);
        assert!((0..60_000).contains(&clock.now().since(at.plus_millis(30))));
    }

    #[test]
    fn a_faster_clock_shows_as_many_times_the_time_that_passed() {
        let (shown, wall) = (Timestamp::from_millis(5), Timestamp::from_millis(1_000));
        let hands = Hands { shown, wall, rate: 1_000.0, held: None };
        assert_eq!(hands.unheld(wall.plus_millis(20)), shown.plus_millis(20_000));
        assert_eq!(hands.unheld(wall.plus_millis(-20)), shown);
    }
}
