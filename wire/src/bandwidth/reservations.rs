//! Reservations (contract §4.3).

use onhook_core::number::Number;
use onhook_core::reservation::Reservation;
use onhook_core::time::Timestamp;

use super::dialect::Dialect;
use crate::error::{Family, Problem, cut};
use crate::text::xml::{Document, Element};

/// The form of this resource's errors.
pub const FAMILY: Family = Family::Response("ReservationResponse");

/// The root of a request.
pub const REQUEST: &str = "Reservation";

/// Returns the number that a client wants to be held.
///
/// # Errors
/// Another root, no number, or a wrong one.
pub fn read(root: &Element<'_>) -> Result<Number, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::ReservationObject);
    }
    let text = root.filled("ReservedTn")?.ok_or(Problem::ReservationObject)?;
    text.parse().map_err(|_| Problem::Number(cut(text)))
}

/// Returns the answer with a reservation.
#[must_use]
pub fn show(dialect: Dialect, reservation: &Reservation, now: Timestamp) -> String {
    let mut out = Document::new();
    out.open("ReservationResponse");
    write(&mut out, "Reservation", dialect, reservation, now);
    out.close("ReservationResponse");
    out.finish()
}

/// Returns the answer of `/tns/{tn}/tnreservation`: the reservation that holds a number.
#[must_use]
pub fn of_number(dialect: Dialect, reservation: &Reservation, now: Timestamp) -> String {
    let mut out = Document::new();
    write(&mut out, "TNReservation", dialect, reservation, now);
    out.finish()
}

/// Writes a reservation. `ReservationExpires` is in whole seconds from now.
fn write(out: &mut Document, name: &str, dialect: Dialect, reservation: &Reservation, now: Timestamp) {
    let Reservation { id, account, number, until } = reservation;
    // One client takes the id from here to give the number back.
    out.open(name)
        .leaf_display("Id", id)
        .leaf_display("ReservationId", id)
        .leaf_display("AccountId", account);
    out.leaf_display("ReservationExpires", (until.since(now) / 1_000).max(0));
    out.leaf("ReservedTn", &dialect.number(*number)).close(name);
}
