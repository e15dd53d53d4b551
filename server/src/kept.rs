//! Keeps what runs in the background running: whatever panics begins again.
//!
//! A process whose worker is gone looks well and does nothing. What a worker wrote in part is undone with its
//! transaction, and what it held under a lease is free, so it can begin again like one of a process that was killed.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// The pause before something begins again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs something of this name until it ends by itself, and again after a panic, unless it is to `stop`.
pub(crate) async fn kept<F: Future<Output = ()>>(name: &str, stop: CancellationToken, run: impl Fn() -> F) {
    while AssertUnwindSafe(async { run().await }).catch_unwind().await.is_err() {
        metrics::counter!("onhook_workers_restarted_total", "worker" => name.to_owned()).increment(1);
        error!(worker = name, "{name}: broken off by a fault of onhook, and begun again. Please report it");
        if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// The clock stands still, and goes to the next deadline whenever nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn what_panics_begins_again_until_it_ends_or_is_to_stop() {
        let begun = AtomicU32::new(0);
        let panics_twice = || async { assert!(begun.fetch_add(1, Ordering::Relaxed) >= 2, "a test") };
        kept("a test", CancellationToken::new(), panics_twice).await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
        let stop = CancellationToken::new();
        stop.cancel();
        kept("a test", stop, || async { panic!("a test") }).await;
    }
}
