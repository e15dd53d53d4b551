//! Where a call to a number goes at an instant, and who pays for it. This follows from its events alone.
//!
//! Not here: the codes that a switch answers with where a number is vacant, which an operator may set.

use crate::account::{Place, Role};
use crate::ids::AccountId;
use crate::lifecycle::diagram::{NoSuchStep, State};
use crate::lifecycle::entry::Standing;
use crate::lifecycle::event::Change;
use crate::lifecycle::history::{History, Moment};
use crate::time::Timestamp;
use crate::view::may_see_past;

/// Where a call to a number goes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// The number's state at that instant. `None` if it is not here, or is nothing to the caller.
    pub state: Option<State>,
    /// Who serves it: there the call goes, and its account pays. `None`: the number is vacant, and nobody pays.
    pub deliver: Option<Place>,
    /// Why, in a sentence without its end.
    pub why: String,
}

impl Routing {
    /// Returns what is said of a number that is not here, and of one that is nothing to the caller.
    #[must_use]
    pub fn unknown() -> Self {
        Self { state: None, deliver: None, why: "the number is not known here".into() }
    }
}

/// Returns where a call goes that is made at `at`, as a caller with this account and role may know it. An account knows
/// what the number was while it held it, and that it ages since it gave it up.
///
/// # Errors
/// [`NoSuchStep`] if an event cannot follow the one before it.
pub fn routing(
    history: &History,
    at: Timestamp,
    account: Option<AccountId>,
    role: Role,
) -> Result<Routing, NoSuchStep> {
    let moments = history.moments()?;
    let past = moments.iter().take_while(|moment| moment.from <= at).count();
    let Some((now, before)) = moments.get(..past).and_then(<[_]>::split_last) else {
        if role != Role::Operator {
            return Ok(Routing::unknown());
        }
        let why = format!("nothing is known before its import at {}", history.imported_at);
        return Ok(Routing { state: None, deliver: None, why });
    };
    if !may_see_past(&now.entry, account, role) {
        return Ok(Routing::unknown());
    }
    let begun = begun(now, before);
    let since = begun.from;
    let (deliver, why) = match now.entry.standing {
        Standing::InService { place } => (Some(place), format!("in service since {since}")),
        Standing::Aging { .. } => (None, format!("it ages since {since}: calls to it are charged to nobody")),
        Standing::Available => (None, format!("it is in the pool since {since}")),
        Standing::Reserved { .. } => (None, format!("it is reserved since {since}, and not in service")),
        Standing::Protected { .. } => (None, format!("it is in its owner's inventory since {since}")),
        Standing::Administrative => (None, format!("the operator keeps it since {since}")),
        Standing::Removed => match begun.event.map(|event| &event.change) {
            Some(Change::PortedOut { at }) => (None, format!("it went to another carrier at {at}")),
            _ => (None, format!("it has left this system at {since}")),
        },
    };
    Ok(Routing { state: Some(now.entry.state()), deliver, why })
}

