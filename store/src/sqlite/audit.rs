//! The audit trail: events by position, and the seals over them.
//!
//! One writer commits in the order of sequence numbers, so the events without a position are those behind the last one
//! under a seal. Nothing has to be noted of them.

use async_trait::async_trait;
use onhook_core::audit::chain::{SEALED_MAX, Seal};
use onhook_core::audit::deed::{Deed, Recorded};
use onhook_core::audit::line::Line;
use onhook_core::ids::{EventSeq, OrderId};
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};

use super::deeds::{account_changes, deeds, write_deeds};
use super::leases::must_last;
use super::open::SqliteStore;
use super::row::{self, json, limit, list, under};
use super::tables::Tables;
use super::writer::Purpose;
use crate::columns::{
    LineColumns, SealColumns, behind, column, digest_at, digest_bytes, digests_of, seq_bytes, seqs_of,
};
use crate::contract::audit::{Audit, Late, Sealed, Unsealed};
use crate::contract::leases::LeaseToken;
use crate::{Result, StoreError};

/// Events with what is shown of their orders.
const LINES: &str = "SELECT e.seq, e.number, e.prev, e.at, e.actor, e.detail, e.origin, e.credential, e.address, e.reason,
                            e.plan, e.kind, e.account, e.state_before, e.state_after, o.id, o.user, o.credential,
                            o.address, o.reason, o.plan
                     FROM event e LEFT JOIN orders o ON o.seq = e.order_seq";

/// The columns of a seal that [`read_seal`] reads.
const SEAL: &str = "batch, first_position, last_position, sealed_at, root, previous, hash";

/// The last event that has a position.
const SEALED_TO: &str = "(SELECT coalesce(max(max_seq), 0) FROM seal)";

fn read_line(row: &Row<'_>) -> Result<Line> {
    let number: Option<i64> = row.get(1)?;
    let account: Option<u32> = row.get(12)?;
    let states: (Option<u8>, Option<u8>) = (row.get(13)?, row.get(14)?);
    let order = match row.get::<_, Option<[u8; 16]>>(15)? {
        Some(id) => Some((OrderId(uuid::Uuid::from_bytes(id)), row.get(16)?, under(row, 17)?)),
        None => None,
    };
    let columns = LineColumns {
        seq: row.get(0)?,
        number: number.map(row::number_of).transpose()?,
        prev: row.get(2)?,
        at: Timestamp::from_millis(row.get(3)?),
        actor: row.get(4)?,
        detail: serde_json::from_str(&row.get::<_, String>(5)?)?,
        origin: json(row, 6)?,
        under: under(row, 7)?,
        kind: row.get(11)?,
        account: account.map(row::account_id).transpose()?,
        states: states.0.zip(states.1),
        order,
    };
    columns.line()
}

fn lines(connection: &Connection, events: &[EventSeq]) -> Result<Vec<Line>> {
    let mut statement = connection.prepare_cached(&format!("{LINES} WHERE e.seq = ?"))?;
    let mut events = events.to_vec();
    events.sort_unstable();
    let mut found = Vec::with_capacity(events.len());
    for event in events {
        let mut rows = statement.query([event.0])?;
        if let Some(row) = rows.next()? {
            found.push(read_line(row)?);
        }
    }
    Ok(found)
}

