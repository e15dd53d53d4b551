//! Acts of people on numbers: what came of them, and why a number does not go.

use std::collections::BTreeMap;

use onhook_core::ids::PlanId;
use onhook_core::order::Order;
use onhook_core::order::act::Refused;
use serde_json::{Value, json};

/// Returns how many numbers are refused for which reason.
#[must_use]
pub fn refusals(refused: &BTreeMap<Refused, usize>) -> Value {
    refused.iter().map(|(why, numbers)| json!({ "why": why.word(), "numbers": numbers })).collect()
}

/// Returns what came of undoing an order: under which plan, by which order, how many numbers went, and how many did not for which reason.
#[must_use]
pub fn undone(plan: PlanId, order: &Order, refused: &BTreeMap<Refused, usize>) -> Value {
    json!({
        "plan": plan.to_string(),
        "order": { "id": order.id.to_string(), "status": order.status.word() },
        "went": order.done().count(),
        "refused": refusals(refused),
    })
}

/// Returns why an act does not change a number, in a sentence.
#[must_use]
pub fn sentence(why: Refused) -> &'static str {
    match why {
        Refused::NotInService => "the number is not in service on this account",
        Refused::NotAging => "the number is not aging, or not with this account as its former one",
        Refused::Locked => "the number is locked",
        Refused::AlreadySo => "the number is so already",
        Refused::TollFreeProtected => "a toll-free number cannot be protected",
        Refused::NoSite => "the account has no such site",
        Refused::NoPeer => "the site has no such peer",
        Refused::NoDefaultPeer => "the site has no default peer",
        Refused::NotLater => "the new end is not later than the one that the number has",
        Refused::PastCeiling => {
            "the number would age longer than its profile allows: say past_ceiling if it is to"
        }
        Refused::UnderFloor => "somebody new could have the number too soon",
        Refused::FloorUnknown => "nobody knows when the number was disconnected, so its floor is unknown",
        Refused::Kept => "the number is kept from release",
        Refused::Released => "the number has been released since, or has left",
        Refused::Reconnected => "the number has been reconnected since",
        Refused::DisconnectedAgain => "the number has been reconnected since, and disconnected again",
        Refused::WrongState => "the number is in a state from which this does not lead on",
    }
}
