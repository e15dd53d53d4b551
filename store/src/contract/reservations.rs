//! Numbers that are held for an account. What may be asked of them, and what is returned.

use async_trait::async_trait;
use onhook_core::ids::{AccountId, ReservationId};
use onhook_core::number::Number;
use onhook_core::reservation::{NotReserved, Reservation};
use onhook_core::time::Timestamp;

use crate::Result;

/// What became of a number that was to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It is held.
    Done,
    /// It is not, and why; nothing was written.
    Refused(NotReserved),
}

/// Numbers that are held for an account.
#[async_trait]
pub trait Reservations: Send + Sync {
    /// Holds a number for an account.
    async fn reserve(&self, wanted: Reservation, user: String, now: Timestamp) -> Result<Reserved>;

    /// A reservation of an account, while it stands.
    async fn reservation(&self, account: AccountId, id: ReservationId) -> Result<Option<Reservation>>;

    /// The reservation that holds a number, if it is this account's; for none, whosever it is.
    async fn reservation_of(&self, account: Option<AccountId>, number: Number)
    -> Result<Option<Reservation>>;

    /// Gives a number back, and says which; none when the account has no such reservation that stands.
    async fn cancel_reservation(
        &self,
        account: AccountId,
        id: ReservationId,
        user: String,
        now: Timestamp,
    ) -> Result<Option<Reservation>>;
}
