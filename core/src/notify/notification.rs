//! What subscribers are told, and how often a delivery is tried.
//!
//! Each subscription has one notification for each event of an order: a new status, or a note. It is written in the
//! transaction of the event. It ends delivered or given up, and never vanishes.
//!
//! Not here: the text of a message (`wire`), and its delivery (`server::work::deliveries`).

use std::fmt;

use crate::ids::{MessageId, NotificationSeq, OrderSeq, SubscriptionSeq};
use crate::notify::subscription::OrderType;
use crate::order::{Kind, Order, Status};
use crate::time::{DAY_MS, Timestamp};
use crate::words::words;

/// Most notifications of one subscription that wait. Beyond them the oldest is given up.
pub const WAITING_MAX: u64 = 10_000;
/// Most attempts at a delivery, if it is tried again at all.
pub const ATTEMPTS_MAX: u32 = 10;
/// How long after it was due a notification is still tried, in milliseconds.
pub const TRIED_MS_MAX: i64 = DAY_MS;
/// How long the log of a delivery is kept after its end, in milliseconds.
pub const KEPT_MS: i64 = 30 * DAY_MS;
/// The longest wait before the second attempt, in milliseconds.
const FIRST_WAIT_MS: i64 = 5_000;
/// The longest wait between two attempts, in milliseconds.
const WAIT_MS_MAX: i64 = 6 * 3_600_000;

words! {
    /// The state of a notification. The last two are final.
    DeliveryState {
        /// It is to be delivered.
        Waiting = "WAITING",
        /// The receiver has accepted it.
        Delivered = "DELIVERED",
        /// It will not be delivered; the reason is kept.
        GivenUp = "GIVEN_UP",
    }
}

words! {
    /// Why waiting notifications are given up without an attempt.
    GivenUp {
        /// [`WAITING_MAX`] others wait that are newer.
        Crowded = "too many waited",
        /// The client has removed the subscription.
        Unsubscribed = "the subscription was removed",
        /// The subscription is disabled.
        ReceiverGone = "the receiver is gone for good",
    }
}

/// Something that happens to an order, and that subscribers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// It got this status.
    Reached(Status),
    /// A note was added.
    Note,
}

/// Which events of orders a subscription is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionFilter {
    /// Orders of this type.
    pub orders: OrderType,
    /// Only events of this order.
    pub order: Option<OrderSeq>,
    /// Only events before this instant.
    pub expires_at: Option<Timestamp>,
}

/// A subscription, as far as new notifications of its account need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Its sequence number.
    pub seq: SubscriptionSeq,
    /// What it is told of.
    pub filter: SubscriptionFilter,
    /// True if its notifications are gathered for a day.
    pub daily: bool,
    /// How many of its notifications wait.
    pub waiting: u64,
}

/// Returns whether a subscriber is told of an event of an order at `now`. RECEIVED is not told: the client was answered
/// with it.
#[must_use]
pub fn told(
    filter: &SubscriptionFilter,
    kind: Kind,
    order: OrderSeq,
    happened: OrderEvent,
    now: Timestamp,
) -> bool {
    happened != OrderEvent::Reached(Status::Received)
        && filter.orders.kind() == Some(kind)
        && filter.order.is_none_or(|only| only == order)
        && filter.expires_at.is_none_or(|end| now < end)
}

/// Returns when a notification of `now` is due: at once, or with all others of its day (UTC) at the day's end.
#[must_use]
pub fn due_at(daily: bool, now: Timestamp) -> Timestamp {
    if !daily {
        return now;
    }
    let into_the_day = now.millis().rem_euclid(DAY_MS);
    now.plus_millis(DAY_MS - into_the_day)
}

/// A notification, with its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Its sequence number.
    pub seq: NotificationSeq,
    /// Its id.
    pub id: MessageId,
    /// The order, as it is now. After its end it does not change.
    pub order: Order,
    /// The order's status when it happened.
    pub status: Status,
    /// The note, if one was added.
    pub note: Option<String>,
    /// When it happened.
    pub at: Timestamp,
    /// How many attempts to deliver it have been recorded.
    pub attempts: u32,
    /// When a person asked that it be delivered again, if it is that.
    pub replayed_at: Option<Timestamp>,
}

impl Notification {
    /// Returns since when it is due. `daily` is true if the notifications of a day are gathered.
    #[must_use]
    pub fn due_since(&self, daily: bool) -> Timestamp {
        self.replayed_at.unwrap_or_else(|| due_at(daily, self.at))
    }
}

