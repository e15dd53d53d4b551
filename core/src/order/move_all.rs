//! Moves numbers in service to another site or peer of their account at once, all or none.
//!
//! Not here: a move order, in which each number succeeds or fails alone (`decide`).

use std::collections::HashMap;

use crate::account::Place;
use crate::lifecycle::entry::Entry;
use crate::lifecycle::event::{Change, Transition};
use crate::number::Number;

/// Moves numbers in service on the account of `place` to `place`, all or none. A number that is there already stays as
/// it is.
///
/// # Errors
/// The numbers that are not in service on the account, in the given order.
pub fn move_all(
    numbers: &[Number],
    place: Place,
    entries: &HashMap<Number, Entry>,
) -> Result<Vec<Transition>, Vec<Number>> {
    let (mut transitions, mut missing) = (Vec::new(), Vec::new());
    for number in numbers {
        let entry = entries.get(number);
        let entry = entry.and_then(|entry| Some((entry, entry.standing.in_service_on(place.account)?)));
        let change = Change::Moved { place };
        match entry {
            Some((_, at)) if at == place => {}
            Some((before, _)) => match Transition::of(before, change) {
                Ok(moved) => transitions.push(moved),
                Err(_) => missing.push(*number),
            },
            None => missing.push(*number),
        }
    }
    if missing.is_empty() { Ok(transitions) } else { Err(missing) }
}
