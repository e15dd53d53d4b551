//! Events: what happened to a number, when, by whom and why.

use onhook_core::ids::OrderId;
use onhook_core::lifecycle::event::{By, Event};
use onhook_core::lifecycle::history::Moment;
use onhook_core::lifecycle::provenance::Provenance;
use serde_json::{Value, json};

/// The order of an event, as an event tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Its id.
    pub id: OrderId,
    /// Who sent it.
    pub user: String,
    /// Under what.
    pub under: Provenance,
}

/// Returns an event with the number's state before and after it.
///
/// `order` is the order that made it, if one did. Then the order says under what it was made.
#[must_use]
pub fn event(event: &Event, before: &Moment<'_>, after: &Moment<'_>, order: Option<&Ordered>) -> Value {
    let (kind, user) = match &event.by {
        By::Order(_) => ("order", order.map(|order| order.user.as_str())),
        By::User(user) => ("user", Some(user.as_str())),
        By::Import => ("user", None),
        By::Time => ("time", None),
    };
    let under = order.map_or(&event.under, |order| &order.under);
    let holder = after.entry.standing.holder().or(before.entry.standing.holder());
    json!({
        "seq": event.seq.0.to_string(),
        "at": event.at.to_string(),
        "kind": event.change.kind().word(),
        "number": event.number.to_string(),
        "account": holder.map(|account| account.to_string()),
        "before": before.entry.state().word(),
        "after": after.entry.state().word(),
        "by": {
            "kind": kind,
            "user": user,
            "credential": under.credential.map(|credential| credential.word()),
            "address": under.address,
        },
        "order": order.map(|order| order.id.to_string()),
        "plan": under.plan.map(|plan| plan.to_string()),
        "reason": under.reason,
        "prev": event.prev.0.to_string(),
        "detail": detail(event),
    })
}

/// Returns what is particular to an event: the change as it is stored, without its name.
fn detail(event: &Event) -> Value {
    match serde_json::to_value(&event.change) {
        Ok(Value::Object(named)) => named.into_iter().next().map_or(json!({}), |(_, detail)| detail),
        _ => json!({}),
    }
}
