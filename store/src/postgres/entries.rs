//! Rows of numbers and their events, as they are read.

use std::collections::HashMap;

use super::client::Client;
use futures_util::future::try_join_all;
use onhook_core::ids::{AreaId, EventSeq};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::{Change, Event};
use onhook_core::lifecycle::history::History;
use onhook_core::number::Number;
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::row::{
    account_or, all_digits, digits_of, get, json, number_of, peer_or, site_or, small, time, time_or, under,
};
use super::statement::rows;
use crate::Result;
use crate::columns::{NumberColumns, by_of, history_of};
use crate::error::corrupt;
use crate::plan::batch::Known;

/// A row of `number`: the entry, and the event that left it so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumberRow {
    pub(super) entry: Entry,
    pub(super) last_event: EventSeq,
    /// True while nothing has happened since its import.
    pub(super) untouched: bool,
    /// When its last event happened.
    pub(super) at: Timestamp,
}

/// The columns that [`NumberRow::read`] reads, in this order.
pub(super) const NUMBER_COLUMNS: &str =
    "number, state, holder, site, peer, area, flags, due_at, last_event, at, release_at, kept_until";

impl NumberRow {
    pub(super) fn read(row: &Row) -> Result<Self> {
        let columns = NumberColumns {
            number: number_of(row, 0)?,
            state: small(row, 1)?,
            holder: account_or(row, 2)?,
            site: site_or(row, 3)?,
            peer: peer_or(row, 4)?,
            area: AreaId(small(row, 5)?),
            flags: small(row, 6)?,
            due_at: time_or(row, 7)?,
            release_at: time_or(row, 10)?,
            kept_until: time_or(row, 11)?,
        };
        let (entry, untouched) = columns.entry()?;
        Ok(Self { entry, last_event: EventSeq(get(row, 8)?), untouched, at: time(row, 9)? })
    }

    /// Returns the number as a plan needs it.
    pub(super) fn known(self) -> Known {
        let Self { entry, last_event, untouched, .. } = self;
        Known { entry, last_event, untouched }
    }
}

/// Returns those of the numbers that exist, in the order of their digits.
pub(super) async fn number_rows(client: &Client, numbers: &[Number]) -> Result<Vec<NumberRow>> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number = ANY($1) ORDER BY number");
    rows(client, &sql, &[&all_digits(numbers.iter().copied())]).await?.iter().map(NumberRow::read).collect()
}

/// Returns those of the numbers that exist, in the order of their digits, and locks them until the transaction ends. All
/// transactions lock numbers in this order, so none of them waits for the other in a circle.
pub(super) async fn lock_numbers(client: &Client, numbers: &[Number]) -> Result<Vec<NumberRow>> {
    let sql =
        format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number = ANY($1) ORDER BY number FOR UPDATE");
    let digits = all_digits(numbers.iter().copied());
    if digits.is_empty() {
        return Ok(Vec::new());
    }
    rows(client, &sql, &[&digits]).await?.iter().map(NumberRow::read).collect()
}

/// The columns that [`read_event`] reads, in this order.
pub(super) const EVENT_COLUMNS: &str =
    "seq, number, prev, at, order_seq, actor, detail, origin, credential, address, reason, plan";

/// Reads a row of `event` that belongs to one number. An import's row does not.
pub(super) fn read_event(row: &Row) -> Result<Event> {
    let change: Change = serde_json::from_str(get(row, 6)?)?;
    Ok(Event {
        seq: EventSeq(get(row, 0)?),
        number: number_of(row, 1)?,
        prev: EventSeq(
            get::<Option<i64>>(row, 2)?.ok_or_else(|| corrupt("an event without the one before it"))?,
        ),
        at: time(row, 3)?,
        by: by_of(get(row, 4)?, get(row, 5)?, &change),
        change,
        under: under(row, 8)?,
        origin: json(row, 7)?,
    })
}

/// Numbers whose chains one query follows. PostgreSQL takes a chain for much longer than it is, and of a query that
/// follows many it believes that compiling it pays, which takes longer than to follow them.
const CHAINS: usize = 250;

/// Returns the histories of numbers, along their chains. A chain that is broken gives an error in its place.
pub(super) async fn histories(
    client: &Client,
    numbers: &[NumberRow],
) -> Result<HashMap<Number, Result<History>>> {
    let some = try_join_all(numbers.chunks(CHAINS).map(|some| histories_of(client, some))).await?;
    Ok(some.into_iter().flatten().collect())
}

async fn histories_of(client: &Client, numbers: &[NumberRow]) -> Result<Vec<(Number, Result<History>)>> {
    let digits = all_digits(numbers.iter().map(|row| row.entry.number));
    let last: Vec<i64> = numbers.iter().map(|row| row.last_event.0).collect();
    // A chain ends with an import. One that points forward ends there too, and is found to be broken.
    let sql = format!(
        "WITH RECURSIVE chain (about, {EVENT_COLUMNS}) AS (
             SELECT u.about, e.seq, e.number, e.prev, e.at, e.order_seq, e.actor, e.detail, e.origin,
                    e.credential, e.address, e.reason, e.plan
             FROM unnest($1::bigint[], $2::bigint[]) AS u (about, last) JOIN event e ON e.seq = u.last
             UNION ALL
             SELECT c.about, e.seq, e.number, e.prev, e.at, e.order_seq, e.actor, e.detail, e.origin,
                    e.credential, e.address, e.reason, e.plan
             FROM chain c JOIN event e ON e.seq = c.prev WHERE c.number IS NOT NULL AND c.prev < c.seq
         )
         SELECT {EVENT_COLUMNS}, about FROM chain ORDER BY about, seq DESC"
    );
    let mut chains: HashMap<i64, Vec<Row>> = HashMap::with_capacity(numbers.len());
    for row in rows(client, &sql, &[&digits, &last]).await? {
        chains.entry(get(&row, 12)?).or_default().push(row);
    }
    let history = |row: &NumberRow| {
        let number = row.entry.number;
        let chain = chains.get(&digits_of(number)).map_or(&[][..], Vec::as_slice);
        (number, follow(row, chain))
    };
    Ok(numbers.iter().map(history).collect())
}

/// Returns a number's history from its chain: its events, newest first, and the import.
fn follow(row: &NumberRow, chain: &[Row]) -> Result<History> {
    let mut events: Vec<Event> = Vec::with_capacity(chain.len());
    let mut next = row.last_event;
    for link in chain {
        if get::<Option<i64>>(link, 1)?.is_none() {
            return history_of(row.entry, time(link, 3)?, events);
        }
        let event = read_event(link)?;
        if event.prev >= event.seq {
            return Err(corrupt(format!("event {} points forward", event.seq.0)));
        }
        next = event.prev;
        events.push(event);
    }
    Err(corrupt(format!("event {} is missing", next.0)))
}
