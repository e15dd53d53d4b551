//! Steps of orders that this node runs side by side, and the accounts of each. Other nodes see the locks of the accounts'
//! rows. Within the node a step asks here first, so that it leaves the database alone while nothing is left to do.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use onhook_core::ids::AccountId;

use crate::contract::orders::Steps;

/// Where the database is near, two steps keep it busy. Where each of its answers takes milliseconds, a step does little but
/// wait. Orders of one step share statements, a commit, and the counts and areas that they change.
const STEPS: Steps = Steps { at_once: 4, orders_max: 1_024, nodes: 1 };

/// The accounts whose orders run.
#[derive(Default)]
pub(super) struct Hands {
    accounts: Mutex<HashSet<AccountId>>,
    /// How many nodes there were when this one last looked. 0 before that.
    nodes: AtomicUsize,
}

impl Hands {
    /// Returns what one step has, which is nothing yet.
    pub(super) fn hand(&self) -> Hand<'_> {
        Hand { hands: self, has: Mutex::default() }
    }

    /// Notes how many nodes there are.
    pub(super) fn among(&self, nodes: usize) {
        self.nodes.store(nodes, Ordering::Relaxed);
    }

    /// Returns how orders are run.
    pub(super) fn steps(&self) -> Steps {
        Steps { nodes: self.nodes.load(Ordering::Relaxed).max(1), ..STEPS }
    }

    /// Returns the accounts that steps have.
    pub(super) fn have(&self) -> HashSet<AccountId> {
        held(&self.accounts).clone()
    }
}

/// The accounts of one step, until it ends.
pub(super) struct Hand<'a> {
    hands: &'a Hands,
    has: Mutex<Vec<AccountId>>,
}

impl Hand<'_> {
    /// Notes the accounts that the step has claimed, instead of those of an attempt before.
    pub(super) fn take(&self, accounts: Vec<AccountId>) {
        self.put_down();
        held(&self.hands.accounts).extend(&accounts);
        *held(&self.has) = accounts;
    }

    fn put_down(&self) {
        let had = std::mem::take(&mut *held(&self.has));
        let mut all = held(&self.hands.accounts);
        for account in had {
            all.remove(&account);
        }
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.put_down();
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
