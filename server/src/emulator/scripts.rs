//! What is staged for single orders: which wait, which of their numbers fail, and what becomes of telling their end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onhook_core::ids::{AccountId, OrderId};
use onhook_core::number::Number;
use onhook_core::order::Refusal;
use onhook_core::time::Timestamp;
use onhook_store::contract::orders::Script;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::faults::Deaf;

/// Most orders for which something is staged. Beyond them nothing is staged for new ones.
const ORDERS_MAX: usize = 100_000;

/// How long orders wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    AtOnce,
    /// So many milliseconds of the emulator's clock.
    Ms(i64),
    /// Until the order has been read so often.
    Reads(u32),
}

/// Until when an order waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Until this instant.
    At(Timestamp),
    /// For so many reads more.
    Reads(u32),
}

/// What is staged for an order.
#[derive(Clone, Debug, Default)]
struct Staged {
    until: Option<Until>,
    refused: HashMap<Number, Refusal>,
    told: Option<(Deaf, bool)>,
}

/// What is to be staged for a new order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// How long it waits.
    pub(crate) wait: Option<Wait>,
    /// Which of its numbers fail, and why.
    pub(crate) refused: HashMap<Number, Refusal>,
    /// What its receivers do, and whether at the first attempt alone.
    pub(crate) told: Option<(Deaf, bool)>,
}

/// Everything that is staged.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    staged: Arc<Table>,
    /// Held for reading while an order is accepted and staged, and for writing while orders run: none runs that is not
    /// staged yet.
    turn: RwLock<()>,
    pace: Mutex<Pace>,
}

#[derive(Debug, Default)]
struct Table(Mutex<HashMap<OrderId, Staged>>);

/// How long new orders wait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Those of all accounts that have no pace of their own.
    pub(crate) all: Wait,
    /// Those of single accounts.
    pub(crate) accounts: HashMap<AccountId, Wait>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { all: Wait::AtOnce, accounts: HashMap::new() }
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<OrderId, Staged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Script for Table {
    fn waits(&self, order: OrderId, now: Timestamp) -> bool {
        match self.lock().get(&order).and_then(|staged| staged.until) {
            Some(Until::At(at)) => now < at,
            Some(Until::Reads(_)) => true,
            None => false,
        }
    }

    fn refuses(&self, order: OrderId, number: Number) -> Option<Refusal> {
        self.lock().get(&order)?.refused.get(&number).copied()
    }
}

impl Scripts {
    /// Returns the script that the store follows.
    pub(crate) fn script(&self) -> Arc<dyn Script> {
        self.staged.clone()
    }

    /// Waits until no orders run, so that one can be accepted and staged.
    pub(crate) async fn accepting(&self) -> RwLockReadGuard<'_, ()> {
        self.turn.read().await
    }

    /// Waits until no order is being accepted, so that orders can run.
    pub(crate) async fn running(&self) -> RwLockWriteGuard<'_, ()> {
        self.turn.write().await
    }

    /// Returns how long new orders wait.
    pub(crate) fn pace(&self) -> Pace {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets how long new orders wait: of all accounts, or of one.
    pub(crate) fn set_pace(&self, account: Option<AccountId>, wait: Wait) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        match account {
            None => *pace = Pace { all: wait, accounts: HashMap::new() },
            Some(account) => drop(pace.accounts.insert(account, wait)),
        }
    }

    /// Stages a new order of an account.
    pub(crate) fn stage(&self, order: OrderId, account: AccountId, plan: Plan, now: Timestamp) {
        let pace = self.pace();
        let wait = plan.wait.unwrap_or_else(|| pace.accounts.get(&account).copied().unwrap_or(pace.all));
        let until = match wait {
            Wait::AtOnce | Wait::Reads(0) => None,
            Wait::Ms(ms) => Some(Until::At(now.plus_millis(ms))),
            Wait::Reads(reads) => Some(Until::Reads(reads)),
        };
        if until.is_none() && plan.refused.is_empty() && plan.told.is_none() {
            return;
        }
        let mut staged = self.staged.lock();
        if staged.len() < ORDERS_MAX {
            // A repeat under the same key is the same order, which is staged already.
            staged.entry(order).or_insert(Staged { until, refused: plan.refused, told: plan.told });
        }
    }

    /// Counts a read of an order. Returns whether it has been read often enough by now, and is to run before this read
    /// is answered.
    pub(crate) fn read(&self, order: OrderId) -> bool {
        let mut staged = self.staged.lock();
        let Some(of_order) = staged.get_mut(&order) else { return false };
        match of_order.until {
            Some(Until::Reads(0)) => {
                of_order.until = None;
                true
            }
            Some(Until::Reads(left)) => {
                of_order.until = Some(Until::Reads(left - 1));
                false
            }
            Some(Until::At(_)) | None => false,
        }
    }

    /// Returns what a receiver that is told of an order does at its attempt number `n`, from 1.
    pub(crate) fn told(&self, order: OrderId, n: u32) -> Option<Deaf> {
        let (deaf, first) = self.staged.lock().get(&order)?.told?;
        (!first || n == 1).then_some(deaf)
    }

    /// Returns how many orders wait to be read.
    pub(crate) fn reads(&self) -> usize {
        self.staged.lock().values().filter(|staged| matches!(staged.until, Some(Until::Reads(_)))).count()
    }

    /// Returns the first instant after `now` at which an order has waited long enough.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let staged = self.staged.lock();
        let instants = staged.values().filter_map(|staged| match staged.until {
            Some(Until::At(at)) if at > now => Some(at),
            _ => None,
        });
        instants.min()
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        self.staged.lock().clear();
        self.set_pace(None, Wait::AtOnce);
    }
}
