//! Whether a clock can be believed: the guard that keeps a wrong one from releasing numbers.
//!
//! Release cannot be undone: anyone may take a released number.
//!
//! Not here: a clock. The caller reads two clocks and passes the readings in.

use std::fmt;

use crate::time::{DAY_MS, Timestamp, in_words};

const HOUR_MS: i64 = 3_600_000;
/// Most milliseconds by which the wall clock may differ from the steady one since the start, in sum: one hour.
pub const JUMP_MS_MAX: i64 = 3_600_000;
/// The guard's expected time follows the wall clock by at most this many milliseconds an hour. A crystal and the
/// network's time differ by less than a second an hour.
pub const FOLLOW_MS_MAX: i64 = 3_000;
/// Most milliseconds that may pass unseen, in sum, before a person has to confirm the clock: seven days. A board
/// without a battery starts with a clock that is years wrong.
pub const UNSEEN_MS_MAX: i64 = 7 * DAY_MS;
/// If more milliseconds than this have passed unseen, release waits after a start: a day.
pub const UNSEEN_MS_AT_ONCE: i64 = DAY_MS;
/// Most milliseconds by which the clocks of this machine and of its database may differ. The time of nodes that share a
/// database is compared by it alone: two of them differ by at most twice as much.
pub const APART_MS_MAX: i64 = 5_000;
/// Default for the milliseconds that release waits then: ten minutes. In that time the network corrects a clock that
/// started wrong.
pub const RELEASE_WAIT_MS: i64 = 600_000;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the system's clock says.
    pub wall: Timestamp,
    /// Milliseconds of a clock that nobody sets, counted from any instant.
    pub steady_ms: i64,
}

impl Reading {
    /// Returns by how many milliseconds the wall clock is ahead of what `base` and the steady clock say.
    fn ahead_of(self, base: Reading) -> i64 {
        let passed_ms = self.steady_ms.saturating_sub(base.steady_ms);
        self.wall.since(base.wall.plus_millis(passed_ms))
    }
}

/// What a store remembers about the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When the store was last in use, by a believed clock.
    pub last: Timestamp,
    /// Milliseconds until then that passed unseen: nothing ran, so no steady clock counted them. The sum grows with
    /// each start, and shrinks by the time that onhook runs.
    pub unseen_ms: i64,
}

/// The guard's judgement of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// It goes at the right speed.
    Steady,
    /// It is believed, but releases wait: much time had passed unseen at the start.
    Settling {
        /// Milliseconds left to wait.
        left_ms: i64,
    },
    /// It is this far from the expected time. Neither orders nor releases may use it.
    Jumped {
        /// In milliseconds, positive when it is ahead.
        by_ms: i64,
    },
    /// It was this far from the store's last use when it was first read. Neither orders nor releases may use it.
    Far {
        /// In milliseconds, positive when it is ahead.
        by_ms: i64,
        /// Milliseconds that have passed unseen, in sum.
        unseen_ms: i64,
    },
    /// It is this far from the clock of the database. Neither orders nor releases may use it.
    Apart {
        /// In milliseconds, positive when it is ahead.
        by_ms: i64,
    },
}

impl ClockState {
    /// Returns whether orders may use it.
    #[must_use]
    pub fn is_believed(self) -> bool {
        matches!(self, ClockState::Steady | ClockState::Settling { .. })
    }

    /// Returns the judgement when a database's clock is known too, which is this many milliseconds ahead of this one; 0
    /// if there is no database. It makes no clock better.
    #[must_use]
    pub fn beside(self, database_ahead_ms: i64) -> Self {
        if self.is_believed() && database_ahead_ms.saturating_abs() > APART_MS_MAX {
            return ClockState::Apart { by_ms: database_ahead_ms.saturating_neg() };
        }
        self
    }

    /// Returns how many milliseconds releases still wait, although it is believed.
    #[must_use]
    pub fn release_waits_ms(self) -> i64 {
        match self {
            ClockState::Settling { left_ms } => left_ms,
            ClockState::Steady
            | ClockState::Jumped { .. }
            | ClockState::Far { .. }
            | ClockState::Apart { .. } => 0,
        }
    }
}

