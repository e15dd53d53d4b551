//! Subscriptions: which may be made, and what a new one is told at once.

use onhook_core::ids::{OrderSeq, SubscriptionSeq};
use onhook_core::notify::notification::{Subscriber, SubscriptionFilter};
use onhook_core::notify::subscription::{EventType, NewSubscription, OrderType, SUBSCRIPTIONS_MAX, Subject};
use onhook_core::order::Status;
use onhook_core::time::Timestamp;

use super::tell::{About, NewNotification, tell};
use crate::contract::subscriptions::Subscribed;

/// What a subscription is about, as a store keeps it: an order is known by its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// Orders of a type: all of the account, or only one.
    Orders(OrderType, Option<OrderSeq>),
    /// An event.
    Event(EventType),
}

/// A subscription of the account that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its sequence number.
    pub seq: SubscriptionSeq,
    /// What it is about.
    pub matter: Matter,
    /// Its URL or address.
    pub target: String,
}

/// What making or replacing a subscription needs, loaded from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The subscription to be made.
    pub new: NewSubscription,
    /// The subscription that it replaces, and how many of its notifications wait.
    pub replaced: Option<(SubscriptionSeq, u64)>,
    /// The order that it names, if the account has one of that type, and its status.
    pub order: Option<(OrderSeq, Status)>,
    /// The account's subscriptions that have not ended. The replaced one may be among them.
    pub live: Vec<Live>,
}

/// What making or replacing a subscription writes: its row, and then what [`Writes::follow`] returns. The row is not
/// disabled, whatever it was before. It is told of every order after the last one that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes {
    /// What it is about.
    pub matter: Matter,
    /// Which events it is told of. `None` if they never happen here.
    filter: Option<SubscriptionFilter>,
    daily: bool,
    waiting: u64,
    /// Its order, if that has ended.
    ended: Option<About>,
    at: Timestamp,
}

/// What follows when the row is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Follows {
    /// The subscription, as far as later notifications need it. `None` if it never gets any.
    pub subscriber: Option<Subscriber>,
    /// What it is told at once: the end of its order, which may have ended while the subscription was on its way.
    pub notifications: Vec<NewNotification>,
    /// The order that has ended. Subscriptions to it alone end now.
    pub over: Option<OrderSeq>,
}

/// Plans a new subscription at `at`, or one that replaces another.
///
/// # Errors
/// Why nothing is written.
pub fn subscribe(loaded: &Loaded, at: Timestamp) -> Result<Writes, Subscribed> {
    let Loaded { new, replaced, order, live } = loaded;
    if new.subject.named_order().is_some() && order.is_none() {
        return Err(Subscribed::NoOrder);
    }
    let (matter, orders) = match new.subject {
        Subject::Orders(orders, _) => (Matter::Orders(orders, order.map(|(seq, _)| seq)), Some(orders)),
        Subject::Event(event) => (Matter::Event(event), None),
    };
    let (replaced, waiting) = replaced.unzip();
    let target = new.receiver.target();
    let mut others = live.iter().filter(|one| Some(one.seq) != replaced);
    if others.any(|one| one.matter == matter && one.target == target) {
        return Err(Subscribed::Duplicate);
    }
    if replaced.is_none() && live.len() >= SUBSCRIPTIONS_MAX {
        return Err(Subscribed::TooMany);
    }
    let told = orders.and_then(|orders| Some((orders, orders.kind()?)));
    let filter = told.map(|(orders, _)| {
        let order = order.map(|(seq, _)| seq);
        SubscriptionFilter { orders, order, expires_at: new.expires_at }
    });
    let about = told.zip(*order).map(|((_, kind), (order, status))| {
        let account = new.account;
        About { account, kind, order, status }
    });
    Ok(Writes {
        matter,
        filter,
        daily: new.receiver.is_daily(),
        waiting: waiting.unwrap_or(0),
        ended: about.filter(|about| about.status.is_final()),
        at,
    })
}

