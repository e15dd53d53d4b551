//! Under what an act was done: with which credential, from where, why, and by which plan.
//!
//! Not here: who or what did it (`event::By`).

use crate::account::user::MACHINE;
use crate::ids::PlanId;
use crate::time::Timestamp;
use crate::words::words;

/// Most characters of a reason for an act.
pub const REASON_MAX: usize = 500;

words! {
    /// How someone who acted showed who they are.
    Credential {
        /// Name and password.
        Basic = "basic",
        /// A token that stands for them.
        Token = "token",
        /// The server's own socket on its machine.
        Socket = "socket",
        /// A signed-in page.
        Session = "session",
        /// The command line, on data that no server had.
        Offline = "offline",
    }
}

/// Under what an act was done. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// How the person or program showed who it is.
    pub credential: Option<Credential>,
    /// Where it acted from: an IP address, or for a socket its user's id.
    pub address: Option<Box<str>>,
    /// Why, in the person's words: at most [`REASON_MAX`] characters.
    pub reason: Option<Box<str>>,
    /// The plan that was applied.
    pub plan: Option<PlanId>,
}

/// A person or program that acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Its name.
    pub user: String,
    /// Under what it acts.
    pub under: Provenance,
}

impl Author {
    /// Returns who works on the machine itself, on data that no server has.
    #[must_use]
    pub fn offline() -> Self {
        let under = Provenance { credential: Some(Credential::Offline), ..Provenance::default() };
        Self { user: MACHINE.to_owned(), under }
    }
}

/// Who does something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doer {
    /// Who, and under what.
    pub author: Author,
    /// The time by their clock.
    pub now: Timestamp,
}

impl Doer {
    /// Returns who works on the machine itself at `now`, on data that no server has.
    #[must_use]
    pub fn offline(now: Timestamp) -> Self {
        Self { author: Author::offline(), now }
    }
}

impl From<&str> for Author {
    /// Returns an author of whom only the name is known.
    fn from(user: &str) -> Self {
        Self { user: user.to_owned(), under: Provenance::default() }
    }
}
