//! Releases what has aged, and lets reservations expire, unless the clock cannot be believed.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::release::{Clock as ClockState, ClockGuard};
use onhook_core::time::Timestamp;
use onhook_store::Result;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::App;

/// Most numbers of one step.
const NUMBERS_MAX: usize = 2_000;
/// How long it sleeps.
const POLL: Duration = Duration::from_secs(1);
/// How often the store is told that it is in use, in milliseconds.
const SIGN_OF_LIFE_MS: i64 = 60_000;

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut guard = ClockGuard::new(app.clock.wall(), app.clock.steady_ms());
    let mut told_at = None;
    if let ClockState::Jumped { by_ms } = app.clock_state() {
        error!(
            clock.by_ms = by_ms,
            "the clock is {} hours from the store's last use: nothing is released until the server is \
             restarted with --trust-clock",
            by_ms / 3_600_000
        );
    }
    // The emulator's clock is there to be moved, and its machine may sleep.
    let guarded = app.clock_state() == ClockState::Steady && !app.settings.emulator;
    while !stop.is_cancelled() {
        let state = guard.look(app.clock.wall(), app.clock.steady_ms());
        if guarded {
            note(&app, state);
        }
        let mut more = false;
        if app.clock_state() == ClockState::Steady {
            match step(&app, &mut told_at).await {
                Ok(again) => more = again,
                Err(error) => warn!(%error, "release failed, next try in {POLL:?}: {error}"),
            }
        }
        if more {
            continue;
        }
        app.tidy();
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.clock_bell.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

fn note(app: &App, state: ClockState) {
    let before = app.clock_state();
    app.set_clock_state(state);
    match (before, state) {
        (ClockState::Steady, ClockState::Jumped { by_ms }) => {
            error!(
                clock.by_ms = by_ms,
                "the clock jumped by {by_ms} ms: nothing is released until it is back"
            );
        }
        (ClockState::Jumped { .. }, ClockState::Steady) => info!("the clock is back, release goes on"),
        _ => {}
    }
}

/// Releases up to a bound; whether there is more.
async fn step(app: &App, told_at: &mut Option<Timestamp>) -> Result<bool> {
    let now = app.clock.now();
    if told_at.is_none_or(|at| now.since(at).abs() >= SIGN_OF_LIFE_MS) {
        app.store.remember_clock(app.clock.wall(), app.clock.moved_ms()).await?;
        *told_at = Some(now);
    }
    let step = app.store.release(now, NUMBERS_MAX).await?;
    if step.numbers > 0 {
        metrics::counter!("onhook_numbers_released_total")
            .increment(u64::try_from(step.numbers).unwrap_or(u64::MAX));
        info!(numbers = step.numbers, "{} numbers were moved on by time", step.numbers);
    }
    Ok(step.more)
}
