//! What time alone does: the end of aging and of reservations, and the guard that keeps a wrong clock
//! from doing it.
//!
//! Release is the one act that nothing undoes: a released number is anyone's.

use crate::decide::Move;
use crate::event::Change;
use crate::lifecycle::{Entry, Standing, apply};
use crate::time::{DAY_MS, Timestamp};

/// What time has in store for a number at `now`; nothing while it is not due.
#[must_use]
pub fn due(entry: &Entry, now: Timestamp) -> Option<Move> {
    let change = match entry.standing {
        Standing::Aging { release_at, .. } if release_at <= now => Change::Released { home: entry.home() },
        Standing::Reserved { until, .. } if until <= now => Change::Unreserved,
        _ => return None,
    };
    let after = apply(entry, &change).ok()?;
    Some(Move { change, before: *entry, after })
}

/// A step of the wall clock against the steady one that is larger than this, in milliseconds, stops
/// release: one hour. Slewing by NTP stays far below.
pub const JUMP_MS_MAX: i64 = 3_600_000;
/// Longer than this since the store's last sign of life, in milliseconds, and release waits for a
/// person's word: seven days. A board without a battery comes up years away.
pub const AWAY_MS_MAX: i64 = 7 * DAY_MS;

/// Compares the wall clock with a steady one, so that a jump is seen.
///
/// Both are asked by the caller; the guard remembers the last pair that agreed.
#[derive(Clone, Debug)]
pub struct ClockGuard {
    wall: Timestamp,
    steady_ms: i64,
}

/// What the guard says of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It moved as time does.
    Steady,
    /// It is this many milliseconds away from where it should be: nothing may be released.
    Jumped {
        /// Positive when it is ahead.
        by_ms: i64,
    },
}

impl ClockGuard {
    /// A guard that takes this pair for right: wall time, and milliseconds of a steady clock.
    #[must_use]
    pub fn new(wall: Timestamp, steady_ms: i64) -> Self {
        Self { wall, steady_ms }
    }

    /// Looks at the clocks again. After a jump it stays shut until the wall clock is back.
    pub fn look(&mut self, wall: Timestamp, steady_ms: i64) -> Clock {
        let expected = self.wall.plus_millis(steady_ms.saturating_sub(self.steady_ms));
        let by_ms = wall.since(expected);
        if by_ms.abs() > JUMP_MS_MAX {
            return Clock::Jumped { by_ms };
        }
        *self = Self::new(wall, steady_ms);
        Clock::Steady
    }
}

/// What to think of the wall clock when a store is opened whose last sign of life was at `last_seen`.
#[must_use]
pub fn at_start(last_seen: Option<Timestamp>, wall: Timestamp) -> Clock {
    let Some(last_seen) = last_seen else { return Clock::Steady };
    let by_ms = wall.since(last_seen);
    match (-JUMP_MS_MAX..=AWAY_MS_MAX).contains(&by_ms) {
        true => Clock::Steady,
        false => Clock::Jumped { by_ms },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Place, SiteId};
    use crate::hold::AreaId;
    use crate::lifecycle::{Home, State};

    fn aging(release_at: i64) -> Entry {
        let account = AccountId::new(7).unwrap();
        let former = Place { account, site: SiteId::new(1).unwrap(), peer: None };
        Entry {
            number: "9195550100".parse().unwrap(),
            standing: Standing::Aging {
                former,
                release_at: Timestamp::from_millis(release_at),
                leaves: false,
            },
            area: AreaId(1),
            protected: false,
            ported_in: false,
            locked: false,
        }
    }

    #[test]
    fn nothing_is_released_a_millisecond_early() {
        let entry = aging(1_000);
        assert_eq!(due(&entry, Timestamp::from_millis(999)), None);
        assert_eq!(due(&entry, Timestamp::from_millis(1_000)).unwrap().after.state(), State::Available);
    }

    #[test]
    fn each_number_goes_where_it_belongs() {
        let leaves = |mut e: Entry| {
            let Standing::Aging { former, release_at, .. } = e.standing else { unreachable!() };
            e.standing = Standing::Aging { former, release_at, leaves: true };
            e
        };
        for (entry, home, state) in [
            (aging(0), Home::Pool, State::Available),
            (Entry { protected: true, ..aging(0) }, Home::Owner, State::Protected),
            (Entry { ported_in: true, protected: true, ..aging(0) }, Home::Away, State::Removed),
            (leaves(aging(0)), Home::Away, State::Removed),
            (leaves(Entry { protected: true, ..aging(0) }), Home::Away, State::Removed),
        ] {
            let step = due(&entry, Timestamp::from_millis(0)).unwrap();
            assert_eq!((step.change, step.after.state()), (Change::Released { home }, state));
        }
    }

    #[test]
    fn a_jump_of_more_than_an_hour_shuts_the_guard_until_the_clock_is_back() {
        let start = Timestamp::from_millis(1_000_000_000_000);
        let mut guard = ClockGuard::new(start, 0);
        assert_eq!(guard.look(start.plus_millis(60_000), 60_000), Clock::Steady);
        assert_eq!(guard.look(start.plus_millis(60_000 + 3_600_000), 60_000), Clock::Steady); // DST is no change of UTC, an hour may be slewed
        let ahead = start.plus_millis(90 * DAY_MS);
        assert!(matches!(guard.look(ahead, 120_000), Clock::Jumped { by_ms } if by_ms > 89 * DAY_MS));
        assert!(matches!(guard.look(ahead.plus_millis(1_000), 121_000), Clock::Jumped { .. }));
        assert_eq!(guard.look(start.plus_millis(3_600_000 + 180_000), 180_000), Clock::Steady);
    }

    #[test]
    fn a_clock_far_from_the_last_sign_of_life_is_not_believed() {
        let seen = Timestamp::from_millis(1_000_000_000_000);
        assert_eq!(at_start(None, seen), Clock::Steady);
        assert_eq!(at_start(Some(seen), seen.plus_millis(2 * DAY_MS)), Clock::Steady);
        assert!(matches!(at_start(Some(seen), seen.plus_millis(8 * DAY_MS)), Clock::Jumped { .. }));
        assert!(matches!(at_start(Some(seen), seen.plus_millis(-DAY_MS)), Clock::Jumped { .. }));
    }
}
