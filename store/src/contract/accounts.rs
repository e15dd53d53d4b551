//! Accounts: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::account::change::{AccountAct, Holdings, StaysOpen};
use onhook_core::account::{Account, AccountKind, Class, Premises};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;

use super::once::Once;
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

/// An account and how many numbers it has.
pub type Held = (Account, Holdings);

/// What came of an act on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Altered {
    /// It is done: the account as it is then.
    Done(Box<Held>),
    /// There is no such account.
    Unknown,
    /// It stays open, and why. Nothing was written.
    StaysOpen(StaysOpen),
}

/// Accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes an account.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    async fn create_account(&self, account: NewAccount, doer: Doer) -> Result<Account> {
        self.make_account(account, None, doer).await
    }

    /// Makes an account, once.
    ///
    /// # Errors
    /// As [`Accounts::create_account`], and `KeyTaken` if it was done before.
    async fn make_account(
        &self,
        account: NewAccount,
        once: Option<Once<Account>>,
        doer: Doer,
    ) -> Result<Account>;

    /// True if there is such an account. One that was made stays, open or closed.
    async fn has_account(&self, id: AccountId) -> Result<bool>;

    /// Returns an account with its sites and peers.
    async fn account(&self, id: AccountId) -> Result<Option<(Account, Premises)>>;

    /// Changes, closes or reopens an account.
    ///
    /// # Errors
    /// `KeyTaken` if it was done before.
    async fn alter_account(
        &self,
        id: AccountId,
        act: AccountAct,
        once: Option<Once<Altered>>,
        doer: Doer,
    ) -> Result<Altered>;

    /// Returns an account with how many numbers it has.
    async fn account_held(&self, id: AccountId) -> Result<Option<Held>>;

    /// Returns accounts with how many numbers they have, in the order of their ids, behind `after`, at most `most`.
    async fn accounts_held(&self, after: Option<AccountId>, most: usize) -> Result<Vec<Held>>;

    /// Returns all accounts.
    async fn accounts(&self) -> Result<Vec<Account>>;
}
