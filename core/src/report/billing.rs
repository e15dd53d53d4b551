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

/// Returns the billing periods of a number that was imported as `origin` at `imported_at`, oldest first. None is empty, so
/// no two begin at the same instant, and no two of one account adjoin.
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
        // What came and went in the same millisecond was charged to nobody.
        let _empty = periods.pop_if(|period| period.until == Some(period.from));
        match (periods.last_mut(), next) {
            (Some(last), Some(account)) if last.account == account && last.until == Some(moment.from) => {
                last.until = None;
            }
            (_, next) => {
                periods.extend(next.map(|account| Period { account, from: moment.from, until: None }))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Place;
    use crate::ids::{AreaId, EventSeq, SiteId};
    use crate::lifecycle::event::{By, Change};
    use crate::lifecycle::provenance::Provenance;
    use crate::number::Number;

    #[test]
    fn what_came_and_went_in_one_millisecond_is_charged_to_nobody() {
        let number: Number = "5405514342".parse().unwrap();
        let account = |n| AccountId::new(n).unwrap();
        let place = |n| Place { account: account(n), site: SiteId::new(1).unwrap(), peer: None };
        let origin = Entry {
            number,
            standing: Standing::InService { place: place(1) },
            area: AreaId(1),
            protected: false,
            ported_in: false,
            locked: false,
        };
        let at = Timestamp::from_millis;
        let event = |(seq, (ms, change)): (i64, (i64, Change))| Event {
            seq: EventSeq(seq),
            number,
            prev: EventSeq(seq - 1),
            at: at(ms),
            by: By::User("operator".into()),
            under: Provenance::default(),
            change,
            origin: None,
        };
        let billed = |changes: Vec<(i64, Change)>| {
            let events: Vec<Event> = (1..).zip(changes).map(event).collect();
            let periods = periods(&origin, at(0), &events).unwrap();
            periods
                .iter()
                .map(|p| (p.account.get(), p.from.millis(), p.until.map(Timestamp::millis)))
                .collect::<Vec<_>>()
        };
        let gone = || Change::Purged { protected: None };
        let back = |n| Change::Restored {
            standing: Standing::InService { place: place(n) },
            area: AreaId(1),
            protected: false,
            ported_in: false,
        };
        assert_eq!(billed(vec![(5, gone()), (7, back(1))]), [(1, 0, Some(5)), (1, 7, None)]);
        // Away for no time at all.
        assert_eq!(billed(vec![(5, gone()), (5, back(1))]), [(1, 0, None)]);
        assert_eq!(billed(vec![(5, gone()), (5, back(2)), (5, gone()), (5, back(1))]), [(1, 0, None)]);
        assert_eq!(billed(vec![(5, gone()), (5, back(2))]), [(1, 0, Some(5)), (2, 5, None)]);
        // There for no time at all.
        assert_eq!(billed(vec![(5, gone()), (9, back(2)), (9, gone())]), [(1, 0, Some(5))]);
        assert_eq!(billed(vec![(0, gone())]), []);
    }
}
