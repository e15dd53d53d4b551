//! Whether a clock can be believed: the guard that keeps a wrong one from releasing numbers.
//!
//! Release is the one act that nothing undoes: a released number is anyone's.
//! Not here: a clock. The caller asks two of them and hands in what they say.

use std::fmt;

use crate::time::{DAY_MS, Timestamp, in_words};

const HOUR_MS: i64 = 3_600_000;
/// Most milliseconds that the wall clock may be away from where a steady one says that it should be: one
/// hour. The sum since the start counts.
pub const JUMP_MS_MAX: i64 = 3_600_000;
/// What the guard expects follows the wall clock by at most this many milliseconds an hour: a crystal and a
/// network's time part by less than a second an hour.
pub const FOLLOW_MS_MAX: i64 = 3_000;
/// Most milliseconds that may have passed unseen, in sum, before a person has to say that the clock is right:
/// seven days. A board without a battery comes up years away.
pub const UNSEEN_MS_MAX: i64 = 7 * DAY_MS;
/// When more milliseconds than this have passed unseen, release waits after a start: a day.
pub const UNSEEN_MS_AT_ONCE: i64 = DAY_MS;
/// How many milliseconds release waits then, when nothing else is set: ten minutes, in which a network's
/// time corrects a clock that came up wrong.
pub const RELEASE_WAIT_MS: i64 = 600_000;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the system's clock says.
    pub wall: Timestamp,
    /// Milliseconds of a clock that nobody sets, from any beginning.
    pub steady_ms: i64,
}

impl Reading {
    /// Returns by how many milliseconds the wall clock is ahead of what `base` and the steady clock say.
    fn ahead_of(self, base: Reading) -> i64 {
        let passed_ms = self.steady_ms.saturating_sub(base.steady_ms);
        self.wall.since(base.wall.plus_millis(passed_ms))
    }
}

/// What a store remembers of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When the store was last in use, by a clock that was believed.
    pub last: Timestamp,
    /// How many milliseconds of the way to there no steady clock saw pass: nothing ran. It grows with each
    /// start, and shrinks by the time that is seen to pass.
    pub unseen_ms: i64,
}

/// What the guard says of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// It moves as time does.
    Steady,
    /// It is believed, but releases wait: so much had passed unseen at the start.
    Settling {
        /// For how many milliseconds more.
        left_ms: i64,
    },
    /// It is this far from where it should be: neither an order nor a release may go by it.
    Jumped {
        /// In milliseconds, positive when it is ahead.
        by_ms: i64,
    },
    /// It was this far from the store's last use when it was first looked at: the same.
    Far {
        /// In milliseconds, positive when it is ahead.
        by_ms: i64,
        /// How many milliseconds have passed unseen, in sum.
        unseen_ms: i64,
    },
}

impl ClockState {
    /// Whether orders may go by it.
    #[must_use]
    pub fn is_believed(self) -> bool {
        matches!(self, ClockState::Steady | ClockState::Settling { .. })
    }

    /// For how many milliseconds releases wait, though it is believed.
    #[must_use]
    pub fn release_waits_ms(self) -> i64 {
        match self {
            ClockState::Settling { left_ms } => left_ms,
            ClockState::Steady | ClockState::Jumped { .. } | ClockState::Far { .. } => 0,
        }
    }
}

impl fmt::Display for ClockState {
    /// What is the matter with it, in words.
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
        }
    }
}

/// Compares the wall clock with the store's last use and with a steady clock, so that a wrong one is seen.
///
/// However the wall clock moves, a believed one is ahead of the steady time since the start by at most
/// [`JUMP_MS_MAX`], and [`FOLLOW_MS_MAX`] more for each hour. Over all starts, a believed one is ahead of the
/// time that was seen to pass by at most [`UNSEEN_MS_MAX`], and as much as was seen to pass.
#[derive(Clone, Debug)]
pub struct ClockGuard {
    seen: Option<Seen>,
    wait_ms: i64,
    start: Reading,
    /// What has passed unseen until the start, in sum.
    unseen_ms: i64,
    /// The pair that the next look is compared with. It follows slowly.
    base: Reading,
}

impl ClockGuard {
    /// A guard for a store of which this is known, that first looks at the clocks now. Releases wait for
    /// `wait_ms` milliseconds if much has passed unseen.
    #[must_use]
    pub fn new(seen: Option<Seen>, now: Reading, wait_ms: i64) -> Self {
        let unseen_ms =
            seen.map_or(0, |seen| seen.unseen_ms.saturating_add(now.wall.since(seen.last).max(0)));
        Self { seen, wait_ms, start: now, unseen_ms, base: now }
    }

    /// A guard for a clock that a person calls right.
    #[must_use]
    pub fn trusting(now: Reading) -> Self {
        Self::new(None, now, 0)
    }

    /// Looks at the clocks again. After a jump it stays shut until the wall clock is back. While nothing has
    /// gone by the clock, a correction of it begins anew.
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

    /// Looks at the clocks, and returns what the store should remember of them; none while the clock may
    /// still turn out to be wrong.
    pub fn remember(&mut self, now: Reading) -> Option<Seen> {
        if self.look(now) != ClockState::Steady {
            return None;
        }
        let ran_ms = now.steady_ms.saturating_sub(self.start.steady_ms);
        let ahead_ms = now.ahead_of(self.start).max(0);
        let unseen_ms = self.unseen_ms.saturating_add(ahead_ms).saturating_sub(ran_ms).max(0);
        Some(Seen { last: now.wall, unseen_ms })
    }

    /// What to think of the clock by its first reading.
    fn at_start(&self) -> ClockState {
        let Some(seen) = self.seen else { return ClockState::Steady };
        let (by_ms, unseen_ms) = (self.start.wall.since(seen.last), self.unseen_ms);
        if by_ms < -JUMP_MS_MAX || unseen_ms > UNSEEN_MS_MAX {
            return ClockState::Far { by_ms, unseen_ms };
        }
        ClockState::Steady
    }

    /// For how many milliseconds releases wait at a reading.
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

        // A clock that came up three days ahead is set right meanwhile: nothing has gone by it.
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