impl fmt::Display for ClockState {
    /// Writes what is wrong with it, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let away =
            |by_ms: i64| format!("{} {}", in_words(by_ms), if by_ms < 0 { "behind" } else { "ahead of" });
        match *self {
            ClockState::Steady => f.write_str("the clock is right"),
            ClockState::Settling { left_ms } => {
                write!(f, "the clock has to be seen for {} before it is sure", in_words(left_ms))
            }
            ClockState::Jumped { by_ms } => write!(f, "the clock is {} where it should be", away(by_ms)),
            ClockState::Far { by_ms, unseen_ms } if (0..=UNSEEN_MS_MAX).contains(&by_ms) => write!(
                f,
                "the clock is {} the store's last use, and {} in sum have passed while nothing ran",
                away(by_ms),
                in_words(unseen_ms)
            ),
            ClockState::Far { by_ms, .. } => write!(f, "the clock is {} the store's last use", away(by_ms)),
            ClockState::Apart { by_ms } => write!(f, "the clock is {} the database's", away(by_ms)),
        }
    }
}

/// Compares the wall clock with the store's last use and with a steady clock, to notice a wrong one.
///
/// A believed clock is ahead of the steady time since the start by at most [`JUMP_MS_MAX`], plus [`FOLLOW_MS_MAX`] for
/// each hour. Over all starts, it is ahead of the time that onhook ran by at most [`UNSEEN_MS_MAX`], plus that time.
#[derive(Clone, Debug)]
pub struct ClockGuard {
    seen: Option<Seen>,
    wait_ms: i64,
    start: Reading,
    /// Milliseconds that had passed unseen until the start, in sum.
    unseen_ms: i64,
    /// The reading that the next one is compared with. It follows slowly.
    base: Reading,
}

impl ClockGuard {
    /// Returns a guard for a store with this memory of the clock and this first reading. Releases wait for `wait_ms`
    /// milliseconds if much time has passed unseen.
    #[must_use]
    pub fn new(seen: Option<Seen>, now: Reading, wait_ms: i64) -> Self {
        let unseen_ms =
            seen.map_or(0, |seen| seen.unseen_ms.saturating_add(now.wall.since(seen.last).max(0)));
        Self { seen, wait_ms, start: now, unseen_ms, base: now }
    }

    /// Returns a guard for a clock that a person has confirmed.
    #[must_use]
    pub fn trusting(now: Reading) -> Self {
        Self::new(None, now, 0)
    }

    /// Judges another reading. After a jump the clock is not believed until the wall clock is back. While releases
    /// wait, setting the clock back starts the guard anew.
    pub fn look(&mut self, now: Reading) -> ClockState {
        if matches!(self.at_start(), ClockState::Far { .. }) {
            *self = Self::new(self.seen, now, self.wait_ms);
        }
        let mut by_ms = now.ahead_of(self.base);
        if by_ms < -JUMP_MS_MAX && self.waits_ms(now) > 0 {
            let anew = Self::new(self.seen, now, self.wait_ms);
            if anew.at_start().is_believed() {
                *self = anew;
                by_ms = 0;
            }
        }
        if by_ms.abs() > JUMP_MS_MAX {
            return ClockState::Jumped { by_ms };
        }
        let passed_ms = now.steady_ms.saturating_sub(self.base.steady_ms);
        if passed_ms >= HOUR_MS {
            let followed_ms = passed_ms.saturating_add(by_ms.clamp(-FOLLOW_MS_MAX, FOLLOW_MS_MAX));
            self.base = Reading { wall: self.base.wall.plus_millis(followed_ms), steady_ms: now.steady_ms };
        }
        match (self.at_start(), self.waits_ms(now)) {
            (ClockState::Steady, left_ms) if left_ms > 0 => ClockState::Settling { left_ms },
            (at_start, _) => at_start,
        }
    }

    /// Judges another reading. Returns what the store should remember, or `None` while the clock may still turn out
    /// to be wrong.
    pub fn remember(&mut self, now: Reading) -> Option<Seen> {
        if self.look(now) != ClockState::Steady {
            return None;
        }
        let ran_ms = now.steady_ms.saturating_sub(self.start.steady_ms);
        let ahead_ms = now.ahead_of(self.start).max(0);
        let unseen_ms = self.unseen_ms.saturating_add(ahead_ms).saturating_sub(ran_ms).max(0);
        Some(Seen { last: now.wall, unseen_ms })
    }

