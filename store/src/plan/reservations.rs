//! Reservations: a pool number is held for an account, or given back.

use std::collections::HashMap;

use onhook_core::ids::AreaId;
use onhook_core::lifecycle::area::Area;
use onhook_core::lifecycle::event::{By, Transition};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::reservation::{self, NotReserved, Reservation};
use onhook_core::time::Timestamp;

use super::batch::{Batch, Known, NumberWrites};

/// What the plan of one number needs.
#[derive(Debug)]
pub struct Loaded<'a> {
    /// The number. `None` if it does not exist.
    pub number: Option<Known>,
    /// Its area.
    pub areas: HashMap<AreaId, Area>,
    /// Hold profiles.
    pub policy: &'a Policy,
    /// Who asks.
    pub user: String,
    /// When it happens.
    pub at: Timestamp,
}

impl Loaded<'_> {
    fn happen(self, transition: Transition) -> NumberWrites {
        let mut batch = Batch::new(self.policy, self.number, self.areas);
        batch.apply(transition, By::User(self.user), self.at);
        batch.finish()
    }
}

/// Plans a reservation of a number for an account that holds `held` numbers.
///
/// # Errors
/// [`NotReserved`]: nothing is written.
pub fn reserve(loaded: Loaded<'_>, wanted: &Reservation, held: u64) -> Result<NumberWrites, NotReserved> {
    let entry = loaded.number.as_ref().map(|known| &known.entry);
    let transition = reservation::reserve(entry, wanted.account, held, wanted.until)?;
    Ok(loaded.happen(transition))
}

/// Plans the return of a reserved number. `None` if the reservation has ended.
#[must_use]
pub fn cancel(loaded: Loaded<'_>, found: &Reservation) -> Option<NumberWrites> {
    let transition = reservation::cancel(found, &loaded.number.as_ref()?.entry)?;
    Some(loaded.happen(transition))
}
