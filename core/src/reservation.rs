//! Reservations: an account holds a pool number for a while, so that nobody else takes it before its order.
//!
//! Not here: what ends one by itself (`release`), or how an order takes a reserved number (`decide`).

use crate::ids::{AccountId, ReservationId};
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::{Change, Transition};
use crate::number::Number;
use crate::time::Timestamp;

/// How long a number is held, in milliseconds: four hours (contract §4.3).
pub const HELD_MS: i64 = 4 * 3_600_000;
/// Most numbers that an account holds at once, so that nobody empties the pool without taking anything.
pub const RESERVED_MAX: u64 = 5_000;

/// A number that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// For whom.
    pub account: AccountId,
    /// What.
    pub number: Number,
    /// Until when.
    pub until: Timestamp,
}

/// Why a number is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReserved {
    /// It is not in the pool. The same for one that does not exist, so that nobody learns which it is.
    Unavailable,
    /// The account holds as many as it may.
    TooMany,
}

/// Holds a number, as it is now, for an account that holds `held` numbers.
///
/// # Errors
/// [`NotReserved`].
pub fn reserve(
    entry: Option<&Entry>,
    account: AccountId,
    held: u64,
    until: Timestamp,
) -> Result<Transition, NotReserved> {
    let before = entry.ok_or(NotReserved::Unavailable)?;
    let reserved = Transition::of(before, Change::Reserved { account, until });
    let reserved = reserved.map_err(|_| NotReserved::Unavailable)?;
    if held < RESERVED_MAX { Ok(reserved) } else { Err(NotReserved::TooMany) }
}

/// Whether a number is still held by a reservation.
#[must_use]
pub fn stands(reservation: &Reservation, entry: &Entry) -> bool {
    let Reservation { account, until, .. } = *reservation;
    entry.standing == Standing::Reserved { account, until }
}

/// Gives a number back; nothing when the reservation does not stand any more.
#[must_use]
pub fn cancel(reservation: &Reservation, entry: &Entry) -> Option<Transition> {
    Transition::of(entry, Change::Unreserved).ok().filter(|_| stands(reservation, entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AreaId;
    use crate::lifecycle::diagram::State;

    fn pool() -> Entry {
        Entry {
            number: "9195550100".parse().unwrap(),
            standing: Standing::Available,
            area: AreaId(1),
            protected: false,
            ported_in: false,
            locked: false,
        }
    }

    #[test]
    fn a_pool_number_is_held_for_one_account_until_it_gives_it_back() {
        let (one, until) = (AccountId::new(1).unwrap(), Timestamp::from_millis(HELD_MS));
        let held = reserve(Some(&pool()), one, 0, until).unwrap().after;
        assert_eq!(held.standing, Standing::Reserved { account: one, until });
        for account in [one, AccountId::new(2).unwrap()] {
            assert_eq!(reserve(Some(&held), account, 0, until), Err(NotReserved::Unavailable));
        }
        let id = ReservationId(uuid::Uuid::nil());
        let reservation = Reservation { id, account: one, number: held.number, until };
        assert_eq!(cancel(&reservation, &held).unwrap().after.state(), State::Available);
        // A later reservation of the same number is another one.
        let later = Reservation { until: until.plus_millis(1), ..reservation };
        assert_eq!(cancel(&later, &held), None);
        assert_eq!(cancel(&reservation, &pool()), None);
    }

    #[test]
    fn nobody_holds_more_than_they_may_nor_what_is_not_there() {
        let (one, until) = (AccountId::new(1).unwrap(), Timestamp::from_millis(0));
        assert!(reserve(Some(&pool()), one, RESERVED_MAX - 1, until).is_ok());
        assert_eq!(reserve(Some(&pool()), one, RESERVED_MAX, until), Err(NotReserved::TooMany));
        assert_eq!(reserve(None, one, 0, until), Err(NotReserved::Unavailable));
    }
}
