//! Plans as they are kept: an act on many numbers, what was decided of each, who agreed to it and what became of it.
//!
//! A plan does nothing by itself. It is applied with the hash of its decision, and then exactly that is done, or
//! nothing. Some acts need a second person to agree first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::{Class, Role};
use crate::ids::{AccountId, OrderId, PlanId};
use crate::lifecycle::provenance::{Author, Credential};
use crate::order::Status;
use crate::order::act::{Act, Refused};
use crate::order::decided::Decisions;
use crate::time::{DAY_MS, Timestamp};
use crate::words::words;

/// Most open plans of a user.
pub const OPEN_MAX: u64 = 1_000;
/// Most open plans.
pub const ALL_OPEN_MAX: u64 = 10_000;
/// How long a plan is kept for the audit, in milliseconds.
pub const KEPT_MS: i64 = 90 * DAY_MS;
/// How long a plan lives for which two persons are needed, in milliseconds.
pub const TWO_PERSONS_LIVES_MS: i64 = DAY_MS;
/// Most characters of a series.
pub const SERIES_MAX: usize = 50;
/// In how many milliseconds the unlocks of a user are counted.
pub const UNLOCKS_IN_MS: i64 = DAY_MS;

words! {
    /// What became of a plan.
    PlanState {
        /// It can be applied.
        Open = "open",
        /// It was applied.
        Applied = "applied",
        /// Its time is over.
        Expired = "expired",
        /// A person took it back.
        Withdrawn = "withdrawn",
    }
}

/// For what a second person is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoPerson {
    /// For purging numbers.
    pub purge: bool,
    /// For releasing numbers before the end of their hold.
    pub release_early: bool,
    /// For more unlocks than this by one user in 24 hours. `None`: never.
    #[serde(deserialize_with = "said")]
    pub unlock_over: Option<u32>,
    /// For deciding on held orders.
    pub held: bool,
}

/// Reads a value that must be there, though it may be null.
fn said<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(value)
}

impl Default for TwoPerson {
    fn default() -> Self {
        Self { purge: true, release_early: true, unlock_over: Some(10), held: true }
    }
}

impl TwoPerson {
    /// Returns whether two persons are needed for an act by which so many numbers go. `unlocked` is how many numbers its
    /// user has unlocked in the last [`UNLOCKS_IN_MS`].
    #[must_use]
    pub fn needed(&self, act: &Act, go: usize, unlocked: u64) -> bool {
        let go = u64::try_from(go).unwrap_or(u64::MAX);
        match act {
            Act::Purge { .. } => self.purge,
            Act::ReleaseEarly { .. } => self.release_early,
            Act::Unlock => self.unlock_over.is_some_and(|over| unlocked.saturating_add(go) > over.into()),
            _ => false,
        }
    }

    /// Returns whether two persons may be needed for an act.
    #[must_use]
    pub fn may_be_needed(act: &Act) -> bool {
        matches!(act, Act::Purge { .. } | Act::ReleaseEarly { .. } | Act::Unlock)
    }
}

/// Returns whether a user of this role may plan an act, and apply it. `unlocks` says whether the user may unlock
/// numbers. An operator may all.
#[must_use]
pub fn may_plan(act: &Act, role: Role, unlocks: bool) -> bool {
    let of_accounts = match act {
        Act::Disconnect { .. } | Act::Reconnect { .. } | Act::Undo { .. } | Act::Move { .. } | Act::Lock => {
            true
        }
        Act::Unlock => unlocks,
        Act::Extend { .. } | Act::Keep { .. } | Act::Unkeep | Act::ReleaseEarly { .. } => false,
        Act::Purge { .. } | Act::SetAside | Act::PutBack | Act::PortOut { .. } => false,
        Act::Restore(_) | Act::Correct(_) => false,
    };
    role == Role::Operator || (of_accounts && role >= Role::Order)
}

/// Returns whether a user of this role may approve another one's plan.
#[must_use]
pub fn may_approve(act: &Act, role: Role, unlocks: bool) -> bool {
    role == Role::Operator || (matches!(act, Act::Unlock) && unlocks && role >= Role::Admin)
}

/// Returns whether one more plan is too many, with so many open ones of its user and of all.
#[must_use]
pub fn too_many(of_user: u64, of_all: u64) -> bool {
    of_user >= OPEN_MAX || of_all >= ALL_OPEN_MAX
}

