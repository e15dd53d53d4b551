//! How many orders wait to be run, so that more than there is room for are refused.
//!
//! Nodes count what is in the database now and then, not at each order. So the bound holds within a few seconds'
//! arrivals.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onhook_core::ids::AccountId;
use tokio::time::Instant;

use super::connect::{Connections, connection};
use super::row::{account_of, get};
use super::statement::rows;
use super::tries::Tries;
use crate::Result;
use crate::plan::turns::{WAITING_MAX, WAITING_OF_ACCOUNT_MAX};

/// How often waiting orders are counted. A count that takes long is made less often: a twentieth of the time.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What was counted.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    by_account: HashMap<AccountId, usize>,
    all: usize,
    /// When they are counted again. `None` before the first count.
    next: Option<Instant>,
}

impl Waiting {
    /// Counts the waiting orders, if that is due. Callers meanwhile use the count before.
    pub(super) async fn look(&self, pool: &Connections) -> Result<()> {
        let now = Instant::now();
        {
            let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if counted.next.is_some_and(|next| now < next) {
                return Ok(());
            }
            counted.next = Some(now + LOOK_EVERY);
        }
        let mut tries = Tries::default();
        let by_account = loop {
            if let Some(done) = tries.after(count(pool).await).await {
                break done?;
            }
        };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all = by_account.values().sum();
        counted.by_account = by_account;
        counted.next = Some(now + LOOK_EVERY.max(now.elapsed() * 20));
        Ok(())
    }

    /// True if another order of the account may not wait: as many wait as may.
    pub(super) fn is_full(&self, account: AccountId) -> bool {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = counted.by_account.get(&account).copied().unwrap_or(0);
        counted.all >= WAITING_MAX || of_account >= WAITING_OF_ACCOUNT_MAX
    }
}

/// Counts the waiting orders of each account.
async fn count(pool: &Connections) -> Result<HashMap<AccountId, usize>> {
    let client = connection(pool).await?.cancelling();
    let sql = "SELECT account, count(*) FROM orders WHERE status = 0 GROUP BY account";
    let mut by_account = HashMap::new();
    for row in &rows(&client, sql, &[]).await? {
        let orders = usize::try_from(get::<i64>(row, 1)?).unwrap_or(usize::MAX);
        by_account.insert(account_of(row, 0)?, orders);
    }
    Ok(by_account)
}
