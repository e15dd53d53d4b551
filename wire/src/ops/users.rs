//! Users, with what they may do.

use onhook_core::account::Role;
use onhook_core::account::user::{Right, Rights};
use onhook_core::ids::AccountId;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

/// Returns a user.
#[must_use]
pub fn user(
    name: &str,
    account: Option<AccountId>,
    role: Role,
    rights: Rights,
    created_at: Timestamp,
) -> Value {
    let rights: Vec<&str> = rights.iter().map(Right::word).collect();
    json!({
        "name": name,
        "account": account.map(|account| account.to_string()),
        "role": role.word(),
        "rights": rights,
        "created_at": created_at.to_string(),
    })
}
