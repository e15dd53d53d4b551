//! Subscriptions. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, SubscriptionId};
use onhook_core::notify::subscription::{NewSubscription, OrderType, Subscription};
use onhook_core::time::Timestamp;

use crate::Result;

/// What became of a subscription that was to be made or written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// It is on disk.
    Made(Box<Subscription>),
    /// The account has one about the same thing to the same receiver; nothing was written.
    Duplicate,
    /// The account has as many as it may; nothing was written.
    TooMany,
    /// The account has no such order of that type; nothing was written.
    NoOrder,
    /// There is none to be written again.
    Missing,
}

/// Which subscriptions of an account; only those that have not ended.
#[derive(Clone, Debug)]
pub struct SubscriptionQuery {
    /// Whose.
    pub account: AccountId,
    /// Only about orders of this type.
    pub orders: Option<OrderType>,
    /// Only about this order.
    pub order: Option<OrderId>,
    /// What time it is.
    pub now: Timestamp,
}

/// Subscriptions.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// Makes a subscription. From then on each thing that happens to an order of its account, and that it
    /// asks for, has one notification, written together with what happened. One about an order that has
    /// ended is told so at once, and is over.
    async fn subscribe(&self, new: NewSubscription, now: Timestamp) -> Result<Subscribed>;

    /// Writes a subscription again, as a whole; one that was disabled is told again.
    async fn resubscribe(
        &self,
        id: SubscriptionId,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed>;

    /// Removes a subscription and gives up what it has not been told yet; whether there was one.
    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId, now: Timestamp) -> Result<bool>;

    /// A subscription of an account that has not ended.
    async fn subscription(
        &self,
        account: AccountId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Option<Subscription>>;

    /// Subscriptions of an account, oldest first.
    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Subscription>>;

    /// Ends subscriptions whose time is over at `now`, at most so many, and returns them.
    async fn expire_subscriptions(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<(SubscriptionId, AccountId)>>;
}
