//! Deliveries to subscribers, with the attempts at them.

use onhook_core::ids::{AccountId, MessageId, NotificationSeq, OrderId};
use onhook_core::notify::notification::{DeliveryState, Notification};
use onhook_core::notify::subscription::{Receiver, Subscription};
use onhook_core::order::Status;
use onhook_core::time::Timestamp;
use serde_json::{Value, json};

use crate::notifications;

/// A delivery, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Its sequence number, which is its id.
    pub seq: NotificationSeq,
    /// The id of its message: the same for each delivery of it.
    pub message: MessageId,
    /// Its account.
    pub account: AccountId,
    /// True if it is about a note.
    pub note: bool,
    /// The order it is about.
    pub order: OrderId,
    /// The order's status when it happened.
    pub status: Status,
    /// When it happened.
    pub at: Timestamp,
    /// The URL or mailbox.
    pub receiver: Option<&'a str>,
    /// Its state.
    pub state: DeliveryState,
    /// Why it was given up.
    pub reason: Option<&'a str>,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// The delivery that it repeats.
    pub replay_of: Option<NotificationSeq>,
}

/// What a delivery is about, as a word.
#[must_use]
pub fn about(note: bool) -> &'static str {
    if note { "note" } else { "status" }
}

/// Returns a delivery as it is in a list.
#[must_use]
pub fn delivery(one: &Shown<'_>) -> Value {
    json!({
        "id": one.seq.0.to_string(),
        "message_id": one.message.to_string(),
        "account": one.account.to_string(),
        "about": about(one.note),
        "order": one.order.to_string(),
        "order_status": one.status.word(),
        "at": one.at.to_string(),
        "receiver": one.receiver,
        "state": one.state.word(),
        "reason": one.reason,
        "next_attempt_at": one.due_at.map(|at| at.to_string()),
        "replay_of": one.replay_of.map(|seq| seq.0.to_string()),
    })
}

/// Returns an attempt: when it began, how long it took, and how it ended.
#[must_use]
pub fn attempt(at: Timestamp, took_ms: u32, outcome: &str) -> Value {
    json!({ "at": at.to_string(), "took_ms": took_ms, "outcome": outcome })
}

/// Returns what a subscription's receiver is told.
#[must_use]
pub fn body(subscription: &Subscription, told: &Notification) -> String {
    match &subscription.receiver {
        Receiver::Callback(callback) => notifications::document(subscription.id, callback.format, told),
        Receiver::Email(_) => notifications::mail(subscription.id, std::slice::from_ref(told)),
    }
}
