//! Requests that are done once, however often they are sent: their keys, the replies that were given, and the trait.
//!
//! A client that does not know what came of a request sends it again under the same key. An act that gets a [`Once`]
//! writes the key and the reply in its own transaction, so that both are there or neither.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::time::{DAY_MS, Timestamp};

use crate::Result;

/// How long a reply is kept, in milliseconds.
pub const KEPT_MS: i64 = 30 * DAY_MS;

/// How long a reply is kept however many there are, in milliseconds.
pub const SURE_MS: i64 = DAY_MS;

/// Most replies that are kept. Beyond it the oldest are forgotten.
pub const REPLIES_MAX: u64 = 1_000_000;

/// The reply to a request that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status, from 200 to 299.
    pub status: u16,
    /// Where what was made is to be found.
    pub location: Option<String>,
    /// Its body, in JSON. Empty if it has none.
    pub body: String,
}

/// Makes the reply of a result. `None` of one that is refused, which is not kept.
pub type Render<T> = Arc<dyn Fn(&T) -> Option<Reply> + Send + Sync>;

/// A request that is done once, with a result of this type.
pub struct Once<T> {
    /// Whose key it is, by name.
    pub user: String,
    /// The key, 1 to `onhook_core::order::KEY_MAX` characters.
    pub key: String,
    /// A digest of all that was sent under it.
    pub digest: [u8; 32],
    /// When it was sent.
    pub at: Timestamp,
    /// Makes the reply that is kept. It is called in the transaction, before it ends.
    pub render: Render<T>,
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        let Self { user, key, digest, at, render } = self;
        Self { user: user.clone(), key: key.clone(), digest: *digest, at: *at, render: render.clone() }
    }
}

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("user", &self.user).field("key", &self.key).finish_non_exhaustive()
    }
}

/// What was kept of a request that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The digest of what was sent.
    pub digest: [u8; 32],
    /// The reply.
    pub reply: Reply,
}

/// How many replies are kept and forgotten.
#[derive(Clone, Copy, Debug)]
pub struct RepliesMax {
    /// Most that are kept: [`REPLIES_MAX`] but in tests.
    pub kept: u64,
    /// Most that are forgotten at once.
    pub forgotten: usize,
}

/// The replies to requests that were done.
#[async_trait]
pub trait Replies: Send + Sync {
    /// Returns what was kept under a user's key.
    async fn reply(&self, user: &str, key: &str) -> Result<Option<Kept>>;

    /// Forgets replies that are older than [`KEPT_MS`] at `now`, and while there are too many the oldest that are older
    /// than [`SURE_MS`]. Returns how many. If there are still too many, each act with a key fails with `Full`, until
    /// this is called again and there are fewer.
    async fn forget_replies(&self, now: Timestamp, max: RepliesMax) -> Result<usize>;
}
