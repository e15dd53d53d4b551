//! The audit trail: every change of a number is one event, and a number's state is the fold of its events.
//!
//! An import is *one* event for all of its numbers, since there are millions. The first event of a number after it
//! carries the entry as it was imported ([`Event::origin`]).

use crate::account::Place;
use crate::ids::{AccountId, AreaId, EventSeq, OrderSeq};
use crate::lifecycle::diagram::{Home, NoSuchStep, State, Step, transition};
use crate::lifecycle::entry::{Entry, Kept, Standing};
use crate::lifecycle::hold::Hold;
use crate::lifecycle::provenance::Provenance;
use crate::number::Number;
use crate::time::Timestamp;
use crate::words::words;

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
    /// An operator moved its release earlier.
    Shortened {
        /// The new end of aging.
        release_at: Timestamp,
    },
    /// An operator keeps it from release.
    Kept {
        /// When that ends by itself. `None`: when an operator says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// An operator no longer keeps it.
    Unkept,
    /// An operator took it out of the pool.
    SetAside,
    /// An operator put it back into the pool.
    PutBack,
    /// It went to another carrier, with its subscriber.
    PortedOut {
        /// When it went. It is written down then or later.
        at: Timestamp,
    },
    /// An operator corrected what an import said.
    Corrected {
        /// Its area, if that was wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        area: Option<AreaId>,
        /// Whether it belongs to another carrier's pool, if that was wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ported_in: Option<bool>,
    },
}

words! {
    /// The kinds of what happens to a number.
    EventKind {
        /// [`Change::Reserved`].
        Reserved = "reserved",
        /// [`Change::Unreserved`].
        Unreserved = "unreserved",
        /// [`Change::Activated`].
        Activated = "activated",
        /// [`Change::Disconnected`].
        Disconnected = "disconnected",
        /// [`Change::Reconnected`].
        Reconnected = "reconnected",
        /// [`Change::Released`].
        Released = "released",
        /// [`Change::Purged`].
        Purged = "purged",
        /// [`Change::Extended`].
        Extended = "extended",
        /// [`Change::Shortened`].
        Shortened = "shortened",
        /// [`Change::Kept`].
        Kept = "kept",
        /// [`Change::Unkept`].
        Unkept = "unkept",
        /// [`Change::Locked`].
        Locked = "locked",
        /// [`Change::Unlocked`].
        Unlocked = "unlocked",
        /// [`Change::Moved`].
        Moved = "moved",
        /// [`Change::SetAside`].
        SetAside = "set_aside",
        /// [`Change::PutBack`].
        PutBack = "put_back",
        /// [`Change::PortedOut`].
        PortedOut = "ported_out",
        /// [`Change::Restored`].
        Restored = "restored",
        /// [`Change::Corrected`].
        Corrected = "corrected",
    }
}

impl Change {
    /// Returns its kind, and its arrow in the diagram: one line each.
    #[must_use]
    pub fn kind_and_step(&self) -> (EventKind, Step) {
        use EventKind as K;
        match self {
            Change::Reserved { .. } => (K::Reserved, Step::Reserve),
            Change::Unreserved => (K::Unreserved, Step::Unreserve),
            Change::Activated { .. } => (K::Activated, Step::Activate),
            Change::Disconnected { .. } => (K::Disconnected, Step::Disconnect),
            Change::Reconnected { .. } => (K::Reconnected, Step::Reconnect),
            Change::Released { home } => (K::Released, Step::Release(*home)),
            Change::Purged { .. } => (K::Purged, Step::Purge),
            Change::Extended { .. } => (K::Extended, Step::Extend),
            Change::Locked { .. } => (K::Locked, Step::Lock),
            Change::Unlocked { .. } => (K::Unlocked, Step::Unlock),
            Change::Moved { .. } => (K::Moved, Step::Move),
            Change::Restored { standing, .. } => (K::Restored, Step::Restore(standing.state())),
            Change::Shortened { .. } => (K::Shortened, Step::Shorten),
            Change::Kept { .. } => (K::Kept, Step::Keep),
            Change::Unkept => (K::Unkept, Step::Unkeep),
            Change::SetAside => (K::SetAside, Step::SetAside),
            Change::PutBack => (K::PutBack, Step::PutBack),
            Change::PortedOut { .. } => (K::PortedOut, Step::PortOut),
            Change::Corrected { .. } => (K::Corrected, Step::Correct),
        }
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.kind_and_step().0
    }

