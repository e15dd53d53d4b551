//! Rows of orders, their outcomes, and the lines of their history.

use onhook_core::ids::{OrderId, OrderSeq, PeerId, SiteId};
use onhook_core::number::Number;
use onhook_core::order::{Failure, NewOrder, Order, Status};
use onhook_core::time::Timestamp;
use rusqlite::{Row, params};

use super::row::{account_id, json, under};
use super::tables::Tables;
use crate::Result;
use crate::codes::{kind_code, status_code, status_of};
use crate::columns::UnderColumns;
use crate::error::corrupt;

/// Orders with their outcomes.
pub(super) const ORDERS: &str = "orders LEFT JOIN outcome ON outcome.order_seq = orders.seq";

/// The columns of [`ORDERS`] that [`read_order`] reads, in this order.
pub(super) const ORDER_COLUMNS: &str = "seq, id, account, status, created_at, changed_at, user, name, \
                                        customer_order_id, request, failed, taken, refused, peers, origin, \
                                        credential, address, reason, plan";

pub(super) fn read_order(row: &Row<'_>) -> Result<Order> {
    let id: [u8; 16] = row.get(1)?;
    let request = row.get_ref(9)?.as_str().map_err(|e| corrupt(e.to_string()))?;
    let failed: Option<Vec<Failure>> = json(row, 10)?;
    let taken: Option<Vec<Number>> = json(row, 11)?;
    let peers: Option<Vec<Option<PeerId>>> = json(row, 13)?;
    Ok(Order {
        seq: OrderSeq(row.get(0)?),
        id: OrderId(uuid::Uuid::from_bytes(id)),
        account: account_id(row.get(2)?)?,
        status: status_of(row.get(3)?)?,
        created_at: Timestamp::from_millis(row.get(4)?),
        changed_at: Timestamp::from_millis(row.get(5)?),
        user: row.get(6)?,
        name: row.get(7)?,
        customer_order_id: row.get(8)?,
        request: serde_json::from_str(request)?,
        failed: failed.unwrap_or_default(),
        taken: taken.unwrap_or_default(),
        refused: json(row, 12)?,
        peers: peers.unwrap_or_default(),
        origin: json(row, 14)?,
        under: under(row, 15)?,
    })
}

/// Writes a new order. `request` is its request as it is stored.
pub(super) fn insert_order(
    tables: &Tables<'_>,
    seq: OrderSeq,
    order: &NewOrder,
    request: &str,
) -> Result<()> {
    let id = tables.ids.id(seq);
    let created_at = order.created_at.millis();
    let UnderColumns { credential, address, reason, plan } = UnderColumns::of(&order.under);
    tables
        .connection
        .prepare_cached(
            "INSERT INTO orders (seq, id, account, kind, status, attempts, created_at, changed_at, user,
                                 name, customer_order_id, site, numbers, request, credential, address, reason, plan)
             VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            seq.0,
            id.0.as_bytes(),
            order.account.get(),
            kind_code(order.request.kind()),
            status_code(Status::Received),
            created_at,
            created_at,
            order.user,
            order.name,
            order.customer_order_id,
            order.request.site().map(SiteId::get),
            u32::try_from(order.request.quantity()).unwrap_or(u32::MAX),
            request,
            credential,
            address,
            reason,
            plan.as_ref().map(uuid::Uuid::as_bytes),
        ])?;
    Ok(())
}

/// Writes the columns that can change, of an order whose status was `before`, which must not be final.
pub(super) fn update_order(tables: &Tables<'_>, before: Status, order: &Order) -> Result<()> {
    let changed = tables
        .connection
        .prepare_cached(
            "UPDATE orders SET status = ?, changed_at = ?, name = ?, customer_order_id = ?
             WHERE seq = ? AND status = ? AND status IN (0, 4)",
        )?
        .execute(params![
            status_code(order.status),
            order.changed_at.millis(),
            order.name,
            order.customer_order_id,
            order.seq.0,
            status_code(before),
        ])?;
    if changed != 1 {
        return Err(corrupt(format!("order {} had ended before", order.id)));
    }
    let failed = (!order.failed.is_empty()).then(|| serde_json::to_string(&order.failed)).transpose()?;
    let taken = (!order.taken.is_empty()).then(|| serde_json::to_string(&order.taken)).transpose()?;
    let refused = order.refused.map(|why| serde_json::to_string(&why)).transpose()?;
    let peers = (!order.peers.is_empty()).then(|| serde_json::to_string(&order.peers)).transpose()?;
    let origin = order.origin.as_ref().map(serde_json::to_string).transpose()?;
    if [&failed, &taken, &refused, &peers, &origin].into_iter().any(Option::is_some) {
        tables
            .connection
            .prepare_cached(
                "INSERT OR REPLACE INTO outcome (order_seq, failed, taken, refused, peers, origin)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute((order.seq.0, failed, taken, refused, peers, origin))?;
    } else if before != Status::Received {
        tables
            .connection
            .prepare_cached("DELETE FROM outcome WHERE order_seq = ?")?
            .execute([order.seq.0])?;
    }
    Ok(())
}

/// Adds a line to the history of an order that waits.
pub(super) fn add_line(
    tables: &Tables<'_>,
    order: &Order,
    author: Option<&str>,
    difference: Option<&str>,
) -> Result<()> {
    tables
        .connection
        .prepare_cached(
            "INSERT INTO order_line (order_seq, at, author, status, taken, difference)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            order.seq.0,
            order.changed_at.millis(),
            author,
            status_code(order.status),
            i64::try_from(order.taken.len()).unwrap_or(i64::MAX),
            difference,
        ))?;
    Ok(())
}
