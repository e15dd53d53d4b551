//! Numbers held for an account: queries, results, and the trait.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, ReservationId};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::reservation::{NotReserved, Reservation};
use onhook_core::time::Timestamp;

use crate::Result;

/// The result of reserving a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It is held.
    Done,
    /// It is not held, and why. Nothing was written.
    Refused(NotReserved),
}

/// Numbers held for an account.
#[async_trait]
pub trait Reservations: Send + Sync {
    /// Holds a number for an account.
    async fn reserve(
        &self,
        wanted: Reservation,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Reserved>;

    /// Returns a reservation of an account, until it ends.
    async fn reservation(&self, account: AccountId, id: ReservationId) -> Result<Option<Reservation>>;

    /// Returns the reservation that holds a number, if it belongs to this account. `None` stands for any account.
    async fn reservation_of(&self, account: Option<AccountId>, number: Number)
    -> Result<Option<Reservation>>;

    /// Gives a number back and returns its reservation. `None` if the account has no such reservation, or it has ended.
    async fn cancel_reservation(
        &self,
        account: AccountId,
        id: ReservationId,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Option<Reservation>>;
}
