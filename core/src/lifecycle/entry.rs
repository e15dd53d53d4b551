//! A number now: its state, with all that belongs to it.

use crate::account::Place;
use crate::ids::{AccountId, AreaId};
use crate::lifecycle::diagram::{Home, State};
use crate::number::Number;
use crate::time::Timestamp;

/// An operator's word that an aging number is not released, whatever its release day says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// When that ends by itself. `None`: when an operator says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Kept {
    /// Returns when it ends by itself: [`Timestamp::MAX`] if never.
    #[must_use]
    pub fn ends_at(self) -> Timestamp {
        self.until.unwrap_or(Timestamp::MAX)
    }
}

/// A state with what belongs to it. What belongs to another state has no field here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Standing {
    /// In the pool; nobody has it.
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
    /// Nobody has it. The account of `former` may take it back until the release.
    Aging {
        /// Where it was in service.
        former: Place,
        /// Not released before this instant.
        release_at: Timestamp,
        /// True if it leaves the system at the end, instead of going to the pool (soft-remove).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        leaves: bool,
        /// Set if an operator keeps it from release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Kept>,
    },
    /// In its owner's inventory.
    Protected {
        /// The owner.
        account: AccountId,
    },
    /// Kept by the operator.
    Administrative,
    /// Gone.
    Removed,
}

impl Standing {
    /// Returns the state alone.
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

    /// Returns the account whose inventory lists the number: the holder, the owner, or for an aging number the former
    /// account.
    #[must_use]
    pub fn holder(&self) -> Option<AccountId> {
        match self {
            Standing::Reserved { account, .. } | Standing::Protected { account } => Some(*account),
            Standing::InService { place } | Standing::Aging { former: place, .. } => Some(place.account),
            Standing::Available | Standing::Administrative | Standing::Removed => None,
        }
    }

    /// Returns where the number is in service, if it is in service on this account.
    #[must_use]
    pub fn in_service_on(&self, account: AccountId) -> Option<Place> {
        match self {
            Standing::InService { place } if place.account == account => Some(*place),
            _ => None,
        }
    }

    /// Returns where the number is in service, or for an aging number, was in service.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Standing::InService { place } | Standing::Aging { former: place, .. } => Some(*place),
            _ => None,
        }
    }

    /// Returns the end of the hold or of a reservation.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Standing::Aging { release_at, .. } => Some(*release_at),
            Standing::Reserved { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Returns from when on time alone changes it: the end of the hold or of a reservation, or of the keep if that is
    /// later. [`Timestamp::MAX`] for a number that is kept until an operator says otherwise.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            Standing::Aging { release_at, kept: Some(kept), .. } => Some(kept.ends_at().max(*release_at)),
            _ => self.ends_at(),
        }
    }

    /// Returns whether an operator keeps it from release.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        match self {
            Standing::Aging { kept, .. } => *kept,
            _ => None,
        }
    }
}

/// One number now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// The number.
    pub number: Number,
    /// Its state, with what belongs to it.
    pub standing: Standing,
    /// The area whose demand counts for it.
    pub area: AreaId,
    /// True if it goes to its owner's inventory after aging.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// True if it was ported in: it belongs to another carrier's pool and returns there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ported_in: bool,
    /// True if an operator guards it against disconnecting.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

impl Entry {
    /// Returns its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.standing.state()
    }

    /// Returns where it goes after aging.
    #[must_use]
    pub fn home(&self) -> Home {
        let leaves = matches!(self.standing, Standing::Aging { leaves: true, .. });
        Home::of(self.ported_in, leaves, self.protected)
    }
}
