//! Reservations: how one is made, found and given back.
//!
//! Not here: their end by time, which is in `release`, and orders that take a reserved number.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, ReservationId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::reservation::{Reservation, stands};
use onhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::accounts::is_closed;
use super::batch::{apply_numbers, known, with_areas};
use super::entries::number_row;
use super::open::SqliteStore;
use super::row::{self, digits_of};
use super::tables::Tables;
use crate::Result;
use crate::codes::state_code;
use crate::contract::reservations::{Reservations, Reserved};
use crate::plan::reservations as plan;

const COLUMNS: &str = "id, account, number, until";

fn read(row: &Row<'_>) -> Result<Reservation> {
    Ok(Reservation {
        id: ReservationId(uuid::Uuid::from_bytes(row.get(0)?)),
        account: row::account_id(row.get(1)?)?,
        number: row::number_of(row.get(2)?)?,
        until: Timestamp::from_millis(row.get(3)?),
    })
}

/// Returns a reservation of an account, unless it has ended.
fn by_id(connection: &Connection, account: AccountId, id: ReservationId) -> Result<Option<Reservation>> {
    let sql = format!("SELECT {COLUMNS} FROM reservation WHERE id = ?1 AND account = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((id.0.as_bytes(), account.get()))?;
    rows.next()?.map(read).transpose()?.map_or(Ok(None), |found| standing(connection, found))
}

/// Returns the reservation that holds a number, if it belongs to this account. `None` stands for any account.
fn of_number(
    connection: &Connection,
    account: Option<AccountId>,
    number: Number,
) -> Result<Option<Reservation>> {
    let sql =
        format!("SELECT {COLUMNS} FROM reservation WHERE number = ?1 AND account = coalesce(?2, account)");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((digits_of(number), account.map(AccountId::get)))?;
    rows.next()?.map(read).transpose()?.map_or(Ok(None), |found| standing(connection, found))
}

/// Returns a reservation, unless it has ended since.
fn standing(connection: &Connection, found: Reservation) -> Result<Option<Reservation>> {
    let row = number_row(connection, found.number)?;
    Ok(row.is_some_and(|row| stands(&found, &row.entry)).then_some(found))
}

/// Loads what the plan of one number needs.
fn load<'a>(
    tables: &Tables<'_>,
    number: Number,
    author: Author,
    now: Timestamp,
    policy: &'a Policy,
) -> Result<plan::Loaded<'a>> {
    let number = with_areas(tables, known(tables, [number])?);
    Ok(plan::Loaded { number, policy, author, now })
}

fn make_reservation(
    tables: &mut Tables<'_>,
    wanted: Reservation,
    author: Author,
    now: Timestamp,
    policy: &Policy,
) -> Result<Reserved> {
    let Reservation { id, account, number, until } = wanted;
    let held: Option<i64> = tables
        .connection
        .prepare_cached("SELECT numbers FROM tally WHERE account = ? AND state = ?")?
        .query_row((account.get(), state_code(State::Reserved)), |row| row.get(0))
        .optional()?;
    let held = held.unwrap_or(0).unsigned_abs();
    let closed = is_closed(tables.connection, account)?;
    let loaded = load(tables, number, author, now, policy)?;
    let writes = match plan::reserve(loaded, &wanted, held, closed) {
        Ok(writes) => writes,
        Err(why) => return Ok(Reserved::Refused(why)),
    };
    apply_numbers(tables, writes)?;
    tables
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO reservation (number, id, account, until) VALUES (?, ?, ?, ?)",
        )?
        .execute((digits_of(number), id.0.as_bytes(), account.get(), until.millis()))?;
    Ok(Reserved::Done)
}

fn cancel_reservation(
    tables: &mut Tables<'_>,
    account: AccountId,
    id: ReservationId,
    author: Author,
    now: Timestamp,
    policy: &Policy,
) -> Result<Option<Reservation>> {
    let Some(found) = by_id(tables.connection, account, id)? else { return Ok(None) };
    let loaded = load(tables, found.number, author, now, policy)?;
    let Some(writes) = plan::cancel(loaded, &found) else { return Ok(None) };
    apply_numbers(tables, writes)?;
    Ok(Some(found))
}

#[async_trait]
impl Reservations for SqliteStore {
    async fn reserve(
        &self,
        wanted: Reservation,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Reserved> {
        self.writer.write(move |tables| make_reservation(tables, wanted, author, now, &policy)).await
    }

    async fn reservation(&self, account: AccountId, id: ReservationId) -> Result<Option<Reservation>> {
        self.readers.read(move |connection| by_id(connection, account, id)).await
    }

    async fn reservation_of(
        &self,
        account: Option<AccountId>,
        number: Number,
    ) -> Result<Option<Reservation>> {
        self.readers.read(move |connection| of_number(connection, account, number)).await
    }

    async fn cancel_reservation(
        &self,
        account: AccountId,
        id: ReservationId,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Option<Reservation>> {
        self.writer.write(move |tables| cancel_reservation(tables, account, id, author, now, &policy)).await
    }
}
