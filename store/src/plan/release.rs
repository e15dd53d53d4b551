//! Releases: what happens to numbers by time alone, at the end of aging and of reservations.

use std::collections::HashMap;

use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::event::By;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::release::due;
use onhook_core::time::Timestamp;

use super::batch::{Batch, Known, NumberWrites};

/// Plans the release of those of these numbers that are due by `clock`. Their events happen at `at`, which is `clock`
/// or later: if the store is ahead of the caller, the caller's clock was set back, and an early release is worse.
#[must_use]
pub fn release(
    numbers: Vec<Known>,
    areas: HashMap<AreaId, Area>,
    policy: &Policy,
    clock: Timestamp,
    at: Timestamp,
) -> NumberWrites {
    let due: Vec<_> = numbers.iter().filter_map(|known| due(&known.entry, clock)).collect();
    let mut batch = Batch::new(policy, numbers, areas);
    for transition in due {
        batch.apply(transition, By::Time, at);
    }
    batch.finish()
}
