//! The lease that a worker holds while it runs: renewed long before it runs out, and taken again when it was lost.

use std::sync::Arc;
use std::time::Duration;

use onhook_store::Result;
use onhook_store::contract::leases::LeaseToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use crate::app::App;
use crate::kept::kept;
use crate::store_log;

/// The longest wait while another node has the lease, or after the store failed.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The lease of the node that takes a file.
pub(crate) const RECEIVING: &str = "the file of an import";

/// A lease that is held, and until when it lasts unless it is renewed.
#[derive(Clone, Copy)]
struct Held {
    token: LeaseToken,
    until: Instant,
}

/// A lease that a task of its own keeps.
pub(crate) struct Lease {
    held: watch::Receiver<Option<Held>>,
    keeper: JoinHandle<()>,
    /// Ends the keeper when it is dropped: the lease of a worker that broke off is another node's soon.
    stop: DropGuard,
}

impl Lease {
    /// Begins to take the lease of this name. While `is_fit` says that this node cannot do what the lease is for, it is left
    /// to others.
    pub(crate) fn keep(app: Arc<App>, name: String, is_fit: fn(&App) -> bool) -> Self {
        let (sender, held) = watch::channel(None);
        let stop = CancellationToken::new();
        let (of, ends) = (format!("the lease {name}"), stop.clone());
        let keeper = tokio::spawn(async move {
            let run = || keep(app.clone(), (name.clone(), is_fit), sender.clone(), ends.clone());
            kept(&of, ends.clone(), run).await;
        });
        Self { held, keeper, stop: stop.drop_guard() }
    }

    /// Returns the token while the lease is held. `None` if another node has it, or it was lost, or it has run out while
    /// the store does not answer.
    pub(crate) fn token(&mut self) -> Option<LeaseToken> {
        let held = *self.held.borrow_and_update();
        held.filter(|held| Instant::now() < held.until).map(|held| held.token)
    }

    /// Waits until the lease is taken or lost, since its token was last asked for.
    pub(crate) async fn changed(&mut self) {
        if self.held.changed().await.is_err() {
            std::future::pending().await // the keeper is gone, and with it any change
        }
    }

    /// Ends the lease, so that another node can take it at once.
    pub(crate) async fn end(self) {
        drop(self.stop);
        if let Err(error) = self.keeper.await {
            warn!(%error, "a lease could not be ended, and runs out by itself: {error}");
        }
    }
}

