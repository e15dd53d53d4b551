//! Releases: what happens to numbers by time alone, at the end of aging and of reservations.

use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::release::due;
use onhook_core::time::Timestamp;

use super::batch::{Batch, NumberWrites, Numbers};

/// Plans the release of those of these numbers that are due by the caller's clock at `now`. If the store is ahead of
/// it, the clock was set back. Then their events happen later, but no more numbers are due: an early release is worse.
#[must_use]
pub fn release(numbers: Numbers, policy: &Policy, now: Timestamp) -> NumberWrites {
    let due: Vec<_> = numbers.known.iter().filter_map(|known| due(&known.entry, now)).collect();
    let mut batch = Batch::new(policy, numbers, now);
    for transition in due {
        batch.apply(transition, By::Time);
    }
    batch.finish()
}
