//! The lease that a worker holds while it runs: renewed long before it runs out, and taken again when it was lost.

use std::sync::Arc;
use std::time::Duration;

use onhook_store::contract::leases::LeaseToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use crate::app::App;
use crate::store_log;

/// How long a lease lasts: so long does the work of a node that died wait for another one.
const LASTS: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_millis(3_333);
/// How long to wait while another node has it, or after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A lease that a task of its own keeps.
pub(super) struct Lease {
    token: watch::Receiver<Option<LeaseToken>>,
    keeper: JoinHandle<()>,
    /// Ends the keeper when it is dropped: the lease of a worker that broke off is another node's soon.
    stop: DropGuard,
}

impl Lease {
    /// Begins to take the lease of this name.
    pub(super) fn keep(app: Arc<App>, name: String) -> Self {
        let (sender, token) = watch::channel(None);
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keep(app, name, sender, stop.clone()));
        Self { token, keeper, stop: stop.drop_guard() }
    }

    /// Returns the token while the lease is held. `None` if another node has it, or it was lost.
    pub(super) fn token(&mut self) -> Option<LeaseToken> {
        *self.token.borrow_and_update()
    }

    /// Waits until the lease is taken or lost, since its token was last asked for.
    pub(super) async fn changed(&mut self) {
        if self.token.changed().await.is_err() {
            std::future::pending().await // the keeper is gone, and with it any change
        }
    }

    /// Ends the lease, so that another node can take it at once.
    pub(super) async fn end(self) {
        drop(self.stop);
        if let Err(error) = self.keeper.await {
            warn!(%error, "a lease could not be ended, and runs out by itself: {error}");
        }
    }
}

/// Keeps a lease until `stop`, then ends it.
async fn keep(
    app: Arc<App>,
    name: String,
    sender: watch::Sender<Option<LeaseToken>>,
    stop: CancellationToken,
) {
    let mut held: Option<LeaseToken> = None;
    let mut until = Instant::now();
    loop {
        let asked = Instant::now();
        let done = match held {
            Some(token) => {
                app.store.renew_lease(&name, token, LASTS).await.map(|lasts| lasts.then_some(token))
            }
            None => app.store.take_lease(&name, LASTS).await,
        };
        let (now_held, pause) = match done {
            Ok(Some(token)) => {
                until = asked + LASTS;
                (Some(token), RENEW_EVERY)
            }
            Ok(None) if held.is_some() => {
                warn!(
                    lease = name,
                    "the lease {name} was lost: what was under way is left to its next holder"
                );
                (None, Duration::ZERO)
            }
            Ok(None) => (None, PAUSE),
            Err(error) => {
                store_log::failed("a lease could not be taken or renewed", &error);
                (held.filter(|_| Instant::now() < until), PAUSE)
            }
        };
        held = now_held;
        sender.send_if_modified(|shown| std::mem::replace(shown, held) != held);
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
    }
    if let Some(token) = held
        && let Err(error) = app.store.end_lease(&name, token).await
    {
        store_log::failed("a lease could not be ended, and runs out by itself", &error);
    }
}