/// How an attempt ended, as a class for people and metrics. It never holds details of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered with this HTTP status.
    Answered(u16),
    /// The mail server took the mail.
    Mailed,
    /// Nothing was sent, or no answer came.
    Failed(DeliveryFailure),
}

words! {
    /// Why an attempt got no answer.
    DeliveryFailure {
        /// The URL, or one of its addresses, is refused.
        Blocked = "blocked",
        /// Its host has no address, or the resolver failed.
        Unresolved = "unresolved",
        /// The connection was refused.
        Refused = "refused",
        /// It took too long.
        Timeout = "timeout",
        /// There was no TLS, or the wrong certificate.
        Tls = "tls",
        /// The connection broke, or the answer was not HTTP.
        Broken = "broken",
        /// No mail server is configured.
        NoMail = "no mail server configured",
        /// The mail server refused it for now.
        MailLater = "the mail server refused it for now",
        /// The mail server refused it for good.
        MailNever = "the mail server refused it",
        /// The notification could not be prepared. The server's log says why.
        Internal = "internal",
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answered(status) => write!(f, "http {status}"),
            Outcome::Mailed => f.write_str("mailed"),
            Outcome::Failed(failure) => f.write_str(failure.word()),
        }
    }
}

/// An attempt that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The URL or mailbox that the subscription named when the attempt began.
    pub target: String,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The beginning of the receiver's answer, for the subscription's `Status`.
    pub answer: Option<String>,
    /// How long the receiver asked to wait (`Retry-After`), in milliseconds.
    pub retry_after_ms: Option<i64>,
}

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is delivered.
    Delivered,
    /// It is tried again at this instant.
    Again(Timestamp),
    /// It is given up.
    GiveUp,
    /// It is given up, and its subscription is disabled: the receiver is gone for good.
    Disable,
}

/// Returns what follows an `attempt`, the n-th (from 1) at a notification due at `since`. Without `retries` there is only
/// one attempt. `jitter` is a random number from 0 to 1,000.
///
/// Waits grow threefold from 5 s up to six hours. Each is between half and all of that. A receiver's `Retry-After` can
/// make a wait longer, never shorter. Attempts end after the tenth, or after a day.
#[must_use]
pub fn next(retries: bool, attempt: &Attempt, n: u32, since: Timestamp, jitter: u32) -> Next {
    let never = match attempt.outcome {
        Outcome::Answered(200) | Outcome::Mailed => return Next::Delivered,
        Outcome::Answered(410) if retries => return Next::Disable,
        Outcome::Failed(DeliveryFailure::NoMail | DeliveryFailure::MailNever | DeliveryFailure::Internal) => {
            true
        }
        Outcome::Answered(_) | Outcome::Failed(_) => false,
    };
    if never || !retries || n >= ATTEMPTS_MAX {
        return Next::GiveUp;
    }
    let end = attempt.at.plus_millis(i64::from(attempt.took_ms));
    let again = end.plus_millis(wait_ms(n, jitter).max(attempt.retry_after_ms.unwrap_or(0)));
    match again.since(since) {
        too_late if too_late > TRIED_MS_MAX => Next::GiveUp,
        _ => Next::Again(again),
    }
}

