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

#[cfg(test)]
mod tests {
    use onhook_core::audit::deed::{Deed, DeedKind};
    use onhook_core::lifecycle::provenance::Doer;
    use onhook_store::contract::audit::Audit;
    use onhook_store::contract::leases::Leases;
    use onhook_store::contract::upkeep::Upkeep;
    use onhook_store::sqlite::SqliteStore;

    use super::*;
    use crate::settings::Settings;

    /// The clock stands still, and goes to the next deadline whenever nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn the_one_who_seals_tells_the_last_seal_at_once_and_each_hour() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let app = App::new(store.clone(), Settings::default(), "http://127.0.0.1".into()).await.unwrap();
        let deed = Deed::by(&Doer::offline(app.clock.now()), DeedKind::ClockTrusted);
        let held = store.take_lease(SEALER, Duration::from_hours(3)).await.unwrap();
        let (mut told_at, mut found) = (None, Vec::new());
        step(&app, held, &mut told_at).await.unwrap();
        assert_eq!(told_at, None, "there is no seal yet");
        store.write_deeds(vec![deed]).await.unwrap();
        for (minutes, lease) in [(0, None), (0, held), (59, held), (1, held), (60, None), (0, held)] {
            tokio::time::advance(Duration::from_mins(minutes)).await;
            let before = told_at;
            step(&app, lease, &mut told_at).await.unwrap();
            found.push(told_at != before);
        }
        assert_eq!(found, [false, true, false, true, false, true]);
        assert_eq!(*app.sealed.borrow(), 1);
        store.close().await;
    }
}
