//! Acts of people on numbers: what is asked, what came of it, and the trait.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::Class;
use onhook_core::ids::{AccountId, OrderId, PlanId, SiteId};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::order::Order;
use onhook_core::order::act::{Act, Goes, Judged, Refused};
use onhook_core::order::plan::KeptPlan;
pub use onhook_core::order::plan::Tally;
use onhook_core::time::Timestamp;

use super::numbers::Facts;
use super::once::Once;
use crate::Result;

/// An act on some numbers.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The act.
    pub act: Act,
    /// Whose numbers they are to be. `None`: anyone's. An act that becomes an order needs it.
    pub account: Option<AccountId>,
    /// The numbers: at most `onhook_core::order::NUMBERS_MAX`, by digits, none twice.
    pub numbers: Vec<Number>,
    /// How many more numbers there are that were asked for.
    pub remaining: u64,
    /// Who asks, and under what.
    pub author: Author,
    /// When the plan of it was made.
    pub made_at: Timestamp,
    /// When that plan ends. Of one that is about to be made it is not known yet.
    pub expires_at: Timestamp,
}

/// Numbers that age equally long for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldGroup {
    /// The profile's name.
    pub profile: String,
    /// The account's class.
    pub class: Class,
    /// How many days they age.
    pub days: u16,
    /// When they are released.
    pub release_at: Timestamp,
}

/// What someone should know before an act is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// These are all numbers of the account in service.
    WholeAccount,
    /// These are all numbers in service at this site.
    WholeSite(SiteId),
    /// So many numbers go to another site than they were at, which is gone.
    GoesElsewhere(usize),
    /// So many numbers age longer than their profile allows.
    PastCeiling(usize),
    /// Their release day changes before the plan ends.
    MidnightNear,
    /// No subscriber hears of it.
    NeverTold,
    /// So many numbers' disconnects stand in a report that was handed in.
    AlreadyReported(usize),
}

impl Warning {
    /// Returns its word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Warning::WholeAccount => "whole_account",
            Warning::WholeSite(_) => "whole_site",
            Warning::GoesElsewhere(_) => "goes_elsewhere",
            Warning::PastCeiling(_) => "past_ceiling",
            Warning::MidnightNear => "midnight_near",
            Warning::NeverTold => "never_told",
            Warning::AlreadyReported(_) => "already_reported",
        }
    }

    /// Returns it in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Warning::WholeAccount => "these are all numbers in service of the account".into(),
            Warning::WholeSite(site) => format!("these are all numbers in service at site {site}"),
            Warning::GoesElsewhere(numbers) => {
                format!("the site of {numbers} numbers is gone: they go to the account's default site")
            }
            Warning::PastCeiling(numbers) => {
                format!("{numbers} numbers age longer than their profile allows")
            }
            Warning::MidnightNear => "the release day changes before this plan ends".into(),
            Warning::NeverTold => "no subscriber is told of it".into(),
            Warning::AlreadyReported(numbers) => {
                format!("the disconnects of {numbers} numbers stand in a report, which takes nothing back")
            }
        }
    }
}

/// What would happen to each number.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The decisions, by digits.
    pub items: Vec<Judged>,
    /// How many of them there are.
    pub counts: Tally,
    /// How many numbers are refused for which reason.
    pub refused: BTreeMap<Refused, usize>,
    /// How many numbers age how long.
    pub holds: BTreeMap<HoldGroup, usize>,
    /// What someone should know.
    pub warnings: Vec<Warning>,
    /// The hash of the decisions.
    pub hash: String,
}

impl Plan {
    /// Returns what happens to the numbers that go.
    pub(crate) fn going(&self) -> impl Iterator<Item = (Number, &Goes)> {
        self.items.iter().filter_map(|item| Some((item.number, item.outcome.as_ref().ok()?)))
    }

    /// Returns the numbers about which another plan decides otherwise, with its decision, if it is about them.
    #[must_use]
    pub fn changed<'a>(&'a self, now: &'a Plan) -> Vec<(&'a Judged, Option<&'a Judged>)> {
        let others: HashMap<Number, &Judged> = now.items.iter().map(|item| (item.number, item)).collect();
        let pairs = self.items.iter().map(|item| (item, others.get(&item.number).copied()));
        pairs.filter(|(item, other)| other.is_none_or(|other| !item.decides_as(other))).collect()
    }
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq)]
pub enum Acted {
    /// It was done.
    Done {
        /// To exactly the numbers that go by this plan.
        plan: Plan,
        /// If it was about one number: the number as it is then.
        number: Option<Box<Facts>>,
    },
    /// Nothing was done: no number goes.
    Nothing(Plan),
    /// Nothing was done: this is what would happen now, and another hash was given.
    Changed(Plan),
    /// Nothing was done so far: this plan of it waits for a second person.
    Waits(Box<KeptPlan>),
    /// Nothing was done: it needs a second person, and there are too many open plans.
    TooMany,
}

/// What came of undoing an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Undone {
    /// The numbers that go by this plan are back where they were, by this order, which has ended.
    Done {
        /// What happened to each number.
        plan: Plan,
        /// The order.
        order: Box<Order>,
        /// The plan as it is kept.
        kept: PlanId,
    },
    /// Nothing was done: some numbers cannot come back, and all of them were asked for. This plan may be applied to the
    /// others.
    Incomplete(Box<KeptPlan>),
    /// Nothing was done: no number can come back.
    Nothing(Plan),
    /// Nothing was done: there is no such order, or none that can be undone.
    NotUndoable,
    /// Nothing was done: some numbers cannot come back, and there are too many open plans for one more.
    TooMany,
}

/// Acts of people on numbers.
#[async_trait]
pub trait Acts: Send + Sync {
    /// Does an act that becomes no order, in one transaction. With a `hash`, only if its decision has that hash now.
    ///
    /// # Errors
    /// `Conflict` if there is no such account, or if the act becomes an order. `KeyTaken` if it was done before.
    async fn act(
        &self,
        asked: Asked,
        hash: Option<String>,
        once: Option<Once<Acted>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Acted>;

    /// Undoes a disconnect order, in one transaction: each number that it took goes back where it was, by an order that
    /// is made and has ended when this returns. Either all of these numbers can come back, or, if `partial`, some.
    ///
    /// # Errors
    /// `Conflict` if the order's account is gone. `KeyTaken` if it was done before.
    async fn undo(
        &self,
        order: OrderId,
        partial: bool,
        author: Author,
        once: Option<Once<Undone>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Undone>;
}
