//! What subscribers are told, and how often a delivery is tried.
//!
//! A notification is due once for each subscription and each thing that happened to an order: a status that
//! it came to, or a note on it. It is written in the transaction in which that happened, and ends delivered or
//! given up; it never vanishes.
//!
//! Not here: the words of a message (`wire`), and who carries it (`server::work::deliveries`).

use std::fmt;

use crate::ids::{MessageId, NotificationSeq, OrderSeq, SubscriptionSeq};
use crate::notify::subscription::OrderType;
use crate::order::{Kind, Order, Status};
use crate::time::{DAY_MS, Timestamp};
use crate::words::words;

/// Most notifications of one subscription that wait; beyond them the oldest is given up.
pub const WAITING_MAX: u64 = 10_000;
/// How often a delivery is tried where it is tried again at all.
pub const ATTEMPTS_MAX: u32 = 10;
/// How long after its beginning a delivery is not tried again.
pub const TRIED_MS_MAX: i64 = DAY_MS;
/// How long the log of a delivery is kept once it has ended.
pub const KEPT_MS: i64 = 30 * DAY_MS;
/// How long before the second attempt, at most.
const FIRST_WAIT_MS: i64 = 5_000;
/// The longest wait between two attempts.
const WAIT_MS_MAX: i64 = 6 * 3_600_000;

words! {
    /// Where a notification stands. The last two never change.
    DeliveryState {
        /// It is to be delivered.
        Waiting = "WAITING",
        /// The receiver has taken it.
        Delivered = "DELIVERED",
        /// It will not be delivered; the reason is kept.
        GivenUp = "GIVEN_UP",
    }
}

/// Something that happened to an order, of which subscribers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It came to this status.
    Came(Status),
    /// A note was added.
    Note,
}

/// The part of a subscription that says what it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Orders of this type.
    pub orders: OrderType,
    /// Only this one.
    pub order: Option<OrderSeq>,
    /// Until this instant, not included.
    pub expires_at: Option<Timestamp>,
}

/// A subscription that something can happen to, as the notifications of its account need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Which.
    pub seq: SubscriptionSeq,
    /// What it is told of.
    pub wish: Wish,
    /// True if its notifications are gathered for a day.
    pub daily: bool,
    /// How many of its notifications wait.
    pub waiting: u64,
}

/// Whether a subscriber is told of what happened to an order at `now`.
#[must_use]
pub fn told(wish: &Wish, kind: Kind, order: OrderSeq, happened: Happened, now: Timestamp) -> bool {
    let tells = match happened {
        Happened::Came(status) => tells(status),
        Happened::Note => true,
    };
    tells
        && wish.orders.kind() == Some(kind)
        && wish.order.is_none_or(|only| only == order)
        && wish.expires_at.is_none_or(|end| now < end)
}

/// Whether coming to this status is told. RECEIVED is what the client was answered.
#[must_use]
pub fn tells(status: Status) -> bool {
    status != Status::Received
}

/// When a notification of `now` is to be delivered: at once, or with all others of its day (UTC) at its end.
#[must_use]
pub fn due_at(daily: bool, now: Timestamp) -> Timestamp {
    match daily {
        false => now,
        true => {
            let into_the_day = now.millis().rem_euclid(DAY_MS);
            now.plus_millis(DAY_MS - into_the_day)
        }
    }
}

/// What a notification says of its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Its place.
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
}

/// How an attempt ended: the class that a person or a metric is told, never what the network said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered with this HTTP status.
    Answered(u16),
    /// The mail server took the mail.
    Mailed,
    /// Nothing was sent, or no answer came.
    Failed(Trouble),
}

words! {
    /// Why there was no answer.
    Trouble {
        /// The URL or one of its addresses is none that may be told.
        Blocked = "blocked",
        /// Its host has no address, or the resolver failed.
        Unresolved = "unresolved",
        /// Nobody took the connection.
        Refused = "refused",
        /// It took too long.
        Timeout = "timeout",
        /// No TLS, or not the certificate that was wanted.
        Tls = "tls",
        /// The connection broke, or what came was no HTTP.
        Broken = "broken",
        /// No mail server is configured.
        NoMail = "no mail server configured",
        /// The mail server would not take it for now.
        MailLater = "the mail server refused it for now",
        /// The mail server will not take it.
        MailNever = "the mail server refused it",
        /// The notification could not be made ready; the server's log knows more.
        Internal = "internal",
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answered(status) => write!(f, "http {status}"),
            Outcome::Mailed => f.write_str("mailed"),
            Outcome::Failed(trouble) => f.write_str(trouble.word()),
        }
    }
}

