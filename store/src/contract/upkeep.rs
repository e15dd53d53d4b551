//! The check, the totals, the clock, and the store's health.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::check::Finding;
use onhook_core::clock::Seen;
use onhook_core::lifecycle::diagram::State;
use onhook_core::time::Timestamp;

use crate::{Cause, Result};

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Broken invariants, at most a thousand.
    pub findings: Vec<Finding>,
    /// Numbers in the store.
    pub numbers: u64,
    /// Events in the audit trail.
    pub events: u64,
    /// Orders in the store.
    pub orders: u64,
}

/// The progress of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Numbers and orders that have been checked.
    pub done: u64,
    /// All numbers and orders.
    pub total: u64,
}

/// A function that is called with a check's progress now and then.
pub type Watch = Arc<dyn Fn(Progress) + Send + Sync>;

/// Counts for metrics and the start page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Numbers by state.
    pub by_state: Vec<(State, u64)>,
    /// Accepted orders that have not run yet.
    pub waiting: u64,
    /// When the oldest of them arrived.
    pub oldest_waiting: Option<Timestamp>,
    /// Commands that wait for the writer.
    pub queue: usize,
    /// Notifications that wait to be delivered.
    pub deliveries: u64,
    /// Numbers that are due and have not been released yet.
    pub due: u64,
    /// Writes that were refused or failed since the store was opened, by cause.
    pub failed: Vec<(Cause, u64)>,
}

/// The check, the totals, the clock, and the store's health.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Checks the invariants. `deep` folds every number's events again.
    async fn check(&self, deep: bool) -> Result<Report> {
        self.check_watched(deep, Arc::new(|_| {})).await
    }

    /// Checks the invariants, and calls `watch` with the progress.
    async fn check_watched(&self, deep: bool, watch: Watch) -> Result<Report>;

    /// Returns the totals at `now`.
    async fn totals(&self, now: Timestamp) -> Result<Totals>;

    /// Stores what is remembered of the clock, and how far the emulator's clock has been moved, in milliseconds.
    async fn remember_clock(&self, seen: Seen, moved_ms: i64) -> Result<()>;

    /// Returns what was remembered of the clock, and how far the emulator's had been moved, in milliseconds. If nothing
    /// was, the newest order or event is the last use. `None` in a store that has neither.
    async fn clock(&self) -> Result<(Option<Seen>, i64)>;

    /// Returns whether the store takes writes: `Ok`, `Unwritable` if not for now, `Broken` if never again.
    fn healthy(&self) -> Result<()>;

    /// Closes the store, after everything that waits is written.
    async fn close(&self);
}
