//! Reservations: an account holds a pool number for a while, so that nobody else takes it before its order.
//!
//! Not here: how one expires (`release`), or how an order takes a reserved number (`decide`).

use crate::ids::{AccountId, ReservationId};
use crate::lifecycle::entry::{Entry, Standing};
use crate::lifecycle::event::{Change, Transition};
use crate::number::Number;
use crate::time::Timestamp;

/// How long a number is held, in milliseconds: four hours (contract §4.3).
pub const HELD_MS: i64 = 4 * 3_600_000;
/// Most numbers that an account can hold at once, so that nobody can empty the pool without ordering.
pub const RESERVED_MAX: u64 = 5_000;

/// A number that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// The account that holds the number.
    pub account: AccountId,
    /// The number.
    pub number: Number,
    /// When the reservation ends.
    pub until: Timestamp,
}

/// Why a number is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReserved {
    /// It is not in the pool, or does not exist: the same, so that nobody learns which.
    Unavailable,
    /// The account holds [`RESERVED_MAX`] numbers.
    TooMany,
}

/// Holds a number for an account that already holds `held` numbers, unless it is `closed`. `entry` is the number now,
/// `None` if it does not exist.
///
/// # Errors
/// [`NotReserved`].
pub fn reserve(
    entry: Option<&Entry>,
    (account, closed): (AccountId, bool),
    held: u64,
    until: Timestamp,
) -> Result<Transition, NotReserved> {
    let before = entry.filter(|_| !closed).ok_or(NotReserved::Unavailable)?;
    let reserved = Transition::of(before, Change::Reserved { account, until });
    let reserved = reserved.map_err(|_| NotReserved::Unavailable)?;
    if held < RESERVED_MAX { Ok(reserved) } else { Err(NotReserved::TooMany) }
}

/// Returns whether a reservation still holds its number.
#[must_use]
pub fn stands(reservation: &Reservation, entry: &Entry) -> bool {
    let Reservation { account, until, .. } = *reservation;
    entry.standing == Standing::Reserved { account, until }
}

/// Gives a number back to the pool. Returns `None` if the reservation has ended.
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
        let held = reserve(Some(&pool()), (one, false), 0, until).unwrap().after;
        assert_eq!(held.standing, Standing::Reserved { account: one, until });
        for account in [one, AccountId::new(2).unwrap()] {
            assert_eq!(reserve(Some(&held), (account, false), 0, until), Err(NotReserved::Unavailable));
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
        assert!(reserve(Some(&pool()), (one, false), RESERVED_MAX - 1, until).is_ok());
        assert_eq!(reserve(Some(&pool()), (one, false), RESERVED_MAX, until), Err(NotReserved::TooMany));
        assert_eq!(reserve(None, (one, false), 0, until), Err(NotReserved::Unavailable));
        assert_eq!(
            reserve(Some(&pool()), (one, true), 0, until),
            Err(NotReserved::Unavailable),
            "it is closed"
        );
    }
}
