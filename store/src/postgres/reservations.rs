//! Reservations: how one is made, found and given back.
//!
//! Not here: their end by time, which is in `release`, and orders that take a reserved number.

use std::sync::Arc;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{AccountId, ReservationId};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::policy::Policy;
use onhook_core::lifecycle::provenance::Author;
use onhook_core::number::Number;
use onhook_core::reservation::{Reservation, stands};
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::accounts::{is_closed, lock_account};
use super::batch::{apply_numbers, numbers_of};
use super::entries::{lock_numbers, number_rows};
use super::open::PostgresStore;
use super::row::{account_of, digits_of, get, number_of, time};
use super::statement::{Value, execute, row};
use super::transaction::{reading, transaction};
use crate::Result;
use crate::codes::state_code;
use crate::contract::reservations::{Reservations, Reserved};
use crate::plan::reservations as plan;

const COLUMNS: &str = "id, account, number, until";

fn read(row: &Row) -> Result<Reservation> {
    Ok(Reservation {
        id: ReservationId(get(row, 0)?),
        account: account_of(row, 1)?,
        number: number_of(row, 2)?,
        until: time(row, 3)?,
    })
}

/// Returns a reservation of an account, unless it has ended.
async fn by_id(client: &Client, account: AccountId, id: ReservationId) -> Result<Option<Reservation>> {
    let sql = format!("SELECT {COLUMNS} FROM reservation WHERE id = $1 AND account = $2");
    standing(client, row(client, &sql, &[&id.0, &i64::from(account.get())]).await?).await
}

/// Returns the reservation that holds a number, if it belongs to this account. `None` stands for any account.
async fn of_number(
    client: &Client,
    account: Option<AccountId>,
    number: Number,
) -> Result<Option<Reservation>> {
    let sql =
        format!("SELECT {COLUMNS} FROM reservation WHERE number = $1 AND account = coalesce($2, account)");
    let account = account.map(|account| i64::from(account.get()));
    standing(client, row(client, &sql, &[&digits_of(number), &account]).await?).await
}

/// Reads a reservation, unless it has ended since.
async fn standing(client: &Client, found: Option<Row>) -> Result<Option<Reservation>> {
    let Some(found) = found.as_ref().map(read).transpose()? else { return Ok(None) };
    let number = number_rows(client, &[found.number]).await?.pop();
    Ok(number.is_some_and(|number| stands(&found, &number.entry)).then_some(found))
}

/// Locks a number and loads what its plan needs.
async fn load<'a>(
    client: &Client,
    number: Number,
    author: Author,
    now: Timestamp,
    policy: &'a Policy,
) -> Result<plan::Loaded<'a>> {
    let number = numbers_of(client, lock_numbers(client, &[number]).await?).await?;
    Ok(plan::Loaded { number, policy, author, now })
}

async fn make_reservation(
    client: &Client,
    wanted: &Reservation,
    author: Author,
    now: Timestamp,
    policy: &Policy,
) -> Result<Reserved> {
    let Reservation { id, account, number, until } = *wanted;
    lock_account(client, account).await?;
    let closed = is_closed(client, account).await?;
    let loaded = load(client, number, author, now, policy).await?;
    let sql = "SELECT numbers FROM tally WHERE account = $1 AND state = $2";
    let account = i64::from(account.get());
    let held = row(client, sql, &[&account, &i64::from(state_code(State::Reserved))]).await?;
    let held = held.map_or(Ok(0), |row| get::<i64>(&row, 0))?.unsigned_abs();
    let writes = match plan::reserve(loaded, wanted, held, closed) {
        Ok(writes) => writes,
        Err(why) => return Ok(Reserved::Refused(why)),
    };
    apply_numbers(client, writes).await?;
    let sql = "INSERT INTO reservation (number, id, account, until) VALUES ($1, $2, $3, $4)
               ON CONFLICT (number) DO UPDATE SET id = excluded.id, account = excluded.account,
                                                  until = excluded.until";
    let values: [&dyn Value; 4] = [&digits_of(number), &id.0, &account, &until.millis()];
    execute(client, sql, &values).await?;
    Ok(Reserved::Done)
}

async fn cancel_reservation(
    client: &Client,
    account: AccountId,
    id: ReservationId,
    author: Author,
    now: Timestamp,
    policy: &Policy,
) -> Result<Option<Reservation>> {
    lock_account(client, account).await?;
    let Some(found) = by_id(client, account, id).await? else { return Ok(None) };
    let loaded = load(client, found.number, author, now, policy).await?;
    let Some(writes) = plan::cancel(loaded, &found) else { return Ok(None) };
    apply_numbers(client, writes).await?;
    Ok(Some(found))
}

#[async_trait]
impl Reservations for PostgresStore {
    async fn reserve(
        &self,
        wanted: Reservation,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Reserved> {
        transaction!(self, tx => make_reservation(&tx, &wanted, author.clone(), now, &policy).await)
    }

    async fn reservation(&self, account: AccountId, id: ReservationId) -> Result<Option<Reservation>> {
        reading!(self, client => by_id(&client, account, id).await)
    }

    async fn reservation_of(
        &self,
        account: Option<AccountId>,
        number: Number,
    ) -> Result<Option<Reservation>> {
        reading!(self, client => of_number(&client, account, number).await)
    }

    async fn cancel_reservation(
        &self,
        account: AccountId,
        id: ReservationId,
        author: Author,
        now: Timestamp,
        policy: Arc<Policy>,
    ) -> Result<Option<Reservation>> {
        transaction!(self, tx => cancel_reservation(&tx, account, id, author.clone(), now, &policy).await)
    }
}
