//! Numbers, and the periods for which accounts pay for them.

use onhook_core::ids::{AreaId, OrderId, PeerId};
use onhook_core::lifecycle::area::AreaName;
use onhook_core::lifecycle::diagram::{Home, State};
use onhook_core::lifecycle::entry::{Entry, Standing};
use onhook_core::lifecycle::event::Event;
use onhook_core::lifecycle::explain;
use onhook_core::lifecycle::history::{History, Rest};
use onhook_core::lifecycle::hold::Hold;
use onhook_core::report::billing::Period;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

/// Returns a number as its holder or an operator sees it.
///
/// `order` is the last order that changed it, `now` decides whether it ages past its ceiling.
#[must_use]
pub fn number(history: &History, area: &AreaName, order: Option<OrderId>, now: Timestamp) -> Value {
    let entry = &history.entry;
    let aging = matches!(entry.standing, Standing::Aging { .. });
    let holder = entry.standing.holder().map(|account| account.to_string());
    let place = entry.standing.place();
    let hold = history.hold();
    json!({
        "number": entry.number.to_string(),
        "state": entry.state().word(),
        "since": history.since().to_string(),
        "account": holder.clone().filter(|_| !aging),
        "former_account": holder.filter(|_| aging),
        "site": place.map(|place| place.site.to_string()),
        "peer": place.and_then(|place| place.peer).as_ref().map(PeerId::to_string),
        "area": { "id": area_id(entry.area), "name": area.to_string() },
        "rate_center": area.rate_center(),
        "region": area.region(),
        "protected": entry.protected,
        "ported_in": entry.ported_in,
        "locked": entry.locked,
        "kept": kept(history),
        "release_at": entry.standing.ends_at().filter(|_| aging).map(|at| at.to_string()),
        "floor_at": history.floor_at().filter(|_| aging).map(|at| at.to_string()),
        "home": home(entry),
        "past_ceiling": history.is_past_ceiling(now),
        "hold": hold.map(held),
        "why": why(history),
        "order": order.map(|id| id.to_string()),
    })
}

/// Returns a pool number as any caller sees it: the number, its state, and where it lies.
#[must_use]
pub fn public(entry: &Entry, area: &AreaName) -> Value {
    json!({
        "number": entry.number.to_string(),
        "state": entry.state().word(),
        "area": { "id": area_id(entry.area), "name": area.to_string() },
        "rate_center": area.rate_center(),
        "region": area.region(),
    })
}

fn area_id(area: AreaId) -> String {
    area.0.to_string()
}

/// Returns who keeps a number from release and until when. Null if nobody does.
fn kept(history: &History) -> Value {
    let Some(kept) = history.entry.standing.kept() else { return Value::Null };
    let by = history.kept_by();
    json!({
        "reason": by.and_then(|event| event.under.reason.as_deref()),
        "until": kept.until.map(|until| until.to_string()),
        "since": by.map(|event| event.at.to_string()),
    })
}

/// Returns where a number goes at the end of its aging. Null if it does not age.
fn home(entry: &Entry) -> Option<&'static str> {
    (entry.state() == State::Aging).then(|| home_word(entry.home()))
}

/// Returns the word for where a number goes at the end of its aging.
#[must_use]
pub fn home_word(home: Home) -> &'static str {
    match home {
        Home::Pool => "pool",
        Home::Owner => "owner",
        Home::Away => "away",
    }
}

/// Returns how long a number is held and the figures that say why.
#[must_use]
pub fn held(hold: &Hold) -> Value {
    json!({
        "profile": hold.profile,
        "area": hold.area,
        "supply": hold.supply,
        "demand_per_day": hold.demand,
        "days_of_supply": hold.days_of_supply(),
        "min_days": hold.min_days,
        "max_days": hold.max_days,
        "days": hold.days,
    })
}

/// Returns why a number is where it is: the reason of its hold, or the sentence that explains it.
fn why(history: &History) -> String {
    match history.hold() {
        Some(hold) if history.entry.state() == State::Aging => format!("held {}", hold.sentence()),
        hold => explain::sentence(&history.entry, history.since(), hold),
    }
}

/// Returns where a number is and why, and what happened to it, in sentences.
///
/// `rest` is absent if anyone may have the number, and `imported_at` if the reader may not know of it. Each event has the
/// id of the order that made it, if one did.
#[must_use]
pub fn explanation(
    history: &History,
    rest: Option<&Rest>,
    imported_at: Option<Timestamp>,
    events: &[(&Event, Option<OrderId>)],
) -> Value {
    let entry = &history.entry;
    let events = events.iter().map(|(event, order)| {
        json!({
            "at": event.at.to_string(),
            "by": explain::by(&event.by, *order),
            "what": explain::what(&event.change),
        })
    });
    let hold = history.hold().map(|hold| {
        let mut shown = json!(hold);
        shown["release_at"] = json!(hold.release_at.to_string());
        shown
    });
    let mut sentence = explain::sentence(entry, history.since(), history.hold());
    if let (State::Removed, Some(rest)) = (entry.state(), rest) {
        sentence = format!("{sentence} {}", explain::resting(rest));
    }
    json!({
        "number": entry.number.to_string(),
        "state": entry.state().word(),
        "since": history.since().to_string(),
        "account": entry.standing.holder(),
        "reconnectable_until": match entry.standing {
            Standing::Aging { release_at, .. } => Some(release_at.to_string()),
            _ => None,
        },
        "hold": hold,
        "sentence": sentence,
        "imported_at": imported_at.map(|at| at.to_string()),
        "events": events.collect::<Vec<_>>(),
    })
}

/// Returns a period for which an account pays.
#[must_use]
pub fn period(period: &Period) -> Value {
    json!({
        "account": period.account.to_string(),
        "from": period.from.to_string(),
        "until": period.until.map(|until| until.to_string()),
    })
}
