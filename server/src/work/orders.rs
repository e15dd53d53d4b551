//! Runs accepted orders: a bell wakes the worker, and in case a ring is lost it looks every second.
//!
//! Where the store allows it, several steps run side by side, each with orders of other accounts.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::order::Status;
use onhook_store::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::store_log;

/// Most numbers in one step, unless a single order has more.
const NUMBERS_MAX: usize = 5_000;
/// Most orders, and most of their numbers, in one step of an emulator.
const STAGED_MAX: usize = 100_000;
/// How long the worker of an emulator sleeps when nobody rings.
const POLL_STAGED: Duration = Duration::from_millis(50);
/// Shortest time between the beginnings of two steps. Under load a step finds many orders, whose numbers share pages
/// and a commit. A single order runs at once.
const PACE: Duration = Duration::from_millis(25);
/// Most nodes that this time is multiplied by. Several nodes begin no more steps together than one would alone, so that
/// their steps are as full and an order costs the database as little. With more nodes than this, an order would wait too
/// long.
const NODES_MAX: usize = 4;
/// How long the worker sleeps when nobody rings.
const POLL: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let hands = if app.emulator.is_some() { 1 } else { app.store.pace().at_once };
    let mut steps = JoinSet::new();
    // Whether to look for orders, whether the last step left some, and when the last one began.
    let (mut look, mut more, mut begun) = (true, false, None::<Instant>);
    while !stop.is_cancelled() {
        let staged = app.emulator.as_ref().and_then(|emulator| emulator.scripts.next(app.clock.now()));
        let poll = if staged.is_some() { POLL_STAGED } else { POLL };
        // Those that run have taken what waited. If they take long, another one is begun for what has come meanwhile.
        let apart = apart(steps.len(), app.store.pace().nodes);
        let from = begun.map_or_else(Instant::now, |begun| begun + apart);
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = steps.join_next() => {
                let next = ended.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Next::Nothing,
                });
                more = matches!(next, Next::More);
                look |= !matches!(next, Next::Nothing);
                if more {
                    begun = None; // at once
                }
            }
            () = app.orders_bell.notified(), if !look => look = true, // keeps one ring that came while we worked
            () = tokio::time::sleep_until(from), if look && steps.len() < hands => {
                let app = app.clone();
                steps.spawn(async move {
                    step(&app).await.unwrap_or_else(|error| {
                        store_log::failed("orders could not be run", &error);
                        Next::Nothing
                    })
                });
                begun = Some(Instant::now());
                look = more;
            }
            () = tokio::time::sleep(poll) => look = true, // a lost ring costs a second, not an order
        }
    }
    while steps.join_next().await.is_some() {}
}

/// Returns the time from the beginning of one step to that of the next, while `running` steps run here and the orders
/// are shared by `nodes` nodes.
fn apart(running: usize, nodes: usize) -> Duration {
    PACE * u32::try_from((1 + running) * nodes.clamp(1, NODES_MAX)).unwrap_or(u32::MAX)
}

/// What a step leaves to do.
#[derive(Debug)]
pub(super) enum Next {
    /// More orders wait.
    More,
    /// Orders wait of accounts that another step is at. It may not see those that arrived meanwhile.
    Busy,
    /// Nothing.
    Nothing,
}

/// Runs waiting orders, up to a bound.
pub(super) async fn step(app: &App) -> Result<Next> {
    let (turn, orders_max, numbers_max) = match &app.emulator {
        // Orders that wait stand in the way of others, so more are looked at.
        Some(emulator) => (Some(emulator.scripts.running().await), STAGED_MAX, STAGED_MAX),
        None => (None, app.store.pace().orders_max, NUMBERS_MAX),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_nodes_begin_as_many_steps_as_one() {
        assert_eq!(apart(0, 1), PACE);
        assert_eq!(apart(0, 2), PACE * 2);
        assert_eq!(apart(1, 2), PACE * 4, "one is under way here already");
        assert_eq!(apart(0, 100), PACE * 4, "an order does not wait for ever");
    }
}
