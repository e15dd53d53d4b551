//! The seven states of a number and what may follow what.
//!
//! [`transition`] answers "can this follow that at all"; [`apply`] carries what belongs to the state
//! along. Orders, release, import and the checker all ask here. Whether an account may do it, and
//! when, is `decide`'s question.

use crate::account::{AccountId, Place, words};
use crate::event::Change;
use crate::hold::AreaId;
use crate::number::Number;
use crate::time::Timestamp;

words! {
    /// Where a number is in its life.
    State {
        /// In the public pool.
        Available = "Available",
        /// Held for an account until its reservation ends.
        Reserved = "Reserved",
        /// With a subscriber.
        InService = "InService",
        /// Disconnected and resting; only its former account may take it.
        Aging = "Aging",
        /// In its owner's own inventory, never in the pool.
        Protected = "Protected",
        /// Kept by the operator: test numbers, numbers taken out of use.
        Administrative = "Administrative",
        /// Gone; the row stays for the audit trail.
        Removed = "Removed",
    }
}

words! {
    /// Where a number goes when it has aged.
    Home {
        /// To anyone: `Available`.
        Pool = "pool",
        /// To its former account's own inventory: `Protected`.
        Owner = "owner",
        /// Out of this system: `Removed`.
        Away = "away",
    }
}

/// One arrow of the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// An account holds a pool number for a while.
    Reserve,
    /// A reservation expires or is cancelled.
    Unreserve,
    /// A number enters service.
    Activate,
    /// A number leaves service and begins to age.
    Disconnect,
    /// The former account takes an aging number back.
    Reconnect,
    /// The end of aging.
    Release(Home),
    /// A number leaves service and the system at once.
    Purge,
    /// An operator lets a number age longer.
    Extend,
    /// An operator guards a number in service against disconnecting.
    Lock,
    /// An operator takes that guard away.
    Unlock,
    /// A number in service goes to another site or peer of its account.
    Move,
    /// A number that has left is imported again, in this state.
    Restore(State),
}

impl Step {
    /// Every step, in the order of the declaration.
    pub const ALL: &'static [Step] = &[
        Step::Reserve,
        Step::Unreserve,
        Step::Activate,
        Step::Disconnect,
        Step::Reconnect,
        Step::Release(Home::Pool),
        Step::Release(Home::Owner),
        Step::Release(Home::Away),
        Step::Purge,
        Step::Extend,
        Step::Lock,
        Step::Unlock,
        Step::Move,
        Step::Restore(State::Available),
        Step::Restore(State::Reserved),
        Step::Restore(State::InService),
        Step::Restore(State::Aging),
        Step::Restore(State::Protected),
        Step::Restore(State::Administrative),
        Step::Restore(State::Removed),
    ];
}

impl std::fmt::Display for Step {
    /// As a noun: "a release to the pool".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Step::Reserve => "a reservation",
            Step::Unreserve => "the end of a reservation",
            Step::Activate => "an activation",
            Step::Disconnect => "a disconnect",
            Step::Reconnect => "a reconnect",
            Step::Release(Home::Pool) => "a release to the pool",
            Step::Release(Home::Owner) => "a release to its owner",
            Step::Release(Home::Away) => "a release out of the system",
            Step::Purge => "a purge",
            Step::Extend => "a longer hold",
            Step::Lock => "a lock",
            Step::Unlock => "the end of a lock",
            Step::Move => "a move",
            Step::Restore(state) => return write!(f, "an import as {state}"),
        })
    }
}

/// A step that the diagram does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step} cannot follow {from}")]
pub struct NoSuchStep {
    /// The state before.
    pub from: State,
    /// What was asked.
    pub step: Step,
}

/// What may follow what. The whole diagram, one line an arrow.
///
/// # Errors
/// [`NoSuchStep`] for everything else.
#[rustfmt::skip]
pub fn transition(from: State, step: Step) -> Result<State, NoSuchStep> {
    use {Home as H, State as S, Step as T};
    match (from, step) {
        (S::Available,                              T::Reserve)           => Ok(S::Reserved),
        (S::Reserved,                               T::Unreserve)         => Ok(S::Available),
        (S::Available | S::Reserved | S::Protected, T::Activate)          => Ok(S::InService),
        (S::InService,                              T::Disconnect)        => Ok(S::Aging),
        (S::InService,                              T::Purge)             => Ok(S::Removed),
        (S::InService,                              T::Lock | T::Unlock)  => Ok(S::InService),
        (S::InService,                              T::Move)              => Ok(S::InService),
        (S::Aging,                                  T::Reconnect)         => Ok(S::InService),
        (S::Aging,                                  T::Extend)            => Ok(S::Aging),
        (S::Aging,                                  T::Release(H::Pool))  => Ok(S::Available),
        (S::Aging,                                  T::Release(H::Owner)) => Ok(S::Protected),
        (S::Aging,                                  T::Release(H::Away))  => Ok(S::Removed),
        (S::Removed,                                T::Restore(to)) if to != S::Removed => Ok(to),
        (from, step) => Err(NoSuchStep { from, step }),
    }
}

