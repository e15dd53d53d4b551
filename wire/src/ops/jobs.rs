//! Jobs: checks, backups, imports and reports, and how far they are.

use onhook_core::job::State;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

/// What all jobs show, whatever they do. `id` is the job's.
#[must_use]
pub fn job(
    id: i64,
    state: State,
    (made_at, ended_at): (Timestamp, Option<Timestamp>),
    Author { user, under }: &Author,
) -> Value {
    json!({
        "id": id.to_string(),
        "state": state.word(),
        "made_at": made_at.to_string(),
        "ended_at": ended_at.map(|at| at.to_string()),
        "by": {
            "user": user,
            "credential": under.credential.map(|credential| credential.word()),
            "address": under.address,
        },
        "reason": under.reason,
    })
}
