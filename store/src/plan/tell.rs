//! Who is told of what happened to an order: the notifications that are written together with it.

use onhook_core::ids::{AccountId, OrderSeq, SubscriptionSeq};
use onhook_core::notify::notification::{OrderEvent, Subscriber, WAITING_MAX, due_at, told};
use onhook_core::order::{Kind, Order, Status};
use onhook_core::time::Timestamp;

/// A notification that is to be written, unless the same is there. The store draws its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotification {
    /// The account whose subscription it is.
    pub account: AccountId,
    /// Who is told.
    pub subscription: SubscriptionSeq,
    /// The order that it is about.
    pub order: OrderSeq,
    /// The order's status then.
    pub status: Status,
    /// The note that was added, by its id and text, if that is what happened.
    pub note: Option<(i64, String)>,
    /// When it happened.
    pub at: Timestamp,
    /// When it is to be delivered.
    pub due_at: Timestamp,
    /// True if as many wait as may: the oldest one of its subscription is then given up for it.
    pub crowded: bool,
}

/// The order that something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Whose it is.
    pub account: AccountId,
    /// Its kind.
    pub kind: Kind,
    /// Which.
    pub order: OrderSeq,
    /// Its status now.
    pub status: Status,
}

impl About {
    /// An order as it is now.
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
