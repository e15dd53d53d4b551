//! Limits of an account: its requests, and the numbers of the pool that it is shown.

use std::num::NonZeroU32;

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
    /// Not limited.
    Free,
}

/// Counts the requests of each account, and the numbers it is shown.
pub struct Limits {
    requests: Option<DefaultKeyedRateLimiter<(AccountId, Group)>>,
    shown: Option<(NonZeroU32, DefaultKeyedRateLimiter<AccountId>)>,
}

impl Limits {
    /// Returns limits of requests a second in each group of routes, and of pool numbers an hour. `None` is no limit.
    #[must_use]
    pub fn new(requests: Option<NonZeroU32>, shown: Option<NonZeroU32>) -> Self {
        Self {
            requests: requests.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            shown: shown.map(|most| (most, RateLimiter::keyed(Quota::per_hour(most)))),
        }
    }

    /// Counts a request of an account. Returns the seconds to wait if it is one too many.
    pub(crate) fn request(&self, account: AccountId, group: Group) -> Option<u64> {
        if group == Group::Free {
            return None;
        }
        let not_until = self.requests.as_ref()?.check_key(&(account, group)).err()?;
        Some(seconds_until(&not_until))
    }

    /// Counts the numbers of the pool that an account is about to be shown. Returns the seconds to wait if the
    /// hourly limit is reached. A single search larger than the limit counts as the whole limit.
    pub(crate) fn shown(&self, account: AccountId, numbers: u32) -> Option<u64> {
        let (most, limit) = self.shown.as_ref()?;
        let numbers = NonZeroU32::new(numbers)?.min(*most);
        let not_until = limit.check_key_n(&account, numbers).ok()?.err()?;
        Some(seconds_until(&not_until))
    }

    /// Forgets accounts without a count.
    pub(crate) fn tidy(&self) {
        if let Some(requests) = &self.requests {
            requests.retain_recent();
        }
        if let Some((_, shown)) = &self.shown {
            shown.retain_recent();
        }
    }
}

/// Returns whole seconds, rounded up.
fn seconds_until(not_until: &NotUntil<<DefaultClock as Clock>::Instant>) -> u64 {
    not_until.wait_time_from(DefaultClock::default().now()).as_secs().saturating_add(1)
}
