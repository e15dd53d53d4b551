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

/// The number that a client wants to be held.
///
/// # Errors
/// Another root, no number, or what is none.
pub fn read(root: &Element<'_>) -> Result<Number, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::ReservationObject);
    }
    let text = root.filled("ReservedTn")?.ok_or(Problem::ReservationObject)?;
    text.parse().map_err(|_| Problem::Number(cut(text)))
}

/// A reservation, by itself.
#[must_use]
pub fn show(dialect: Dialect, reservation: &Reservation, now: Timestamp) -> String {
    let mut out = Document::new();
    out.open("ReservationResponse");
    write(&mut out, "Reservation", dialect, reservation, now);
    out.close("ReservationResponse");
    out.finish()
}

/// The reservation that holds a number: the answer of `/tns/{tn}/tnreservation`.
#[must_use]
pub fn of_number(dialect: Dialect, reservation: &Reservation, now: Timestamp) -> String {
    let mut out = Document::new();
    write(&mut out, "TNReservation", dialect, reservation, now);
    out.finish()
}

/// `ReservationExpires` is in whole seconds from now.
fn write(out: &mut Document, name: &str, dialect: Dialect, reservation: &Reservation, now: Timestamp) {
    let Reservation { id, account, number, until } = reservation;
    // One client takes the id to give the number back by from here.
    out.open(name)
        .leaf_display("Id", id)
        .leaf_display("ReservationId", id)
        .leaf_display("AccountId", account);
    out.leaf_display("ReservationExpires", (until.since(now) / 1_000).max(0));
    out.leaf("ReservedTn", &dialect.number(*number)).close(name);
}
