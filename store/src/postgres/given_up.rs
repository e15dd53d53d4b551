//! Statements that nobody waits for any more: each is cancelled in the database, so that its session ends.
//!
//! Closing a connection does not do that. The session runs on until its statement ends, and a database has only so many
//! sessions. A cancellation names a session, not a statement: it ends whatever runs there when it arrives. So the
//! connection is used for nothing else any more, and stays open until its last answer is there.
//!
//! A pooler is sent no cancellations. It gives the session to others, whose statement a late cancellation would hit, and
//! some versions of pgbouncer crash (1.18 does if who cancels is gone at once).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_postgres::{CancelToken, Error};
use tracing::debug;

use super::direct::is_direct;

/// Most sessions whose statements are cancelled at once. More are left to end by themselves.
const AT_ONCE: usize = 16;

/// How long the end of a session's statements is waited for. The database may hang, or be gone.
const END_MAX: Duration = Duration::from_secs(5);

/// How long a cancellation may take to show. The first may arrive before the statement, and ends one statement alone.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Cancels statements.
#[async_trait]
pub(super) trait Cancel: Send + Sync {
    /// Asks the database to end what a session does now. Whether it does that shows on the session's own connection.
    async fn cancel(&self, session: CancelToken) -> Result<(), Error>;
}

/// Ends the statements that were given up.
pub(super) struct GivenUp {
    cancels: Arc<dyn Cancel>,
    turns: Arc<Semaphore>,
    /// True once it is known that no pooler stands in between.
    is_direct: AtomicBool,
}

impl GivenUp {
    /// Makes what cancels statements this way.
    pub(super) fn new(cancels: Arc<dyn Cancel>) -> Self {
        Self { cancels, turns: Arc::new(Semaphore::new(AT_ONCE)), is_direct: AtomicBool::new(false) }
    }

    /// Finds out whether a connection leads to the database itself. Before that, nothing is cancelled.
    pub(super) async fn look(&self, connection: &ClientWrapper) {
        self.is_direct.store(is_direct(connection).await, Ordering::Relaxed);
    }

    /// Closes a connection, and ends what its session does, in the background.
    pub(super) fn end(&self, connection: ClientWrapper) {
        if !self.is_direct.load(Ordering::Relaxed) {
            return;
        }
        let (Ok(turn), Ok(runtime)) = (self.turns.clone().try_acquire_owned(), Handle::try_current()) else {
            return;
        };
        let cancels = self.cancels.clone();
        runtime.spawn(async move {
            if timeout(END_MAX, end(&*cancels, &connection)).await.is_err() {
                debug!("a statement that was given up cannot be cancelled, and ends by itself");
            }
            drop((connection, turn));
        });
    }
}

/// Cancels what a connection's session does until it does nothing.
async fn end(cancels: &dyn Cancel, connection: &ClientWrapper) {
    // Statements are answered in turn, so the answer to this one comes when nothing else is left.
    let mut idle = std::pin::pin!(connection.batch_execute(""));
    loop {
        tokio::select! {
            biased;
            _ = &mut idle => return,
            sent = cancels.cancel(connection.cancel_token()) => {
                if let Err(error) = sent {
                    debug!(%error, "a cancellation cannot be sent: {error}");
                }
            }
        }
        if timeout(AGAIN_AFTER, &mut idle).await.is_ok() {
            return;
        }
    }
}
