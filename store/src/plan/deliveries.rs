//! Deliveries: what an attempt leaves of the notifications that it carried, and of their subscription.

use std::collections::{BTreeMap, HashMap};

use onhook_core::ids::{AccountId, NotificationSeq, SubscriptionSeq};
use onhook_core::notify::notification::{Attempt, DeliveryState, GivenUp, Next, WAITING_MAX};
use onhook_core::notify::subscription::Subscription;
use onhook_core::time::Timestamp;

use super::tell::GiveUp;
use crate::contract::deliveries::{DeliveryFilter, LOOKS_MAX, Sending};

/// A notification that an attempt carried, and that still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its subscription.
    pub subscription: SubscriptionSeq,
    /// When its event happened.
    pub at: Timestamp,
    /// How many attempts have been recorded.
    pub attempts: u32,
}

/// What the record of an attempt needs, loaded from the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The notifications of the attempt that still wait, and that its lease has claimed. Others may have been given up or
    /// claimed by another lease meanwhile, and are absent.
    pub notifications: HashMap<NotificationSeq, Carried>,
    /// Their subscriptions: the account, and the URL or address as it is now.
    pub subscriptions: HashMap<SubscriptionSeq, (AccountId, String)>,
}

/// A notification to be written, with the attempt in its log. It is claimed no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationWrite {
    /// The notification.
    pub seq: NotificationSeq,
    /// The attempt's number in its log, from 1. So many attempts have now been recorded.
    pub attempts: u32,
    /// Its state.
    pub standing: DeliveryState,
    /// When it is tried next, while it waits.
    pub due_at: Option<Timestamp>,
    /// Why it was given up.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A subscription to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionWrite {
    /// The subscription.
    pub seq: SubscriptionSeq,
    /// Its account.
    pub account: AccountId,
    /// The outcome of its last delivery.
    pub last: String,
    /// How many of its notifications wait no more.
    pub ended: u64,
    /// If its receiver is gone for good: it is disabled, and all that still waits for it is given up.
    pub disabled: Option<GiveUp>,
}

/// What the record of an attempt writes, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// The notifications.
    pub notifications: Vec<NotificationWrite>,
    /// Their subscriptions.
    pub subscriptions: Vec<SubscriptionWrite>,
}

/// Plans the record of an attempt, with what follows for each notification that it carried.
#[must_use]
pub fn record(mut loaded: Loaded, attempt: &Attempt, what: &[(NotificationSeq, Next)]) -> Writes {
    let end = attempt.at.plus_millis(i64::from(attempt.took_ms));
    let outcome = attempt.outcome.to_string();
    let last = attempt.answer.as_ref().unwrap_or(&outcome);
    let mut notifications = Vec::with_capacity(what.len());
    let mut subscriptions: BTreeMap<SubscriptionSeq, SubscriptionWrite> = BTreeMap::new();
    for (seq, next) in what {
        let Some(carried) = loaded.notifications.remove(seq) else { continue };
        let Carried { subscription, at, attempts } = carried;
        let Some((account, target)) = loaded.subscriptions.get(&subscription) else { continue };
        let of = subscriptions.entry(subscription).or_insert_with(|| SubscriptionWrite {
            seq: subscription,
            account: *account,
            last: last.clone(),
            ended: 0,
            disabled: None,
        });
        if of.disabled.is_some() {
            continue; // it is given up with all others
        }
        // The URL changed during the attempt: an answer of the old receiver must not count against the new one.
        let moved = *target != attempt.target;
        let next = if moved && *next == Next::Disable { &Next::Again(end) } else { next };
        let (standing, due_at, reason) = match next {
            Next::Delivered => (DeliveryState::Delivered, None, None),
            Next::Again(at) => (DeliveryState::Waiting, Some(*at), None),
            Next::GiveUp | Next::Disable => (DeliveryState::GivenUp, None, Some(outcome.clone())),
        };
        let ended_at = due_at.is_none().then(|| end.max(at));
        of.ended += u64::from(due_at.is_none());
        if *next == Next::Disable {
            of.disabled = Some(GiveUp { subscription, why: GivenUp::ReceiverGone, at: end });
        }
        let attempts = attempts.saturating_add(1);
        notifications.push(NotificationWrite { seq: *seq, attempts, standing, due_at, reason, ended_at });
    }
    Writes { notifications, subscriptions: subscriptions.into_values().collect() }
}

/// What becomes of a delivery that a person wants again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It waits, and is due now.
    Move,
    /// There is another one.
    Make {
        /// True if it takes the room of the oldest one that waits for its receiver.
        crowded: bool,
    },
    /// There is nobody to deliver it to.
    NoReceiver,
}