/// Who did something to a plan, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Who.
    pub user: String,
    /// How they showed who they are.
    pub credential: Option<Credential>,
    /// From where.
    pub address: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Signed {
    /// Returns an author at an instant.
    #[must_use]
    pub fn by(author: &Author, at: Timestamp) -> Self {
        let under = &author.under;
        Self {
            user: author.user.clone(),
            credential: under.credential,
            address: under.address.as_deref().map(str::to_owned),
            reason: under.reason.as_deref().map(str::to_owned),
            at,
        }
    }
}

/// That a person agrees to a plan as it was under a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The hash.
    pub hash: String,
    /// The person.
    pub by: Signed,
}

/// How many numbers a plan is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All that it names.
    pub named: usize,
    /// Those that go.
    pub go: usize,
    /// Those that do not.
    pub refused: usize,
    /// Those that were asked for and are not in it.
    pub remaining: u64,
}

/// How many numbers of a plan age equally long for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHold {
    /// The profile's name.
    pub profile: String,
    /// The account's class.
    pub class: Class,
    /// How many days they age.
    pub days: u16,
    /// When they are released.
    pub release_at: Timestamp,
    /// How many numbers.
    pub numbers: usize,
}

/// What someone should know before a plan is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    /// A word for it.
    pub code: String,
    /// A sentence.
    pub detail: String,
}

/// What was done by a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// How many numbers went.
    pub went: usize,
    /// The order that it became, if it became one.
    pub order: Option<(OrderId, Status)>,
}

/// A plan as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptPlan {
    /// Its id.
    pub id: PlanId,
    /// The act.
    pub act: Act,
    /// Whose numbers they are to be.
    pub account: Option<AccountId>,
    /// The numbers that were asked for, as they were asked for.
    pub target: Value,
    /// A word of its maker, by which it is found again.
    pub series: Option<String>,
    /// Who made it, when and why.
    pub made: Signed,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// Whether it was applied or withdrawn, by whom and when.
    pub ended: Option<(PlanState, Signed)>,
    /// The hash of its decision.
    pub hash: String,
    /// The hashes that it has had before.
    pub earlier: Vec<String>,
    /// How many numbers it is about.
    pub counts: Tally,
    /// How many numbers are refused for which reason.
    pub refused: BTreeMap<Refused, usize>,
    /// How many numbers age how long.
    pub holds: Vec<PlannedHold>,
    /// What someone should know.
    pub warnings: Vec<Warned>,
    /// True if a second person must agree to it.
    pub two_persons: bool,
    /// Who agreed to it as it is now.
    pub approvals: Vec<Approval>,
    /// What was done by it, if it was applied.
    pub done: Option<Done>,
    /// What is decided of each number.
    #[serde(skip)]
    pub decisions: Decisions,
}

/// Why a plan is not approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotApproved {
    /// It never had this hash.
    WrongHash,
    /// It had this hash once, and decides otherwise now.
    Changed,
    /// It was applied or withdrawn, or its time is over.
    Over,
    /// Nobody has to agree to it.
    NotNeeded,
    /// Who made it cannot be the second person.
    SamePerson,
    /// The person who agrees may not do that, or not any more.
    NotAllowed,
}

