//! Numbers that move to another site or peer of their account at once, all or none.

use onhook_core::account::Place;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::order::move_all::move_all;
use onhook_core::time::Timestamp;

use super::batch::{Batch, NumberWrites, Numbers};

/// Plans the move of `wanted` numbers, loaded as `numbers`, to `place`, by `author` at `now`.
///
/// # Errors
/// The numbers that are not in service on the account, in the order in which they were named. Then no number moves.
pub fn moves(
    wanted: &[Number],
    place: Place,
    numbers: Numbers,
    policy: &Policy,
    (author, now): (&Author, Timestamp),
) -> Result<NumberWrites, Vec<Number>> {
    let mut batch = Batch::new(policy, numbers, now);
    for transition in move_all(wanted, place, batch.entries())? {
        batch.act(transition, author.clone());
    }
    Ok(batch.finish())
}
