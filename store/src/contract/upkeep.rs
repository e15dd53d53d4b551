//! The check, the totals, the clock, and whether the store takes writes.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::check::Finding;
use onhook_core::clock::Seen;
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::Timestamp;

use crate::{Cause, Result};

/// What the checker found and how far it looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What must not be; at most a thousand.
    pub findings: Vec<Finding>,
    /// Numbers in the store.
    pub numbers: u64,
    /// Events in the audit trail.
    pub events: u64,
    /// Orders in the store.
    pub orders: u64,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Numbers and orders that were looked at.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// Who is told how far a check is, now and then.
pub type Watch = Arc<dyn Fn(Progress) + Send + Sync>;

/// How much stands where, for metrics and the start page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Numbers by state.
    pub by_state: Vec<(State, u64)>,
    /// Orders that wait to be run.
    pub waiting: u64,
    /// When the oldest of them arrived.
    pub oldest_waiting: Option<Timestamp>,
    /// Commands that wait for the writer.
    pub queue: usize,
    /// Notifications that wait to be delivered.
    pub deliveries: u64,
    /// Numbers whose time has come, and that have not been moved on yet.
    pub due: u64,
    /// Writes that were refused or failed since the store was opened, by cause.
    pub failed: Vec<(Cause, u64)>,
}

/// The check, the totals, the clock, and whether the store takes writes.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Proves the invariants; `deep` folds every number's events again.
    async fn check(&self, deep: bool) -> Result<Report> {
        self.check_watched(deep, Arc::new(|_| {})).await
    }

    /// The same, and tells `watch` how far it is.
    async fn check_watched(&self, deep: bool, watch: Watch) -> Result<Report>;

    /// What stands where, at `now`.
    async fn totals(&self, now: Timestamp) -> Result<Totals>;

    /// Keeps when the store was in use and what had passed unseen until then, and how far the emulator's clock
    /// has been moved (milliseconds).
    async fn remember_clock(&self, seen: Seen, moved_ms: i64) -> Result<()>;

    /// Returns what was remembered of the clock, and how far the emulator's had been moved. Where nothing was,
    /// the newest order or event is the last use; none in a store that has neither.
    async fn clock(&self) -> Result<(Option<Seen>, i64)>;

    /// Whether it takes writes: `Ok`, `Unwritable` when it does not for now, `Broken` when it never will again.
    fn healthy(&self) -> Result<()>;

    /// Ends it: what waits is written, then everything is closed.
    async fn close(&self);
}
