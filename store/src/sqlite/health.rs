//! Whether the store takes writes, and how many writes failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use super::mutex::lock;
use crate::error::corrupt;
use crate::{Cause, Result, StoreError, Unwritable};

/// The writer's health, which every thread may read.
#[derive(Default)]
pub(super) struct Health {
    broken: OnceLock<String>,
    unwritable: Mutex<Option<Unwritable>>,
    failed: [AtomicU64; Cause::ALL.len()],
}

impl Health {
    /// Returns `Ok` if the store takes writes, or why it does not.
    pub(super) fn get(&self) -> Result<()> {
        self.unbroken()?;
        match self.unwritable() {
            Some(why) => Err(why.into()),
            None => Ok(()),
        }
    }

    /// Returns `Ok` unless the store will never take a write again.
    pub(super) fn unbroken(&self) -> Result<()> {
        self.broken().map_or(Ok(()), |why| Err(broken(why)))
    }

    /// Returns why the store will never take a write again.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Marks the store as broken for good. The first reason stays.
    pub(super) fn break_for_good(&self, why: &str) {
        self.broken.get_or_init(|| why.to_owned());
    }

    /// Returns why the store takes no writes for now.
    pub(super) fn unwritable(&self) -> Option<Unwritable> {
        lock(&self.unwritable).clone()
    }

    /// Sets why the store takes no writes for now. `None` if it takes them again.
    pub(super) fn set(&self, unwritable: Option<Unwritable>) {
        *lock(&self.unwritable) = unwritable;
    }

    /// Counts writes that were refused or failed.
    pub(super) fn count(&self, cause: Cause, writes: usize) {
        if let Some(count) = Cause::ALL.iter().position(|of| *of == cause).and_then(|at| self.failed.get(at))
        {
            count.fetch_add(u64::try_from(writes).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Returns how many writes were refused or failed, by cause.
    pub(super) fn failed(&self) -> Vec<(Cause, u64)> {
        let counts = self.failed.iter().map(|count| count.load(Ordering::Relaxed));
        Cause::ALL.into_iter().zip(counts).collect()
    }
}

/// Returns the error of every call after the writer broke.
pub(super) fn broken(why: &str) -> StoreError {
    corrupt(format!("a commit failed ({why}): restart to find out what is on disk"))
}
