//! What is noted of a job while it is done.

use onhook_core::job::State;
use onhook_core::time::Timestamp;
use onhook_store::Result;
use onhook_store::contract::jobs::{JobId, Noted};
use onhook_store::contract::leases::LeaseToken;
use serde_json::Value;

use crate::app::App;

/// Notes how far a job is.
pub(super) async fn note(
    app: &App,
    token: LeaseToken,
    id: JobId,
    state: State,
    found: Value,
) -> Result<bool> {
    let at = now(app);
    app.store.note_job(token, id, Noted::new(state, found, at)).await
}

/// Returns the time that is noted of a job.
pub(super) fn now(app: &App) -> Timestamp {
    app.clock.now()
}
