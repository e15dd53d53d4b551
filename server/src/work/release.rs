//! Releases what has aged, and lets reservations expire, unless the clock cannot be believed.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::time::Timestamp;
use onhook_store::Result;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::App;

/// Most numbers of one step.
const NUMBERS_MAX: usize = 2_000;
/// How long it sleeps.
const POLL: Duration = Duration::from_secs(1);
/// How often the store is told that it is in use, in milliseconds.
const SIGN_OF_LIFE_MS: i64 = 60_000;

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut told_at = None;
    while !stop.is_cancelled() {
        match step(&app, &mut told_at).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => warn!(%error, "release failed, next try in {POLL:?}: {error}"),
        }
        app.tidy();
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.clock_bell.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Releases up to a bound; whether there is more.
async fn step(app: &App, told_at: &mut Option<Timestamp>) -> Result<bool> {
    let now = app.clock.now();
    // After the reading that is used, so that one that jumped is not.
    if !app.clock_is_steady() {
        return Ok(false);
    }
    if told_at.is_none_or(|at| now.since(at).abs() >= SIGN_OF_LIFE_MS) {
        app.store.remember_clock(app.clock.wall(), app.clock.moved_ms()).await?;
        *told_at = Some(now);
    }
    let step = app.store.release(now, NUMBERS_MAX).await?;
    if step.numbers > 0 {
        metrics::counter!("onhook_numbers_released_total")
            .increment(u64::try_from(step.numbers).unwrap_or(u64::MAX));
        app.orders_bell.notify_one(); // an order may wait for one of them
        info!(numbers = step.numbers, "{} numbers were moved on by time", step.numbers);
    }
    Ok(step.more)
}
