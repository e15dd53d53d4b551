//! Subscriptions: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, SubscriptionId};
use onhook_core::notify::subscription::{NewSubscription, OrderType, Subscription};
use onhook_core::time::Timestamp;

use crate::Result;

/// The result of making or replacing a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// It is on disk.
    Made(Box<Subscription>),
    /// The account has one about the same subject to the same receiver. Nothing was written.
    Duplicate,
    /// The account has the most it may have. Nothing was written.
    TooMany,
    /// The account has no such order of that type. Nothing was written.
    NoOrder,
    /// The account has no subscription with this id. Nothing was written.
    Missing,
}

/// A query for subscriptions of an account that have not ended.
#[derive(Clone, Debug)]
pub struct SubscriptionQuery {
    /// The account.
    pub account: AccountId,
    /// Only subscriptions about orders of this type.
    pub orders: Option<OrderType>,
    /// Only subscriptions about this order.
    pub order: Option<OrderId>,
    /// The time now.
    pub now: Timestamp,
}

/// Subscriptions.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// Makes a subscription. From then on it has one notification for each event that it asks for, written in the
    /// event's transaction. A subscription about an order that has ended is told so at once, and ends.
    async fn subscribe(&self, new: NewSubscription, now: Timestamp) -> Result<Subscribed>;

    /// Replaces a subscription as a whole. A disabled one is told again.
    async fn resubscribe(
        &self,
        id: SubscriptionId,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed>;

    /// Removes a subscription and gives up its waiting notifications. Returns whether there was one.
    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId, now: Timestamp) -> Result<bool>;

    /// Returns a subscription of an account, unless it has ended.
    async fn subscription(
        &self,
        account: AccountId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Option<Subscription>>;

    /// Returns subscriptions of an account, oldest first.
    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Subscription>>;

    /// Ends subscriptions that have expired at `now`, at most `most`, and returns them.
    async fn expire_subscriptions(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<(SubscriptionId, AccountId)>>;
}
