//! Leases: what only one node does at a time, such as releases, is done by the one that holds its lease.
//!
//! A node that died holds its lease until it runs out. A node that stood still for long may wake when another one holds
//! it. So each write under a lease names its [`LeaseToken`], and is refused if that lease is over.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// How the name begins of the lease that each node has as long as it runs. So a node can tell how many there are.
pub const NODE: &str = "node-";

/// What a holder shows at each write. Each taking of a lease draws a new one, which is larger than all before it in
/// the same store, whatever the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(pub i64);

/// Leases by name. Their time is measured by the store, since nodes have a clock each, and an emulator's can be moved.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes a lease for as long as `lasts`, from now on. `None` if somebody has it, be it the caller. With a duration of
    /// zero it is over at once.
    async fn take_lease(&self, name: &str, lasts: Duration) -> Result<Option<LeaseToken>>;

    /// Makes a lease last for `lasts` from now on. Returns false if it is over: the holder must stop what it does under
    /// it, and take it again.
    async fn renew_lease(&self, name: &str, token: LeaseToken, lasts: Duration) -> Result<bool>;

    /// Ends a lease, so that another node can take it at once. Does nothing if it is over already.
    async fn end_lease(&self, name: &str, token: LeaseToken) -> Result<()>;
}