/// Returns the moment with which a number entered the state of the moment `now`, for the same account. A move within it is
/// no beginning.
fn begun<'a>(now: &'a Moment<'a>, before: &'a [Moment<'a>]) -> &'a Moment<'a> {
    let same = |moment: &&Moment<'_>| {
        let (then, now) = (&moment.entry, &now.entry);
        then.state() == now.state() && then.standing.holder() == now.standing.holder()
    };
    before.iter().rev().take_while(same).last().unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AreaId, EventSeq, OrderSeq, SiteId};
    use crate::lifecycle::entry::Entry;
    use crate::lifecycle::event::{By, Event, apply};
    use crate::lifecycle::hold::Hold;
    use crate::lifecycle::provenance::Provenance;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn place(account: u32, site: u32) -> Place {
        Place { account: AccountId::new(account).unwrap(), site: SiteId::new(site).unwrap(), peer: None }
    }

    /// Imported in service at 0, moved at 5, disconnected at 10, reconnected at 20, disconnected at 30, released at 40,
    /// and in service at another account from 50 on.
    fn life() -> History {
        let hold = Hold::until(at(40));
        let disconnected = Change::Disconnected { hold, leaves: false, protected: None };
        let activated = Change::Activated { place: place(2, 9), protected: None };
        let changes = [
            (5, Change::Moved { place: place(1, 2) }),
            (10, disconnected.clone()),
            (20, Change::Reconnected { place: place(1, 2), protected: None }),
            (30, disconnected),
            (40, Change::Released { home: crate::lifecycle::diagram::Home::Pool }),
            (50, activated),
        ];
        lived(changes)
    }

    /// Imported in service at 0, and changed like this.
    fn lived(changes: impl IntoIterator<Item = (i64, Change)>) -> History {
        let number = "5405514342".parse().unwrap();
        let origin = Entry {
            number,
            standing: Standing::InService { place: place(1, 1) },
            area: AreaId(1),
            protected: false,
            ported_in: false,
            locked: false,
        };
        let (mut entry, mut events) = (origin, Vec::new());
        for (seq, (millis, change)) in (2..).zip(changes) {
            entry = apply(&entry, &change).unwrap();
            let (seq, prev, by) = (EventSeq(seq), EventSeq(seq - 1), By::Order(OrderSeq(seq)));
            let under = Provenance::default();
            events.push(Event { seq, number, prev, at: at(millis), change, by, under, origin: None });
        }
        History { entry, origin, imported_at: at(0), events }
    }

    fn told(millis: i64, account: Option<u32>) -> (Option<State>, Option<Place>, String) {
        let role = if account.is_none() { Role::Operator } else { Role::Read };
        let account = account.and_then(AccountId::new);
        let Routing { state, deliver, why } = routing(&life(), at(millis), account, role).unwrap();
        (state, deliver, why)
    }

    /// The millisecond of a disconnect is free already, and that of a reconnect is charged again.
    #[test]
    fn a_call_is_charged_to_the_millisecond() {
        for (millis, deliver) in [
            (4, Some(place(1, 1))),
            (5, Some(place(1, 2))),
            (9, Some(place(1, 2))),
            (10, None),
            (19, None),
            (20, Some(place(1, 2))),
            (30, None),
            (45, None),
            (50, Some(place(2, 9))),
        ] {
            assert_eq!(told(millis, None).1, deliver, "{millis}");
        }
    }

    #[test]
    fn the_reason_names_the_beginning_of_the_state() {
        let why = |millis| told(millis, None).2;
        assert_eq!(why(7), "in service since 1970-01-01T00:00:00.000Z", "a move is no beginning");
        assert_eq!(why(12), "it ages since 1970-01-01T00:00:00.010Z: calls to it are charged to nobody");
        assert_eq!(why(40), "it is in the pool since 1970-01-01T00:00:00.040Z");
        assert_eq!(told(-1, None).0, None);
        assert_eq!(why(-1), "nothing is known before its import at 1970-01-01T00:00:00.000Z");
    }

    /// The switch of the carrier that had the number may ask who has it now: `why` tells the two ways out apart.
    #[test]
    fn a_number_that_left_says_whether_another_carrier_has_it() {
        let why = |change| {
            let routing = routing(&lived([(10, change)]), at(10), None, Role::Operator).unwrap();
            assert_eq!((routing.state, routing.deliver), (Some(State::Removed), None));
            routing.why
        };
        let ported = why(Change::PortedOut { at: at(7) });
        assert_eq!(ported, "it went to another carrier at 1970-01-01T00:00:00.007Z");
        let purged = why(Change::Purged { protected: None });
        assert_eq!(purged, "it has left this system at 1970-01-01T00:00:00.010Z");
    }

    #[test]
    fn an_account_knows_what_it_held_and_what_ages_since_it_gave_it_up() {
        assert_eq!(told(9, Some(1)).0, Some(State::InService));
        assert_eq!(told(35, Some(1)).0, Some(State::Aging));
        let unknown = (None, None, Routing::unknown().why);
        for (millis, account) in [(-1, 1), (45, 1), (55, 1), (9, 2), (35, 2)] {
            assert_eq!(told(millis, Some(account)), unknown, "{millis} {account}");
        }
        assert_eq!(told(55, Some(2)).1, Some(place(2, 9)));
    }
}
