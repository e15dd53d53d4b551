//! How many notifications wait to be delivered. They are counted now and then: counting a million takes a while, and a
//! monitor asks for a server's metrics every few seconds.
//!
//! Each node counts what is in the store that all of them share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onhook_store::{Result, Store};
use tokio::time::Instant;

use crate::store_log;

/// How often they are counted at most. A count that takes long is made less often, for a twentieth of the time.
const EVERY: Duration = Duration::from_secs(10);

/// The last count.
#[derive(Clone, Default)]
pub(crate) struct DeliveriesWaiting(Arc<Mutex<Counted>>);

#[derive(Clone, Copy, Default)]
struct Counted {
    waiting: u64,
    /// When they were counted.
    at: Option<Instant>,
    /// When they are counted again.
    next: Option<Instant>,
}

impl DeliveriesWaiting {
    /// Returns how many notifications wait, and how long ago they were counted. The first caller waits until they are
    /// counted. Later ones get the last count, and begin the next one if it is due.
    ///
    /// # Errors
    /// If the first count fails.
    pub(crate) async fn shown(&self, store: &Arc<dyn Store>) -> Result<(u64, Duration)> {
        let now = Instant::now();
        let (last, is_due) = {
            let mut counted = self.counted();
            let is_due = counted.next.is_none_or(|next| now >= next);
            if is_due {
                counted.next = Some(now + EVERY);
            }
            (*counted, is_due)
        };
        match last.at {
            Some(at) if is_due => {
                let (this, store) = (self.clone(), store.clone());
                tokio::spawn(async move {
                    if let Err(error) = this.count(&*store).await {
                        store_log::failed("the notifications that wait could not be counted", &error);
                    }
                });
                Ok((last.waiting, now - at))
            }
            Some(at) => Ok((last.waiting, now - at)),
            None => Ok((self.count(&**store).await?, Duration::ZERO)),
        }
    }

    async fn count(&self, store: &dyn Store) -> Result<u64> {
        let begun = Instant::now();
        let waiting = store.deliveries_waiting().await?;
        let now = Instant::now();
        let next = now + EVERY.max(20 * (now - begun));
        *self.counted() = Counted { waiting, at: Some(now), next: Some(next) };
        Ok(waiting)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use onhook_store::sqlite::SqliteStore;

    use super::*;

    /// The clock stands still, and goes to the next deadline whenever nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn a_count_is_shown_with_its_age_and_made_again_when_it_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let waiting = DeliveriesWaiting::default();
        let shown = async || waiting.shown(&store).await.unwrap();
        assert_eq!(shown().await, (0, Duration::ZERO));
        waiting.counted().waiting = 7; // what the store does not say
        let almost = EVERY - Duration::from_millis(1);
        tokio::time::advance(almost).await;
        assert_eq!(shown().await, (7, almost), "it is not due");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(shown().await, (7, EVERY), "nobody waits for the next count");
        while waiting.counted().waiting == 7 {
            tokio::task::yield_now().await;
        }
        assert_eq!(shown().await.0, 0);
        store.close().await;
    }
}
