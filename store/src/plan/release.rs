//! Releases: what happens to numbers by time alone, at the end of aging and of reservations.

use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::release::due;
use onhook_core::time::Timestamp;

use super::batch::{Batch, NumberWrites, Numbers};

/// Plans the release of those of these numbers that are due by the caller's clock at `now`: first those that were
/// reserved, then those that aged, each by digits. Returns with it how many were reserved. If the store is ahead of
/// it, the clock was set back. Then their events happen later, but no more numbers are due: an early release is worse.
#[must_use]
pub fn release(numbers: Numbers, policy: &Policy, now: Timestamp) -> (NumberWrites, usize) {
    let known = |state| {
        numbers
            .known
            .iter()
            .map(|known| &known.entry)
            .filter(move |entry| (entry.state() == State::Reserved) == state)
    };
    let mut first: Vec<_> = known(true).filter_map(|entry| due(entry, now)).collect();
    let reservations = first.len();
    first.extend(known(false).filter_map(|entry| due(entry, now)));
    let mut batch = Batch::new(policy, numbers, now);
    for transition in first {
        batch.apply(transition, By::Time);
    }
    (batch.finish(), reservations)
}
