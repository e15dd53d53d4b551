//! Delivers notifications: a bell wakes the worker, and in case a ring is lost it looks every second.
//!
//! Each node claims what it delivers, under a lease of its own. A notification stays due in the store until an attempt
//! at it has been recorded. If the process dies during an attempt, its lease runs out, and the attempt is made again,
//! under the same id. A node that has lost its lease forgets what was under way, since others may have claimed it.
//!
//! Many deliveries are under way at once, but a limited number for one subscription, one origin (a receiver's host and
//! port) and one account. So a slow or dead receiver keeps nobody else waiting.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use onhook_core::ids::{AccountId, NotificationSeq, SubscriptionSeq};
use onhook_store::contract::deliveries::{Due, DueLimits, DuePage};
use onhook_store::contract::leases::{LeaseToken, NODE};
use onhook_store::{Result, StoreError};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::attempts::{DAILY_MAX, deliver};
use crate::app::App;
use crate::callback::target::Target;
use crate::expiry::tidy_all;
use crate::lease::Lease;
use crate::store_log;

/// Most deliveries under way: in total, of one account, to one origin, of one subscription.
const ALL_MAX: usize = 128;
const ACCOUNT_MAX: usize = 32;
/// Most deliveries of one account once half of all slots are taken. The rest is for the others.
const ACCOUNT_MAX_CROWDED: usize = 8;
const ORIGIN_MAX: usize = 4;
const SUBSCRIPTION_MAX: usize = 2;
/// Most subscriptions in one read, and most reads in one step.
const LOOK_MAX: usize = 64;
const LOOKS_MAX: usize = 32;
/// How long the worker sleeps when nobody rings.
const POLL: Duration = Duration::from_secs(1);
/// How long deliveries under way may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// How often old entries are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60);

pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut lease = Lease::keep(app.clone(), node(), |_| true);
    let mut under_way = UnderWay::default();
    let mut tidied: Option<Instant> = None;
    while !stop.is_cancelled() {
        if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied = Some(Instant::now());
            if let Some(Err(error)) = stop.run_until_cancelled(tidy_all(&app)).await {
                store_log::failed("old deliveries could not be forgotten", &error);
            }
        }
        under_way.hold(lease.token());
        match under_way.begin(&app).await {
            Ok(()) | Err(StoreError::LeaseLost) => {} // it is taken again
            Err(error) => {
                store_log::failed("deliveries could not be begun", &error);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.deliveries_bell.notified() => {} // keeps one ring that came while we worked
            () = lease.changed() => {}
            () = under_way.one_ended(), if !under_way.is_empty() => {}
            () = tokio::time::sleep(POLL) => {}      // a lost ring costs a second, not a notification
        }
    }
    // A delivery that does not end in time is not recorded, and is made again at the next start.
    let ending = async {
        while !under_way.is_empty() {
            under_way.one_ended().await;
        }
    };
    let _ = tokio::time::timeout(GRACE, ending).await;
    drop(under_way);
    lease.end().await;
}

/// Returns a name for this node's lease, which no other node has.
fn node() -> String {
    let drawn = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
    format!("{NODE}{drawn:016x}")
}

/// How many deliveries are under way: in total, of one account, to one receiver's host and port, of one subscription.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    all: usize,
    account: usize,
    origin: usize,
    subscription: usize,
}

impl Crowd {
    /// Returns whether one more may begin.
    fn has_room(self) -> bool {
        let account_max = if self.all < ALL_MAX / 2 { ACCOUNT_MAX } else { ACCOUNT_MAX_CROWDED };
        self.all < ALL_MAX
            && self.account < account_max
            && self.origin < ORIGIN_MAX
            && self.subscription < SUBSCRIPTION_MAX
    }
}

/// The slot that one delivery occupies.
struct Slot {
    subscription: SubscriptionSeq,
    account: AccountId,
    origin: String,
    notifications: Vec<NotificationSeq>,
}