/// Returns the wait after the n-th attempt (from 1), in milliseconds.
fn wait_ms(n: u32, jitter: u32) -> i64 {
    let full = 3_i64
        .checked_pow(n.saturating_sub(1))
        .and_then(|factor| FIRST_WAIT_MS.checked_mul(factor))
        .map_or(WAIT_MS_MAX, |wait| wait.min(WAIT_MS_MAX));
    full / 2 + full / 2 * i64::from(jitter.min(1_000)) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn who_is_told_of_what() {
        use OrderEvent::{Note, Reached};
        let (orders, expires_at) = (OrderType::Disconnects, Some(at(100)));
        let all = SubscriptionFilter { orders, order: None, expires_at };
        let one = SubscriptionFilter { order: Some(OrderSeq(7)), ..all };
        let ported = SubscriptionFilter { orders: OrderType::PortIns, ..all };
        let orders = SubscriptionFilter { orders: OrderType::Orders, ..all };
        let (disconnect, number) = (Kind::Disconnect, Kind::Number);
        for (filter, kind, order, happened, now, wanted) in [
            (all, disconnect, 7, Reached(Status::Complete), 99, true),
            (all, disconnect, 7, Reached(Status::Partial), 99, true),
            (all, disconnect, 7, Reached(Status::Failed), 99, true),
            (all, disconnect, 7, Reached(Status::Received), 99, false),
            (all, disconnect, 7, Note, 99, true),
            (all, disconnect, 7, Reached(Status::Complete), 100, false),
            (all, number, 7, Reached(Status::Complete), 99, false),
            (one, disconnect, 7, Note, 99, true),
            (one, disconnect, 8, Reached(Status::Complete), 99, false),
            (orders, number, 7, Reached(Status::Backordered), 99, true),
            (ported, disconnect, 7, Reached(Status::Complete), 99, false),
            (ported, number, 7, Reached(Status::Complete), 99, false),
        ] {
            assert_eq!(
                told(&filter, kind, OrderSeq(order), happened, at(now)),
                wanted,
                "{filter:?} {happened:?}"
            );
        }
    }

    #[test]
    fn a_day_s_notifications_are_due_at_its_end() {
        assert_eq!(due_at(false, at(5)), at(5));
        assert_eq!(due_at(true, at(5)), at(DAY_MS));
        assert_eq!(due_at(true, at(DAY_MS - 1)), at(DAY_MS));
        assert_eq!(due_at(true, at(DAY_MS)), at(2 * DAY_MS));
    }

    fn attempt(outcome: Outcome, retry_after_ms: Option<i64>) -> Attempt {
        let target = "https://a".to_owned();
        Attempt { target, at: at(1_000), took_ms: 0, outcome, answer: None, retry_after_ms }
    }

    #[test]
    fn only_200_is_acceptance_and_nothing_is_tried_again_unless_asked() {
        let next = |retries, outcome| next(retries, &attempt(outcome, None), 1, at(0), 500);
        assert_eq!(next(false, Outcome::Answered(200)), Next::Delivered);
        assert_eq!(next(false, Outcome::Mailed), Next::Delivered);
        for status in [201, 202, 204, 301, 400, 401, 410, 429, 500, 503] {
            assert_eq!(next(false, Outcome::Answered(status)), Next::GiveUp, "{status}");
        }
        for failure in DeliveryFailure::ALL {
            assert_eq!(next(false, Outcome::Failed(*failure)), Next::GiveUp, "{failure}");
        }
        assert_eq!(next(true, Outcome::Answered(410)), Next::Disable);
        for outcome in
            [Outcome::Answered(204), Outcome::Answered(500), Outcome::Failed(DeliveryFailure::Blocked)]
        {
            assert_eq!(next(true, outcome), Next::Again(at(1_000 + 3_750)));
        }
        for failure in [DeliveryFailure::NoMail, DeliveryFailure::MailNever, DeliveryFailure::Internal] {
            assert_eq!(next(true, Outcome::Failed(failure)), Next::GiveUp, "{failure}");
        }
    }

    #[test]
    fn waits_grow_and_have_an_end() {
        let waits: Vec<i64> = (1..10).map(|n| wait_ms(n, 1_000)).collect();
        let wanted = [5, 15, 45, 135, 405, 1_215, 3_645, 10_935, 21_600];
        assert_eq!(waits, wanted.map(|seconds| seconds * 1_000));
        for n in [1, 5, 9, 40, u32::MAX] {
            for jitter in [0, 1, 250, 999, 1_000, u32::MAX] {
                let (wait, full) = (wait_ms(n, jitter), wait_ms(n, 1_000));
                assert!((full / 2 - 1..=full).contains(&wait) && wait <= WAIT_MS_MAX, "{n} {jitter}: {wait}");
            }
        }
        let failed = |n, retry_after_ms, since| {
            next(true, &attempt(Outcome::Answered(503), retry_after_ms), n, at(since), 0)
        };
        assert_eq!(failed(1, None, 0), Next::Again(at(1_000 + 2_500)));
        assert_eq!(failed(1, Some(60_000), 0), Next::Again(at(61_000)));
        assert_eq!(failed(1, Some(1), 0), Next::Again(at(1_000 + 2_500)), "never shorter");
        assert_eq!(failed(1, Some(i64::MAX), 0), Next::GiveUp);
        assert_eq!(failed(ATTEMPTS_MAX, None, 0), Next::GiveUp);
        assert_eq!(failed(1, None, 1_000 - TRIED_MS_MAX), Next::GiveUp);
    }
}