impl Writes {
    /// Returns what follows when the subscription's row is written under this sequence number.
    #[must_use]
    pub fn follow(&self, seq: SubscriptionSeq) -> Follows {
        let Self { filter, daily, waiting, ended, at, .. } = *self;
        let subscriber = filter.map(|filter| Subscriber { seq, filter, daily, waiting });
        let mut told = Vec::from_iter(subscriber);
        let notifications = ended.map(|about| tell(&mut told, about, None, at)).unwrap_or_default();
        Follows { subscriber, notifications, over: ended.map(|about| about.order) }
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::ids::{AccountId, OrderId};
    use onhook_core::notify::subscription::{Digest, Email, Receiver};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn loaded(status: Status) -> Loaded {
        let order = OrderId(uuid::Uuid::nil());
        let new = NewSubscription {
            account: AccountId::new(1).unwrap(),
            subject: Subject::Orders(OrderType::Disconnects, Some(order)),
            receiver: Receiver::Email(Email { address: "a@example.com".into(), digest: Digest::None }),
            expires_at: None,
        };
        Loaded { new, replaced: None, order: Some((OrderSeq(7), status)), live: Vec::new() }
    }

    fn live(seq: i64, matter: Matter) -> Live {
        Live { seq: SubscriptionSeq(seq), matter, target: "a@example.com".into() }
    }

    #[test]
    fn the_same_to_the_same_receiver_is_a_duplicate_but_of_itself() {
        let mut loaded = loaded(Status::Received);
        let (same, other) = (OrderType::Disconnects, OrderType::Orders);
        loaded.live =
            vec![live(1, Matter::Orders(same, Some(OrderSeq(8)))), live(2, Matter::Orders(other, None))];
        assert!(subscribe(&loaded, NOW).is_ok());
        loaded.live.push(live(3, Matter::Orders(same, Some(OrderSeq(7)))));
        assert_eq!(subscribe(&loaded, NOW), Err(Subscribed::Duplicate));
        loaded.replaced = Some((SubscriptionSeq(2), 0));
        assert_eq!(subscribe(&loaded, NOW), Err(Subscribed::Duplicate));
        loaded.replaced = Some((SubscriptionSeq(3), 0));
        assert!(subscribe(&loaded, NOW).is_ok());
        loaded.order = None;
        assert_eq!(subscribe(&loaded, NOW), Err(Subscribed::NoOrder));
    }

    #[test]
    fn an_account_has_so_many_and_may_still_replace_one() {
        let mut loaded = loaded(Status::Received);
        let others = (1..).map(|seq| live(seq, Matter::Event(EventType::MessagingLost)));
        loaded.live = others.take(SUBSCRIPTIONS_MAX).collect();
        assert_eq!(subscribe(&loaded, NOW), Err(Subscribed::TooMany));
        loaded.replaced = Some((SubscriptionSeq(1), 3));
        let follows = subscribe(&loaded, NOW).unwrap().follow(SubscriptionSeq(1));
        assert_eq!(follows.subscriber.unwrap().waiting, 3);
    }

    #[test]
    fn the_end_of_an_order_that_has_ended_is_told_at_once_and_is_the_last_thing_told() {
        let seq = SubscriptionSeq(1);
        let early = subscribe(&loaded(Status::Received), NOW).unwrap().follow(seq);
        assert_eq!((early.notifications.len(), early.over), (0, None));
        let late = subscribe(&loaded(Status::Partial), NOW).unwrap().follow(seq);
        let told: Vec<_> =
            late.notifications.iter().map(|one| (one.subscription, one.status, one.at)).collect();
        assert_eq!((told, late.over), (vec![(seq, Status::Partial, NOW)], Some(OrderSeq(7))));
    }

    #[test]
    fn what_never_happens_here_has_no_subscriber() {
        let mut loaded = loaded(Status::Received);
        loaded.new.subject = Subject::Orders(OrderType::PortIns, None);
        loaded.order = None;
        let writes = subscribe(&loaded, NOW).unwrap();
        assert_eq!(writes.matter, Matter::Orders(OrderType::PortIns, None));
        assert_eq!(writes.follow(SubscriptionSeq(1)), Follows::default());
    }
}
