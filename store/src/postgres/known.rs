//! Accounts that this node has found: an account that was made stays, so it is not looked for again.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use onhook_core::ids::AccountId;

/// Most accounts that are remembered: some megabytes.
const KNOWN_MAX: usize = 100_000;

/// The accounts that were found.
#[derive(Default)]
pub(super) struct Known(RwLock<HashSet<AccountId>>);

impl Known {
    /// True if the account was found.
    pub(super) fn has(&self, account: AccountId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&account)
    }

    /// Remembers an account that was found. Forgets the others if they are too many.
    pub(super) fn add(&self, account: AccountId) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(account);
    }

    /// Forgets all: an emulator's store was put back.
    pub(super) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
