//! Keeps what runs in the background running: whatever panics begins again. A look at the database that is gone would
//! leave the last one standing for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tracing::error;

/// The pause before something begins again.
const PAUSE: Duration = Duration::from_secs(1);

/// How often each thing was begun again, by its name.
#[derive(Default)]
pub(super) struct Background(Mutex<BTreeMap<&'static str, u64>>);

impl Background {
    /// Runs something of this name until it ends by itself, and again after a panic. It also ends when it is aborted.
    pub(super) fn keep<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        run: impl Fn() -> F + Send + 'static,
    ) -> AbortHandle {
        let this = self.clone();
        let kept = async move {
            while panics(run()).await {
                *this.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
                error!(
                    worker = name,
                    "{name}: broken off by a fault of onhook, and begun again. Please report it"
                );
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::spawn(kept).abort_handle()
    }

    /// Returns how often each thing was begun again.
    pub(super) fn restarted(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(name, count)| (*name, *count)).collect()
    }
}

/// Runs something, and returns whether it has panicked. It ends with this.
async fn panics(run: impl Future<Output = ()> + Send + 'static) -> bool {
    let mut task = JoinSet::new();
    task.spawn(run);
    task.join_next().await.is_some_and(|ended| ended.is_err_and(|error| error.is_panic()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// The clock stands still, and goes to the next deadline whenever nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn what_panics_begins_again_and_is_counted_until_it_ends() {
        let (background, begun) = (Arc::new(Background::default()), Arc::new(AtomicU64::new(0)));
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let ended = Mutex::new(Some(ended));
        let begins = begun.clone();
        background.keep("a test", move || {
            let turn = begins.fetch_add(1, Ordering::Relaxed);
            let ended = if turn == 2 { ended.lock().unwrap().take() } else { None };
            async move {
                assert_eq!(turn, 2, "a test");
                drop(ended);
            }
        });
        assert!(end.await.is_err(), "it is dropped");
        assert_eq!((begun.load(Ordering::Relaxed), background.restarted()), (3, vec![("a test", 2)]));
    }

    #[tokio::test]
    async fn what_is_aborted_ends() {
        let (held, end) = tokio::sync::oneshot::channel::<()>();
        let held = Arc::new(held);
        let task = Arc::new(Background::default()).keep("a test", move || {
            let held = held.clone();
            async move {
                let _held = held;
                std::future::pending().await
            }
        });
        tokio::task::yield_now().await;
        task.abort();
        assert!(end.await.is_err());
    }
}