/// The deliveries under way.
#[derive(Default)]
struct UnderWay {
    /// The lease under which they were begun. None is begun without one.
    lease: Option<LeaseToken>,
    jobs: JoinSet<()>,
    slots: HashMap<Id, Slot>,
    notifications: HashSet<NotificationSeq>,
    by_subscription: HashMap<SubscriptionSeq, usize>,
    by_account: HashMap<AccountId, usize>,
    by_origin: HashMap<String, usize>,
    /// The subscription after which the next read begins, so that all have their turn.
    after: Option<SubscriptionSeq>,
    /// The subscription whose delivery began last. Of those in a read, the next one is first, so that those of one
    /// receiver, which takes a few at once, have their turn, too.
    last: Option<SubscriptionSeq>,
}

impl UnderWay {
    fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Goes on under this lease. If it is another one than before, what was under way breaks off and is forgotten: its
    /// results would be refused.
    fn hold(&mut self, lease: Option<LeaseToken>) {
        if lease != self.lease {
            *self = Self { lease, ..Self::default() };
        }
    }

    /// Claims and begins due deliveries, as far as there is room.
    async fn begin(&mut self, app: &Arc<App>) -> Result<()> {
        let Some(lease) = self.lease else { return Ok(()) };
        let now = app.clock.now();
        for _ in 0..LOOKS_MAX {
            if self.jobs.len() >= ALL_MAX {
                return Ok(());
            }
            let after = self.after.unwrap_or(SubscriptionSeq(0));
            // Twice as many as may be under way, since the ones under way come first.
            let limits =
                DueLimits { subscriptions: LOOK_MAX, single: 2 * SUBSCRIPTION_MAX, daily: DAILY_MAX };
            let DuePage { due, next } = app.store.claim(lease, now, after, limits).await?;
            for one in in_turn(due, self.last) {
                self.begin_one(app, lease, &one);
            }
            self.after = next;
            if next.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn begin_one(&mut self, app: &Arc<App>, lease: LeaseToken, due: &Due) {
        let origin = Target::parse(&due.target).map_or_else(|| "mail".to_owned(), |target| target.origin());
        let waiting = due.notifications.iter().copied().filter(|seq| !self.notifications.contains(seq));
        let parts: Vec<Vec<NotificationSeq>> =
            if due.daily { vec![waiting.collect()] } else { waiting.map(|seq| vec![seq]).collect() };
        for notifications in parts.into_iter().filter(|part| !part.is_empty()) {
            let crowd = Crowd {
                all: self.jobs.len(),
                account: count(&self.by_account, &due.account),
                origin: count(&self.by_origin, &origin),
                subscription: count(&self.by_subscription, &due.subscription),
            };
            if !crowd.has_room() {
                return;
            }
            let (subscription, account) = (due.subscription, due.account);
            let job = deliver(app.clone(), lease, subscription, notifications.clone());
            let id = self.jobs.spawn(job).id();
            self.last = Some(subscription);
            self.notifications.extend(&notifications);
            *self.by_subscription.entry(subscription).or_default() += 1;
            *self.by_account.entry(account).or_default() += 1;
            *self.by_origin.entry(origin.clone()).or_default() += 1;
            self.slots.insert(id, Slot { subscription, account, origin: origin.clone(), notifications });
        }
    }

    /// Waits for a delivery to end, and frees its slot.
    async fn one_ended(&mut self) {
        let ended = match self.jobs.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                warn!(%error, "a delivery broke off: {error}");
                // A delivery that broke off keeps its slot for a while, since it would break off again.
                if let Some(slot) = self.slots.remove(&error.id()) {
                    let id = self.jobs.spawn(tokio::time::sleep(POLL)).id();
                    self.slots.insert(id, slot);
                }
                return;
            }
            None => return,
        };
        let Some(slot) = self.slots.remove(&ended) else { return };
        for seq in &slot.notifications {
            self.notifications.remove(seq);
        }
        leave(&mut self.by_subscription, &slot.subscription);
        leave(&mut self.by_account, &slot.account);
        leave(&mut self.by_origin, &slot.origin);
    }
}

