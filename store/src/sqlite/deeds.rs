//! Deeds: what was done beside the changes of single numbers, written with the act and read back.

use onhook_core::audit::deed::{Deed, Recorded};
use onhook_core::ids::{AccountId, EventSeq, OrderSeq};
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};

use super::row::{self, limit, list};
use super::tables::Tables;
use crate::Result;
use crate::columns::UnderColumns;

/// Writes deeds in the transaction of the act that they tell of.
pub(super) fn write_deeds(tables: &mut Tables<'_>, deeds: &[Deed]) -> Result<()> {
    let first = tables.cached.next_events(deeds.len());
    for (seq, deed) in (first.0..).zip(deeds) {
        write_deed(tables, EventSeq(seq), deed)?;
    }
    Ok(())
}

/// Writes a deed under a sequence number that was drawn for it.
pub(super) fn write_deed(tables: &mut Tables<'_>, seq: EventSeq, deed: &Deed) -> Result<()> {
    let Deed { kind, at, account, order, user, under, detail } = deed;
    let at = tables.cached.now(*at);
    let UnderColumns { credential, address, reason, plan } = UnderColumns::of(under);
    let mut insert = tables.connection.prepare_cached(
        "INSERT INTO event (seq, at, order_seq, actor, detail, credential, address, reason, plan, kind, account)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    insert.execute(params![
        seq.0,
        at.millis(),
        order.map(|order| order.0),
        user,
        detail.to_string(),
        credential,
        address,
        reason,
        plan.as_ref().map(uuid::Uuid::as_bytes),
        kind.word(),
        account.map(AccountId::get),
    ])?;
    Ok(())
}

pub(super) fn deeds(connection: &Connection, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
    those(connection, "number IS NULL", after, size)
}

pub(super) fn account_changes(
    connection: &Connection,
    after: EventSeq,
    size: usize,
) -> Result<Vec<Recorded>> {
    those(connection, "kind = 'account_changed'", after, size)
}

/// Returns the deeds that fit a condition.
fn those(connection: &Connection, which: &str, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
    let sql = format!(
        "SELECT seq, at, order_seq, actor, detail, credential, address, reason, plan, kind, account
         FROM event WHERE seq > ? AND {which} ORDER BY seq LIMIT ?"
    );
    list(connection, &sql, vec![Value::Integer(after.0), limit(size)], read_deed)
}

fn read_deed(row: &Row<'_>) -> Result<Recorded> {
    let account: Option<u32> = row.get(10)?;
    let deed = Deed {
        kind: row::word(&row.get::<_, String>(9)?)?,
        at: Timestamp::from_millis(row.get(1)?),
        account: account.map(row::account_id).transpose()?,
        order: row.get::<_, Option<i64>>(2)?.map(OrderSeq),
        user: row.get(3)?,
        under: row::under(row, 5)?,
        detail: serde_json::from_str(&row.get::<_, String>(4)?)?,
    };
    Ok(Recorded { seq: EventSeq(row.get(0)?), deed })
}
