//! The audit trail: events by position, and the seals over them.
//!
//! Several nodes commit in any order. So each transaction that writes events also writes a row of `unsealed` that names
//! them, and the sealer takes the rows that it can see. It deletes them with the seal that it writes: of two sealers one
//! finds a row gone, or its batch taken, and writes nothing.

use std::collections::{HashMap, HashSet};

use super::client::Client;
use async_trait::async_trait;
use onhook_core::audit::chain::{SEALED_MAX, Seal};
use onhook_core::audit::deed::{Deed, Recorded};
use onhook_core::audit::digest::Digest;
use onhook_core::audit::line::Line;
use onhook_core::ids::{EventSeq, OrderId};
use onhook_core::lifecycle::provenance::Provenance;
use tokio::task::spawn_blocking;
use tokio_postgres::Row;

use super::deeds::{account_changes, deeds, write_deeds};
use super::leases::must_last;
use super::open::PostgresStore;
use super::row::{account_or, get, json, limit, number_of, small_or, time, under};
use super::statement::{self, Value, execute, rows};
use super::transaction::{reading, transaction};
use crate::columns::{
    LineColumns, SealColumns, behind, column, digest_at, digest_bytes, digests_of, seq_bytes, seqs_of,
};
use crate::contract::audit::{Audit, Late, Sealed, Unsealed};
use crate::contract::leases::LeaseToken;
use crate::error::corrupt;
use crate::{Result, StoreError};

/// Events.
const EVENTS: &str =
    "SELECT seq, number, prev, at, actor, detail, origin, credential, address, reason, plan, kind,
                             account, state_before, state_after, order_seq FROM event";

/// What is shown of their orders.
const ORDERS: &str = "SELECT seq, id, user_name, credential, address, reason, plan FROM orders";

/// The columns of a seal that [`read_seal`] reads.
const SEAL: &str = "batch, first_position, last_position, sealed_at, root, previous, hash";

/// Most rows of `unsealed` that are looked at for one seal.
const ROWS_MAX: i64 = 2_000;

/// Seals that one look for an event's seal reads.
const SEALS: usize = 8;

/// Orders by their sequence numbers: which, who sent it, and under what.
type OfOrders = HashMap<i64, (OrderId, String, Provenance)>;

fn read_line(row: &Row, orders: &OfOrders) -> Result<Line> {
    let states: (Option<u8>, Option<u8>) = (small_or(row, 13)?, small_or(row, 14)?);
    let number = get::<Option<i64>>(row, 1)?.map(|_| number_of(row, 1)).transpose()?;
    let order = get::<Option<i64>>(row, 15)?.and_then(|seq| orders.get(&seq).cloned());
    let columns = LineColumns {
        seq: get(row, 0)?,
        number,
        prev: get(row, 2)?,
        at: time(row, 3)?,
        actor: get(row, 4)?,
        detail: serde_json::from_str(get(row, 5)?)?,
        origin: json(row, 6)?,
        under: under(row, 7)?,
        kind: get(row, 11)?,
        account: account_or(row, 12)?,
        states: states.0.zip(states.1),
        order,
    };
    columns.line()
}

/// Returns the rows of a table with these sequence numbers, which `select` has in its first column, in their order.
async fn with_seqs(client: &Client, select: &str, seqs: &[i64]) -> Result<Vec<Row>> {
    let (Some(first), Some(last)) = (seqs.iter().min(), seqs.iter().max()) else { return Ok(Vec::new()) };
    let span = last.abs_diff(*first);
    if usize::try_from(span / 2).is_ok_and(|half| half < seqs.len()) {
        // Most of what lies between is wanted: one walk through the index, instead of a way down for each.
        let sql = format!("{select} WHERE seq BETWEEN $1 AND $2 ORDER BY seq");
        let wanted: HashSet<i64> = seqs.iter().copied().collect();
        let mut found = rows(client, &sql, &[first, last]).await?;
        found.retain(|row| row.try_get(0).is_ok_and(|seq: i64| wanted.contains(&seq)));
        return Ok(found);
    }
    // Without the span, the planner reads the whole table for a list of thousands.
    let sql = format!("{select} WHERE seq BETWEEN $2 AND $3 AND seq = ANY($1) ORDER BY seq");
    rows(client, &sql, &[&seqs.to_vec(), first, last]).await
}

