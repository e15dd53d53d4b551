//! Reservations: a pool number is held for an account, or given back.

use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::Transition;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::reservation::{self, NotReserved, Reservation};
use onhook_core::time::Timestamp;

use super::batch::{Batch, NumberWrites, Numbers};

/// What the plan of one number needs.
#[derive(Debug)]
pub struct Loaded<'a> {
    /// The number, alone. None if it does not exist.
    pub number: Numbers,
    /// Hold profiles.
    pub policy: &'a Policy,
    /// Who asks.
    pub author: Author,
    /// When it is asked.
    pub now: Timestamp,
}

impl Loaded<'_> {
    fn entry(&self) -> Option<&Entry> {
        self.number.known.first().map(|known| &known.entry)
    }

    fn happen(self, transition: Transition) -> NumberWrites {
        let mut batch = Batch::new(self.policy, self.number, self.now);
        batch.act(transition, self.author);
        batch.finish()
    }
}

/// Plans a reservation of a number for an account that holds `held` numbers and may be `closed`.
///
/// # Errors
/// [`NotReserved`]: nothing is written.
pub fn reserve(
    loaded: Loaded<'_>,
    wanted: &Reservation,
    held: u64,
    closed: bool,
) -> Result<NumberWrites, NotReserved> {
    let transition = reservation::reserve(loaded.entry(), (wanted.account, closed), held, wanted.until)?;
    Ok(loaded.happen(transition))
}

/// Plans the return of a reserved number. `None` if the reservation has ended.
#[must_use]
pub fn cancel(loaded: Loaded<'_>, found: &Reservation) -> Option<NumberWrites> {
    let transition = reservation::cancel(found, loaded.entry()?)?;
    Some(loaded.happen(transition))
}