/// Returns what is due, ascending by subscription, beginning with the subscription after `last`.
fn in_turn(mut due: Vec<Due>, last: Option<SubscriptionSeq>) -> Vec<Due> {
    let next = due.iter().position(|one| Some(one.subscription) > last).unwrap_or(0);
    due.rotate_left(next);
    due
}

fn count<K: Eq + Hash>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

fn leave<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_receivers_of_four_accounts_leave_room_for_a_fifth() {
        let mut accounts = [0; 5];
        let mut begin = |n: usize| {
            let crowd = Crowd { all: accounts.iter().sum(), account: accounts[n], ..Crowd::default() };
            let room = crowd.has_room();
            accounts[n] += usize::from(room);
            room
        };
        for n in 0..4 {
            while begin(n) {}
        }
        assert!(begin(4));
        assert_eq!(accounts, [32, 32, 8, 8, 1]);
    }

    #[test]
    fn a_subscription_waits_for_its_turn_and_not_until_those_before_it_have_nothing_due() {
        let due = |seq| Due {
            subscription: SubscriptionSeq(seq),
            account: AccountId::new(7).unwrap(),
            target: "https://example.com/".into(),
            daily: false,
            notifications: vec![NotificationSeq(seq)],
        };
        let order = |last: Option<i64>| -> Vec<i64> {
            let due = in_turn([2, 4, 6].map(due).into(), last.map(SubscriptionSeq));
            due.iter().map(|one| one.subscription.0).collect()
        };
        assert_eq!((order(None), order(Some(2))), (vec![2, 4, 6], vec![4, 6, 2]));
        assert_eq!((order(Some(5)), order(Some(6))), (vec![6, 2, 4], vec![2, 4, 6]));
    }

    #[test]
    fn each_bound_is_one_of_its_own() {
        let has_room =
            |all, account, origin, subscription| Crowd { all, account, origin, subscription }.has_room();
        assert!(has_room(63, 31, 3, 1) && has_room(127, 7, 3, 1));
        for (all, account, origin, subscription) in
            [(128, 0, 0, 0), (63, 32, 0, 0), (64, 8, 0, 0), (5, 5, 4, 0), (5, 5, 3, 2)]
        {
            assert!(!has_room(all, account, origin, subscription), "{all} {account} {origin} {subscription}");
        }
    }

    #[tokio::test]
    async fn what_was_begun_under_a_lost_lease_is_forgotten() {
        let mut under_way = UnderWay::default();
        under_way.hold(Some(LeaseToken(1)));
        under_way.jobs.spawn(std::future::pending());
        under_way.notifications.insert(NotificationSeq(1));
        under_way.by_account.insert(AccountId::new(1).unwrap(), 1);
        under_way.hold(Some(LeaseToken(1)));
        assert!(!under_way.is_empty(), "it was renewed");
        under_way.hold(None);
        assert!(
            under_way.is_empty() && under_way.notifications.is_empty() && under_way.by_account.is_empty()
        );
    }

    #[tokio::test]
    async fn a_delivery_that_broke_off_is_not_begun_again_at_once() {
        let mut under_way = UnderWay::default();
        let (subscription, account) = (SubscriptionSeq(1), AccountId::new(1).unwrap());
        let (origin, seq) = ("mail".to_owned(), NotificationSeq(1));
        let id = under_way.jobs.spawn(async { panic!("as a delivery might") }).id();
        under_way.notifications.insert(seq);
        under_way.by_account.insert(account, 1);
        under_way.slots.insert(id, Slot { subscription, account, origin, notifications: vec![seq] });
        under_way.one_ended().await;
        assert!(under_way.notifications.contains(&seq) && !under_way.is_empty());
        assert_eq!(count(&under_way.by_account, &account), 1);
        under_way.one_ended().await;
        assert!(under_way.notifications.is_empty() && under_way.is_empty());
        assert_eq!(count(&under_way.by_account, &account), 0);
    }
}