/// Returns the rows of events in their order, and the orders that made them.
async fn line_rows(client: &Client, events: &[EventSeq]) -> Result<(Vec<Row>, OfOrders)> {
    let seqs: Vec<i64> = events.iter().map(|seq| seq.0).collect();
    let events = with_seqs(client, EVENTS, &seqs).await?;
    let mut seqs = Vec::new();
    for row in &events {
        seqs.extend(get::<Option<i64>>(row, 15)?);
    }
    seqs.sort_unstable();
    seqs.dedup();
    let of_order = |row: &Row| Ok((get(row, 0)?, (OrderId(get(row, 1)?), get(row, 2)?, under(row, 3)?)));
    let orders = with_seqs(client, ORDERS, &seqs).await?.iter().map(of_order).collect::<Result<_>>()?;
    Ok((events, orders))
}

async fn lines(client: &Client, events: &[EventSeq]) -> Result<Vec<Line>> {
    let (rows, orders) = line_rows(client, events).await?;
    rows.iter().map(|row| read_line(row, &orders)).collect()
}

async fn unsealed(client: &Client, first: u64) -> Result<Unsealed> {
    let found = rows(client, "SELECT seq, seqs FROM unsealed ORDER BY seq LIMIT $1", &[&ROWS_MAX]).await?;
    let (mut events, mut marks): (Vec<EventSeq>, Vec<i64>) = (Vec::new(), Vec::new());
    for row in &found {
        let named = seqs_of(get(row, 1)?);
        if !events.is_empty() && events.len() + named.len() > SEALED_MAX {
            break;
        }
        events.extend(named);
        marks.push(get(row, 0)?);
    }
    let (rows, orders) = line_rows(client, &events).await?;
    if rows.len() != events.len() {
        return Err(corrupt("an event that is to get a position is missing"));
    }
    // Ten thousand take long enough to hold up the requests that wait for the same thread.
    let read = spawn_blocking(move || digests(&rows, &orders, first)).await;
    let (seqs, digests) = read.map_err(|error| StoreError::Broken(error.into()))??;
    Ok(Unsealed { seqs, digests, marks })
}

/// Returns events and their digests at the positions from `first` on.
fn digests(rows: &[Row], orders: &OfOrders, first: u64) -> Result<(Vec<EventSeq>, Vec<Digest>)> {
    let digest = |(position, row)| {
        let line = read_line(row, orders)?;
        Ok((line.seq, digest_at(position, &line)?))
    };
    (first..).zip(rows).map(digest).collect()
}

async fn unsealed_count(client: &Client) -> Result<u64> {
    let sql = "SELECT coalesce(sum(octet_length(seqs)), 0)::bigint / 8 FROM unsealed";
    let found = statement::row(client, sql, &[]).await?;
    Ok(found.map_or(Ok(0), |row| get::<i64>(&row, 0))?.unsigned_abs())
}

async fn unsealed_seqs(client: &Client) -> Result<Vec<EventSeq>> {
    unsealed_to(client, EventSeq(i64::MAX)).await
}

/// Returns the events of the rows that may name one up to `to`.
async fn unsealed_to(client: &Client, to: EventSeq) -> Result<Vec<EventSeq>> {
    let found = rows(client, "SELECT seqs FROM unsealed WHERE seq <= $1 ORDER BY seq", &[&to.0]).await?;
    let named = found.iter().map(|row| Ok(seqs_of(get(row, 0)?)));
    Ok(named.collect::<Result<Vec<_>>>()?.concat())
}

