//! Limits of an account: its requests, and the numbers of the pool that it is shown.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use onhook_core::ids::AccountId;

/// A group of routes whose requests are counted together for an account's rate limit (contract §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// New number orders.
    Order,
    /// New disconnect orders.
    Disconnect,
    /// Searches of the pool.
    Search,
    /// Histories of orders and numbers.
    History,
    /// Numbers in service.
    InService,
    /// Subscriptions.
    Subscription,
    /// The operations API.
    Ops,
    /// Not limited.
    Free,
}

/// Counts the requests of each account, and the numbers it is shown.
pub struct Limits(RwLock<Arc<Counts>>);

/// The counts of one pair of limits.
struct Counts {
    /// The limits by which they count.
    by: (Option<NonZeroU32>, Option<NonZeroU32>),
    requests: Option<DefaultKeyedRateLimiter<(AccountId, Group)>>,
    shown: Option<(NonZeroU32, DefaultKeyedRateLimiter<AccountId>)>,
}

impl Counts {
    fn new(requests: Option<NonZeroU32>, shown: Option<NonZeroU32>) -> Arc<Self> {
        Arc::new(Self {
            by: (requests, shown),
            requests: requests.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            shown: shown.map(|most| (most, RateLimiter::keyed(Quota::per_hour(most)))),
        })
    }
}

impl Limits {
    /// Returns limits of requests a second in each group of routes, and of pool numbers an hour. `None` is no limit.
    #[must_use]
    pub fn new(requests: Option<NonZeroU32>, shown: Option<NonZeroU32>) -> Self {
        Self(RwLock::new(Counts::new(requests, shown)))
    }

    /// Sets the limits. If they are others than before, the counts begin anew.
    pub(crate) fn set(&self, requests: Option<NonZeroU32>, shown: Option<NonZeroU32>) {
        if self.counts().by != (requests, shown) {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Counts::new(requests, shown);
        }
    }

    fn counts(&self) -> Arc<Counts> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a request of an account. Returns the seconds to wait if it is one too many.
    pub(crate) fn request(&self, account: AccountId, group: Group) -> Option<u64> {
        if group == Group::Free {
            return None;
        }
        let not_until = self.counts().requests.as_ref()?.check_key(&(account, group)).err()?;
        Some(seconds_until(&not_until))
    }

    /// Counts the numbers of the pool that an account is about to be shown. Returns the seconds to wait if the
    /// hourly limit is reached. A single search larger than the limit counts as the whole limit.
    pub(crate) fn shown(&self, account: AccountId, numbers: u32) -> Option<u64> {
        let counts = self.counts();
        let (most, limit) = counts.shown.as_ref()?;
        let numbers = NonZeroU32::new(numbers)?.min(*most);
        let not_until = limit.check_key_n(&account, numbers).ok()?.err()?;
        Some(seconds_until(&not_until))
    }

    /// Forgets accounts without a count.
    pub(crate) fn tidy(&self) {
        let counts = self.counts();
        if let Some(requests) = &counts.requests {
            requests.retain_recent();
        }
        if let Some((_, shown)) = &counts.shown {
            shown.retain_recent();
        }
    }
}

/// Returns whole seconds, rounded up.
fn seconds_until(not_until: &NotUntil<<DefaultClock as Clock>::Instant>) -> u64 {
    not_until.wait_time_from(DefaultClock::default().now()).as_secs().saturating_add(1)
}
