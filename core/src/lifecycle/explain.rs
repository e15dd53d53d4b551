//! Why a number is in its state, in sentences: for the command line, the operations API and pages alike.

use crate::ids::OrderId;
use crate::lifecycle::diagram::Home;
use crate::lifecycle::entry::{Entry, Kept, Standing};
use crate::lifecycle::event::{By, Change};
use crate::lifecycle::history::Rest;
use crate::lifecycle::hold::Hold;
use crate::time::Timestamp;

/// Returns a number's state, why, since when and until when, in one sentence or two. `hold` is why it ages, if that is
/// known.
#[must_use]
pub fn sentence(entry: &Entry, since: Timestamp, hold: Option<&Hold>) -> String {
    let number = entry.number;
    match &entry.standing {
        Standing::Available => format!("{number} is in the pool since {since}: anyone may take it."),
        Standing::Reserved { account, until } => {
            format!("{number} is reserved for account {account} since {since}, until {until}.")
        }
        Standing::InService { place } => {
            format!(
                "{number} is in service on account {}, site {}, since {since}.",
                place.account, place.site
            )
        }
        Standing::Aging { former, release_at, .. } => {
            let then = match entry.home() {
                Home::Pool => "then it goes to the pool",
                Home::Owner => "then it goes to its owner's own inventory",
                Home::Away => "then it leaves this system",
            };
            let mut why = match hold {
                Some(hold) => format!("It is held {}.", hold.sentence()),
                None => "It came aging with an import.".to_owned(),
            };
            match entry.standing.kept() {
                Some(Kept { until: Some(until) }) => why += &format!(" An operator keeps it until {until}."),
                Some(Kept { until: None }) => why += " An operator keeps it until further notice.",
                None => {}
            }
            format!(
                "{number} is aging since {since}: account {} may reconnect it until {release_at}, {then}. {why}",
                former.account
            )
        }
        Standing::Protected { account } => {
            format!("{number} is in the own inventory of account {account} since {since}.")
        }
        Standing::Administrative => format!("{number} is kept by the operator since {since}."),
        Standing::Removed => format!("{number} has left this system at {since}."),
    }
}

/// Returns who may have a number that has left service, until anyone may.
#[must_use]
pub fn resting(rest: &Rest) -> String {
    format!("Until {} it only goes back to account {}, or ages for it.", rest.until, rest.account)
}

/// Returns what happened to a number, in a few words.
#[must_use]
pub fn what(change: &Change) -> String {
    match change {
        Change::Reserved { account, until } => format!("reserved for account {account} until {until}"),
        Change::Unreserved => "its reservation ended".into(),
        Change::Activated { place, .. } => {
            format!("activated on account {}, site {}", place.account, place.site)
        }
        Change::Disconnected { hold, .. } => format!("disconnected; held {}", hold.sentence()),
        Change::Reconnected { place, .. } => {
            format!("reconnected on account {}, site {}", place.account, place.site)
        }
        Change::Released { home } => match home {
            Home::Pool => "released to the pool".into(),
            Home::Owner => "released to its owner's own inventory".into(),
            Home::Away => "released from this system".into(),
        },
        Change::Purged { .. } => "purged".into(),
        Change::Extended { release_at, reason } => format!("hold extended until {release_at}: {reason}"),
        Change::Locked { reason } => format!("locked: {reason}"),
        Change::Unlocked { reason } => format!("unlocked: {reason}"),
        Change::Shortened { release_at } => format!("hold shortened to {release_at}"),
        Change::Kept { until: Some(until) } => format!("kept from release until {until}"),
        Change::Kept { until: None } => "kept from release until further notice".into(),
        Change::Unkept => "no longer kept from release".into(),
        Change::SetAside => "taken out of the pool by the operator".into(),
        Change::PutBack => "put back into the pool by the operator".into(),
        Change::PortedOut { at } => format!("ported to another carrier at {at}"),
        Change::Corrected { area, ported_in } => {
            let area = area.map(|_| "its area".to_owned());
            let owner = ported_in.map(|ported_in| {
                if ported_in { "it was ported in" } else { "it was not ported in" }.to_owned()
            });
            let what: Vec<String> = area.into_iter().chain(owner).collect();
            format!("corrected: {}", what.join(", "))
        }
        Change::Moved { place } => match place.peer {
            Some(peer) => format!("moved to site {}, peer {peer}", place.site),
            None => format!("moved to site {}", place.site),
        },
        Change::Restored { standing, .. } => match standing.place() {
            Some(place) => {
                format!(
                    "taken back as {} of account {}, site {}",
                    standing.state(),
                    place.account,
                    place.site
                )
            }
            None => format!("taken back as {}", standing.state()),
        },
    }
}

/// Returns who or what made an event, in a few words. `order` is the id of the order that did, if it is known.
#[must_use]
pub fn by(by: &By, order: Option<OrderId>) -> String {
    match (by, order) {
        (By::Order(_), Some(order)) => format!("order {order}"),
        (By::Order(_), None) => "an order".into(),
        (By::User(name), _) => format!("user {name}"),
        (By::Time, _) => "time".into(),
        (By::Import, _) => "an import".into(),
    }
}
