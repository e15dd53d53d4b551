//! Users, and the key of their tokens: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::account::Role;
use onhook_core::account::user::{Asker, Person, Rights, UserRefusal};
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::time::Timestamp;

use super::once::Once;
use crate::Result;

/// A user to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The name it signs in with: one that `onhook_core::account::user::is_name` allows.
    pub name: String,
    /// Its account. `None` for an operator.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
    /// What it may do beside the role.
    pub rights: Rights,
    /// Its password as an argon2id hash in PHC form.
    pub password_hash: String,
}

/// A user as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name it signs in with, spelt as when the user was made.
    pub name: String,
    /// Its account. `None` for an operator.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
    /// What it may do beside the role.
    pub rights: Rights,
    /// Its password as an argon2id hash in PHC form.
    pub password_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// True if its account is closed: it does not sign in.
    pub is_closed: bool,
    /// A random number, drawn when the user is made and at each change. Tokens with another generation have ended.
    pub generation: i64,
}

impl User {
    /// Returns the user without the password.
    #[must_use]
    pub fn person(&self) -> Person {
        let Self { account, role, rights, .. } = *self;
        Person { name: self.name.clone(), account, role, rights, at_machine: false }
    }
}

/// A change of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Another password, role or rights. `None` leaves it as it is.
    Set {
        /// The password, as [`User::password_hash`].
        password_hash: Option<String>,
        /// The role.
        role: Option<Role>,
        /// The rights, all of them.
        rights: Option<Rights>,
    },
    /// The user is removed.
    Removed,
}

/// The result of making, changing or removing a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It is done.
    Done,
    /// It is refused, and why. Nothing was written.
    Refused(UserRefusal),
}

/// Users, and the key of their tokens.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes a user for a person on the machine itself, at `now`.
    ///
    /// # Errors
    /// `Conflict` if there is no such account, or another user has the name, compared without regard to case.
    async fn create_user(&self, user: NewUser, now: Timestamp) -> Result<()>;

    /// Makes a user for `asker`, who is `doer` in the audit trail. Their rights are checked in the same transaction. An
    /// account has at most [`LIST_MAX`] users.
    ///
    /// # Errors
    /// As [`Users::create_user`], and `KeyTaken` if it was done before.
    async fn make_user(
        &self,
        asker: Asker,
        user: NewUser,
        once: Option<Once<UserChanged>>,
        doer: Doer,
    ) -> Result<UserChanged>;

    /// Changes or removes a user for `asker`, who is `doer` in the audit trail. The rights of both are checked in the same transaction.
    async fn change_user(
        &self,
        asker: Asker,
        name: String,
        change: UserChange,
        doer: Doer,
    ) -> Result<UserChanged>;

    /// Returns a user by name, without regard to case.
    async fn user(&self, name: &str) -> Result<Option<User>>;

    /// Returns the key that signs tokens. It is made once and stored, so all nodes on the store have the same one.
    fn token_key(&self) -> [u8; 32];

    /// Returns all users.
    async fn users(&self) -> Result<Vec<User>>;

    /// Returns the users of an account, by name, at most [`LIST_MAX`].
    async fn users_of(&self, account: AccountId) -> Result<Vec<User>>;
}
