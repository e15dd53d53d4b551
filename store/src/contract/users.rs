//! Users, and the key of their tokens. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::account::Role;
use onhook_core::account::user::{Asker, Person, UserRefusal};
use onhook_core::ids::AccountId;

use crate::Result;

/// A user to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The name that it signs in with: one of `onhook_core::account::user::is_name`.
    pub name: String,
    /// Its account; none for an operator of the server.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
    /// Its password as an argon2id hash in PHC form.
    pub password_hash: String,
}

/// A user as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name that it signs in with, as it was written when the user was made.
    pub name: String,
    /// Its account; none for an operator of the server.
    pub account: Option<AccountId>,
    /// What it may do.
    pub role: Role,
    /// Its password as an argon2id hash in PHC form.
    pub password_hash: String,
    /// A random number that is drawn when the user is made and at each change. What was issued under another one
    /// has ended.
    pub generation: i64,
}

impl User {
    /// The same without the password.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { name: self.name.clone(), account: self.account, role: self.role }
    }
}

/// What is to become of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// It has another password or another role; none leaves as it is.
    Set {
        /// The password, as [`User::password_hash`].
        password_hash: Option<String>,
        /// The role.
        role: Option<Role>,
    },
    /// It is a user no more.
    Removed,
}

/// What became of a user who was to be made, changed or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It is done.
    Done,
    /// It may not be, and why; nothing was written.
    Refused(UserRefusal),
}

/// Users, and the key of their tokens.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes a user at the word of whoever has the machine.
    ///
    /// # Errors
    /// `Conflict` when there is no such account, or another user has the name, which is compared without regard to
    /// case.
    async fn create_user(&self, user: NewUser) -> Result<()>;

    /// Makes a user at the word of another one; what they may is judged with the users as they are then. An
    /// account has at most [`LIST_MAX`].
    ///
    /// # Errors
    /// As [`Users::create_user`].
    async fn make_user(&self, asker: String, user: NewUser) -> Result<UserChanged>;

    /// Changes a user, or takes it away, at the word of `asker`; what may be done is judged with the users as
    /// they are then, the asker among them.
    async fn change_user(&self, asker: Asker, name: String, change: UserChange) -> Result<UserChanged>;

    /// A user, by name, without regard to case.
    async fn user(&self, name: &str) -> Result<Option<User>>;

    /// The key that signs tokens. It is made once and kept, so that all who share the store have the same.
    fn token_key(&self) -> [u8; 32];

    /// All users.
    async fn users(&self) -> Result<Vec<User>>;

    /// The users of an account, by name, at most [`LIST_MAX`].
    async fn users_of(&self, account: AccountId) -> Result<Vec<User>>;
}
