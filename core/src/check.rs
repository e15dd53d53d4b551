//! The invariants of a store's contents, as functions that return what breaks them.
//!
//! A store's checker loads rows and asks here. Types rule out what a single row must not say. These functions compare
//! rows with events, orders with their numbers, and orders with their notifications.

use std::fmt;

use crate::account::Place;
use crate::ids::{OrderSeq, SubscriptionId};
use crate::lifecycle::diagram::Home;
use crate::lifecycle::entry::{Entry, Kept, Standing};
use crate::lifecycle::event::{Change, Event, apply};
use crate::notify::notification::{OrderEvent, SubscriptionFilter, told};
use crate::order::{Kind, Order, Status, ended};
use crate::report::billing::{Period, periods};
use crate::time::Timestamp;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a number, an order, an account, an area, or the store itself.
    pub at: String,
    /// What is wrong with it.
    pub what: String,
}

impl Finding {
    /// Makes a finding.
    pub fn new(at: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { at: at.to_string(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Returns what breaks an invariant in one number: its row `entry`, the number as it was imported, and its events
/// since, oldest first.
#[must_use]
pub fn number(entry: &Entry, origin: &Entry, imported_at: Timestamp, events: &[Event]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(Finding::new(entry.number, what));
    let mut now = *origin;
    let mut last = (None, imported_at);
    // Before it nobody new may have the number.
    let mut floor: Option<Timestamp> = None;
    if origin.number != entry.number {
        find(format!("was imported as {}", origin.number));
    }
    for event in events {
        let Event { seq, number, at, change, .. } = event;
        if *number != entry.number {
            find(format!("event {} belongs to {number}", seq.0));
        }
        if Some(*seq) <= last.0 || *at < last.1 {
            find(format!("event {} comes before the one that it follows", seq.0));
        }
        last = (Some(*seq), *at);
        match (change, now.standing) {
            (Change::Released { .. }, Standing::Aging { release_at, .. }) if *at < release_at => {
                find(format!("event {} released it at {at}, before {release_at}", seq.0));
            }
            (Change::Released { home: Home::Pool }, _) if floor.is_some_and(|floor| *at < floor) => {
                find(format!("event {} released it to the pool at {at}, before its floor", seq.0));
            }
            (Change::Released { .. }, Standing::Aging { kept: Some(kept), .. }) if *at < kept.ends_at() => {
                find(format!("event {} released it though an operator kept it", seq.0));
            }
            (Change::Disconnected { hold, .. }, _)
                if !(hold.min_days..=hold.max_days).contains(&hold.days)
                    || hold.ends(*at).is_none_or(|end| hold.release_at < end) =>
            {
                find(format!("event {} holds it for less than its reason says", seq.0));
            }
            (Change::Extended { release_at: to, .. }, Standing::Aging { release_at, .. })
                if *to < release_at =>
            {
                find(format!("event {} moved its release from {release_at} forward to {to}", seq.0));
            }
            (Change::Disconnected { .. } | Change::Purged { .. } | Change::PortedOut { .. }, _)
                if now.locked =>
            {
                find(format!("event {} took it out of service though it was locked", seq.0));
            }
            (Change::Reconnected { place, .. }, Standing::Aging { former, .. })
                if place.account != former.account =>
            {
                find(format!("event {} gave it to account {}, not its former one", seq.0, place.account));
            }
            (Change::Activated { place, .. } | Change::Moved { place }, standing)
                if standing.holder().is_some_and(|holder| holder != place.account) =>
            {
                find(format!("event {} gave another account's number to account {}", seq.0, place.account));
            }
            (Change::Released { home }, _) if *home != now.home() => {
                find(format!("event {} released it to {home}, it belongs to {}", seq.0, now.home()));
            }
            _ => {}
        }
        match change {
            Change::Disconnected { hold, .. } => floor = hold.floor(*at),
            change if change.changes_state() => floor = None,
            _ => {}
        }
        match apply(&now, change) {
            Ok(after) => now = after,
            Err(error) => {
                find(format!("event {}: {error}", seq.0));
                return findings;
            }
        }
    }
    match entry.standing {
        Standing::Protected { .. } if !entry.protected => {
            find("is in its owner's inventory without being protected".into());
        }
        Standing::Available if entry.protected => find("is in the pool though it is protected".into()),
        _ => {}
    }
    if now != *entry {
        for (field, stored, follows) in differences(entry, &now) {
            find(format!("its {field} is {stored}, and from its events follows {follows}"));
        }
    }
    findings.extend(billing(entry, origin, imported_at, events));
    findings
}

/// Returns the fields in which two entries of a number differ, each with both values in words.
fn differences(stored: &Entry, follows: &Entry) -> Vec<(&'static str, String, String)> {
    type Words = fn(&Entry) -> String;
    let fields: [(&'static str, Words); 10] = [
        ("number", |entry| entry.number.to_string()),
        ("state", |entry| entry.state().to_string()),
        ("account", |entry| entry.standing.holder().map_or_else(|| "none".to_owned(), |id| id.to_string())),
        ("site and peer", |entry| match entry.standing.place() {
            Some(Place { site, peer: Some(peer), .. }) => format!("site {site} with peer {peer}"),
            Some(Place { site, peer: None, .. }) => format!("site {site} without a peer"),
            None => "none".to_owned(),
        }),
        ("end of the hold or reservation", |entry| {
            entry.standing.ends_at().map_or_else(|| "none".to_owned(), |at| at.to_string())
        }),
        ("keep", |entry| match entry.standing.kept() {
            Some(Kept { until: Some(until) }) => format!("until {until}"),
            Some(Kept { until: None }) => "until further notice".to_owned(),
            None => "none".to_owned(),
        }),
        ("mark as leaving the system", |entry| {
            yes(matches!(entry.standing, Standing::Aging { leaves: true, .. }))
        }),
        ("protected flag", |entry| yes(entry.protected)),
        ("ported-in flag", |entry| yes(entry.ported_in)),
        ("lock", |entry| yes(entry.locked)),
    ];
    let mut found: Vec<_> = fields
        .into_iter()
        .map(|(field, of)| (field, of(stored), of(follows)))
        .filter(|(_, stored, follows)| stored != follows)
        .collect();
    if stored.area != follows.area {
        found.push(("area", stored.area.0.to_string(), follows.area.0.to_string()));
    }
    found
}

fn yes(on: bool) -> String {
    if on { "set" } else { "not set" }.to_owned()
}

fn billing(entry: &Entry, origin: &Entry, imported_at: Timestamp, events: &[Event]) -> Option<Finding> {
    let periods = periods(origin, imported_at, events).ok()?;
    let overlap = periods.windows(2).any(|pair| pair[0].until.is_none_or(|until| until > pair[1].from));
    let backwards = periods.iter().any(|p| p.until.is_some_and(|until| until < p.from));
    let open = periods.last().is_some_and(|p| p.until.is_none());
    let in_service = matches!(entry.standing, Standing::InService { .. });
    (overlap || backwards || open != in_service)
        .then(|| Finding::new(entry.number, format!("its billing periods are wrong: {}", in_words(&periods))))
}

fn in_words(periods: &[Period]) -> String {
    if periods.is_empty() {
        return "there are none".to_owned();
    }
    let words = |Period { account, from, until }: &Period| match until {
        Some(until) => format!("account {account} from {from} to {until}"),
        None => format!("account {account} from {from} on"),
    };
    periods.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// Returns what breaks an invariant in one order, alone and against the events that it made.
#[must_use]
pub fn order(order: &Order, events: &[Event]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(Finding::new(format!("order {}", order.id), what));
    let numbers = order.request.numbers();
    let named: std::collections::HashSet<_> = numbers.iter().collect();
    if named.len() != numbers.len() || (numbers.is_empty() && order.request.search().is_none()) {
        find("names a number twice, or none".into());
    }
    let failed: std::collections::HashSet<_> = order.failed.iter().map(|f| &f.number).collect();
    if failed.len() != order.failed.len() || !failed.is_subset(&named) {
        find("a number has two outcomes, or is none of the order's".into());
    }
    let total = order.request.quantity();
    let may_wait = order.request.search().is_some_and(|search| search.back_order);
    let short = match order.request.search() {
        Some(_) => total.checked_sub(order.taken.len()),
        None => Some(order.failed.len()),
    };
    match (order.status, short) {
        (_, None) => find(format!("took more than it wanted: {} of {total}", order.taken.len())),
        (Status::Received, _) if !order.failed.is_empty() || !order.taken.is_empty() => {
            find("has outcomes, but has not run".into());
        }
        (Status::Received, _) => {}
        (Status::Backordered, Some(short)) if short == 0 || !may_wait => {
            find(format!("waits with {short} of its numbers still wanted, and was not asked to"));
        }
        (Status::Backordered, _) => {}
        (status, Some(short)) if status != ended(total, short) => {
            find(format!("is {status} with {short} of {total} numbers failed"));
        }
        _ => {}
    }
    let mut done: Vec<_> = order.done().collect();
    let mut moved: Vec<_> = events.iter().map(|event| event.number).collect();
    done.sort_unstable();
    moved.sort_unstable();
    if done != moved {
        find(format!("says that {} of its numbers went, and has {} events", done.len(), moved.len()));
    }
    for Event { seq, change, .. } in events {
        let fits = match (order.request.kind(), change) {
            (Kind::Move, Change::Moved { place }) => place.account == order.account,
            (Kind::Disconnect, Change::Disconnected { .. } | Change::Purged { .. }) => true,
            (Kind::Number, Change::Activated { place, .. } | Change::Reconnected { place, .. }) => {
                place.account == order.account
            }
            _ => false,
        };
        if !fits {
            find(format!("event {} is nothing that it could have done", seq.0));
        }
    }
    if order.changed_at < order.created_at {
        find("ended before it was made".into());
    }
    findings
}

/// A subscription as the checker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedSubscription {
    /// Its id.
    pub id: SubscriptionId,
    /// What it is told of.
    pub filter: SubscriptionFilter,
    /// Orders after this one must have a notification. Earlier ones may have ended before the subscription existed.
    /// Only the order that it names is caught up.
    pub after: OrderSeq,
}

/// Returns a finding if an order that has ended lacks a notification for a subscription of its account. `notified` is
/// true if there is one.
#[must_use]
pub fn notification(order: &Order, asked: &CheckedSubscription, notified: bool) -> Option<Finding> {
    let (kind, happened) = (order.request.kind(), OrderEvent::Reached(order.status));
    let certain = order.seq > asked.after || asked.filter.order.is_some();
    let missing = order.status.is_final()
        && certain
        && !notified
        && told(&asked.filter, kind, order.seq, happened, order.changed_at);
    missing.then(|| {
        Finding::new(format!("subscription {}", asked.id), format!("was not told of order {}", order.id))
    })
}