/// A state with what belongs to it; what does not belong to it cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Standing {
    /// In the pool, nobody's.
    Available,
    /// Held for `account` until `until`.
    Reserved {
        /// The holder.
        account: AccountId,
        /// When the reservation ends.
        until: Timestamp,
    },
    /// With a subscriber at `place`.
    InService {
        /// Where it is delivered; its account owns it.
        place: Place,
    },
    /// Nobody's; `former` may have it back until it is released.
    Aging {
        /// Where it was in service.
        former: Place,
        /// Not released before this instant.
        release_at: Timestamp,
        /// Whether it leaves the system at the end, instead of going to a pool (soft-remove).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        leaves: bool,
    },
    /// In the owner's inventory.
    Protected {
        /// The owner.
        account: AccountId,
    },
    /// The operator's.
    Administrative,
    /// Gone.
    Removed,
}

impl Standing {
    /// The state alone.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Standing::Available => State::Available,
            Standing::Reserved { .. } => State::Reserved,
            Standing::InService { .. } => State::InService,
            Standing::Aging { .. } => State::Aging,
            Standing::Protected { .. } => State::Protected,
            Standing::Administrative => State::Administrative,
            Standing::Removed => State::Removed,
        }
    }

    /// The account in whose inventory the number shows: the holder, the owner, or for an aging number
    /// the former account.
    #[must_use]
    pub fn holder(&self) -> Option<AccountId> {
        match self {
            Standing::Reserved { account, .. } | Standing::Protected { account } => Some(*account),
            Standing::InService { place } | Standing::Aging { former: place, .. } => Some(place.account),
            Standing::Available | Standing::Administrative | Standing::Removed => None,
        }
    }

    /// Where the number is in service, if it is and on this account.
    #[must_use]
    pub fn in_service_on(&self, account: AccountId) -> Option<Place> {
        match self {
            Standing::InService { place } if place.account == account => Some(*place),
            _ => None,
        }
    }

    /// Where the number is delivered, or was when it went.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Standing::InService { place } | Standing::Aging { former: place, .. } => Some(*place),
            _ => None,
        }
    }

    /// When time alone moves the number on: the end of aging or of a reservation.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            Standing::Aging { release_at, .. } => Some(*release_at),
            Standing::Reserved { until, .. } => Some(*until),
            _ => None,
        }
    }
}

/// All that is known of one number now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// The number.
    pub number: Number,
    /// Its state with what belongs to it.
    pub standing: Standing,
    /// The area whose demand counts for it.
    pub area: AreaId,
    /// Whether it goes to its owner's inventory when it has aged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Whether it was ported in: it belongs to another carrier's pool and returns there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ported_in: bool,
    /// Whether an operator guards it against disconnecting.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

impl Entry {
    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.standing.state()
    }

    /// Where it goes when it has aged: ported-in and soft-removed numbers leave, protected ones go to
    /// their owner, the rest to the pool.
    #[must_use]
    pub fn home(&self) -> Home {
        match self.standing {
            _ if self.ported_in => Home::Away,
            Standing::Aging { leaves: true, .. } => Home::Away,
            _ if self.protected => Home::Owner,
            _ => Home::Pool,
        }
    }
}

/// The entry after a change: the one fold by which state follows from events.
///
/// # Errors
/// [`NoSuchStep`] when the diagram has no such arrow.
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
    debug_assert_eq!(standing.state(), to, "the standing is the one that the diagram names");
    let locked = match change {
        Change::Locked { .. } => true,
        Change::Unlocked { .. } => false,
        _ => before.locked && to == State::InService,
    };
    // In the pool a number is like any other: what an owner had set is gone.
    let protected = protected && to != State::Available;
    Ok(Entry { number: before.number, standing, area, protected, ported_in, locked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_is_this_grid() {
        let mut grid = String::new();
        for step in Step::ALL {
            grid += &format!("{step:?}\n");
            for from in State::ALL {
                if let Ok(to) = transition(*from, *step) {
                    grid += &format!("    {from} -> {to}\n");
                }
            }
        }
        insta::assert_snapshot!("diagram", grid);
    }
}
