//! The clock's guard: whether the system's clock is believed, and what the log says about it.
//!
//! While the clock is not believed, no order is taken or run and nothing is released: a wrong time would be kept for
//! ever. An emulator always believes its clock, since the clock is there to be moved, and the machine may sleep.

use std::sync::{Mutex, PoisonError};

use onhook_core::clock::{APART_MS_MAX, ClockGuard, ClockState, Seen};
use onhook_core::time::in_words;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::settings::Settings;

/// Watches the clock.
pub(crate) struct Watch {
    emulator: bool,
    guarded: Mutex<Guarded>,
}

/// The guard, the database's clock, and the last state that was logged.
struct Guarded {
    guard: ClockGuard,
    /// How many milliseconds the database's clock is ahead, as it was last compared.
    database_ahead_ms: i64,
    state: ClockState,
}

impl Guarded {
    fn look(&mut self, clock: &Clock) -> ClockState {
        let state = self.guard.look(clock.reading()).beside(self.database_ahead_ms);
        tell_of(self.state, state);
        self.state = state;
        state
    }
}

impl Watch {
    /// Returns a watch that has taken a first look. `seen` is what the store remembers of its last use, and the clock of
    /// its database is `database_ahead_ms` milliseconds ahead of this machine's.
    pub(crate) fn new(
        settings: &Settings,
        seen: Option<Seen>,
        database_ahead_ms: i64,
        clock: &Clock,
    ) -> Self {
        let now = clock.reading();
        let guard = if settings.emulator || settings.trust_clock {
            ClockGuard::trusting(now)
        } else {
            ClockGuard::new(seen, now, settings.release_wait_ms)
        };
        let mut guarded = Guarded { guard, database_ahead_ms, state: ClockState::Steady };
        if !settings.emulator {
            guarded.look(clock);
        }
        Self { emulator: settings.emulator, guarded: Mutex::new(guarded) }
    }

    /// Notes how many milliseconds the database's clock is ahead of this machine's.
    pub(crate) fn compared(&self, database_ahead_ms: i64) {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner).database_ahead_ms = database_ahead_ms;
    }

    /// Believes the clock as it is now, whatever the store's last use was: a person has confirmed it. What the clock of the
    /// database says still counts.
    pub(crate) fn trust(&self, clock: &Clock) {
        let mut guarded = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        guarded.guard = ClockGuard::trusting(clock.reading());
        if !self.emulator {
            guarded.look(clock);
        }
    }

    /// Looks at the clock, and returns its state.
    pub(crate) fn state(&self, clock: &Clock) -> ClockState {
        if self.emulator {
            return ClockState::Steady;
        }
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner).look(clock)
    }

    /// Returns what the store should remember of its use. `None` while the clock may still turn out to be wrong.
    pub(crate) fn seen(&self, clock: &Clock) -> Option<Seen> {
        if self.emulator {
            return Some(Seen { last: clock.wall(), unseen_ms: 0 });
        }
        let mut guarded = self.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        if !guarded.look(clock).is_believed() {
            return None;
        }
        guarded.guard.remember(clock.reading())
    }
}

/// Logs the clock's state if it has changed.
fn tell_of(before: ClockState, state: ClockState) {
    let kind = std::mem::discriminant;
    if kind(&before) == kind(&state) {
        return;
    }
    match state {
        ClockState::Steady if before.is_believed() => info!("the clock is right, numbers are released"),
        ClockState::Steady => info!("the clock is right again, orders and releases go on"),
        ClockState::Settling { left_ms } => warn!(
            clock.left_ms = left_ms,
            "much time has passed since the store's last use: orders are taken, nothing is released for {}, in \
             case the clock is wrong",
            in_words(left_ms)
        ),
        ClockState::Jumped { by_ms } => error!(
            clock.by_ms = by_ms,
            "{state}: no order is taken or run and nothing is released until it is back. If it is right, start \
             the server again"
        ),
        ClockState::Far { by_ms, unseen_ms } => error!(
            clock.by_ms = by_ms,
            clock.unseen_ms = unseen_ms,
            "{state}: no order is taken or run and nothing is released. Set the machine's clock right; if it is \
             right, start the server once with --trust-clock"
        ),
        ClockState::Apart { by_ms } => error!(
            clock.by_ms = by_ms,
            "{state}: no order is taken or run and nothing is released until they agree within {}. Synchronize both \
             machines' clocks with NTP",
            in_words(APART_MS_MAX)
        ),
    }
}
