//! Plans: what is asked, what came of it, and the trait.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, PlanId};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::order::decided::Otherwise;
use onhook_core::order::plan::{KeptPlan, NotApproved, PlanState};
use onhook_core::time::Timestamp;
use serde_json::Value;

use super::acts::Asked;
use super::once::Once;
use crate::Result;

/// A plan to be made.
#[derive(Clone, Debug)]
pub struct NewPlan {
    /// The act, the numbers, and who plans it.
    pub asked: Asked,
    /// The numbers as they were asked for.
    pub target: Value,
    /// A word by which it is found again.
    pub series: Option<String>,
    /// Those of the numbers whose disconnects stand in a report that was handed in.
    pub reported: Vec<Number>,
}

/// What came of making a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanMade {
    /// It is kept.
    Made(Box<KeptPlan>),
    /// Nothing was written: its user, or all users, have too many open plans.
    TooMany,
}

/// What came of applying a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanApplied {
    /// It was done: now, or before under the same hash.
    Done {
        /// The plan.
        plan: Box<KeptPlan>,
        /// True if it was done before.
        again: bool,
    },
    /// Nothing was done: another hash was given than that of what would happen now. The plan has that now.
    Changed {
        /// The plan as it is now.
        plan: Box<KeptPlan>,
        /// The numbers about which it decides otherwise.
        otherwise: Vec<Otherwise>,
    },
    /// Nothing was done: no number goes.
    Nothing(Box<KeptPlan>),
    /// Nothing was done: a second person has to agree first.
    ApprovalNeeded(Box<KeptPlan>),
    /// Nothing was done: it was applied under another hash or withdrawn, or its time is over.
    Over(Box<KeptPlan>),
    /// Nothing was done: it never had the hash.
    WrongHash,
    /// There is no such plan.
    Missing,
}

/// What came of approving a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanApproved {
    /// A second person has agreed to it.
    Done(Box<KeptPlan>),
    /// Nothing was written.
    Refused(NotApproved, Box<KeptPlan>),
    /// A second person has agreed to it, and this came of applying it.
    Applied(PlanApplied),
    /// There is no such plan.
    Missing,
}

/// What came of withdrawing a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanWithdrawn {
    /// It is withdrawn.
    Done(Box<KeptPlan>),
    /// It was applied, or its time is over.
    Over(Box<KeptPlan>),
    /// There is no such plan.
    Missing,
}

/// How a plan is approved.
#[derive(Clone, Debug)]
pub struct Approving {
    /// The hash of what is agreed to.
    pub hash: String,
    /// Who agrees, and why.
    pub author: Author,
    /// True if it is applied, too.
    pub apply: bool,
}

/// Which plans are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanFilter {
    /// Only plans about this account's numbers.
    pub account: Option<AccountId>,
    /// Only plans of this act, by its word.
    pub act: Option<String>,
    /// Only plans in this state.
    pub state: Option<PlanState>,
    /// Only plans of this series.
    pub series: Option<String>,
}

/// Plans.
#[async_trait]
pub trait Plans: Send + Sync {
    /// Makes a plan. It changes no number.
    ///
    /// # Errors
    /// `Conflict` if there is no such account. `KeyTaken` if it was made before.
    async fn make_plan(
        &self,
        new: NewPlan,
        once: Option<Once<PlanMade>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanMade>;

    /// Returns a plan.
    async fn plan(&self, id: PlanId) -> Result<Option<KeptPlan>>;

    /// Returns plans that a filter means at `now`, the newest first, at most `size`, each with its number in the order
    /// in which they were made, and without what is decided of each number. Begins before the plan of number `before`.
    async fn plans(
        &self,
        filter: PlanFilter,
        before: Option<i64>,
        size: usize,
        now: Timestamp,
    ) -> Result<Vec<(i64, KeptPlan)>>;

    /// Does what a plan with this hash says, all in one transaction, or nothing.
    ///
    /// # Errors
    /// `Conflict` if its account is gone. `KeyTaken` if it was done before.
    async fn apply_plan(
        &self,
        id: PlanId,
        hash: String,
        author: Author,
        once: Option<Once<PlanApplied>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanApplied>;

    /// Lets a second person agree to a plan, and applies it in the same transaction if that is asked for.
    ///
    /// # Errors
    /// As [`Plans::apply_plan`].
    async fn approve_plan(
        &self,
        id: PlanId,
        approving: Approving,
        once: Option<Once<PlanApproved>>,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<PlanApproved>;

    /// Takes a plan back.
    ///
    /// # Errors
    /// `KeyTaken` if it was done before.
    async fn withdraw_plan(
        &self,
        id: PlanId,
        author: Author,
        once: Option<Once<PlanWithdrawn>>,
        now: Timestamp,
    ) -> Result<PlanWithdrawn>;

    /// Forgets plans that were made longer ago than `onhook_core::order::plan::KEPT_MS` at `now`, at most `most` at once.
    /// Returns how many.
    async fn forget_plans(&self, now: Timestamp, most: usize) -> Result<usize>;

    /// Returns the number orders by which disconnect orders were undone, the oldest first. Orders that were not are absent.
    async fn undone_by(&self, orders: Vec<OrderId>) -> Result<HashMap<OrderId, Vec<OrderId>>>;
}
