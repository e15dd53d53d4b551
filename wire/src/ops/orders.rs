//! Orders of every kind, with what became of each number.

use std::collections::HashMap;

use onhook_core::ids::OrderId;
use onhook_core::number::Number;
use onhook_core::order::{Failure, Order, Request, Waiting};
use serde_json::{Value, json};

use crate::error::refusal;

/// Returns an order without its numbers. `undone_by` are the orders by which it was undone, `address` says whether the
/// address of its user may be shown.
#[must_use]
pub fn order(order: &Order, undone_by: &[OrderId], address: bool) -> Value {
    let (mode, protected, reason) = match &order.request {
        Request::Disconnect(disconnect) => (
            Some(disconnect.mode.word()),
            disconnect.protected.map(|protected| protected.word()),
            disconnect.reason.as_deref(),
        ),
        Request::Activate(_) | Request::Move(_) => (None, None, None),
    };
    let undo_of = match &order.request {
        Request::Activate(activate) => activate.back.as_ref().and_then(|back| back.undo_of),
        Request::Disconnect(_) | Request::Move(_) => None,
    };
    let numbers = order.request.quantity();
    json!({
        "id": order.id.to_string(),
        "kind": order.request.kind().word(),
        "account": order.account.to_string(),
        "status": order.status.word(),
        "waiting": Waiting::of(order.status).map(Waiting::word),
        "runs_at": null,
        "name": order.name,
        "customer_order_id": order.customer_order_id,
        "mode": mode,
        "protected": protected,
        "created_at": order.created_at.to_string(),
        "changed_at": order.changed_at.to_string(),
        "by": {
            "user": order.user,
            "credential": order.under.credential.map(|credential| credential.word()),
            "address": order.under.address.as_ref().filter(|_| address),
        },
        "reason": reason.or(order.under.reason.as_deref()),
        "plan": order.under.plan.map(|plan| plan.to_string()),
        "undo_of": undo_of.map(|id| id.to_string()),
        "undone_by": undone_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "counts": { "numbers": numbers, "went": order.done().count(), "failed": failed(order, numbers) },
    })
}

/// Returns how many numbers of an order failed: those that were named and those that a search did not find.
fn failed(order: &Order, numbers: usize) -> usize {
    if order.status.is_final() { numbers.saturating_sub(order.done().count()) } else { order.failed.len() }
}

/// Returns what became of each number of an order, in the order of their digits, each with its number.
#[must_use]
pub fn outcomes(order: &Order) -> Vec<(Number, Value)> {
    let failures: HashMap<Number, &Failure> = order.failed.iter().map(|one| (one.number, one)).collect();
    let went: std::collections::HashSet<Number> = order.done().collect();
    let mut numbers: Vec<Number> = order.request.numbers().iter().chain(&order.taken).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .into_iter()
        .map(|number| {
            let mut shown = json!({ "number": number.to_string() });
            match failures.get(&number) {
                Some(failure) => {
                    let (code, detail) = refusal(failure.why);
                    shown["outcome"] = json!("failed");
                    shown["code"] = json!(code.to_string());
                    shown["detail"] = json!(detail);
                }
                None if went.contains(&number) => shown["outcome"] = json!("went"),
                None => shown["outcome"] = json!("waits"),
            }
            (number, shown)
        })
        .collect()
}
