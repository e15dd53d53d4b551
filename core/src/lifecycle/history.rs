//! A number's past, folded from its events.
//!
//! `explain`, the details of a number, bills and the checker all ask it. Not here: how a store finds the events.

use crate::account::Place;
use crate::ids::{AccountId, EventSeq, OrderSeq};
use crate::lifecycle::diagram::{NoSuchStep, State};
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::{By, Change, Event, apply};
use crate::lifecycle::hold::{self, Hold};
use crate::lifecycle::policy::Policy;
use crate::time::Timestamp;

/// A number as it was imported, and what has happened since.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The number now.
    pub entry: Entry,
    /// The number as it was imported.
    pub origin: Entry,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Its events since then, oldest first.
    pub events: Vec<Event>,
}

/// A stretch of a number's life between two events: from `from` until the next moment's `from`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment<'a> {
    /// When it began, inclusive.
    pub from: Timestamp,
    /// The number during it.
    pub entry: Entry,
    /// The event that began it. `None` for the import.
    pub event: Option<&'a Event>,
}

/// Until when nobody new may have a number that left service, and whose it was.
///
/// A carrier gives a number to nobody new within 45 days after it was permanently disconnected (47 CFR § 52.15(f)(1)(ii),
/// FCC 18-177). Its last account takes it back at any time: that is no reassignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The account that had it in service.
    pub account: AccountId,
    /// The instant from which anyone may have it.
    pub until: Timestamp,
}

impl Rest {
    /// Returns whether the number may be so before the rest is over: back with its account, or aging for it until then at
    /// least.
    #[must_use]
    pub fn allows(&self, standing: &Standing) -> bool {
        match standing {
            Standing::InService { place } => place.account == self.account,
            Standing::Protected { account } => *account == self.account,
            Standing::Aging { former, release_at, .. } => {
                former.account == self.account && *release_at >= self.until
            }
            _ => false,
        }
    }
}

/// Returns the moments of a number's life, oldest first: one for its import as `origin` at `imported_at`, and one for
/// each event since. State is the fold of events, and this is that fold.
///
/// # Errors
/// [`NoSuchStep`] if an event cannot follow the one before it.
pub fn moments<'a>(
    origin: &Entry,
    imported_at: Timestamp,
    events: &'a [Event],
) -> Result<Vec<Moment<'a>>, NoSuchStep> {
    let mut entry = *origin;
    let mut moments = Vec::with_capacity(events.len() + 1);
    moments.push(Moment { from: imported_at, entry, event: None });
    for event in events {
        entry = apply(&entry, &event.change)?;
        moments.push(Moment { from: event.at, entry, event: Some(event) });
    }
    Ok(moments)
}

