//! Accounts: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::account::{Account, AccountKind, Class, Premises};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;

use crate::Result;

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its role in the number plan.
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
    /// `Conflict` if the id is taken.
    async fn create_account(&self, account: NewAccount, doer: Doer) -> Result<Account>;

    /// Returns an account with its sites and peers.
    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>>;

    /// Returns all accounts.
    async fn accounts(&self) -> Result<Vec<Account>>;
}
