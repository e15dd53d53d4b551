//! Runs accepted orders: a bell wakes the worker, and in case a ring is lost it looks every second.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::order::Status;
use onhook_store::Result;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::store_log;

/// Most orders in one step.
const ORDERS_MAX: usize = 256;
/// Most numbers in one step, unless a single order has more.
const NUMBERS_MAX: usize = 5_000;
/// Most orders, and most of their numbers, in one step of an emulator.
const STAGED_MAX: usize = 100_000;
/// How long the worker of an emulator sleeps when nobody rings.
const POLL_STAGED: Duration = Duration::from_millis(50);
/// Shortest time between the beginnings of two steps. Under load a step finds many orders, whose numbers share pages
/// and a commit. A single order runs at once.
const PACE: Duration = Duration::from_millis(25);
/// How long the worker sleeps when nobody rings.
const POLL: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        match step(&app).await {
            Ok(Next::More) => continue,
            Ok(Next::Busy) => {
                stop.run_until_cancelled(tokio::time::sleep(PACE)).await;
                continue;
            }
            Ok(Next::Nothing) => {}
            Err(error) => {
                store_log::failed("orders could not be run", &error);
            }
        }
        let staged = app.emulator.as_ref().and_then(|emulator| emulator.scripts.next(app.clock.now()));
        let poll = if staged.is_some() { POLL_STAGED } else { POLL };
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.orders_bell.notified() => {} // keeps one ring that came while we worked
            () = tokio::time::sleep(poll) => {}   // a lost ring costs a second, not an order
        }
        stop.run_until_cancelled(tokio::time::sleep_until(begun + PACE)).await;
    }
}

/// What a step leaves to do.
pub(super) enum Next {
    /// More orders wait.
    More,
    /// Orders wait of accounts that another node is at. It may not see those that arrived meanwhile.
    Busy,
    /// Nothing.
    Nothing,
}

/// Runs waiting orders, up to a bound.
pub(super) async fn step(app: &App) -> Result<Next> {
    let (turn, orders_max, numbers_max) = match &app.emulator {
        // Orders that wait stand in the way of others, so more are looked at.
        Some(emulator) => (Some(emulator.scripts.running().await), STAGED_MAX, STAGED_MAX),
        None => (None, ORDERS_MAX, NUMBERS_MAX),
    };
    let Some(now) = app.believed_now() else { return Ok(Next::Nothing) };
    let step = app.store.run_orders(now, orders_max, numbers_max, app.settings.policy.clone()).await?;
    drop(turn);
    if let Some(emulator) = &app.emulator {
        emulator.ran.orders.add(step.ended.len());
    }
    if step.told > 0 {
        app.deliveries_bell.notify_one();
    }
    for status in Status::ALL {
        let count = step.ended.iter().filter(|ended| ended.status == *status).count();
        if count > 0 {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            metrics::counter!("onhook_orders_ended_total", "status" => status.word()).increment(count);
        }
    }
    for ended in &step.ended {
        let status = ended.status.word();
        if ended.status == Status::Complete {
            tracing::debug!(order.id = %ended.id, "order {} ended: COMPLETE", ended.id);
        } else {
            info!(
                order.id = %ended.id, order.status = status, order.failed = ended.failed, order.total = ended.total,
                "order {} ended: {} of {} numbers failed", ended.id, ended.failed, ended.total
            );
        }
    }
    Ok(if step.more {
        Next::More
    } else if step.busy {
        Next::Busy
    } else {
        Next::Nothing
    })
}