/// Plans that a delivery is made again. `subscription` is `None` if it was removed; `waiting` notifications wait for it.
#[must_use]
pub fn replay(before: &Sending, subscription: Option<&Subscription>, waiting: u64) -> Replay {
    if subscription.is_none_or(|subscription| subscription.disabled) {
        return Replay::NoReceiver;
    }
    match before.delivery.standing {
        DeliveryState::Waiting => Replay::Move,
        DeliveryState::Delivered | DeliveryState::GivenUp => Replay::Make { crowded: waiting >= WAITING_MAX },
    }
}

/// A page of a list of deliveries, as it is filled from rows, newest first.
#[derive(Debug)]
pub struct Page<'a> {
    filter: &'a DeliveryFilter,
    size: usize,
    looks: usize,
    found: Vec<Sending>,
    next: Option<NotificationSeq>,
}

impl<'a> Page<'a> {
    /// Begins a page of at most `size` deliveries.
    #[must_use]
    pub fn new(filter: &'a DeliveryFilter, size: usize) -> Self {
        Self { filter, size, looks: 0, found: Vec::new(), next: None }
    }

    /// Looks at the next row. Returns true if no more rows are to be read.
    pub fn is_full_with(&mut self, one: Sending) -> bool {
        self.looks += 1;
        let seq = one.seq;
        if self.filter.fits(&one) {
            if self.found.len() == self.size {
                self.next = self.found.last().map(|last| last.seq);
                return true;
            }
            self.found.push(one);
        }
        if self.looks == LOOKS_MAX {
            self.next = Some(seq);
        }
        self.looks == LOOKS_MAX
    }

    /// Returns the deliveries, and the one behind which the next page begins, if there is one.
    #[must_use]
    pub fn end(self) -> (Vec<Sending>, Option<NotificationSeq>) {
        (self.found, self.next)
    }
}

#[cfg(test)]
mod tests {
    use onhook_core::notify::notification::Outcome;

    use super::*;

    const FIRST: NotificationSeq = NotificationSeq(1);
    const SECOND: NotificationSeq = NotificationSeq(2);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn loaded(target: &str) -> Loaded {
        let subscription = SubscriptionSeq(5);
        let carried = |attempts| Carried { subscription, at: at(0), attempts };
        Loaded {
            notifications: HashMap::from([(FIRST, carried(0)), (SECOND, carried(3))]),
            subscriptions: HashMap::from([(subscription, (AccountId::new(1).unwrap(), target.into()))]),
        }
    }

    fn attempt(status: u16) -> Attempt {
        Attempt {
            target: "https://a.example.com".into(),
            at: at(1_000),
            took_ms: 10,
            outcome: Outcome::Answered(status),
            answer: None,
            retry_after_ms: None,
        }
    }

    #[test]
    fn each_notification_has_what_follows_and_the_subscription_the_outcome() {
        let what =
            [(FIRST, Next::Delivered), (NotificationSeq(9), Next::GiveUp), (SECOND, Next::Again(at(9_000)))];
        let writes = record(loaded("https://a.example.com"), &attempt(200), &what);
        let found: Vec<_> =
            writes.notifications.iter().map(|n| (n.seq, n.attempts, n.due_at, n.ended_at)).collect();
        assert_eq!(found, [(FIRST, 1, None, Some(at(1_010))), (SECOND, 4, Some(at(9_000)), None)]);
        let [of] = writes.subscriptions.as_slice() else { panic!("{writes:?}") };
        assert_eq!((&*of.last, of.ended, of.disabled), ("http 200", 1, None));
    }

    #[test]
    fn a_receiver_that_is_gone_disables_its_subscription_and_no_other_receiver_s() {
        let what = [(FIRST, Next::Disable), (SECOND, Next::Disable)];
        let writes = record(loaded("https://a.example.com"), &attempt(410), &what);
        let [only] = writes.notifications.as_slice() else { panic!("{writes:?}") };
        assert_eq!((only.seq, only.reason.as_deref()), (FIRST, Some("http 410")));
        let give_up = GiveUp { subscription: SubscriptionSeq(5), why: GivenUp::ReceiverGone, at: at(1_010) };
        assert_eq!(writes.subscriptions[0].disabled, Some(give_up), "the second one goes with it");
        let writes = record(loaded("https://b.example.com"), &attempt(410), &what);
        assert_eq!(writes.subscriptions[0].disabled, None);
        assert!(writes.notifications.iter().all(|one| one.due_at == Some(at(1_010))), "{writes:?}");
    }
}
