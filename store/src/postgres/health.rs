//! Whether the database takes writes, and how many writes failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{Cause, Result, StoreError, Unwritable};

/// What the node's writes have shown of the database.
#[derive(Default)]
pub(super) struct Health {
    unwritable: Mutex<Option<Unwritable>>,
    failed: [AtomicU64; Cause::ALL.len()],
}

impl Health {
    /// Returns `Ok` if the database took the last write, or why it did not.
    pub(super) fn get(&self) -> Result<()> {
        let why = self.unwritable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        why.map_or(Ok(()), |why| Err(why.into()))
    }

    /// Notes whether a write was done.
    pub(super) fn note<T>(&self, done: &Result<T>) {
        let unwritable = match done {
            Ok(_) => None,
            Err(StoreError::Unwritable(why)) => {
                self.count(why.cause());
                Some(why.clone())
            }
            Err(StoreError::Full) => return self.count(Cause::QueueFull),
            Err(StoreError::Broken(_)) => return self.count(Cause::Io),
            Err(_) => return,
        };
        *self.unwritable.lock().unwrap_or_else(PoisonError::into_inner) = unwritable;
    }

    /// True if the database did not take the last write.
    pub(super) fn is_unwritable(&self) -> bool {
        self.unwritable.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn count(&self, cause: Cause) {
        if let Some(count) = Cause::ALL.iter().position(|of| *of == cause).and_then(|at| self.failed.get(at))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many writes were refused or failed, by cause.
    pub(super) fn failed(&self) -> Vec<(Cause, u64)> {
        let counts = self.failed.iter().map(|count| count.load(Ordering::Relaxed));
        Cause::ALL.into_iter().zip(counts).collect()
    }
}