    /// Returns its arrow in the diagram.
    #[must_use]
    pub fn step(&self) -> Step {
        self.kind_and_step().1
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
        !self.step().stays()
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
    /// Under what it was done. An order's event says nothing here: its order does.
    pub under: Provenance,
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
        Change::Corrected { area, ported_in } => {
            (area.unwrap_or(before.area), ported_in.unwrap_or(before.ported_in))
        }
        _ => (before.area, before.ported_in),
    };
    let standing = match (change, before.standing) {
        (Change::Reserved { account, until }, _) => Standing::Reserved { account: *account, until: *until },
        (
            Change::Activated { place, .. } | Change::Reconnected { place, .. } | Change::Moved { place },
            _,
        ) => Standing::InService { place: *place },
        (Change::Disconnected { hold, leaves, .. }, Standing::InService { place }) => {
            Standing::Aging { former: place, release_at: hold.release_at, leaves: *leaves, kept: None }
        }
        (
            Change::Extended { release_at, .. } | Change::Shortened { release_at },
            Standing::Aging { former, leaves, kept, .. },
        ) => Standing::Aging { former, release_at: *release_at, leaves, kept },
        (Change::Kept { until }, Standing::Aging { former, release_at, leaves, .. }) => {
            Standing::Aging { former, release_at, leaves, kept: Some(Kept { until: *until }) }
        }
        (Change::Unkept, Standing::Aging { former, release_at, leaves, .. }) => {
            Standing::Aging { former, release_at, leaves, kept: None }
        }
        (Change::Released { home: Home::Owner }, Standing::Aging { former, .. }) => {
            Standing::Protected { account: former.account }
        }
        (Change::Locked { .. } | Change::Unlocked { .. } | Change::Corrected { .. }, standing) => standing,
        (Change::Restored { standing, .. }, _) => *standing,
        (Change::Unreserved | Change::PutBack | Change::Released { home: Home::Pool }, _) => {
            Standing::Available
        }
        (Change::Purged { .. } | Change::PortedOut { .. } | Change::Released { home: Home::Away }, _) => {
            Standing::Removed
        }
        (Change::SetAside, _) => Standing::Administrative,
        (
            Change::Disconnected { .. }
            | Change::Extended { .. }
            | Change::Shortened { .. }
            | Change::Kept { .. }
            | Change::Unkept
            | Change::Released { .. },
            _,
        ) => return Err(NoSuchStep { from: before.state(), step }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SiteId;

    /// Stores hold changes and origins in these forms. A name in them never changes.
    #[test]
    fn a_change_is_read_as_it_was_stored() {
        for (stored, kind) in [
            (r#"{"Reserved":{"account":1,"until":5}}"#, "reserved"),
            (r#""Unreserved""#, "unreserved"),
            (r#"{"Activated":{"place":{"account":1,"site":2,"peer":3}}}"#, "activated"),
            (
                r#"{"Disconnected":{"hold":{"profile":"us","area":"540","supply":1,"demand":0.5,"min_days":45,"max_days":90,"days":90,"release_at":5,"zone":"UTC"},"leaves":true,"protected":false}}"#,
                "disconnected",
            ),
            (r#"{"Reconnected":{"place":{"account":1,"site":2},"protected":true}}"#, "reconnected"),
            (r#"{"Released":{"home":"pool"}}"#, "released"),
            (r#"{"Purged":{}}"#, "purged"),
            (r#"{"Extended":{"release_at":5,"reason":"a waiver"}}"#, "extended"),
            (r#"{"Locked":{"reason":"a hospital"}}"#, "locked"),
            (r#"{"Unlocked":{"reason":"no longer"}}"#, "unlocked"),
            (r#"{"Moved":{"place":{"account":1,"site":2}}}"#, "moved"),
            (
                r#"{"Restored":{"standing":{"Aging":{"former":{"account":1,"site":2},"release_at":5,"leaves":true}},"area":1,"ported_in":true}}"#,
                "restored",
            ),
            (r#"{"Shortened":{"release_at":5}}"#, "shortened"),
            (r#"{"Kept":{"until":5}}"#, "kept"),
            (r#"{"Kept":{}}"#, "kept"),
            (r#""Unkept""#, "unkept"),
            (r#""SetAside""#, "set_aside"),
            (r#""PutBack""#, "put_back"),
            (r#"{"PortedOut":{"at":5}}"#, "ported_out"),
            (r#"{"Corrected":{"area":2,"ported_in":false}}"#, "corrected"),
            (r#"{"Corrected":{"area":2}}"#, "corrected"),
        ] {
            let change: Change = serde_json::from_str(stored).unwrap();
            assert_eq!(serde_json::to_string(&change).unwrap(), stored);
            assert_eq!(change.kind().word(), kind);
        }
        let origin = r#"{"number":15405514342,"standing":{"Aging":{"former":{"account":1,"site":2},"release_at":5,"kept":{"until":9}}},"area":1}"#;
        let entry: Entry = serde_json::from_str(origin).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), origin);
    }

    #[test]
    fn an_act_changes_what_it_says_and_nothing_else() {
        let at = Timestamp::from_millis;
        let former = Place { account: AccountId::new(1).unwrap(), site: SiteId::new(2).unwrap(), peer: None };
        let aging = |release_at, until: Option<Option<i64>>| Entry {
            number: "5405514342".parse().unwrap(),
            standing: Standing::Aging {
                former,
                release_at: at(release_at),
                leaves: true,
                kept: until.map(|until| Kept { until: until.map(at) }),
            },
            area: AreaId(1),
            protected: true,
            ported_in: false,
            locked: false,
        };
        let in_state = |standing| Entry { standing, ..aging(0, None) };
        let in_service = in_state(Standing::InService { place: former });
        let (aside, removed) = (in_state(Standing::Administrative), in_state(Standing::Removed));
        let available = Entry { protected: false, ..in_state(Standing::Available) };
        let reason = String::new();
        for (before, change, after) in [
            (aging(5, Some(None)), Change::Extended { release_at: at(9), reason }, aging(9, Some(None))),
            (aging(5, None), Change::Shortened { release_at: at(3) }, aging(3, None)),
            (aging(5, None), Change::Kept { until: Some(at(7)) }, aging(5, Some(Some(7)))),
            (aging(5, Some(None)), Change::Unkept, aging(5, None)),
            (aging(5, Some(None)), Change::Reconnected { place: former, protected: None }, in_service),
            (available, Change::SetAside, Entry { protected: false, ..aside }),
            (aside, Change::PutBack, available),
            (Entry { locked: true, ..in_service }, Change::PortedOut { at: at(1) }, removed),
            (aging(5, Some(None)), Change::PortedOut { at: at(1) }, removed),
            (
                Entry { locked: true, ..in_service },
                Change::Corrected { area: Some(AreaId(2)), ported_in: Some(true) },
                Entry { locked: true, area: AreaId(2), ported_in: true, ..in_service },
            ),
            (aging(5, Some(None)), Change::Corrected { area: None, ported_in: None }, aging(5, Some(None))),
        ] {
            assert_eq!(apply(&before, &change), Ok(after), "{change:?}");
        }
        for (kept, due) in [(None, 5), (Some(Some(3)), 5), (Some(Some(7)), 7), (Some(None), i64::MAX)] {
            assert_eq!(aging(5, kept).standing.due_at(), Some(at(due)));
        }
    }
}
