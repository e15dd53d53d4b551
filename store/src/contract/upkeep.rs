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
    /// Numbers that are due and have not been released yet.
    pub due: u64,
    /// Plans that wait for a second person.
    pub plans_waiting: u64,
}

/// What this process has written, and tried to, since it opened the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Commands that wait to be written.
    pub queue: usize,
    /// Writes that were refused or failed, by cause.
    pub failed: Vec<(Cause, u64)>,
    /// How often something of the store's own was broken off by a fault of onhook and begun again, by its name.
    pub restarted: Vec<(&'static str, u64)>,
}

/// What is due, and the earliest instant of each kind of it. A clock that is moved goes from one to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dues {
    /// When the first number ends to age, or its reservation ends.
    pub number: Option<Timestamp>,
    /// When the first subscription ends.
    pub subscription: Option<Timestamp>,
    /// When the first notification is to be delivered.
    pub delivery: Option<Timestamp>,
}

/// Something about a database that may cost what was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// A commit is answered before it is on the disk, or before it is on the disk of a standby.
    #[error(
        "the database answers commits before they are safe: a crash of its machine, or a failover, may lose what \
         clients were told is done. Set synchronous_commit to on"
    )]
    SynchronousCommitOff,
    /// There are standbys, and no commit waits for any of them.
    #[error(
        "the database has standbys, and its commits wait for none of them: a failover may lose what clients were told \
         is done. Name the standbys in synchronous_standby_names"
    )]
    AsynchronousStandby,
    /// Nothing is forced to the disk.
    #[error(
        "the database forces nothing to the disk: a crash of its machine may lose or destroy everything. Set fsync to on"
    )]
    FsyncOff,
    /// A page that was half written is not restored.
    #[error(
        "the database cannot restore a page that a crash left half written: a crash of its machine may destroy what is \
         stored. Set full_page_writes to on"
    )]
    FullPageWritesOff,
    /// The clocks of the database and of this machine differ by more than a second.
    #[error(
        "the database's clock is {} ms {} this machine's: orders have wrong times, and numbers are released at a wrong \
         time. Synchronize both machines' clocks with NTP",
        ms.unsigned_abs(),
        if *ms < 0 { "behind" } else { "ahead of" }
    )]
    ClockOff {
        /// How many milliseconds the database's clock is ahead, at least: how long its answer took is taken off.
        ms: i64,
    },
}

impl Weakness {
    /// Every kind of weakness, in a word.
    pub const KINDS: [&str; 5] =
        ["synchronous_commit", "asynchronous_standby", "fsync", "full_page_writes", "clock"];

    /// Returns its kind, one of [`Weakness::KINDS`].
    #[must_use]
    pub fn kind(self) -> &'static str {
        let [synchronous_commit, asynchronous_standby, fsync, full_page_writes, clock] = Self::KINDS;
        match self {
            Self::SynchronousCommitOff => synchronous_commit,
            Self::AsynchronousStandby => asynchronous_standby,
            Self::FsyncOff => fsync,
            Self::FullPageWritesOff => full_page_writes,
            Self::ClockOff { .. } => clock,
        }
    }

    /// Returns how many milliseconds the database's clock is ahead of this machine's by these weaknesses, 0 if by at
    /// most a second.
    #[must_use]
    pub fn clock_ahead_ms(all: &[Self]) -> i64 {
        let ahead = all.iter().find_map(|weakness| match weakness {
            Self::ClockOff { ms } => Some(*ms),
            _ => None,
        });
        ahead.unwrap_or(0)
    }
}

/// The check, the totals, the clock, and the store's health.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Checks the invariants. `deep` folds every number's events again.
    async fn check(&self, deep: bool) -> Result<Report> {
        self.check_watched(deep, Arc::new(|_| {})).await
    }

    /// Checks the invariants, and calls `watch` with the progress. Nobody may write meanwhile: a store whose file is its
    /// own also has the engine check that file.
    async fn check_watched(&self, deep: bool, watch: Watch) -> Result<Report>;

    /// Checks the invariants while others write, and calls `watch` with the progress. No read lasts for long. Counts
    /// are compared as of the moment at which it begins.
    ///
    /// # Errors
    /// `Conflict` while an import is being written.
    async fn check_beside(&self, deep: bool, watch: Watch) -> Result<Report>;

    /// Returns the totals at `now`.
    async fn totals(&self, now: Timestamp) -> Result<Totals>;

    /// Returns how many notifications wait to be delivered. They are counted one by one: a million take a while.
    async fn deliveries_waiting(&self) -> Result<u64>;

    /// Returns when something is due next.
    async fn dues(&self) -> Result<Dues>;

    /// Returns how many numbers still age at `now` though their hold is over, since an operator keeps them.
    async fn kept(&self, now: Timestamp) -> Result<u64>;

    /// Stores what is remembered of the clock, and how far the emulator's clock has been moved, in milliseconds.
    async fn remember_clock(&self, seen: Seen, moved_ms: i64) -> Result<()>;

    /// Returns what was remembered of the clock, and how far the emulator's had been moved, in milliseconds. If nothing
    /// was, the newest order or event is the last use. `None` in a store that has neither.
    async fn clock(&self) -> Result<(Option<Seen>, i64)>;

    /// Returns what this process has written. It asks nothing, so it is there while the store takes no reads.
    fn writes(&self) -> Writes;

    /// Returns whether the store takes writes: `Ok`, `Unwritable` if not for now, `Broken` if never again.
    fn healthy(&self) -> Result<()>;

    /// Returns what may cost a promise: found when the store was opened, and each minute since. Nothing in a store
    /// without a server.
    async fn durability(&self) -> Result<Vec<Weakness>> {
        Ok(Vec::new())
    }

    /// Closes the store, after everything that waits is written.
    async fn close(&self);
}