async fn seqs(client: &Client, after: EventSeq, size: usize) -> Result<Vec<EventSeq>> {
    let sql = "SELECT seq FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";
    rows(client, sql, &[&after.0, &limit(size)]).await?.iter().map(|row| get(row, 0).map(EventSeq)).collect()
}

async fn seal(client: &Client, lease: LeaseToken, sealed: &Sealed, marks: &Vec<i64>) -> Result<()> {
    must_last(client, lease).await?;
    let Sealed { seal, seqs, digests } = sealed;
    let taken = || StoreError::Conflict("other events have got these positions".to_owned());
    if head(client).await?.map_or(0, |before| before.batch) + 1 != seal.batch {
        return Err(taken());
    }
    let sql = format!(
        "INSERT INTO seal ({SEAL}, min_seq, max_seq, highest_seq, seqs, digests)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,
                 greatest($9, (SELECT highest_seq FROM seal ORDER BY batch DESC LIMIT 1)), $10, $11)
         ON CONFLICT DO NOTHING"
    );
    let bytes = |digest: Digest| digest.0.to_vec();
    let values: [&dyn Value; 11] = [
        &column(seal.batch),
        &column(seal.first),
        &column(seal.last),
        &seal.sealed_at.millis(),
        &bytes(seal.root),
        &bytes(seal.previous),
        &bytes(seal.hash),
        &seqs.iter().min().map_or(0, |seq| seq.0),
        &seqs.iter().max().map_or(0, |seq| seq.0),
        &seq_bytes(seqs.iter().copied()),
        &digest_bytes(digests),
    ];
    if execute(client, &sql, &values).await? == 0 {
        return Err(taken());
    }
    let gone = execute(client, "DELETE FROM unsealed WHERE seq = ANY($1)", &[marks]).await?;
    if gone == u64::try_from(marks.len()).unwrap_or(u64::MAX) { Ok(()) } else { Err(taken()) }
}

fn read_seal(row: &Row) -> Result<Seal> {
    let (batch, first, last) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
    let digests = [get(row, 4)?, get(row, 5)?, get(row, 6)?];
    SealColumns { batch, first, last, sealed_at: get(row, 3)?, digests }.seal()
}

fn read_sealed(row: &Row) -> Result<Sealed> {
    let (seqs, digests) = (seqs_of(get(row, 7)?), digests_of(get(row, 8)?));
    Ok(Sealed { seal: read_seal(row)?, seqs, digests })
}

async fn head(client: &Client) -> Result<Option<Seal>> {
    let sql = format!("SELECT {SEAL} FROM seal ORDER BY batch DESC LIMIT 1");
    statement::row(client, &sql, &[]).await?.as_ref().map(read_seal).transpose()
}

async fn seals(client: &Client, after: u64, size: usize) -> Result<Vec<Seal>> {
    let sql = format!("SELECT {SEAL} FROM seal WHERE batch > $1 ORDER BY batch LIMIT $2");
    rows(client, &sql, &[&column(after), &limit(size)]).await?.iter().map(read_seal).collect()
}

async fn sealed(client: &Client, after: u64, size: usize) -> Result<Vec<Sealed>> {
    let sql = format!(
        "SELECT {SEAL}, seqs, digests FROM seal WHERE last_position > $1 ORDER BY last_position LIMIT $2"
    );
    rows(client, &sql, &[&column(after), &limit(size)]).await?.iter().map(read_sealed).collect()
}

async fn sealed_with(client: &Client, event: EventSeq) -> Result<Option<Sealed>> {
    // An event stands under one of the first seals that reach as far, unless it was committed late.
    let sql =
        "SELECT batch, max_seq FROM seal WHERE max_seq > $1 AND min_seq <= $2 ORDER BY max_seq LIMIT $3";
    let mut after = event.0.saturating_sub(1);
    loop {
        let found = rows(client, sql, &[&after, &event.0, &limit(SEALS)]).await?;
        for row in &found {
            let sql = format!("SELECT {SEAL}, seqs, digests FROM seal WHERE batch = $1");
            let seal = statement::row(client, &sql, &[&get::<i64>(row, 0)?]).await?;
            let sealed = seal.as_ref().map(read_sealed).transpose()?;
            if let Some(sealed) = sealed.filter(|sealed| sealed.seqs.contains(&event)) {
                return Ok(Some(sealed));
            }
            after = get(row, 1)?;
        }
        if found.len() < SEALS {
            return Ok(None);
        }
    }
}

