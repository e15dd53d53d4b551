//! Rows of orders, and the lines of their history.

use super::client::Client;
use onhook_core::ids::OrderSeq;
use onhook_core::order::{Order, Status};
use tokio_postgres::Row;

use super::row::{account_of, get, json, order_id, small, time, under};
use super::statement::execute;
use crate::Result;
use crate::codes::{status_code, status_of};
use crate::error::corrupt;
use crate::plan::step::OrderWrite;

/// The columns that [`read_order`] reads, in this order.
pub(super) const ORDER_COLUMNS: &str = "seq, id, account, status, created_at, changed_at, user_name, name, \
                                        customer_order_id, request, failed, taken, refused, peers, origin, \
                                        credential, address, reason, plan";

pub(super) fn read_order(row: &Row) -> Result<Order> {
    Ok(Order {
        seq: OrderSeq(get(row, 0)?),
        id: order_id(row, 1)?,
        account: account_of(row, 2)?,
        status: status_of(small(row, 3)?)?,
        created_at: time(row, 4)?,
        changed_at: time(row, 5)?,
        user: get(row, 6)?,
        name: get(row, 7)?,
        customer_order_id: get(row, 8)?,
        request: serde_json::from_str(get(row, 9)?)?,
        failed: json(row, 10)?.unwrap_or_default(),
        taken: json(row, 11)?.unwrap_or_default(),
        refused: json(row, 12)?,
        peers: json(row, 13)?.unwrap_or_default(),
        origin: json(row, 14)?,
        under: under(row, 15)?,
    })
}

/// Writes the columns that can change, of orders whose status is not final.
pub(super) async fn update_orders(client: &Client, orders: &[OrderWrite]) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let list = |filled: bool, text: serde_json::Result<String>| filled.then_some(text).transpose();
    let (mut seqs, mut befores, mut afters, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut names, mut customer_ids) = (Vec::new(), Vec::new());
    let (mut failed, mut taken, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peers, mut origins) = (Vec::new(), Vec::new());
    for OrderWrite { before, after } in orders {
        seqs.push(after.seq.0);
        befores.push(i64::from(status_code(*before)));
        afters.push(i64::from(status_code(after.status)));
        times.push(after.changed_at.millis());
        names.push(after.name.as_deref());
        customer_ids.push(after.customer_order_id.as_deref());
        failed.push(list(!after.failed.is_empty(), serde_json::to_string(&after.failed))?);
        taken.push(list(!after.taken.is_empty(), serde_json::to_string(&after.taken))?);
        refused.push(after.refused.as_ref().map(serde_json::to_string).transpose()?);
        peers.push(list(!after.peers.is_empty(), serde_json::to_string(&after.peers))?);
        origins.push(after.origin.as_ref().map(serde_json::to_string).transpose()?);
    }
    // The planner must not look for the orders by their status. It takes for few those that wait, since most have ended
    // when it counts them, and would compare each with every row of `u`. It would do so with a span of their numbers, too:
    // it has not counted the newest orders.
    let sql = "UPDATE orders SET status = u.status, changed_at = u.changed_at, name = u.name,
                   customer_order_id = u.customer_order_id, failed = u.failed, taken = u.taken,
                   refused = u.refused, peers = u.peers, origin = u.origin
               FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
                           $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
                    AS u (seq, before, status, changed_at, name, customer_order_id, failed, taken, refused, peers,
                          origin)
               WHERE orders.seq = u.seq AND orders.seq = ANY($1)
                 AND CASE WHEN orders.status = u.before THEN orders.status IN (0, 4) ELSE false END";
    let changed = execute(
        client,
        sql,
        &[
            &seqs,
            &befores,
            &afters,
            &times,
            &names,
            &customer_ids,
            &failed,
            &taken,
            &refused,
            &peers,
            &origins,
        ],
    )
    .await?;
    if changed != u64::try_from(orders.len()).unwrap_or(u64::MAX) {
        return Err(corrupt("an order had ended before"));
    }
    Ok(())
}

/// Adds a line to the history of an order that waits.
pub(super) async fn add_line(
    client: &Client,
    order: &Order,
    author: Option<&str>,
    difference: Option<&str>,
) -> Result<()> {
    let sql = "INSERT INTO order_line (order_seq, at, author, status, taken, difference)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let taken = i64::try_from(order.taken.len()).unwrap_or(i64::MAX);
    let status = i64::from(status_code(order.status));
    let at = order.changed_at.millis();
    execute(client, sql, &[&order.seq.0, &at, &author, &status, &taken, &difference]).await?;
    Ok(())
}

/// Adds a line to the history of each order that begins to wait for numbers.
pub(super) async fn add_waiting_lines(client: &Client, orders: &[OrderWrite]) -> Result<()> {
    for write in orders.iter().filter(|write| write.after.status == Status::Backordered) {
        add_line(client, &write.after, None, None).await?;
    }
    Ok(())
}
