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
    plan(numbers, policy, now, |_| now)
}

/// Plans the release of these numbers, each at the instant at which it is due, as [`release`] does it at one instant
/// after the other: for a clock that passes several at once, from `now`. Returns with it how many were reserved.
#[must_use]
pub fn pass(numbers: Numbers, policy: &Policy, now: Timestamp) -> (NumberWrites, usize) {
    plan(numbers, policy, now, |due_at| due_at.max(now))
}

/// Plans the release of numbers at `instant` of when they are due.
fn plan(
    numbers: Numbers,
    policy: &Policy,
    now: Timestamp,
    instant: impl Fn(Timestamp) -> Timestamp,
) -> (NumberWrites, usize) {
    let entries = numbers.known.iter().map(|known| &known.entry);
    let mut first: Vec<_> = entries
        .filter_map(|entry| {
            let at = instant(entry.standing.due_at()?);
            Some((at, due(entry, at)?))
        })
        .collect();
    let is_reserved = |state| state == State::Reserved;
    first.sort_by_key(|(at, next)| (*at, !is_reserved(next.before.state()), next.before.number));
    let reservations = first.iter().filter(|(_, next)| is_reserved(next.before.state())).count();
    let mut batch = Batch::new(policy, numbers, now);
    for (at, transition) in first {
        batch.go_on_to(at);
        batch.apply(transition, By::Time);
    }
    (batch.finish(), reservations)
}

/// A number that is due ahead of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// When it is due.
    pub due_at: Timestamp,
    /// True if it cannot be released now, or not at that instant.
    pub stands_still: bool,
}

/// Returns how many of these numbers a clock may pass at once, and the last instant of those. They are in the order of
/// their instants. An instant is passed with all of its numbers: none whose numbers may not all be among these (`cut`), and
/// none from the first on that a number stands still at. `None` if there is none to pass.
#[must_use]
pub fn passable(numbers: &[Ahead], cut: bool) -> Option<(usize, Timestamp)> {
    let still = numbers.iter().find(|number| number.stands_still).map(|number| number.due_at);
    let last = numbers.last().filter(|_| cut).map(|number| number.due_at);
    let end = [still, last].into_iter().flatten().min();
    let count = end.map_or(numbers.len(), |end| numbers.partition_point(|number| number.due_at < end));
    let last = numbers.get(count.checked_sub(1)?)?;
    Some((count, last.due_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(instants: &[i64], still: &[i64]) -> Vec<Ahead> {
        let number =
            |at: &i64| Ahead { due_at: Timestamp::from_millis(*at), stands_still: still.contains(at) };
        instants.iter().map(number).collect()
    }

    #[test]
    fn whole_instants_are_passed_up_to_what_stands_still() {
        for (instants, still, cut, passed) in [
            (&[][..], &[][..], false, None),
            (&[1, 2, 2, 3], &[], false, Some((4, 3))),
            (&[1, 2, 2, 3], &[], true, Some((3, 2))),
            (&[1, 2, 2, 2], &[], true, Some((1, 1))),
            (&[2, 2, 2, 2], &[], true, None),
            (&[1, 2, 2, 3], &[2], false, Some((1, 1))),
            (&[1, 2, 2, 3], &[3], true, Some((3, 2))),
            (&[1, 2, 2, 3], &[1], false, None),
        ] {
            let passed = passed.map(|(count, at)| (count, Timestamp::from_millis(at)));
            assert_eq!(passable(&ahead(instants, still), cut), passed, "{instants:?} {still:?} {cut}");
        }
    }
}