/// Keeps a lease until `stop`, then ends it.
async fn keep(
    app: Arc<App>,
    (name, is_fit): (String, fn(&App) -> bool),
    sender: watch::Sender<Option<Held>>,
    stop: CancellationToken,
) {
    let lasts = app.settings.lease;
    let mut anew = app.emulator.as_ref().map(|emulator| emulator.age.subscribe());
    let mut held: Option<LeaseToken> = None;
    sender.send_if_modified(|shown| shown.take().is_some()); // one that was held before a panic is not renewed any more
    let mut until = Instant::now();
    let mut is_over = false;
    loop {
        let asked = Instant::now();
        let fit = is_fit(&app);
        if !fit && let Some(token) = held.take() {
            sender.send_replace(None);
            end(&app, &name, token).await;
        }
        let done = match held {
            Some(token) => {
                app.store.renew_lease(&name, token, lasts).await.map(|renewed| renewed.then_some(token))
            }
            None if fit => app.store.take_lease(&name, lasts).await,
            None => Ok(None),
        };
        if matches!(done, Ok(Some(_))) {
            until = asked + lasts;
        }
        if std::mem::take(&mut is_over) && held.is_some() && matches!(done, Ok(None)) {
            held = None; // nobody has taken it from this node, so the log does not say that it was lost
            continue;
        }
        let pause;
        (held, pause) = after(&name, done, held, Instant::now() < until, lasts);
        sender.send_if_modified(|shown| {
            let before = std::mem::replace(shown, held.map(|token| Held { token, until }));
            before.map(|held| held.token) != held
        });
        tokio::select! {
            () = stop.cancelled() => break,
            () = put_back(&mut anew) => is_over = true,
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Some(token) = held {
        end(&app, &name, token).await;
    }
}

/// Waits until everything in an emulator's store was put back. That ends all leases.
async fn put_back(anew: &mut Option<watch::Receiver<u64>>) {
    let changed = match anew {
        Some(anew) => anew.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending().await
    }
}

async fn end(app: &App, name: &str, token: LeaseToken) {
    if let Err(error) = app.store.end_lease(name, token).await {
        store_log::failed("a lease could not be ended, and runs out by itself", &error);
    }
}

/// Returns whether a lease is held after the store was asked to take or renew it, and how long to wait until it is asked
/// again. `held` was held before, and `lasts` tells whether it still lasts if the store does not know. A lease lasts for
/// `duration`, and is renewed at a third of it.
fn after(
    name: &str,
    done: Result<Option<LeaseToken>>,
    held: Option<LeaseToken>,
    lasts: bool,
    duration: Duration,
) -> (Option<LeaseToken>, Duration) {
    let third = duration / 3;
    match done {
        Ok(Some(token)) => (Some(token), third),
        Ok(None) if held.is_some() => {
            warn!(lease = name, "the lease {name} was lost: what was under way is left to its next holder");
            (None, Duration::ZERO)
        }
        Ok(None) => (None, third.min(PAUSE_MAX)),
        Err(error) => {
            store_log::failed("a lease could not be taken or renewed", &error);
            (held.filter(|_| lasts), third.min(PAUSE_MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use onhook_store::StoreError;
    use onhook_store::contract::leases::Leases;
    use onhook_store::contract::transfer::Transfer;
    use onhook_store::contract::upkeep::{Upkeep, Weakness};
    use onhook_store::sqlite::SqliteStore;

    use super::*;
    use crate::settings::Settings;

    const LASTS: Duration = Duration::from_secs(9);

    #[test]
    fn a_lost_lease_is_taken_again_at_once_and_a_busy_store_loses_none() {
        let (held, none) = (Some(LeaseToken(1)), None);
        let after = |done, held, lasts| after("a", done, held, lasts, LASTS);
        assert_eq!(after(Ok(held), none, true), (held, LASTS / 3));
        assert_eq!(after(Ok(None), held, true), (None, Duration::ZERO), "lost");
        assert_eq!(after(Ok(None), none, true), (None, PAUSE_MAX), "another node's");
        assert_eq!(after(Err(StoreError::Full), held, true), (held, PAUSE_MAX), "it still lasts");
        assert_eq!(after(Err(StoreError::Full), held, false), (None, PAUSE_MAX), "it has run out");
    }

    /// The keeper may wait for the store's answer for as long as the store hangs.
    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_renews_is_over_in_its_time() {
        let (_sender, held) =
            watch::channel(Some(Held { token: LeaseToken(1), until: Instant::now() + LASTS }));
        let keeper = tokio::spawn(std::future::pending());
        let mut lease = Lease { held, keeper, stop: CancellationToken::new().drop_guard() };
        tokio::time::advance(LASTS - Duration::from_millis(1)).await;
        assert_eq!(lease.token(), Some(LeaseToken(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(lease.token(), None);
    }

    /// The clock stands still, and goes to the next deadline whenever nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_as_often_as_it_is_lost_and_ended_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let app = App::new(store.clone(), Settings::default(), "http://127.0.0.1".into()).await.unwrap();
        let other = store.take_lease("a", LASTS).await.unwrap().expect("it is free");
        let mut lease = Lease::keep(Arc::new(app), "a".to_owned(), |_| true);
        store.end_lease("a", other).await.unwrap();
        lease.changed().await;
        let first = lease.token().expect("it is free again");
        assert!(first > other);
        store.end_lease("a", first).await.unwrap(); // as if it had run out
        let second = loop {
            lease.changed().await;
            if let Some(token) = lease.token() {
                break token;
            }
        };
        assert!(second > first);
        lease.end().await;
        assert!(store.take_lease("a", LASTS).await.unwrap().is_some(), "it was ended");
        store.close().await;
    }

    #[tokio::test]
    async fn a_lease_that_ended_because_everything_was_put_back_is_taken_again_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let lasts = Duration::from_hours(3); // it is renewed in an hour
        let settings = Settings { emulator: true, lease: lasts, ..Settings::default() };
        let app = Arc::new(App::new(store.clone(), settings, "http://127.0.0.1".into()).await.unwrap());
        let mut lease = Lease::keep(app.clone(), "a".to_owned(), |_| true);
        lease.changed().await;
        let first = lease.token().expect("it is free");
        let image = Arc::new(store.image().await.unwrap());
        store.put_back(image, None).await.unwrap();
        app.emulator.as_ref().unwrap().begin_anew();
        tokio::time::timeout(Duration::from_mins(1), lease.changed()).await.expect("taken again");
        assert!(lease.token().is_some_and(|token| token > first));
        lease.end().await;
        store.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_left_to_others_while_its_holder_cannot_do_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let app =
            Arc::new(App::new(store.clone(), Settings::default(), "http://127.0.0.1".into()).await.unwrap());
        let mut lease = Lease::keep(app.clone(), "a".to_owned(), |app| app.sure_now().is_some());
        lease.changed().await;
        assert!(lease.token().is_some());
        app.compare_clocks(&[Weakness::ClockOff { ms: 6_000 }]);
        lease.changed().await;
        assert_eq!(lease.token(), None);
        let other = store.take_lease("a", LASTS).await.unwrap().expect("it was given back");
        store.end_lease("a", other).await.unwrap();
        app.compare_clocks(&[]);
        lease.changed().await;
        assert!(lease.token().is_some_and(|token| token > other));
        lease.end().await;
        store.close().await;
    }
}
