//! Gives positions to events, and seals them: the holder of one lease does it for all nodes. The others look how far it
//! is, for those who follow the events here.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::audit::chain::SEALED_MAX;
use onhook_store::audit::seal_next;
use onhook_store::contract::audit::SEALER;
use onhook_store::contract::leases::LeaseToken;
use onhook_store::{Result, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::lease::Lease;
use crate::store_log;

/// How long the worker sleeps between steps: an event gets its position within a second.
const POLL: Duration = Duration::from_millis(300);

/// How often the last seal is told in the log: an anchor out of reach for a change of the store.
const TOLD_EVERY: Duration = Duration::from_hours(1);

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut lease = Lease::keep(app.clone(), SEALER.to_owned(), |_| true);
    let mut told_at: Option<Instant> = None;
    while !stop.is_cancelled() {
        match step(&app, lease.token(), &mut told_at).await {
            Ok(true) => continue,
            Ok(false) | Err(StoreError::LeaseLost | StoreError::Conflict(_)) => {} // another node has sealed
            Err(error) => {
                store_log::failed("events could not be sealed", &error);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = lease.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    lease.end().await;
}

/// Seals some events under a lease, and announces the last position. Returns whether there are more.
async fn step(app: &App, lease: Option<LeaseToken>, told_at: &mut Option<Instant>) -> Result<bool> {
    let sealed = match lease {
        Some(lease) => seal_next(&*app.store, lease, app.clock.now()).await?,
        None => 0,
    };
    let Some(head) = app.store.head().await? else { return Ok(false) };
    app.sealed.send_if_modified(|last| std::mem::replace(last, head.last) != head.last);
    if lease.is_some() && told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
        *told_at = Some(Instant::now());
        let (position, hash) = (head.last, head.hash);
        info!(
            audit.position = position,
            audit.hash = %hash,
            "audit.head: the events up to position {position} are under the seal {hash}"
        );
    }
    Ok(sealed == SEALED_MAX)
}
