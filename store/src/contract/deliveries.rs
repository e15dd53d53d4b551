//! Notifications and their deliveries: queries, results, and the trait.

use async_trait::async_trait;
use onhook_core::ids::{AccountId, MessageId, NotificationSeq, OrderId, SubscriptionId, SubscriptionSeq};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::notify::notification::{Attempt, DeliveryState, Next, Notification};
use onhook_core::notify::subscription::{OrderType, Subscription};
use onhook_core::order::Status;
use onhook_core::time::Timestamp;

use crate::Result;
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;

/// The due notifications of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The subscription.
    pub subscription: SubscriptionSeq,
    /// Its account.
    pub account: AccountId,
    /// Its URL or address.
    pub target: String,
    /// True if all of them go in one mail.
    pub daily: bool,
    /// The notifications, oldest first, at least one.
    pub notifications: Vec<NotificationSeq>,
}

/// Notifications to be delivered, with their subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// The subscription.
    pub subscription: Subscription,
    /// The notifications that still wait.
    pub notifications: Vec<Notification>,
}

/// A notification in the log of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: MessageId,
    /// The order it is about.
    pub order: OrderId,
    /// The type of that order.
    pub orders: OrderType,
    /// The order's status at the event.
    pub status: Status,
    /// True if it is about a note.
    pub note: bool,
    /// When the event happened.
    pub at: Timestamp,
    /// Its state.
    pub standing: DeliveryState,
    /// When it is tried next, while it waits.
    pub due_at: Option<Timestamp>,
    /// Why it was given up.
    pub reason: Option<String>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Logged>,
}

/// An attempt in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// Its outcome, in a word or two.
    pub outcome: String,
}

/// Most deliveries that one list looks at: it then ends where it is, and the next one goes on.
pub const LOOKS_MAX: usize = 20_000;

/// What a list of deliveries is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those of this account's subscriptions.
    pub account: Option<AccountId>,
    /// Only those in this state.
    pub standing: Option<DeliveryState>,
    /// Only those about this order.
    pub order: Option<OrderId>,
    /// Only those about notes, or only others.
    pub note: Option<bool>,
    /// Only those to a URL that begins so, or to this mailbox.
    pub receiver: Option<String>,
}

impl DeliveryFilter {
    /// Returns whether it means a delivery.
    #[must_use]
    pub fn fits(&self, one: &Sending) -> bool {
        let Self { account, standing, order, note, receiver } = self;
        account.is_none_or(|account| account == one.account)
            && standing.is_none_or(|standing| standing == one.delivery.standing)
            && order.is_none_or(|order| order == one.delivery.order)
            && note.is_none_or(|note| note == one.delivery.note)
            && receiver.as_ref().is_none_or(|begins| {
                one.receiver.as_ref().is_some_and(|receiver| receiver.starts_with(begins.as_str()))
            })
    }
}

/// A delivery, with whose it is and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Its sequence number.
    pub seq: NotificationSeq,
    /// Its account.
    pub account: AccountId,
    /// Its subscription.
    pub subscription: SubscriptionSeq,
    /// The URL or mailbox of its subscription, as it is now. `None` if the subscription was removed.
    pub receiver: Option<String>,
    /// The delivery that this one repeats.
    pub replay_of: Option<NotificationSeq>,
    /// The delivery. In lists its attempts are left out.
    pub delivery: Delivery,
}

/// A delivery with what its receiver is told.
#[derive(Clone, Debug, PartialEq)]
pub struct SendingInFull {
    /// The delivery, with its attempts.
    pub sending: Sending,
    /// What its receiver is told, and by which subscription. `None` if the subscription was removed.
    pub told: Option<(Subscription, Notification)>,
}

/// What came of asking that a delivery be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It had ended: there is a new one, under the same message id.
    Made(Box<Sending>),
    /// It waits, and is due now.
    Moved(Box<Sending>),
    /// There is none, or it is another account's.
    Unknown,
    /// Its subscription was removed, or its receiver is gone for good.
    NoReceiver,
}

/// Limits of one page of due notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueLimits {
    /// Most subscriptions.
    pub subscriptions: usize,
    /// Most notifications of a subscription that are delivered one by one.
    pub single: usize,
    /// Most notifications of a subscription that are gathered for a day.
    pub daily: usize,
}

/// A page of due notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePage {
    /// The due notifications, in the order of their subscriptions.
    pub due: Vec<Due>,
    /// The subscription after which the next page begins. `None` if this is the last one.
    pub next: Option<SubscriptionSeq>,
}

/// A page of a subscription's log of deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The deliveries on it, newest first.
    pub deliveries: Vec<Delivery>,
    /// How many deliveries the log has.
    pub total: u64,
}

/// Notifications and their deliveries.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Claims the notifications due at `now`, for subscriptions after `after`, and returns them: those that nobody has
    /// claimed, those whose claimant's lease is over, and those that this lease has claimed already. The caller knows
    /// which of these are under way. Writes nothing if nothing new is to be claimed.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over. Nothing was claimed.
    async fn claim(
        &self,
        lease: LeaseToken,
        now: Timestamp,
        after: SubscriptionSeq,
        limits: DueLimits,
    ) -> Result<DuePage>;

    /// Returns these notifications of a subscription, ready to be delivered. `None` if it is gone.
    async fn ready(
        &self,
        subscription: SubscriptionSeq,
        notifications: Vec<NotificationSeq>,
    ) -> Result<Option<Ready>>;

    /// Records an attempt in the log of each notification it carried, with what follows for each. Those that are not
    /// claimed by this lease are left out. Those that are to be tried again are no longer claimed. If the process ends
    /// before that, its notifications still wait and are tried again.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over: the notifications may be another node's. Nothing was recorded.
    async fn record(
        &self,
        lease: LeaseToken,
        attempt: Attempt,
        what: Vec<(NotificationSeq, Next)>,
    ) -> Result<()>;

    /// Returns a page (from 1) of a subscription's log of deliveries. `None` if the account has no such subscription.
    /// The log stays for a while after the subscription has ended.
    async fn deliveries(
        &self,
        account: AccountId,
        id: SubscriptionId,
        page: u32,
        size: usize,
    ) -> Result<Option<DeliveryPage>>;

    /// Returns deliveries that a filter means, newest first, behind `after`, at most `size`, without their attempts. Looks
    /// at [`LOOKS_MAX`] at most. The second value is the one behind which the next page begins, if there is one.
    async fn find_deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<NotificationSeq>,
        size: usize,
    ) -> Result<(Vec<Sending>, Option<NotificationSeq>)>;

    /// Returns a delivery, if it is this account's. `None` stands for any account.
    async fn delivery(
        &self,
        seq: NotificationSeq,
        account: Option<AccountId>,
    ) -> Result<Option<SendingInFull>>;

    /// Makes a delivery again, if it is this account's. `None` stands for any account.
    ///
    /// # Errors
    /// `KeyTaken` if it was done before.
    async fn replay(
        &self,
        seq: NotificationSeq,
        account: Option<AccountId>,
        once: Option<Once<Replayed>>,
        doer: Doer,
    ) -> Result<Replayed>;

    /// Forgets deliveries that ended a month before `now`, and ended subscriptions without deliveries: at most `most`
    /// of each. Returns how many were forgotten.
    async fn forget_deliveries(&self, now: Timestamp, most: usize) -> Result<usize>;
}