/// An attempt that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// At whom: the URL or the mailbox that the subscription named when it began.
    pub target: String,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The beginning of what the receiver said, for its subscription's `Status`.
    pub said: Option<String>,
    /// How long the receiver asked to be left alone, in milliseconds.
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
    /// It is given up, and its subscription is told nothing more: the receiver is gone for good.
    Disable,
}

/// What follows an `attempt`, the n-th (from 1) at a notification of `since`. A receiver that does not want
/// retries has one. `jitter` is drawn from 0 to 1,000.
///
/// Waits grow threefold from 5 s up to six hours, each between half and all of that; a receiver's `Retry-After`
/// makes one longer, never shorter. It ends after ten attempts or a day.
#[must_use]
pub fn next(retries: bool, attempt: &Attempt, n: u32, since: Timestamp, jitter: u32) -> Next {
    let never = match attempt.outcome {
        Outcome::Answered(200) | Outcome::Mailed => return Next::Delivered,
        Outcome::Answered(410) if retries => return Next::Disable,
        Outcome::Failed(Trouble::NoMail | Trouble::MailNever | Trouble::Internal) => true,
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

/// How long to wait after the n-th attempt, from 1.
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
        use Happened::{Came, Note};
        let all = Wish { orders: OrderType::Disconnects, order: None, expires_at: Some(at(100)) };
        let one = Wish { order: Some(OrderSeq(7)), ..all };
        let ported = Wish { orders: OrderType::PortIns, ..all };
        let (disconnect, number) = (Kind::Disconnect, Kind::Number);
        for (wish, kind, order, happened, now, wanted) in [
            (all, disconnect, 7, Came(Status::Complete), 99, true),
            (all, disconnect, 7, Came(Status::Partial), 99, true),
            (all, disconnect, 7, Came(Status::Failed), 99, true),
            (all, disconnect, 7, Came(Status::Received), 99, false),
            (all, disconnect, 7, Note, 99, true),
            (all, disconnect, 7, Came(Status::Complete), 100, false),
            (all, number, 7, Came(Status::Complete), 99, false),
            (one, disconnect, 7, Note, 99, true),
            (one, disconnect, 8, Came(Status::Complete), 99, false),
            (Wish { orders: OrderType::Orders, ..all }, number, 7, Came(Status::Backordered), 99, true),
            (ported, disconnect, 7, Came(Status::Complete), 99, false),
            (ported, number, 7, Came(Status::Complete), 99, false),
        ] {
            assert_eq!(
                told(&wish, kind, OrderSeq(order), happened, at(now)),
                wanted,
                "{wish:?} {happened:?}"
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
        Attempt { target, at: at(1_000), took_ms: 0, outcome, said: None, retry_after_ms }
    }

    #[test]
    fn only_200_is_acceptance_and_nothing_is_tried_again_unless_asked() {
        let next = |retries, outcome| next(retries, &attempt(outcome, None), 1, at(0), 500);
        assert_eq!(next(false, Outcome::Answered(200)), Next::Delivered);
        assert_eq!(next(false, Outcome::Mailed), Next::Delivered);
        for status in [201, 202, 204, 301, 400, 401, 410, 429, 500, 503] {
            assert_eq!(next(false, Outcome::Answered(status)), Next::GiveUp, "{status}");
        }
        for trouble in Trouble::ALL {
            assert_eq!(next(false, Outcome::Failed(*trouble)), Next::GiveUp, "{trouble}");
        }
        assert_eq!(next(true, Outcome::Answered(410)), Next::Disable);
        for outcome in [Outcome::Answered(204), Outcome::Answered(500), Outcome::Failed(Trouble::Blocked)] {
            assert_eq!(next(true, outcome), Next::Again(at(1_000 + 3_750)));
        }
        for trouble in [Trouble::NoMail, Trouble::MailNever, Trouble::Internal] {
            assert_eq!(next(true, Outcome::Failed(trouble)), Next::GiveUp, "{trouble}");
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
