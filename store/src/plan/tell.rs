//! The notifications of an order's event, which are written together with it.

use onhook_core::ids::{AccountId, OrderSeq, SubscriptionSeq};
use onhook_core::notify::notification::{GivenUp, OrderEvent, Subscriber, WAITING_MAX, due_at, told};
use onhook_core::order::{Kind, Order, Status};
use onhook_core::time::Timestamp;

/// A notification to be written, unless it exists already. The store draws its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotification {
    /// The subscription's account.
    pub account: AccountId,
    /// The subscription.
    pub subscription: SubscriptionSeq,
    /// The order it is about.
    pub order: OrderSeq,
    /// The order's status at the event.
    pub status: Status,
    /// The added note, by its id and text, if that is the event.
    pub note: Option<(i64, String)>,
    /// When the event happened.
    pub at: Timestamp,
    /// When it is to be delivered.
    pub due_at: Timestamp,
    /// True if the subscription already has the most notifications that may wait. The oldest one is then given up, as
    /// [`GivenUp::Crowded`] at the time of this one.
    pub crowded: bool,
}

/// All waiting notifications of a subscription are given up. Each ends at `at`, or when its event happened if that is
/// later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GiveUp {
    /// The subscription.
    pub subscription: SubscriptionSeq,
    /// Why.
    pub why: GivenUp,
    /// When.
    pub at: Timestamp,
}

/// The order that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its account.
    pub account: AccountId,
    /// Its kind.
    pub kind: Kind,
    /// Its sequence number.
    pub order: OrderSeq,
    /// Its status now.
    pub status: Status,
}

impl About {
    /// Returns what an event says of an order, as it is now.
    #[must_use]
    pub fn order(order: &Order) -> Self {
        Self { account: order.account, kind: order.request.kind(), order: order.seq, status: order.status }
    }
}

/// Returns a notification for each of the account's subscribers that asked for it.
pub fn tell(
    subscribers: &mut [Subscriber],
    about: About,
    note: Option<(i64, &str)>,
    now: Timestamp,
) -> Vec<NewNotification> {
    let About { account, kind, order, status } = about;
    let happened = if note.is_some() { OrderEvent::Note } else { OrderEvent::Reached(status) };
    let wanting = subscribers.iter_mut().filter(|one| told(&one.filter, kind, order, happened, now));
    wanting
        .map(|one| {
            let crowded = one.waiting >= WAITING_MAX;
            if !crowded {
                one.waiting += 1;
            }
            NewNotification {
                account,
                subscription: one.seq,
                order,
                status,
                note: note.map(|(id, text)| (id, text.to_owned())),
                at: now,
                due_at: due_at(one.daily, now),
                crowded,
            }
        })
        .collect()
}