    /// Returns the judgement of the first reading.
    fn at_start(&self) -> ClockState {
        let Some(seen) = self.seen else { return ClockState::Steady };
        let (by_ms, unseen_ms) = (self.start.wall.since(seen.last), self.unseen_ms);
        if by_ms < -JUMP_MS_MAX || unseen_ms > UNSEEN_MS_MAX {
            return ClockState::Far { by_ms, unseen_ms };
        }
        ClockState::Steady
    }

    /// Returns how many milliseconds releases still wait at a reading.
    fn waits_ms(&self, now: Reading) -> i64 {
        if self.unseen_ms <= UNSEEN_MS_AT_ONCE {
            return 0;
        }
        let ran_ms = now.steady_ms.saturating_sub(self.start.steady_ms);
        self.wait_ms.saturating_sub(ran_ms).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn reading(wall: Timestamp, steady_ms: i64) -> Reading {
        Reading { wall, steady_ms }
    }

    /// A guard whose store was in use a moment ago.
    fn guard() -> ClockGuard {
        ClockGuard::new(Some(Seen { last: START, unseen_ms: 0 }), reading(START, 0), RELEASE_WAIT_MS)
    }

    #[test]
    fn a_jump_of_more_than_an_hour_shuts_the_guard_until_the_clock_is_back() {
        let mut guard = guard();
        let mut look = |wall_ms: i64, steady_ms| guard.look(reading(START.plus_millis(wall_ms), steady_ms));
        assert_eq!(look(60_000, 60_000), ClockState::Steady);
        assert_eq!(look(60_000 + HOUR_MS, 60_000), ClockState::Steady);
        let by_ms = 90 * DAY_MS - 120_000;
        assert_eq!(look(90 * DAY_MS, 120_000), ClockState::Jumped { by_ms });
        assert_eq!(look(90 * DAY_MS + 1_000, 121_000), ClockState::Jumped { by_ms });
        assert_eq!(look(HOUR_MS + 180_000, 180_000), ClockState::Steady);
        assert_eq!(look(-2 * HOUR_MS + 180_000, 180_000), ClockState::Jumped { by_ms: -2 * HOUR_MS });
    }

    #[test]
    fn many_small_steps_are_one_large_one() {
        let mut steps = guard();
        let mut fast = guard();
        for n in 1..60 {
            let look = steps.look(reading(START.plus_millis(n * (59 * 60_000 + 1_400)), n * 1_400));
            assert_eq!(look == ClockState::Steady, n == 1, "59 minutes every 1.4 s, {n} times: {look:?}");
            let look = fast.look(reading(START.plus_millis(n * 2_400_000), n * 1_000));
            assert_eq!(look == ClockState::Steady, n == 1, "2,400 times too fast, after {n} s: {look:?}");
        }
    }

    #[test]
    fn what_is_expected_follows_a_clock_that_goes_a_little_wrong() {
        let mut guard = guard();
        // 2 s an hour for a year: five hours in sum, and always near to what is expected.
        for hour in 1..=365 * 24 {
            let wall = START.plus_millis(hour * (HOUR_MS + 2_000));
            assert_eq!(guard.look(reading(wall, hour * HOUR_MS)), ClockState::Steady, "after {hour} hours");
        }
    }

    #[test]
    fn a_clock_far_from_the_last_use_is_not_believed() {
        let seen = |unseen_ms| Some(Seen { last: START, unseen_ms });
        let first = |seen, away_ms: i64| {
            let now = reading(START.plus_millis(away_ms), 5);
            ClockGuard::new(seen, now, RELEASE_WAIT_MS).look(now)
        };
        let settling = ClockState::Settling { left_ms: RELEASE_WAIT_MS };
        for (seen, away_ms, says) in [
            (None, 400 * DAY_MS, ClockState::Steady),
            (seen(0), DAY_MS, ClockState::Steady),
            (seen(0), DAY_MS + 1, settling),
            (seen(0), 3 * DAY_MS, settling), // a weekend
            (seen(0), 7 * DAY_MS, settling),
            (seen(0), 7 * DAY_MS + 1, ClockState::Far { by_ms: 7 * DAY_MS + 1, unseen_ms: 7 * DAY_MS + 1 }),
            (seen(DAY_MS), 0, ClockState::Steady),
            (seen(DAY_MS), 1, settling),
            (seen(6 * DAY_MS), 2 * DAY_MS, ClockState::Far { by_ms: 2 * DAY_MS, unseen_ms: 8 * DAY_MS }),
            (seen(0), -HOUR_MS, ClockState::Steady),
            (seen(0), -2 * HOUR_MS, ClockState::Far { by_ms: -2 * HOUR_MS, unseen_ms: 0 }),
        ] {
            assert_eq!(first(seen, away_ms), says, "{seen:?} {away_ms}");
        }
        let far = reading(START.plus_millis(400 * DAY_MS), 5);
        assert_eq!(ClockGuard::trusting(far).look(far), ClockState::Steady);
    }

    #[test]
    fn releases_wait_until_the_clock_has_been_seen_for_a_while() {
        let at = |away_ms: i64, ran_ms| reading(START.plus_millis(away_ms + ran_ms), ran_ms);
        let weekend_ms = 3 * DAY_MS;
        let begun = || {
            let seen = Seen { last: START, unseen_ms: 0 };
            ClockGuard::new(Some(seen), at(weekend_ms, 0), RELEASE_WAIT_MS)
        };
        let mut right = begun();
        assert_eq!(right.look(at(weekend_ms, 599_999)), ClockState::Settling { left_ms: 1 });
        assert_eq!(right.remember(at(weekend_ms, 599_999)), None);
        let last = START.plus_millis(weekend_ms + 600_000);
        let seen = Seen { last, unseen_ms: weekend_ms - 600_000 };
        assert_eq!(right.remember(at(weekend_ms, 600_000)), Some(seen));
        // What has passed unseen is forgotten by as much time as is seen to pass.
        assert_eq!(right.remember(at(weekend_ms, 5 * DAY_MS)).unwrap().unseen_ms, 0);

        // A clock that started three days ahead is corrected while releases wait.
        let mut wrong = begun();
        assert_eq!(wrong.look(at(20_000, 30_000)), ClockState::Steady);
        assert_eq!(wrong.remember(at(20_000, 30_000)).unwrap().unseen_ms, 50_000);
        // Set back to before the last use, or ahead once more, it is as wrong as any.
        assert_eq!(
            begun().look(at(-3 * HOUR_MS, 0)),
            ClockState::Jumped { by_ms: -weekend_ms - 3 * HOUR_MS }
        );
        assert_eq!(begun().look(at(2 * weekend_ms, 0)), ClockState::Jumped { by_ms: weekend_ms });
    }

    #[test]
    fn a_clock_that_was_far_away_is_believed_once_it_is_set_right() {
        let seen = Seen { last: START, unseen_ms: 0 };
        for away_ms in [-20_000 * DAY_MS, 20 * DAY_MS] {
            let mut guard = ClockGuard::new(Some(seen), reading(START.plus_millis(away_ms), 0), 600_000);
            let first = guard.look(reading(START.plus_millis(away_ms + 1_000), 1_000));
            assert!(matches!(first, ClockState::Far { .. }), "{first:?}");
            assert_eq!(guard.remember(reading(START.plus_millis(away_ms + 1_000), 1_000)), None);
            assert_eq!(guard.look(reading(START.plus_millis(32_000), 2_000)), ClockState::Steady);
        }
    }

    #[test]
    fn a_clock_that_differs_from_the_databases_by_more_than_five_seconds_is_not_believed() {
        let (steady, settling) = (ClockState::Steady, ClockState::Settling { left_ms: 7 });
        let jumped = ClockState::Jumped { by_ms: DAY_MS };
        for (state, ahead_ms, says) in [
            (steady, 5_000, steady),
            (steady, -5_000, steady),
            (steady, 5_001, ClockState::Apart { by_ms: -5_001 }),
            (settling, -5_001, ClockState::Apart { by_ms: 5_001 }),
            (settling, 0, settling),
            (jumped, 0, jumped),
            (jumped, 60_000, jumped),
        ] {
            assert_eq!(state.beside(ahead_ms), says, "{state:?} {ahead_ms}");
        }
        assert!(!steady.beside(6_000).is_believed());
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        for (clock, words) in [
            (
                ClockState::Far { by_ms: 8 * DAY_MS, unseen_ms: 8 * DAY_MS + 7 },
                "the clock is 8 days ahead of the store's last use",
            ),
            (
                ClockState::Far { by_ms: -2 * HOUR_MS, unseen_ms: 0 },
                "the clock is 2 hours behind the store's last use",
            ),
            (
                ClockState::Far { by_ms: 6 * DAY_MS, unseen_ms: 12 * DAY_MS },
                "the clock is 6 days ahead of the store's last use, and 12 days in sum have passed while nothing ran",
            ),
            (
                ClockState::Jumped { by_ms: 90 * 60_000 },
                "the clock is 90 minutes ahead of where it should be",
            ),
            (ClockState::Apart { by_ms: -6_000 }, "the clock is 6 seconds behind the database's"),
            (
                ClockState::Settling { left_ms: 600_000 },
                "the clock has to be seen for 10 minutes before it is sure",
            ),
        ] {
            assert_eq!(clock.to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn a_believed_clock_is_never_far_ahead_of_the_time_since_the_start(
            steps in proptest::collection::vec((0_i64..10_000_000, -20_000_000_i64..20_000_000), 1..200),
        ) {
            let mut guard = guard();
            let (mut wall, mut steady_ms) = (START, 0);
            for (passed_ms, wrong_ms) in steps {
                steady_ms += passed_ms;
                wall = wall.plus_millis(passed_ms + wrong_ms);
                if guard.look(reading(wall, steady_ms)).is_believed() {
                    let ahead_ms = wall.since(START) - steady_ms;
                    prop_assert!(ahead_ms <= JUMP_MS_MAX + FOLLOW_MS_MAX * (steady_ms / HOUR_MS), "{}", ahead_ms);
                }
            }
        }

        /// Servers one after another on one store, each with a clock that is wrong in its own way, and nobody
        /// who says that it is right.
        #[test]
        fn over_many_starts_a_believed_clock_is_never_far_ahead_of_what_was_seen_to_pass(
            runs in proptest::collection::vec((0_i64..8 * DAY_MS, 0_i64..2 * DAY_MS, -HOUR_MS..HOUR_MS), 1..60),
        ) {
            let (mut seen, mut wall, mut seen_to_pass_ms) = (Seen { last: START, unseen_ms: 0 }, START, 0);
            for (away_ms, ran_ms, wrong_ms) in runs {
                let begun = wall.plus_millis(away_ms);
                let mut guard = ClockGuard::new(Some(seen), reading(begun, 0), RELEASE_WAIT_MS);
                let end = reading(begun.plus_millis(ran_ms + wrong_ms), ran_ms);
                if !guard.look(end).is_believed() {
                    continue; // the next one has a clock that is nearer
                }
                wall = end.wall.max(wall);
                seen_to_pass_ms += ran_ms;
                if let Some(noted) = guard.remember(end) {
                    seen = noted;
                    let ahead_ms = seen.last.since(START) - seen_to_pass_ms;
                    prop_assert!(ahead_ms <= UNSEEN_MS_MAX + JUMP_MS_MAX + seen_to_pass_ms, "{}", ahead_ms);
                }
            }
        }
    }

    /// Seven starts, each with the clock up to a week ahead of the one before.
    #[test]
    fn the_sum_of_what_starts_believed_counts() {
        let (mut seen, mut believed) = (Seen { last: START, unseen_ms: 0 }, 0);
        for start in 1..=7 {
            let begun = START.plus_millis(start * 6 * DAY_MS);
            let mut guard = ClockGuard::new(Some(seen), reading(begun, 0), RELEASE_WAIT_MS);
            if let Some(noted) = guard.remember(reading(begun.plus_millis(HOUR_MS), HOUR_MS)) {
                (seen, believed) = (noted, start);
            }
        }
        assert_eq!(believed, 1, "{seen:?}");
    }

    /// Starts that find the clock where it was left, and leave it 59 minutes further ahead after a second.
    #[test]
    fn what_a_clock_went_wrong_by_before_a_start_counts_after_it() {
        let mut seen = Seen { last: START, unseen_ms: 0 };
        for _ in 0..1_000 {
            let begun = seen.last;
            let mut guard = ClockGuard::new(Some(seen), reading(begun, 0), 0);
            seen = guard.remember(reading(begun.plus_millis(59 * 60_000), 1_000)).unwrap_or(seen);
        }
        assert!(seen.last.since(START) <= UNSEEN_MS_MAX + JUMP_MS_MAX, "{seen:?}");
    }
}
