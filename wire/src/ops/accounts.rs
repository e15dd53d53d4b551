//! Accounts, with how many numbers they have.

use onhook_core::account::Account;
use onhook_core::account::change::{Holdings, StaysOpen};
use serde_json::{Value, json};

/// Returns an account.
#[must_use]
pub fn account(account: &Account, holdings: &Holdings) -> Value {
    json!({
        "id": account.id.to_string(),
        "name": account.name,
        "kind": account.kind.word(),
        "class": account.class.word(),
        "state": account.state.word(),
        "cancel_window_seconds": account.cancel_window_seconds,
        "reports_rnd": account.reports_rnd,
        "legal_name": account.legal_name,
        "created_at": account.created_at.to_string(),
        "numbers": numbers(holdings),
    })
}

fn numbers(Holdings { in_service, aging, reserved, protected }: &Holdings) -> Value {
    json!({ "InService": in_service, "Aging": aging, "Reserved": reserved, "Protected": protected })
}

/// Returns why an account stays open: a sentence, and its numbers and orders.
#[must_use]
pub fn stays_open(StaysOpen { holdings, orders }: &StaysOpen) -> (String, Value) {
    let Holdings { in_service, reserved, protected, .. } = holdings;
    let detail = format!(
        "it has {in_service} numbers in service, {reserved} reserved, {protected} protected, and {orders} orders that \
         have not ended"
    );
    let mut counts = numbers(holdings);
    counts["waiting_orders"] = json!(orders);
    (detail, counts)
}
