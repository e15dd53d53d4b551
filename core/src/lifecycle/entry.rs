//! A number now: its state with all that belongs to it.

use crate::account::Place;
use crate::ids::{AccountId, AreaId};
use crate::lifecycle::diagram::{Home, State};
use crate::number::Number;
use crate::time::Timestamp;

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
