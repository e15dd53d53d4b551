//! What subscribers are told, and what became of it. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::ids::{AccountId, MessageId, NotificationSeq, OrderId, SubscriptionId, SubscriptionSeq};
use onhook_core::notify::notification::{Attempt, DeliveryState, Next, Notification};
use onhook_core::notify::subscription::{OrderType, Subscription};
use onhook_core::order::Status;
use onhook_core::time::Timestamp;

use crate::Result;

/// What a subscription is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub subscription: SubscriptionSeq,
    /// Whose.
    pub account: AccountId,
    /// Its URL or address.
    pub target: String,
    /// Whether all of it goes at once.
    pub daily: bool,
    /// Its notifications that are due, oldest first, at least one.
    pub notifications: Vec<NotificationSeq>,
}

/// Notifications that are to be delivered, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// Whoever is told.
    pub subscription: Subscription,
    /// What; those that no longer wait are absent.
    pub notifications: Vec<Notification>,
}

/// A notification in the log of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: MessageId,
    /// The order that it is about.
    pub order: OrderId,
    /// Of which type.
    pub orders: OrderType,
    /// The order's status when it happened.
    pub status: Status,
    /// Whether it is about a note.
    pub note: bool,
    /// When it happened.
    pub at: Timestamp,
    /// Where it stands.
    pub standing: DeliveryState,
    /// While it waits: when it is tried next.
    pub due_at: Option<Timestamp>,
    /// Why it was given up.
    pub reason: Option<String>,
    /// The attempts at it, oldest first.
    pub attempts: Vec<Logged>,
}

/// An attempt in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// How it ended, in a word or two.
    pub outcome: String,
}

/// How much one look for what is due returns at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueLimits {
    /// Subscriptions.
    pub subscriptions: usize,
    /// Notifications of a subscription that are delivered one by one.
    pub single: usize,
    /// Notifications of a subscription whose day is gathered.
    pub daily: usize,
}

/// What is due, as far as one look went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePage {
    /// What is due, in the order of the subscriptions.
    pub due: Vec<Due>,
    /// The subscription behind which the next look begins; none when there is no more.
    pub next: Option<SubscriptionSeq>,
}

/// A page of the log of a subscription's deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The deliveries on it, newest first.
    pub deliveries: Vec<Delivery>,
    /// How many the log has.
    pub total: u64,
}

/// What subscribers are told, and what became of it.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// What is due at `now` for subscriptions behind a sequence number.
    async fn due(&self, now: Timestamp, after: SubscriptionSeq, limits: DueLimits) -> Result<DuePage>;

    /// All that is said in these notifications of a subscription; none when it is gone.
    async fn ready(
        &self,
        subscription: SubscriptionSeq,
        notifications: Vec<NotificationSeq>,
    ) -> Result<Option<Ready>>;

    /// Keeps an attempt in the log of each notification that it carried, with what follows for each. One
    /// that is not kept, since the process ended, is made again: its notification still waits.
    async fn record(&self, attempt: Attempt, what: Vec<(NotificationSeq, Next)>) -> Result<()>;

    /// A page (from 1) of the log of a subscription's deliveries; none
    /// when the account has no such subscription. The log of one that has ended stays for a while.
    async fn deliveries(
        &self,
        account: AccountId,
        id: SubscriptionId,
        page: u32,
        size: usize,
    ) -> Result<Option<DeliveryPage>>;

    /// Forgets, at most so many each, deliveries that ended a month before `now`, and subscriptions that have
    /// ended and have no deliveries; how many.
    async fn forget_deliveries(&self, now: Timestamp, most: usize) -> Result<usize>;
}
