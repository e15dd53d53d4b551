//! Deeds: what was done beside the changes of single numbers, written with the act and read back.

use super::client::Client;
use onhook_core::audit::deed::{Deed, Recorded};
use onhook_core::ids::{AccountId, EventSeq, OrderSeq};
use tokio_postgres::Row;

use super::batch::{name_unsealed, next_events};
use super::row::{account_or, get, limit, time, under, word};
use super::statement::{Value, execute, rows};
use crate::Result;
use crate::columns::UnderColumns;

/// Writes deeds in the transaction of the act that they tell of.
pub(super) async fn write_deeds(client: &Client, deeds: &[Deed]) -> Result<()> {
    if deeds.is_empty() {
        return Ok(());
    }
    for (seq, deed) in next_events(client, deeds.len()).await?.into_iter().zip(deeds) {
        write_deed(client, seq, deed).await?;
    }
    Ok(())
}

/// Writes a deed under a sequence number that was drawn for it.
pub(super) async fn write_deed(client: &Client, seq: EventSeq, deed: &Deed) -> Result<()> {
    let Deed { kind, at, account, order, user, under, detail } = deed;
    let UnderColumns { credential, address, reason, plan } = UnderColumns::of(under);
    let sql =
        "INSERT INTO event (seq, at, order_seq, actor, detail, credential, address, reason, plan, kind, account)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let values: [&dyn Value; 11] = [
        &seq.0,
        &at.millis(),
        &order.map(|order| order.0),
        user,
        &detail.to_string(),
        &credential.map(i64::from),
        &address,
        &reason,
        &plan,
        &kind.word(),
        &account.map(AccountId::get).map(i64::from),
    ];
    execute(client, sql, &values).await?;
    name_unsealed(client, &[seq]).await
}

pub(super) async fn deeds(client: &Client, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
    those(client, "number IS NULL", after, size).await
}

pub(super) async fn account_changes(client: &Client, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
    those(client, "kind = 'account_changed'", after, size).await
}

/// Returns the deeds that fit a condition.
async fn those(client: &Client, which: &str, after: EventSeq, size: usize) -> Result<Vec<Recorded>> {
    let sql = format!(
        "SELECT seq, at, order_seq, actor, detail, credential, address, reason, plan, kind, account
         FROM event WHERE seq > $1 AND {which} ORDER BY seq LIMIT $2"
    );
    rows(client, &sql, &[&after.0, &limit(size)]).await?.iter().map(read_deed).collect()
}

fn read_deed(row: &Row) -> Result<Recorded> {
    let deed = Deed {
        kind: word(row, 9)?,
        at: time(row, 1)?,
        account: account_or(row, 10)?,
        order: get::<Option<i64>>(row, 2)?.map(OrderSeq),
        user: get(row, 3)?,
        under: under(row, 5)?,
        detail: serde_json::from_str(get(row, 4)?)?,
    };
    Ok(Recorded { seq: EventSeq(get(row, 0)?), deed })
}
