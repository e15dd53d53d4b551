//! Accounts. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::account::{Account, AccountKind, Class, Premises};
use onhook_core::ids::AccountId;
use onhook_core::time::Timestamp;

use crate::Result;

/// An account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// What it is to the number plan.
    pub kind: AccountKind,
    /// Whose lines its numbers are.
    pub class: Class,
}

/// Accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes an account.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    async fn create_account(&self, account: NewAccount, now: Timestamp) -> Result<Account>;

    /// An account with its sites and peers.
    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>>;

    /// All accounts.
    async fn accounts(&self) -> Result<Vec<Account>>;
}
