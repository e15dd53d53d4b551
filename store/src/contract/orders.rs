//! Orders: taken, run, listed and changed. What may be asked of them, and what is returned.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, SiteId};
use onhook_core::order::amend::Amendment;
use onhook_core::order::{HistoryLine, Kind, NewOrder, Order, Status, Summary};
use onhook_core::time::Timestamp;

use crate::Result;
use crate::contract::page::{Page, Start};

/// An order that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The order's id: its own, or that of the first order under the same key.
    pub id: OrderId,
    /// Whether an earlier request under the same key had made it.
    pub again: bool,
}

/// What one step of a worker did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepReport {
    /// The orders that ended, with how many of their numbers went and did not.
    pub ended: Vec<Ended>,
    /// How many numbers changed.
    pub numbers: usize,
    /// How many notifications were written.
    pub told: usize,
    /// Whether there was more to do than the step's bound allowed.
    pub more: bool,
}

/// An order that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub id: OrderId,
    /// How.
    pub status: Status,
    /// How many numbers it is about.
    pub total: usize,
    /// How many of them did not go.
    pub failed: usize,
}

/// Which orders of an account.
#[derive(Clone, Debug)]
pub struct OrderQuery {
    /// Whose.
    pub account: AccountId,
    /// Of which kind.
    pub kind: Kind,
    /// Only in this status.
    pub status: Option<Status>,
    /// Only those whose numbers go to this site.
    pub site: Option<SiteId>,
    /// Only by this user.
    pub user: Option<String>,
    /// Only with this customer order id.
    pub customer_order_id: Option<String>,
    /// Only those that arrived from the first instant on, before the second.
    pub created: Option<(Timestamp, Timestamp)>,
    /// Where the page begins; newest orders come first.
    pub start: Start<OrderId>,
    /// Most items.
    pub size: usize,
}

/// A note on an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: i64,
    /// Who wrote it.
    pub user: String,
    /// What.
    pub text: String,
    /// When it was last written.
    pub at: Timestamp,
}

/// A note that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNote {
    /// Who writes it.
    pub user: String,
    /// What.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What became of an order that was to be changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Amended {
    /// It is changed: the order as it is now.
    Done(Box<Order>),
    /// It does not wait for numbers; nothing was written.
    NotWaiting,
    /// The account has no such order.
    NoOrder,
}

/// Orders: taken, run, listed and changed.
#[async_trait]
pub trait Orders: Send + Sync {
    /// Makes an order durable; whoever sent it needs it for the answer. The same key again, with the same
    /// digest, gives the first order.
    ///
    /// # Errors
    /// `Full`, `Unwritable`: nothing was written, try later. `KeyReused`. `Broken`: unknown whether it was written;
    /// ask again with the key.
    async fn accept(&self, order: Arc<NewOrder>) -> Result<Accepted>;

    /// Runs orders that wait, oldest first, at most so many and at most so many numbers (but at least
    /// one order); then, if the pool has grown, some of those that wait for numbers. Each order's effects are whole or absent; whoever else runs orders on this store
    /// never runs one of them too.
    async fn run_orders(&self, now: Timestamp, orders_max: usize, numbers_max: usize) -> Result<StepReport>;

    /// An order of an account, by its id.
    async fn order(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Order>>;

    /// Orders of an account, newest first.
    async fn orders(&self, query: OrderQuery) -> Result<Page<Summary, OrderId>>;

    /// Notes of an order, oldest first; none when there is no such order.
    async fn notes(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Note>>>;

    /// Adds a note to an order, or writes note `replaces` again, and gives its id; none when there is
    /// no such order or note.
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

    /// What has happened to an order beside its end, oldest first; none when there is no such order.
    async fn order_history(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
    ) -> Result<Option<Vec<HistoryLine>>>;
}
