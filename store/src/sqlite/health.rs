//! Whether the store takes writes, and how many it did not do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use super::mutex::lock;
use crate::error::corrupt;
use crate::{Cause, Result, StoreError, Unwritable};

/// What the writer knows of itself, for all who ask.
#[derive(Default)]
pub(super) struct Health {
    broken: OnceLock<String>,
    unwritable: Mutex<Option<Unwritable>>,
    failed: [AtomicU64; Cause::ALL.len()],
}

impl Health {
    /// `Ok` when it takes writes, or why it does not.
    pub(super) fn get(&self) -> Result<()> {
        self.unbroken()?;
        match self.unwritable() {
            Some(why) => Err(why.into()),
            None => Ok(()),
        }
    }

    /// `Ok` unless it never takes a write again.
    pub(super) fn unbroken(&self) -> Result<()> {
        self.broken().map_or(Ok(()), |why| Err(broken(why)))
    }

    /// Why it never takes a write again.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// It never takes a write again; what is said first stays.
    pub(super) fn break_for_good(&self, why: &str) {
        self.broken.get_or_init(|| why.to_owned());
    }

    /// Why it takes no writes for now.
    pub(super) fn unwritable(&self) -> Option<Unwritable> {
        lock(&self.unwritable).clone()
    }

    /// It takes no writes for now, or takes them again.
    pub(super) fn set(&self, unwritable: Option<Unwritable>) {
        *lock(&self.unwritable) = unwritable;
    }

    /// Counts writes that were not done.
    pub(super) fn count(&self, cause: Cause, writes: usize) {
        if let Some(count) = Cause::ALL.iter().position(|of| *of == cause).and_then(|at| self.failed.get(at))
        {
            count.fetch_add(u64::try_from(writes).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// How many were not done, by cause.
    pub(super) fn failed(&self) -> Vec<(Cause, u64)> {
        let counts = self.failed.iter().map(|count| count.load(Ordering::Relaxed));
        Cause::ALL.into_iter().zip(counts).collect()
    }
}

/// What is answered once the writer takes no write any more.
pub(super) fn broken(why: &str) -> StoreError {
    corrupt(format!("a commit failed ({why}): restart to find out what is on disk"))
}