impl KeptPlan {
    /// Returns what became of it.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> PlanState {
        match &self.ended {
            Some((state, _)) => *state,
            None if now >= self.expires_at => PlanState::Expired,
            None => PlanState::Open,
        }
    }

    /// Returns whether it has this hash, or has had it.
    #[must_use]
    pub fn knows(&self, hash: &str) -> bool {
        self.hash == hash || self.earlier.iter().any(|earlier| earlier == hash)
    }

    /// Returns whether a second person has agreed to it as it is.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.approvals.iter().any(|approval| approval.hash == self.hash && approval.by.user != self.made.user)
    }

    /// Returns whether it waits for a second person at `now`.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> bool {
        self.two_persons && !self.is_approved() && self.state(now) == PlanState::Open
    }

    /// Notes that a person agrees to the plan as it is under a hash. Returns false for someone who has agreed already: then
    /// nothing changes.
    ///
    /// # Errors
    /// If they may not, or if nobody has to.
    pub fn approve(&mut self, hash: &str, by: Signed) -> Result<bool, NotApproved> {
        if !self.knows(hash) {
            return Err(NotApproved::WrongHash);
        }
        let again = self.approvals.iter().any(|one| one.hash == hash && one.by.user == by.user);
        if self.state(by.at) != PlanState::Open {
            return if again { Ok(false) } else { Err(NotApproved::Over) };
        }
        if self.hash != hash {
            return Err(NotApproved::Changed);
        }
        if !self.two_persons {
            return Err(NotApproved::NotNeeded);
        }
        if by.user == self.made.user {
            return Err(NotApproved::SamePerson);
        }
        if !again {
            self.approvals.push(Approval { hash: hash.to_owned(), by });
        }
        Ok(!again)
    }

    /// Notes that a person takes the plan back. Returns false if it is over otherwise.
    #[must_use]
    pub fn withdraw(&mut self, by: Signed) -> bool {
        match self.state(by.at) {
            PlanState::Open => {
                self.ended = Some((PlanState::Withdrawn, by));
                true
            }
            PlanState::Withdrawn => true,
            PlanState::Applied | PlanState::Expired => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(user: &str, millis: i64) -> Signed {
        let at = Timestamp::from_millis(millis);
        Signed { user: user.into(), credential: None, address: None, reason: None, at }
    }

    fn plan() -> KeptPlan {
        KeptPlan {
            id: PlanId(uuid::Uuid::from_u128(1)),
            act: Act::Purge { name: None },
            account: None,
            target: Value::Null,
            series: None,
            made: signed("maker", 0),
            expires_at: Timestamp::from_millis(100),
            ended: None,
            hash: "h".into(),
            earlier: vec!["g".into()],
            counts: Tally::default(),
            refused: BTreeMap::new(),
            holds: Vec::new(),
            warnings: Vec::new(),
            two_persons: true,
            approvals: Vec::new(),
            done: None,
            decisions: Decisions::default(),
        }
    }

    #[test]
    fn a_second_person_agrees_to_what_the_plan_says_now() {
        let mut plan = plan();
        assert_eq!(plan.approve("x", signed("other", 1)), Err(NotApproved::WrongHash));
        assert_eq!(plan.approve("g", signed("other", 1)), Err(NotApproved::Changed));
        assert_eq!(plan.approve("h", signed("maker", 1)), Err(NotApproved::SamePerson));
        assert_eq!(plan.approve("h", signed("other", 100)), Err(NotApproved::Over));
        assert!(plan.waits(Timestamp::from_millis(99)) && !plan.waits(Timestamp::from_millis(100)));
        for at in [2, 3, 100] {
            assert_eq!(plan.approve("h", signed("other", at)), Ok(at == 2), "again is no more than once");
        }
        assert_eq!((plan.approvals.len(), plan.is_approved()), (1, true));
        plan.hash = "i".into();
        assert!(!plan.is_approved(), "an approval is for one hash");
        plan.two_persons = false;
        assert_eq!(plan.approve("i", signed("other", 4)), Err(NotApproved::NotNeeded));
    }

    #[test]
    fn a_plan_ends_once() {
        let mut plan = plan();
        assert!(plan.clone().withdraw(signed("maker", 99)));
        assert!(!plan.clone().withdraw(signed("maker", 100)), "its time is over");
        plan.ended = Some((PlanState::Applied, signed("maker", 5)));
        assert!(!plan.withdraw(signed("maker", 6)));
        assert_eq!(plan.state(Timestamp::from_millis(200)), PlanState::Applied);
    }

    #[test]
    fn who_may_plan_and_approve_which_act() {
        let (lock, purge) = (Act::Lock, Act::Purge { name: None });
        assert!(may_plan(&lock, Role::Order, false) && !may_plan(&lock, Role::Read, false));
        assert!(may_plan(&purge, Role::Operator, false) && !may_plan(&purge, Role::Admin, true));
        assert!(may_plan(&Act::Unlock, Role::Order, true) && !may_plan(&Act::Unlock, Role::Admin, false));
        assert!(
            may_approve(&Act::Unlock, Role::Admin, true) && !may_approve(&Act::Unlock, Role::Order, true)
        );
        assert!(may_approve(&purge, Role::Operator, false) && !may_approve(&purge, Role::Admin, true));
    }

    #[test]
    fn unlocks_are_counted_together() {
        let two = TwoPerson::default();
        assert!(!two.needed(&Act::Unlock, 10, 0) && two.needed(&Act::Unlock, 11, 0));
        assert!(!two.needed(&Act::Unlock, 1, 9) && two.needed(&Act::Unlock, 1, 10));
        let never = TwoPerson { unlock_over: None, ..two };
        assert!(!never.needed(&Act::Unlock, 5_000, u64::MAX));
        assert!(two.needed(&Act::Purge { name: None }, 1, 0) && !two.needed(&Act::Lock, 5_000, 0));
    }
}
