//! Orders are accepted, run, listed and changed: queries, results, and the trait.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, PlanId, SiteId};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::number::Number;
use onhook_core::order::amend::Amendment;
use onhook_core::order::{HistoryLine, Kind, NewOrder, Order, Refusal, Status, Summary};
use onhook_core::time::Timestamp;

use crate::Result;
use crate::contract::page::{Page, Start};

/// An order that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The order's id: its own, or that of the first order with the same key.
    pub id: OrderId,
    /// True if an earlier request with the same key made it.
    pub again: bool,
}

/// The result of one step of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepReport {
    /// The orders that ended, with how many of their numbers failed.
    pub ended: Vec<Ended>,
    /// How many numbers changed.
    pub numbers: usize,
    /// How many of these numbers were reserved until now, in a step that time makes.
    pub reservations: usize,
    /// How many notifications were written.
    pub told: usize,
    /// True if the step's limit left more to do.
    pub more: bool,
    /// True if orders wait of accounts whose orders another step ran at that moment, on this node or another.
    pub busy: bool,
}

/// How orders are run under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// How many steps may run at once on a node. Each runs orders of accounts that no other has.
    pub at_once: usize,
    /// Most orders in one step. The more there are, the more they share, and the longer others wait for their accounts.
    pub orders_max: usize,
    /// How many nodes share the orders, as far as this one knows. At least 1.
    pub nodes: usize,
}

/// An order that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub id: OrderId,
    /// Its final status.
    pub status: Status,
    /// How many numbers it is about.
    pub total: usize,
    /// How many of them failed.
    pub failed: usize,
}

/// A query for orders of an account.
#[derive(Clone, Debug)]
pub struct OrderQuery {
    /// The account.
    pub account: AccountId,
    /// The kind of orders.
    pub kind: Kind,
    /// Only orders in this status.
    pub status: Option<Status>,
    /// Only orders whose numbers go to this site.
    pub site: Option<SiteId>,
    /// Only orders of this user.
    pub user: Option<String>,
    /// Only orders with this customer order id.
    pub customer_order_id: Option<String>,
    /// Only orders that arrived from the first instant on, and before the second.
    pub created: Option<(Timestamp, Timestamp)>,
    /// Where the page begins. The newest orders are first.
    pub start: Start<OrderId>,
    /// Most items on the page.
    pub size: usize,
}

/// Which orders of the store are meant: those for which all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only orders of this account.
    pub account: Option<AccountId>,
    /// Only orders of this kind.
    pub kind: Option<Kind>,
    /// Only orders in this status.
    pub status: Option<Status>,
    /// Only orders of this user.
    pub user: Option<String>,
    /// Only the order of this plan.
    pub plan: Option<PlanId>,
    /// Only orders that arrived at this instant or later.
    pub created_from: Option<Timestamp>,
    /// Only orders that arrived before this instant.
    pub created_until: Option<Timestamp>,
}

impl OrderFilter {
    /// Returns whether an order is meant.
    #[must_use]
    pub fn fits(&self, order: &Order) -> bool {
        self.account.is_none_or(|account| order.account == account)
            && self.kind.is_none_or(|kind| order.request.kind() == kind)
            && self.status.is_none_or(|status| order.status == status)
            && self.plan.is_none_or(|plan| order.under.plan == Some(plan))
            && self.user.as_ref().is_none_or(|user| order.user == *user)
            && self.created_from.is_none_or(|from| order.created_at >= from)
            && self.created_until.is_none_or(|until| order.created_at < until)
    }
}

/// Most orders that one search reads. It returns where it stopped.
pub const ORDER_LOOKS_MAX: usize = 5_000;

/// A note on an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: i64,
    /// Who wrote it.
    pub user: String,
    /// Its text.
    pub text: String,
    /// When it was last written.
    pub at: Timestamp,
}

/// A note to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNote {
    /// Who writes it.
    pub user: String,
    /// Its text.
    pub text: String,
    /// When it is written.
    pub at: Timestamp,
}

/// The result of changing an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Amended {
    /// It is changed. This is the order now.
    Done(Box<Order>),
    /// It does not wait for numbers. Nothing was written.
    NotWaiting,
    /// The account has no such order.
    NoOrder,
}

/// What stands beside the rules for single orders of an emulator: orders that wait though nothing else keeps them, and
/// numbers that are refused though the rules would let them go. It makes no number move.
pub trait Script: std::fmt::Debug + Send + Sync {
    /// Returns whether a new order waits at `now`.
    fn waits(&self, order: OrderId, now: Timestamp) -> bool;

    /// Returns why a number of an order is refused, if it is.
    fn refuses(&self, order: OrderId, number: Number) -> Option<Refusal>;
}

/// Orders are accepted, run, listed and changed.
#[async_trait]
pub trait Orders: Send + Sync {
    /// Makes an order durable, and returns its id. The same key again, with the same digest, returns the first order's.
    ///
    /// # Errors
    /// `Full`, `Unwritable`: nothing was written, try later. `KeyReused`. `Broken`: it may or may not be written; ask
    /// again with the key.
    async fn accept(&self, order: Arc<NewOrder>) -> Result<Accepted>;

    /// Follows a script when orders run, from now on. It is set once.
    fn follow(&self, script: Arc<dyn Script>);

    /// Returns how orders are best run here.
    fn pace(&self) -> Steps {
        Steps { at_once: 1, orders_max: 256, nodes: 1 }
    }

    /// Runs at most `orders_max` accepted orders with `numbers_max` numbers, but at least one order. Accounts take turns,
    /// each with its oldest order first. Then, if the pool has grown, runs some of the orders that wait for numbers.
    /// `policy` decides holds. Each order's effects are whole or absent. No order runs twice, even if several nodes run
    /// orders on one store.
    async fn run_orders(
        &self,
        now: Timestamp,
        orders_max: usize,
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<StepReport>;

    /// Returns an order of an account, by its id.
    async fn order(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Order>>;

    /// Returns orders of an account, newest first.
    async fn orders(&self, query: OrderQuery) -> Result<Page<Summary, OrderId>>;

    /// Returns an order by its id alone.
    async fn order_by_id(&self, id: OrderId) -> Result<Option<Order>>;

    /// Returns orders that a filter means, newest first, at most `size`, beginning after the order `after`. It reads a
    /// bounded number of rows, so it may return fewer, and tells the order after which to go on.
    async fn find_orders(
        &self,
        filter: OrderFilter,
        after: Option<OrderId>,
        size: usize,
    ) -> Result<(Vec<Order>, Option<OrderId>)>;

    /// Returns the notes of an order, oldest first. `None` if there is no such order.
    async fn notes(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Note>>>;

    /// Adds a note to an order, or replaces the note `replaces`. Returns its id, or `None` if there is no such order or
    /// note.
    async fn write_note(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
        replaces: Option<i64>,
        note: NewNote,
    ) -> Result<Option<i64>>;

    /// Changes a number order that waits for numbers.
    async fn amend_order(
        &self,
        account: AccountId,
        id: OrderId,
        amendment: Amendment,
        user: String,
        now: Timestamp,
    ) -> Result<Amended>;

    /// Returns the history of an order without its end, oldest first. `None` if there is no such order.
    async fn order_history(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
    ) -> Result<Option<Vec<HistoryLine>>>;
}
