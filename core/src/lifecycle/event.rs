//! The audit trail: every change of a number is one event, and a number's state is the fold of its events.
//!
//! An import is *one* event for all of its numbers, since there are millions. The first event of a number after it
//! carries the entry as it was imported ([`Event::origin`]).

use crate::account::Place;
use crate::ids::{AccountId, AreaId, EventSeq, OrderSeq};
use crate::lifecycle::diagram::{Home, NoSuchStep, State, Step, transition};
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::hold::Hold;
use crate::number::Number;
use crate::time::Timestamp;

/// What happened to a number, with what its new state needs.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Change {
    /// An account reserved it.
    Reserved {
        /// The holder.
        account: AccountId,
        /// When the reservation ends.
        until: Timestamp,
    },
    /// Its reservation ended.
    Unreserved,
    /// It entered service.
    Activated {
        /// Where it is in service.
        place: Place,
        /// The protected flag, if the order sets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected: Option<bool>,
    },
    /// It left service and began to age.
    Disconnected {
        /// How long it ages, and why.
        hold: Hold,
        /// True if it leaves the system afterwards (soft-remove).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        leaves: bool,
        /// The protected flag, if the order sets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected: Option<bool>,
    },
    /// Its former account took it back.
    Reconnected {
        /// Where it is in service.
        place: Place,
        /// The protected flag, if the order sets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected: Option<bool>,
    },
    /// Its aging ended.
    Released {
        /// Where it went.
        home: Home,
    },
    /// It left service and the system at once.
    Purged {
        /// The protected flag, if the order sets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected: Option<bool>,
    },
    /// An operator moved its release later.
    Extended {
        /// The new end of aging.
        release_at: Timestamp,
        /// Why.
        reason: String,
    },
    /// An operator guards it.
    Locked {
        /// Why.
        reason: String,
    },
    /// An operator no longer guards it.
    Unlocked {
        /// Why.
        reason: String,
    },
    /// It moved to another site or peer of its account, and stayed in service.
    Moved {
        /// Where it is in service.
        place: Place,
    },
    /// It had been removed, and an import took it back.
    Restored {
        /// Its standing by the import.
        standing: Standing,
        /// Its area by the import.
        area: AreaId,
        /// True if it goes to its owner's inventory after aging.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        protected: bool,
        /// True if it belongs to another carrier's pool.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ported_in: bool,
    },
}

impl Change {
    /// Returns its arrow in the diagram.
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Change::Reserved { .. } => Step::Reserve,
            Change::Unreserved => Step::Unreserve,
            Change::Activated { .. } => Step::Activate,
            Change::Disconnected { .. } => Step::Disconnect,
            Change::Reconnected { .. } => Step::Reconnect,
            Change::Released { home } => Step::Release(*home),
            Change::Purged { .. } => Step::Purge,
            Change::Extended { .. } => Step::Extend,
            Change::Locked { .. } => Step::Lock,
            Change::Unlocked { .. } => Step::Unlock,
            Change::Moved { .. } => Step::Move,
            Change::Restored { standing, .. } => Step::Restore(standing.state()),
        }
    }

    /// Returns the protected flag, if this change sets it.
    #[must_use]
    pub fn protected(&self) -> Option<bool> {
        match self {
            Change::Activated { protected, .. }
            | Change::Disconnected { protected, .. }
            | Change::Reconnected { protected, .. }
            | Change::Purged { protected } => *protected,
            Change::Restored { protected, .. } => Some(*protected),
            _ => None,
        }
    }

    /// Returns whether this changes the number's state. Locking, extending and moving do not.
    #[must_use]
    pub fn changes_state(&self) -> bool {
        !matches!(
            self,
            Change::Extended { .. } | Change::Locked { .. } | Change::Unlocked { .. } | Change::Moved { .. }
        )
    }
}

/// Who or what made an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// An order that ran.
    Order(OrderSeq),
    /// A person or program with a credential.
    User(String),
    /// Time: the release worker.
    Time,
    /// An import of a file.
    Import,
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its sequence number.
    pub seq: EventSeq,
    /// The number that changed.
    pub number: Number,
    /// The number's event before this one, or its import.
    pub prev: EventSeq,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub change: Change,
    /// Who or what did it.
    pub by: By,
    /// The entry as it was imported, on the first event after the import.
    pub origin: Option<Entry>,
}

/// One number's change, with the number before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The change.
    pub change: Change,
    /// The entry before.
    pub before: Entry,
    /// The entry after.
    pub after: Entry,
}

impl Transition {
    /// Applies a change to an entry.
    ///
    /// # Errors
    /// [`NoSuchStep`] if the diagram has no such arrow.
    pub fn of(before: &Entry, change: Change) -> Result<Self, NoSuchStep> {
        let after = apply(before, &change)?;
        Ok(Self { change, before: *before, after })
    }
}

/// Returns the entry after a change. State follows from events by this fold alone.
///
/// # Errors
/// [`NoSuchStep`] if the diagram has no such arrow.
pub fn apply(before: &Entry, change: &Change) -> Result<Entry, NoSuchStep> {
    let step = change.step();
    let to = transition(before.state(), step)?;
    let protected = change.protected().unwrap_or(before.protected);
    let (area, ported_in) = match change {
        Change::Restored { area, ported_in, .. } => (*area, *ported_in),
        _ => (before.area, before.ported_in),
    };
    let standing = match (change, before.standing) {
        (Change::Reserved { account, until }, _) => Standing::Reserved { account: *account, until: *until },
        (
            Change::Activated { place, .. } | Change::Reconnected { place, .. } | Change::Moved { place },
            _,
        ) => Standing::InService { place: *place },
        (Change::Disconnected { hold, leaves, .. }, Standing::InService { place }) => {
            Standing::Aging { former: place, release_at: hold.release_at, leaves: *leaves }
        }
        (Change::Extended { release_at, .. }, Standing::Aging { former, leaves, .. }) => {
            Standing::Aging { former, release_at: *release_at, leaves }
        }
        (Change::Released { home: Home::Owner }, Standing::Aging { former, .. }) => {
            Standing::Protected { account: former.account }
        }
        (Change::Locked { .. } | Change::Unlocked { .. }, standing) => standing,
        (Change::Restored { standing, .. }, _) => *standing,
        (Change::Unreserved, _) | (Change::Released { home: Home::Pool }, _) => Standing::Available,
        (Change::Purged { .. }, _) | (Change::Released { home: Home::Away }, _) => Standing::Removed,
        (Change::Disconnected { .. } | Change::Extended { .. } | Change::Released { .. }, _) => {
            return Err(NoSuchStep { from: before.state(), step });
        }
    };
    debug_assert_eq!(standing.state(), to, "the standing has the state that the diagram names");
    let locked = match change {
        Change::Locked { .. } => true,
        Change::Unlocked { .. } => false,
        _ => before.locked && to == State::InService,
    };
    // In the pool a number is like any other: an owner's flag is gone.
    let protected = protected && to != State::Available;
    Ok(Entry { number: before.number, standing, area, protected, ported_in, locked })
}