impl History {
    /// Returns the moments of the number's life, oldest first.
    ///
    /// # Errors
    /// [`NoSuchStep`] if an event cannot follow the one before it.
    pub fn moments(&self) -> Result<Vec<Moment<'_>>, NoSuchStep> {
        moments(&self.origin, self.imported_at, &self.events)
    }

    /// Returns the number as it was at an instant. `None` before its import.
    ///
    /// # Errors
    /// As [`History::moments`].
    pub fn at(&self, at: Timestamp) -> Result<Option<Entry>, NoSuchStep> {
        Ok(self.moments()?.into_iter().rev().find(|moment| moment.from <= at).map(|moment| moment.entry))
    }

    /// Returns when the number entered its state.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.last_change_of_state().map_or(self.imported_at, |event| event.at)
    }

    /// Returns when the number last entered service, if it is in service or aging. `None` for a number that was
    /// imported aging.
    ///
    /// # Errors
    /// As [`History::moments`].
    pub fn in_service_since(&self) -> Result<Option<Timestamp>, NoSuchStep> {
        if self.entry.standing.place().is_none() {
            return Ok(None);
        }
        let (mut entered, mut before) = (None, None);
        for Moment { from, entry, .. } in self.moments()? {
            let state = Some(entry.state());
            if state == Some(State::InService) && before != state {
                entered = Some(from);
            }
            before = state;
        }
        Ok(entered)
    }

    /// Returns since when its present holder has the number, in service or aging: since it entered service, or since it
    /// was imported or restored aging. `None` if it is neither in service nor aging.
    ///
    /// # Errors
    /// As [`History::moments`].
    pub fn had_since(&self) -> Result<Option<Timestamp>, NoSuchStep> {
        let (mut had_since, mut before) = (None, None);
        for Moment { from, entry, .. } in self.moments()? {
            let state = entry.state();
            match (state, before) {
                (State::InService, Some(State::InService)) => {}
                (State::Aging, Some(State::InService | State::Aging)) => {}
                (State::InService | State::Aging, _) => had_since = Some(from),
                _ => had_since = None,
            }
            before = Some(state);
        }
        Ok(had_since)
    }

    /// Returns how long the number is held and why, if it is aging after a disconnect here.
    #[must_use]
    pub fn hold(&self) -> Option<&Hold> {
        Some(self.disconnected()?.1)
    }

    /// Returns when the number was disconnected, and its hold, if it is aging after a disconnect here.
    #[must_use]
    pub fn disconnected(&self) -> Option<(Timestamp, &Hold)> {
        let event = self.last_change_of_state()?;
        match &event.change {
            Change::Disconnected { hold, .. } => Some((event.at, hold)),
            _ => None,
        }
    }

    /// Returns the instant before which no act may give the number to anyone new. `None` if it is not aging, or if its
    /// disconnect is not known.
    #[must_use]
    pub fn floor_at(&self) -> Option<Timestamp> {
        let (at, hold) = self.disconnected()?;
        hold.floor(at)
    }

    /// Returns until when the number rests after it last left service: by the hold of its disconnect, or for a number that
    /// was purged by the profile that it has in `policy`. The end may be past. `None` if it is in service, if it went to
    /// another carrier, or if its disconnect is not known.
    ///
    /// # Errors
    /// As [`History::moments`].
    pub fn rest(&self, policy: &Policy) -> Result<Option<Rest>, NoSuchStep> {
        let mut rest = None;
        let mut had = None;
        for Moment { from, entry, event } in self.moments()? {
            let left = |hold: Option<&Hold>| {
                let floor = hold.and_then(|hold| hold.floor(from));
                let until = floor.unwrap_or_else(|| hold::floor(policy, entry.number, from));
                had.map(|account| Rest { account, until })
            };
            match event.map(|event| &event.change) {
                Some(Change::Disconnected { hold, .. }) => rest = left(Some(hold)),
                Some(Change::Purged { .. }) => rest = left(None),
                Some(Change::PortedOut { .. }) => rest = None,
                _ if entry.state() == State::InService => rest = None,
                _ => {}
            }
            had = entry.standing.place().map(|place| place.account);
        }
        Ok(rest)
    }

    /// Returns whether the number ages longer at `now`, or will by its release day, than its profile allows. False if
    /// its disconnect is not known.
    #[must_use]
    pub fn is_past_ceiling(&self, now: Timestamp) -> bool {
        let ceiling = self.disconnected().and_then(|(at, hold)| hold.ceiling(at));
        let release_at = self.entry.standing.ends_at().unwrap_or(now);
        ceiling.is_some_and(|ceiling| release_at.max(now) > ceiling)
    }

    /// Returns the event by which an operator keeps the number from release, if one does.
    #[must_use]
    pub fn kept_by(&self) -> Option<&Event> {
        self.entry.standing.kept()?;
        self.events.iter().rev().find(|event| matches!(event.change, Change::Kept { .. }))
    }

    /// Returns the number as it was before one of its events. `None` if it has no such event.
    ///
    /// # Errors
    /// As [`History::moments`].
    pub fn before(&self, event: EventSeq) -> Result<Option<Entry>, NoSuchStep> {
        let moments = self.moments()?;
        let is_it = |pair: &&[Moment<'_>]| pair[1].event.is_some_and(|made| made.seq == event);
        Ok(moments.windows(2).find(is_it).map(|pair| pair[0].entry))
    }

    /// Returns the last order that changed the number.
    #[must_use]
    pub fn last_order(&self) -> Option<OrderSeq> {
        self.events.iter().rev().find_map(|event| match event.by {
            By::Order(order) => Some(order),
            _ => None,
        })
    }

    /// Returns the end of the last hold after this account gave the number up. It may be in the past.
    ///
    /// # Errors
    /// As [`History::moments`].
    pub fn last_held_for(&self, account: AccountId) -> Result<Option<Timestamp>, NoSuchStep> {
        let held = |moment: &Moment<'_>| match moment.entry.standing {
            Standing::Aging { former: Place { account: former, .. }, release_at, .. }
                if former == account =>
            {
                Some(release_at)
            }
            _ => None,
        };
        Ok(self.moments()?.iter().rev().find_map(held))
    }

    fn last_change_of_state(&self) -> Option<&Event> {
        self.events.iter().rev().find(|event| event.change.changes_state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AreaId, SiteId};
    use crate::lifecycle::provenance::Provenance;
    use crate::number::Number;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// In service at 0, disconnected at 10, reconnected at 20, moved at 30, disconnected at 40.
    fn life() -> (History, AccountId) {
        let number: Number = "5405514342".parse().unwrap();
        let account = AccountId::new(1).unwrap();
        let place = |site| Place { account, site: SiteId::new(site).unwrap(), peer: None };
        let hold = |release_at| Hold::until(at(release_at));
        let disconnected =
            |release_at| Change::Disconnected { hold: hold(release_at), leaves: false, protected: None };
        let changes = [
            (10, disconnected(1_000), By::Order(OrderSeq(1))),
            (20, Change::Reconnected { place: place(1), protected: None }, By::Order(OrderSeq(2))),
            (30, Change::Moved { place: place(2) }, By::User("username".into())),
            (40, disconnected(2_000), By::User("username".into())),
        ];
        let origin = Entry {
            number,
            standing: Standing::InService { place: place(1) },
            area: AreaId(1),
            protected: false,
            ported_in: false,
            locked: false,
        };
        let mut entry = origin;
        let mut events = Vec::new();
        for (seq, (millis, change, by)) in (2..).zip(changes) {
            entry = apply(&entry, &change).unwrap();
            let (seq, prev) = (EventSeq(seq), EventSeq(seq - 1));
            let under = Provenance::default();
            events.push(Event { seq, number, prev, at: at(millis), change, by, under, origin: None });
        }
        (History { entry, origin, imported_at: at(0), events }, account)
    }

    #[test]
    fn a_life_is_told_by_its_events() {
        let (life, account) = life();
        assert_eq!(life.since(), at(40));
        assert_eq!(life.in_service_since(), Ok(Some(at(20))), "a move is no new beginning");
        assert_eq!(life.had_since(), Ok(Some(at(20))));
        assert_eq!(life.hold().map(|hold| hold.release_at), Some(at(2_000)));
        assert_eq!(life.last_order(), Some(OrderSeq(2)));
        assert_eq!(life.last_held_for(account), Ok(Some(at(2_000))));
        assert_eq!(life.last_held_for(AccountId::new(2).unwrap()), Ok(None));
    }

    /// Disconnected on 1970-01-01 with a floor of 45 days: of a calendar, and of 24 hours each.
    #[test]
    fn the_floor_and_the_ceiling_follow_from_the_disconnect() {
        const DAY: i64 = crate::time::DAY_MS;
        let (mut life, _) = life();
        let last = life.events.len() - 1;
        let mut with = |min_days, zone: Option<&str>| {
            let Change::Disconnected { hold, .. } = &mut life.events[last].change else { unreachable!() };
            (hold.min_days, hold.zone) = (min_days, zone.map(str::to_owned));
            (life.floor_at(), life.is_past_ceiling(at(40)), life.is_past_ceiling(at(91 * DAY + 1)))
        };
        assert_eq!(with(45, Some("UTC")), (Some(at(46 * DAY)), false, true));
        assert_eq!(with(60, Some("UTC")), (Some(at(46 * DAY)), false, true));
        assert_eq!(with(10, None), (Some(at(10 * DAY + 40)), false, true));
        assert_eq!(life.before(EventSeq(5)).unwrap().map(|entry| entry.state()), Some(State::InService));
        assert_eq!(life.before(EventSeq(99)), Ok(None));
        life.events.pop();
        assert_eq!((life.floor_at(), life.is_past_ceiling(at(0))), (None, false));
    }

    /// The days of a purge count as those of a disconnect: by the Reassigned Numbers Database's own example, a number
    /// that was disconnected on 16 October rests until 1 December.
    #[test]
    fn a_number_rests_after_it_left_service() {
        let (mut life, account) = life();
        let day = |text: &str| text.parse::<Timestamp>().unwrap();
        let policy = Policy::default();
        let rest = |life: &History| life.rest(&policy).unwrap().map(|rest| (rest.account, rest.until));
        assert_eq!(rest(&life), Some((account, at(40).plus_millis(45 * crate::time::DAY_MS))));
        let push = |life: &mut History, when: &str, change: Change| {
            let last = life.events.last().unwrap().clone();
            life.entry = apply(&life.entry, &change).unwrap();
            life.events.push(Event {
                seq: EventSeq(last.seq.0 + 1),
                prev: last.seq,
                at: day(when),
                change,
                ..last
            });
        };
        let Standing::Aging { former: place, .. } = life.entry.standing else { panic!("{life:?}") };
        push(&mut life, "2026-10-10T12:00:00Z", Change::Reconnected { place, protected: None });
        assert_eq!(rest(&life), None);
        push(&mut life, "2026-10-16T12:00:00Z", Change::Purged { protected: None });
        assert_eq!(rest(&life), Some((account, day("2026-12-01T00:00:00Z"))));
        let allows = |standing| life.rest(&policy).unwrap().unwrap().allows(&standing);
        let other = Place { account: AccountId::new(2).unwrap(), ..place };
        let aging =
            |former, until| Standing::Aging { former, release_at: day(until), leaves: false, kept: None };
        for (standing, may) in [
            (Standing::InService { place }, true),
            (Standing::InService { place: other }, false),
            (aging(place, "2026-12-01T00:00:00Z"), true),
            (aging(place, "2026-11-30T23:59:59.999Z"), false),
            (aging(other, "2026-12-01T00:00:00Z"), false),
            (Standing::Protected { account }, true),
            (Standing::Protected { account: other.account }, false),
            (Standing::Reserved { account, until: Timestamp::MAX }, false),
            (Standing::Available, false),
            (Standing::Administrative, false),
        ] {
            assert_eq!(allows(standing), may, "{standing:?}");
        }
        let (_, again) = (life.events.pop(), Change::PortedOut { at: at(0) });
        life.entry.standing = Standing::InService { place };
        push(&mut life, "2026-10-17T12:00:00Z", again);
        assert_eq!(rest(&life), None, "it is another carrier's");
    }

    #[test]
    fn the_past_is_what_it_was_at_its_instant() {
        let (life, _) = life();
        let state = |millis| life.at(at(millis)).unwrap().map(|entry| entry.state());
        for (millis, wanted) in [
            (-1, None),
            (0, Some(State::InService)),
            (10, Some(State::Aging)),
            (19, Some(State::Aging)),
            (20, Some(State::InService)),
            (40, Some(State::Aging)),
        ] {
            assert_eq!(state(millis), wanted, "{millis}");
        }
        let site = |millis| {
            life.at(at(millis)).unwrap().and_then(|entry| entry.standing.place()).map(|p| p.site.get())
        };
        assert_eq!((site(29), site(30)), (Some(1), Some(2)));
    }
}