async fn last_sealed(client: &Client, position: u64) -> Result<EventSeq> {
    let sql = "SELECT highest_seq FROM seal WHERE last_position <= $1 ORDER BY last_position DESC LIMIT 1";
    let found = statement::row(client, sql, &[&column(position)]).await?;
    Ok(EventSeq(found.as_ref().map_or(Ok(0), |row| get(row, 0))?))
}

/// Those without a position are read first: one that gets a position meanwhile is then found under its seal. A row of them
/// begins with its first event, so none behind `to` is read.
async fn late(client: &Client, position: u64, to: EventSeq) -> Result<Late> {
    let waiting = unsealed_to(client, to).await?;
    let mut events: Vec<EventSeq> = waiting.into_iter().filter(|seq| *seq <= to).collect();
    let head = head(client).await?.map_or(0, |head| head.last);
    let sql = "SELECT first_position, seqs FROM seal WHERE last_position > $1 AND last_position <= $3 AND min_seq <= $2
               ORDER BY last_position";
    for row in &rows(client, sql, &[&column(position), &to.0, &column(head)]).await? {
        events.extend(behind(get(row, 0)?, &seqs_of(get(row, 1)?), position, to));
    }
    Ok(Late { events, looked: head })
}

#[async_trait]
impl Audit for PostgresStore {
    async fn write_deeds(&self, deeds: Vec<Deed>) -> Result<()> {
        transaction!(self, tx => write_deeds(&tx, &deeds).await)
    }

    async fn deeds(&self, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
        reading!(self, client => deeds(&client, after, size).await)
    }

    async fn account_changes(&self, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
        reading!(self, client => account_changes(&client, after, size).await)
    }

    async fn unsealed(&self, first: u64) -> Result<Unsealed> {
        reading!(self, client => unsealed(&client, first).await)
    }

    async fn unsealed_count(&self) -> Result<u64> {
        reading!(self, client => unsealed_count(&client).await)
    }

    async fn seal(&self, lease: LeaseToken, sealed: Sealed, marks: Vec<i64>) -> Result<()> {
        transaction!(self, tx => seal(&tx, lease, &sealed, &marks).await)
    }

    async fn head(&self) -> Result<Option<Seal>> {
        reading!(self, client => head(&client).await)
    }

    async fn seals(&self, after: u64, size: usize) -> Result<Vec<Seal>> {
        reading!(self, client => seals(&client, after, size).await)
    }

    async fn sealed(&self, after: u64, size: usize) -> Result<Vec<Sealed>> {
        reading!(self, client => sealed(&client, after, size).await)
    }

    async fn sealed_with(&self, event: EventSeq) -> Result<Option<Sealed>> {
        reading!(self, client => sealed_with(&client, event).await)
    }

    async fn last_sealed(&self, position: u64) -> Result<EventSeq> {
        reading!(self, client => last_sealed(&client, position).await)
    }

    async fn late(&self, position: u64, to: EventSeq) -> Result<Late> {
        reading!(self, client => late(&client, position, to).await)
    }

    async fn lines(&self, events: Vec<EventSeq>) -> Result<Vec<Line>> {
        reading!(self, client => lines(&client, &events).await)
    }

    async fn seqs(&self, after: EventSeq, size: usize) -> Result<Vec<EventSeq>> {
        reading!(self, client => seqs(&client, after, size).await)
    }

    async fn unsealed_seqs(&self) -> Result<Vec<EventSeq>> {
        reading!(self, client => unsealed_seqs(&client).await)
    }
}
