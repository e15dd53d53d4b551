//! What is noted of a job while it is done.

use std::time::Duration;

use onhook_core::job::State;
use onhook_core::time::Timestamp;
use onhook_store::contract::jobs::{JobId, Noted};
use onhook_store::contract::leases::LeaseToken;
use onhook_store::{Result, StoreError};
use serde_json::Value;

use crate::app::App;

/// How often it is noted how far a job is.
const NOTE_EVERY: Duration = Duration::from_secs(2);

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

/// Waits for what a job does, and notes meanwhile how far it is.
///
/// # Errors
/// `LeaseLost` if another node does the job now: then it is broken off here.
pub(super) async fn noting<T>(
    app: &App,
    token: LeaseToken,
    id: JobId,
    progress: impl Fn() -> Value,
    work: impl Future<Output = T>,
) -> Result<T> {
    note(app, token, id, State::Running, progress()).await?;
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(NOTE_EVERY) => {
                note(app, token, id, State::Running, progress()).await?;
            }
        }
    }
}

/// Returns whether a job that failed so may be tried again.
pub(super) fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::LeaseLost | StoreError::Closed | StoreError::Full | StoreError::Unwritable(_))
}

/// Returns the time that is noted of a job.
pub(super) fn now(app: &App) -> Timestamp {
    app.clock.now()
}