/// Reads one event after another, so that ten thousand of them are not in memory together.
fn unsealed(connection: &Connection, first: u64) -> Result<Unsealed> {
    let sql = format!("{LINES} WHERE e.seq > {SEALED_TO} ORDER BY e.seq LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([limit(SEALED_MAX)])?;
    let mut found = Unsealed::default();
    for position in first.. {
        let Some(row) = rows.next()? else { break };
        let line = read_line(row)?;
        found.seqs.push(line.seq);
        found.digests.push(digest_at(position, &line)?);
    }
    Ok(found)
}

fn unsealed_count(connection: &Connection) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM event WHERE seq > {SEALED_TO}");
    Ok(connection.prepare_cached(&sql)?.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

fn unsealed_seqs(connection: &Connection) -> Result<Vec<EventSeq>> {
    let sql = format!("SELECT seq FROM event WHERE seq > {SEALED_TO} ORDER BY seq");
    list(connection, &sql, Vec::new(), read_seq)
}

fn read_seq(row: &Row<'_>) -> Result<EventSeq> {
    Ok(EventSeq(row.get(0)?))
}

fn seqs(connection: &Connection, after: EventSeq, size: usize) -> Result<Vec<EventSeq>> {
    let sql = "SELECT seq FROM event WHERE seq > ? ORDER BY seq LIMIT ?";
    list(connection, sql, vec![Value::Integer(after.0), limit(size)], read_seq)
}

fn seal(tables: &Tables<'_>, lease: LeaseToken, sealed: &Sealed) -> Result<()> {
    must_last(tables.connection, lease)?;
    let Sealed { seal, seqs, digests } = sealed;
    let before = head(tables.connection)?;
    let behind: i64 = tables.connection.query_row(&format!("SELECT {SEALED_TO}"), [], |row| row.get(0))?;
    let (min, max) = (seqs.iter().min().map_or(0, |seq| seq.0), seqs.iter().max().map_or(0, |seq| seq.0));
    if before.map_or(0, |before| before.batch) + 1 != seal.batch || min <= behind {
        return Err(StoreError::Conflict("other events have got these positions".to_owned()));
    }
    let mut insert = tables.connection.prepare_cached(&format!(
        "INSERT INTO seal ({SEAL}, min_seq, max_seq, highest_seq, seqs, digests)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))?;
    insert.execute(params![
        column(seal.batch),
        column(seal.first),
        column(seal.last),
        seal.sealed_at.millis(),
        seal.root.0,
        seal.previous.0,
        seal.hash.0,
        min,
        max,
        max.max(behind),
        seq_bytes(seqs.iter().copied()),
        digest_bytes(digests),
    ])?;
    Ok(())
}

fn read_seal(row: &Row<'_>) -> Result<Seal> {
    let bytes = |at: usize| Ok::<_, StoreError>(row.get_ref(at)?.as_bytes().unwrap_or_default());
    let (batch, first, last) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let digests = [bytes(4)?, bytes(5)?, bytes(6)?];
    SealColumns { batch, first, last, sealed_at: row.get(3)?, digests }.seal()
}

fn read_sealed(row: &Row<'_>) -> Result<Sealed> {
    let bytes = |at: usize| Ok::<_, StoreError>(row.get_ref(at)?.as_bytes().unwrap_or_default());
    let (seqs, digests) = (seqs_of(bytes(7)?), digests_of(bytes(8)?));
    Ok(Sealed { seal: read_seal(row)?, seqs, digests })
}

fn head(connection: &Connection) -> Result<Option<Seal>> {
    let sql = format!("SELECT {SEAL} FROM seal ORDER BY batch DESC LIMIT 1");
    Ok(list(connection, &sql, Vec::new(), read_seal)?.pop())
}

fn seals(connection: &Connection, after: u64, size: usize) -> Result<Vec<Seal>> {
    let sql = format!("SELECT {SEAL} FROM seal WHERE batch > ? ORDER BY batch LIMIT ?");
    list(connection, &sql, vec![Value::Integer(column(after)), limit(size)], read_seal)
}

fn sealed(connection: &Connection, after: u64, size: usize) -> Result<Vec<Sealed>> {
    let sql = format!(
        "SELECT {SEAL}, seqs, digests FROM seal WHERE last_position > ? ORDER BY last_position LIMIT ?"
    );
    list(connection, &sql, vec![Value::Integer(column(after)), limit(size)], read_sealed)
}

fn sealed_with(connection: &Connection, event: EventSeq) -> Result<Option<Sealed>> {
    let sql = format!(
        "SELECT {SEAL}, seqs, digests FROM seal WHERE max_seq >= ?1 AND min_seq <= ?1 ORDER BY max_seq"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([event.0])?;
    while let Some(row) = rows.next()? {
        let sealed = read_sealed(row)?;
        if sealed.seqs.contains(&event) {
            return Ok(Some(sealed));
        }
    }
    Ok(None)
}

fn last_sealed(connection: &Connection, position: u64) -> Result<EventSeq> {
    let sql = "SELECT coalesce((SELECT highest_seq FROM seal WHERE last_position <= ?
                                ORDER BY last_position DESC LIMIT 1), 0)";
    Ok(EventSeq(connection.prepare_cached(sql)?.query_row([column(position)], |row| row.get(0))?))
}

/// Its own events are never late. Those that came from another store may be.
fn late(connection: &Connection, position: u64, to: EventSeq) -> Result<Late> {
    let sql = format!("SELECT seq FROM event WHERE seq > {SEALED_TO} AND seq <= ? ORDER BY seq");
    let mut events = list(connection, &sql, vec![Value::Integer(to.0)], read_seq)?;
    let sql = "SELECT first_position, seqs FROM seal WHERE last_position > ? AND min_seq <= ? ORDER BY last_position";
    let values = vec![Value::Integer(column(position)), Value::Integer(to.0)];
    let seals = list(connection, sql, values, |row| {
        let first: i64 = row.get(0)?;
        Ok((first, seqs_of(row.get_ref(1)?.as_bytes().unwrap_or_default())))
    })?;
    events.extend(seals.iter().flat_map(|(first, seqs)| behind(*first, seqs, position, to)));
    let looked: i64 = connection
        .prepare_cached("SELECT coalesce(max(last_position), 0) FROM seal")?
        .query_row([], |row| row.get(0))?;
    Ok(Late { events, looked: looked.unsigned_abs() })
}

#[async_trait]
impl Audit for SqliteStore {
    async fn write_deeds(&self, deeds: Vec<Deed>) -> Result<()> {
        self.writer.write(move |tables| write_deeds(tables, &deeds)).await
    }

    async fn deeds(&self, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
        self.readers.read(move |connection| deeds(connection, after, size)).await
    }

    async fn account_changes(&self, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
        self.readers.read(move |connection| account_changes(connection, after, size)).await
    }

    async fn unsealed(&self, first: u64) -> Result<Unsealed> {
        self.readers.read(move |connection| unsealed(connection, first)).await
    }

    async fn unsealed_count(&self) -> Result<u64> {
        self.readers.read(unsealed_count).await
    }

    async fn seal(&self, lease: LeaseToken, sealed: Sealed, _marks: Vec<i64>) -> Result<()> {
        self.writer.write_together(Purpose::Own, move |tables| seal(tables, lease, &sealed)).await
    }

    async fn head(&self) -> Result<Option<Seal>> {
        self.readers.read(head).await
    }

    async fn seals(&self, after: u64, size: usize) -> Result<Vec<Seal>> {
        self.readers.read(move |connection| seals(connection, after, size)).await
    }

    async fn sealed(&self, after: u64, size: usize) -> Result<Vec<Sealed>> {
        self.readers.read(move |connection| sealed(connection, after, size)).await
    }

    async fn sealed_with(&self, event: EventSeq) -> Result<Option<Sealed>> {
        self.readers.read(move |connection| sealed_with(connection, event)).await
    }

    async fn last_sealed(&self, position: u64) -> Result<EventSeq> {
        self.readers.read(move |connection| last_sealed(connection, position)).await
    }

    async fn late(&self, position: u64, to: EventSeq) -> Result<Late> {
        self.readers.read(move |connection| late(connection, position, to)).await
    }

    async fn lines(&self, events: Vec<EventSeq>) -> Result<Vec<Line>> {
        self.readers.read(move |connection| lines(connection, &events)).await
    }

    async fn seqs(&self, after: EventSeq, size: usize) -> Result<Vec<EventSeq>> {
        self.readers.read(move |connection| seqs(connection, after, size)).await
    }

    async fn unsealed_seqs(&self) -> Result<Vec<EventSeq>> {
        self.readers.read(unsealed_seqs).await
    }
}
