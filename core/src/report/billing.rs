//! Who pays for calls to a number, and when. This follows from its events alone.
//!
//! A number is charged to its account from activation or reconnect until it leaves service, to the millisecond, the end
//! not included. A call while it ages is charged to nobody.

use crate::ids::AccountId;
use crate::lifecycle::diagram::{NoSuchStep, State};
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::Event;
use crate::lifecycle::history::moments;
use crate::time::Timestamp;

/// A time for which an account pays: from `from`, up to but not including `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Who pays.
    pub account: AccountId,
    /// The first millisecond.
    pub from: Timestamp,
    /// The first millisecond that is free again. `None` while the number is in service.
    pub until: Option<Timestamp>,
}

impl Period {
    /// Returns whether a call at `at` is charged to the period's account.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Returns the billing periods of a number that was imported as `origin` at `imported_at`, oldest first.
///
/// # Errors
/// [`NoSuchStep`] if an event cannot follow the one before it.
pub fn periods(origin: &Entry, imported_at: Timestamp, events: &[Event]) -> Result<Vec<Period>, NoSuchStep> {
    let mut periods: Vec<Period> = Vec::new();
    let mut payer = None;
    for moment in moments(origin, imported_at, events)? {
        let next = payer_of(&moment.entry);
        if next == payer {
            continue;
        }
        if let Some(open) = periods.last_mut().filter(|period| period.until.is_none()) {
            open.until = Some(moment.from);
        }
        periods.extend(next.map(|account| Period { account, from: moment.from, until: None }));
        payer = next;
    }
    Ok(periods)
}

/// Returns the times for which a number aged, oldest first: from the first millisecond up to but not including the second,
/// which is `None` while it ages.
///
/// # Errors
/// As [`periods`].
pub fn aged(
    origin: &Entry,
    imported_at: Timestamp,
    events: &[Event],
) -> Result<Vec<(Timestamp, Option<Timestamp>)>, NoSuchStep> {
    let mut aged: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
    for moment in moments(origin, imported_at, events)? {
        let is_aging = moment.entry.state() == State::Aging;
        match aged.last_mut().filter(|(_, until)| until.is_none()) {
            Some((_, until)) if !is_aging => *until = Some(moment.from),
            None if is_aging => aged.push((moment.from, None)),
            _ => {}
        }
    }
    Ok(aged)
}

fn payer_of(entry: &Entry) -> Option<AccountId> {
    match entry.standing {
        Standing::InService { place } => Some(place.account),
        _ => None,
    }
}
