//! Plans: an act on many numbers, what is decided of each, and what became of it.

use onhook_core::ids::OrderId;
use onhook_core::number::Number;
use onhook_core::order::Status;
use onhook_core::order::act::{Act, Correction, Later, Restored};
use onhook_core::order::decided::{Decided, Going, Otherwise};
use onhook_core::order::plan::{KeptPlan, PlanState, Signed};
use onhook_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::acts::refusals;

/// Returns the parameters of an act, as they were sent, with those that were left out and have a value.
#[must_use]
pub fn params(act: &Act) -> Value {
    let mut params = Map::new();
    let mut say = |key: &str, value: Value| {
        if !value.is_null() {
            params.insert(key.to_owned(), value);
        }
    };
    let at = |at: &Option<Timestamp>| json!(at.map(|at| at.to_string()));
    match act {
        Act::Disconnect { mode, protected, name, customer_order_id } => {
            say("mode", json!(mode));
            say("protected", json!(protected.word()));
            say("name", json!(name));
            say("customer_order_id", json!(customer_order_id));
        }
        Act::Purge { name } | Act::Reconnect { name } => say("name", json!(name)),
        Act::Move { site, peer } => {
            say("site", json!(site.to_string()));
            say("peer", json!(peer.map(|peer| peer.to_string())));
        }
        Act::Extend { until, past_ceiling } => {
            match until {
                Later::ReleaseAt(at) => say("release_at", json!(at.to_string())),
                Later::Days(days) => say("days", json!(days)),
            }
            say("past_ceiling", json!(past_ceiling));
        }
        Act::Keep { until } => {
            params.insert("until".to_owned(), at(until));
        }
        Act::PortOut { at: when } => say("at", at(when)),
        Act::ReleaseEarly { release_at } => say("release_at", at(release_at)),
        Act::Restore(restored) => {
            let Restored {
                state, account, former_account, site, peer, release_at, region, rate_center, ..
            } = restored;
            say("state", json!(state.word()));
            say("account", json!(account.map(|account| account.to_string())));
            say("former_account", json!(former_account.map(|account| account.to_string())));
            say("site", json!(site.map(|site| site.to_string())));
            say("peer", json!(peer.map(|peer| peer.to_string())));
            say("release_at", at(release_at));
            say("region", json!(region));
            say("rate_center", json!(rate_center));
            say("protected", json!(restored.protected));
            say("ported_in", json!(restored.ported_in));
        }
        Act::Correct(Correction { rate_center, region, ported_in }) => {
            say("rate_center", json!(rate_center));
            say("region", json!(region));
            say("ported_in", json!(ported_in));
        }
        Act::Undo { .. } | Act::Lock | Act::Unlock | Act::Unkeep | Act::SetAside | Act::PutBack => {}
    }
    Value::Object(params)
}

/// Returns what is decided of a number.
#[must_use]
pub fn item(number: Number, decided: &Decided) -> Value {
    let number = number.to_string();
    match decided {
        Decided::Refused(why) => json!({ "number": number, "outcome": "refused", "why": why.word() }),
        Decided::Goes(Going { before, after, days, release_at, home, site, peer, .. }) => json!({
            "number": number,
            "outcome": "goes",
            "before": before.word(),
            "after": after.word(),
            "days": days,
            "release_at": release_at.map(|at| at.to_string()),
            "home": home.map(super::numbers::home_word),
            "site": site.map(|site| site.to_string()),
            "peer": peer.map(|peer| peer.to_string()),
        }),
    }
}

/// Returns numbers about which a plan decided otherwise, as it did and as it does.
#[must_use]
pub fn changed(otherwise: &[Otherwise]) -> Value {
    let one = |one: &Otherwise| {
        let said = |decided: &Decided| {
            let mut said = item(one.number, decided);
            if let Value::Object(said) = &mut said {
                said.remove("number");
            }
            said
        };
        json!({
            "number": one.number.to_string(),
            "planned": said(&one.planned),
            "now": one.now.as_ref().map(said),
        })
    };
    otherwise.iter().map(one).collect()
}

/// Returns a plan without its numbers, at `now`. `address` says of whom the address may be shown.
#[must_use]
pub fn plan(plan: &KeptPlan, now: Timestamp, address: impl Fn(&str) -> bool) -> Value {
    let by = |signed: &Signed| {
        json!({
            "user": signed.user,
            "credential": signed.credential.map(|credential| credential.word()),
            "address": signed.address.as_ref().filter(|_| address(&signed.user)),
        })
    };
    let given = |signed: &Signed| {
        let mut given = by(signed);
        given["at"] = json!(signed.at.to_string());
        given["reason"] = json!(signed.reason);
        given
    };
    let hold = |hold: &onhook_core::order::plan::PlannedHold| {
        json!({
            "profile": hold.profile,
            "class": hold.class.word(),
            "days": hold.days,
            "numbers": hold.numbers,
            "release_at": hold.release_at.to_string(),
        })
    };
    let approvals: Vec<Value> = plan.approvals.iter().map(|approval| given(&approval.by)).collect();
    json!({
        "id": plan.id.to_string(),
        "act": plan.act.word(),
        "account": plan.account.map(|account| account.to_string()),
        "state": plan.state(now).word(),
        "series": plan.series,
        "reason": plan.made.reason,
        "target": plan.target,
        "params": params(&plan.act),
        "made_at": plan.made.at.to_string(),
        "made_by": by(&plan.made),
        "expires_at": plan.expires_at.to_string(),
        "hash": plan.hash,
        "counts": counts(plan),
        "refused": refusals(&plan.refused),
        "holds": plan.holds.iter().map(hold).collect::<Vec<_>>(),
        "brake": brake(),
        "approvals": { "needed": i32::from(plan.two_persons), "given": approvals },
        "warnings": plan.warnings.iter().map(|one| json!({ "code": one.code, "detail": one.detail })).collect::<Vec<_>>(),
        "order": plan.done.as_ref().and_then(|done| done.order).map(order),
    })
}

/// Returns how many numbers a plan is about.
#[must_use]
pub fn counts(plan: &KeptPlan) -> Value {
    json!(plan.counts)
}

/// Returns what the brake on disconnects says of a plan. There is none so far.
fn brake() -> Value {
    json!({ "on": false, "held": false, "used": 0, "allowance": null })
}

fn order((id, status): (OrderId, Status)) -> Value {
    json!({ "id": id.to_string(), "status": status.word(), "waiting": null })
}

/// Returns what was done by a plan.
#[must_use]
pub fn applied(plan: &KeptPlan) -> Value {
    let at = plan.ended.as_ref().filter(|(state, _)| *state == PlanState::Applied).map(|(_, by)| by.at);
    json!({
        "plan": plan.id.to_string(),
        "state": PlanState::Applied.word(),
        "applied_at": at.map(|at| at.to_string()),
        "went": plan.done.as_ref().map_or(0, |done| done.went),
        "order": plan.done.as_ref().and_then(|done| done.order).map(order),
    })
}
