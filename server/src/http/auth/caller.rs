//! Callers, and why a request has none.

use std::sync::Arc;
use std::time::Duration;

use onhook_core::account::Role;
use onhook_core::account::user::{MACHINE, Right, Rights};
use onhook_core::ids::AccountId;

use crate::http::refusal::Refusal;

/// A user who has signed in, or someone on the machine itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name, as the store has it.
    pub user: Arc<str>,
    /// The account. `None` for an operator.
    pub account: Option<AccountId>,
    /// What the user may do.
    pub role: Role,
    /// What the user may do beside the role.
    pub rights: Rights,
    /// True for a person who works on the machine itself. They may do what no stolen password must do.
    pub at_machine: bool,
}

impl Caller {
    /// Returns a user who has signed in.
    #[must_use]
    pub fn user(user: Arc<str>, account: Option<AccountId>, role: Role, rights: Rights) -> Self {
        Self { user, account, role, rights, at_machine: false }
    }

    /// Returns whether the caller has a right. Operators have all.
    #[must_use]
    pub fn has(&self, right: Right) -> bool {
        self.role == Role::Operator || self.rights.has(right)
    }

    /// Returns the caller who is on the machine itself. They may do what an operator may, and more.
    #[must_use]
    pub fn at_the_machine() -> Self {
        Self { at_machine: true, ..Self::user(MACHINE.into(), None, Role::Operator, Rights::NONE) }
    }
}

/// Why a request is not signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No credentials, or not the right ones: 401.
    Unknown(Why),
    /// Two `Authorization` headers: 400.
    Twice,
    /// Too many tries: 429, and how long to wait.
    TooMany(Duration),
    /// Too many others sign in at this moment: 503.
    Busy,
    /// The check failed.
    Failed(Refusal),
}

/// What is wrong with the credentials. The client is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There are none.
    Missing,
    /// They cannot be read.
    Malformed,
    /// There is no such user, or another password.
    Password,
    /// The token has ended, or is not from this store.
    Token,
}

impl Refused {
    /// Returns the word for it in metrics. `None` if the caller is not at fault.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            Refused::Unknown(Why::Missing) => Some("missing"),
            Refused::Unknown(Why::Malformed) | Refused::Twice => Some("malformed"),
            Refused::Unknown(Why::Password) => Some("password"),
            Refused::Unknown(Why::Token) => Some("token"),
            Refused::TooMany(_) => Some("too_many"),
            Refused::Busy => Some("busy"),
            Refused::Failed(_) => None,
        }
    }
}
