//! Orders: accepted, run and changed in the writer's transaction (load, ask `core`, save), and listed.

use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, OrderSeq};
use onhook_core::lifecycle::policy::Policy;
use onhook_core::order::amend::Amendment;
use onhook_core::order::{HistoryLine, Kind, NewOrder, Order, Summary};
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::batch::{known, with_areas};
use super::exchanges::exchanges_of;
use super::open::SqliteStore;
use super::order_rows::{ORDER_COLUMNS, ORDERS, add_line, insert_order, read_order, update_order};
use super::row::{account_id, limit, list, of, pages_before};
use super::step::run_orders;
use super::tables::Tables;
use super::telling::{apply_notifications, end_bound};
use super::writer::Purpose;
use crate::codes::{kind_code, status_code, status_of};
use crate::contract::orders::{
    Accepted, Amended, NewNote, Note, ORDER_LOOKS_MAX, OrderFilter, OrderQuery, Orders, Script, StepReport,
};
use crate::contract::page::{LIST_MAX, Page, Start};
use crate::order_ids::OrderIds;
use crate::plan::amendments::{Loaded, Writes, amendment};
use crate::plan::batch::Numbers;
use crate::plan::step::OrderWrite;
use crate::plan::tell::{About, tell};
use crate::plan::turns::Queued;
use crate::{Result, StoreError};

/// Accepts an order. `request` is its request as it is stored.
fn accept(tables: &mut Tables<'_>, order: &NewOrder, request: &str) -> Result<Accepted> {
    if let Some(key) = &order.key {
        let known: Option<(Vec<u8>, [u8; 16])> = tables
            .connection
            .prepare_cached(
                "SELECT k.digest, o.id FROM idempotency k JOIN orders o ON o.seq = k.order_seq
                 WHERE k.account = ? AND k.key = ?",
            )?
            .query_row((order.account.get(), &key.key), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match known {
            Some((digest, id)) if digest == key.digest => {
                return Ok(Accepted { id: OrderId(uuid::Uuid::from_bytes(id)), again: true });
            }
            Some(_) => return Err(StoreError::KeyReused),
            None => {}
        }
    }
    if tables.cached.turns.is_full(order.account) {
        return Err(StoreError::Full);
    }
    let seq = tables.cached.next_order();
    let id = tables.ids.id(seq);
    // The order keeps this time, since the client has it in its answer. Later events are not before it.
    tables.cached.now(order.created_at);
    insert_order(tables, seq, order, request)?;
    if let Some(key) = &order.key {
        tables
            .connection
            .prepare_cached("INSERT INTO idempotency (account, key, digest, order_seq) VALUES (?, ?, ?, ?)")?
            .execute(params![order.account.get(), key.key, key.digest, seq.0])?;
    }
    tables.cached.turns.push(order.account, Queued::new(seq, order.request.quantity()));
    Ok(Accepted { id, again: false })
}

/// Changes a waiting order, as a client asks.
fn amend_order(
    tables: &mut Tables<'_>,
    account: AccountId,
    id: OrderId,
    asked: &Amendment,
    user: &str,
    now: Timestamp,
) -> Result<Amended> {
    let found = order(tables.connection, tables.ids, account, Kind::Number, id)?;
    let Some(order) = found else { return Ok(Amended::NoOrder) };
    let Numbers { known, areas, .. } = with_areas(tables, known(tables, order.taken.iter().copied())?);
    let entries = known.into_iter().map(|known| (known.entry.number, known.entry)).collect();
    let exchanges = exchanges_of(tables.connection, &order.taken)?;
    let subscribers = tables.cached.subscribers.get(&account).cloned().unwrap_or_default();
    let loaded = Loaded { order, entries, areas, exchanges, subscribers };
    let Ok(Writes { order: OrderWrite { before, after }, difference, notifications }) =
        amendment(loaded, asked, now)
    else {
        return Ok(Amended::NotWaiting);
    };
    tables.cached.saw(after.changed_at);
    update_order(tables, before, &after)?;
    apply_notifications(tables, &notifications)?;
    if after.status.is_final() {
        end_bound(tables, account, after.seq)?;
    }
    if let Some(difference) = difference {
        add_line(tables, &after, Some(user), Some(&difference))?;
    }
    Ok(Amended::Done(Box::new(after)))
}

fn write_note(
    tables: &mut Tables<'_>,
    order: OrderSeq,
    replaces: Option<i64>,
    NewNote { user, text, at }: NewNote,
) -> Result<Option<i64>> {
    let at = tables.cached.now(at).millis();
    let id = match replaces {
        None => tables
            .connection
            .prepare_cached("INSERT INTO note (order_seq, user, text, at) VALUES (?, ?, ?, ?) RETURNING id")?
            .query_row((order.0, user, text, at), |row| row.get(0))
            .optional()?,
        Some(note) => tables
            .connection
            .prepare_cached(
                "UPDATE note SET user = ?, text = ?, at = ? WHERE id = ? AND order_seq = ? RETURNING id",
            )?
            .query_row((user, text, at, note, order.0), |row| row.get(0))
            .optional()?,
    };
    Ok(id)
}

/// Notifies subscribers of a note that was added.
fn tell_note(
    tables: &mut Tables<'_>,
    account: AccountId,
    kind: Kind,
    order: OrderSeq,
    note: (i64, &str),
    at: Timestamp,
) -> Result<()> {
    let Some(subscribers) = tables.cached.subscribers.get(&account) else { return Ok(()) };
    let mut subscribers = subscribers.clone();
    let status: u8 = tables
        .connection
        .prepare_cached("SELECT status FROM orders WHERE seq = ?")?
        .query_row([order.0], |row| row.get(0))?;
    let about = About { account, kind, order, status: status_of(status)? };
    let at = tables.cached.now(at);
    let notifications = tell(&mut subscribers, about, Some(note), at);
    apply_notifications(tables, &notifications)
}

// Orders.

fn order(
    connection: &Connection,
    ids: &OrderIds,
    account: AccountId,
    kind: Kind,
    id: OrderId,
) -> Result<Option<Order>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE seq = ? AND id = ? AND account = ? AND kind = ?"
    ))?;
    let mut rows = statement.query((seq.0, id.0.as_bytes(), account.get(), kind_code(kind)))?;
    rows.next()?.map(read_order).transpose()
}

/// Returns an order by its id alone.
pub(super) fn order_by_id(connection: &Connection, ids: &OrderIds, id: OrderId) -> Result<Option<Order>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let mut statement = connection
        .prepare_cached(&format!("SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE seq = ? AND id = ?"))?;
    let mut rows = statement.query((seq.0, id.0.as_bytes()))?;
    rows.next()?.map(read_order).transpose()
}

/// Returns orders that a filter means, newest first: reads rows in their order, and judges each.
fn find_orders(
    connection: &Connection,
    ids: &OrderIds,
    filter: &OrderFilter,
    after: Option<OrderId>,
    size: usize,
) -> Result<(Vec<Order>, Option<OrderId>)> {
    let before = after.map_or(Some(OrderSeq(i64::MAX)), |id| ids.seq(id));
    let Some(before) = before else { return Ok((Vec::new(), None)) };
    let mut values = vec![Value::Integer(before.0)];
    let mut wanted = "seq < ?".to_owned();
    if let (Some(account), Some(kind)) = (filter.account, filter.kind) {
        wanted += " AND account = ? AND kind = ?";
        values.extend([of(account), Value::Integer(kind_code(kind).into())]);
    }
    values.push(limit(ORDER_LOOKS_MAX));
    let sql = format!("SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE {wanted} ORDER BY seq DESC LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut found, mut looks): (Vec<Order>, _) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let order = read_order(row)?;
        looks += 1;
        let id = order.id;
        if filter.fits(&order) {
            if found.len() == size {
                let last = found.last().map(|order| order.id);
                return Ok((found, last));
            }
            found.push(order);
        }
        if looks == ORDER_LOOKS_MAX {
            return Ok((found, Some(id)));
        }
    }
    Ok((found, None))
}

/// Returns an order's sequence number, without reading its numbers.
pub(super) fn order_seq(
    connection: &Connection,
    ids: &OrderIds,
    account: AccountId,
    kind: Kind,
    id: OrderId,
) -> Result<Option<OrderSeq>> {
    let Some(seq) = ids.seq(id) else { return Ok(None) };
    let mut statement = connection
        .prepare_cached("SELECT seq FROM orders WHERE seq = ? AND id = ? AND account = ? AND kind = ?")?;
    let values = (seq.0, id.0.as_bytes(), account.get(), kind_code(kind));
    Ok(statement.query_row(values, |row| row.get(0)).optional()?.map(OrderSeq))
}

fn orders(connection: &Connection, ids: &OrderIds, query: &OrderQuery) -> Result<Page<Summary, OrderId>> {
    let mut wanted = "account = ? AND kind = ?".to_owned();
    let mut values = vec![of(query.account), Value::Integer(kind_code(query.kind).into())];
    let mut and = |sql: &str, value: Value| {
        wanted += " AND ";
        wanted += sql;
        values.push(value);
    };
    if let Some(status) = query.status {
        and("status = ?", Value::Integer(status_code(status).into()));
    }
    if let Some(site) = query.site {
        and("site = ?", Value::Integer(site.get().into()));
    }
    if let Some(user) = &query.user {
        and("user = ?", Value::Text(user.clone()));
    }
    if let Some(id) = &query.customer_order_id {
        and("customer_order_id = ?", Value::Text(id.clone()));
    }
    if let Some((from, until)) = query.created {
        and("created_at >= ?", Value::Integer(from.millis()));
        and("created_at < ?", Value::Integer(until.millis()));
    }
    let total: i64 = connection
        .prepare_cached(&format!("SELECT count(*) FROM orders WHERE {wanted}"))?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    let skip = match &query.start {
        Start::Page(page) => pages_before(*page, query.size),
        Start::At(id) => {
            // An id of another account is an unknown id. Both give an empty page.
            let Some(first) = order_seq(connection, ids, query.account, query.kind, *id)? else {
                return Ok(Page { items: Vec::new(), total: total.unsigned_abs(), next: None });
            };
            wanted += " AND seq <= ?";
            values.push(Value::Integer(first.0));
            0
        }
    };
    values.extend([limit(query.size + 1), Value::Integer(skip)]);
    let sql =
        format!("SELECT {SUMMARY_COLUMNS} FROM orders WHERE {wanted} ORDER BY seq DESC LIMIT ? OFFSET ?");
    let mut items = list(connection, &sql, values, read_summary)?;
    let next = (items.len() > query.size).then(|| items.pop()).flatten().map(|order| order.id);
    Ok(Page { items, total: total.unsigned_abs(), next })
}

/// Returns the lines of an order's history, except its end.
fn lines(connection: &Connection, order: OrderSeq) -> Result<Vec<HistoryLine>> {
    let sql = "SELECT at, author, status, taken, difference FROM order_line WHERE order_seq = ?
               ORDER BY id LIMIT ?";
    list(connection, sql, vec![Value::Integer(order.0), limit(LIST_MAX)], |row| {
        Ok(HistoryLine {
            at: Timestamp::from_millis(row.get(0)?),
            author: row.get(1)?,
            status: status_of(row.get(2)?)?,
            taken: usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
            difference: row.get(4)?,
        })
    })
}

fn notes(connection: &Connection, order: OrderSeq) -> Result<Vec<Note>> {
    let sql = "SELECT id, user, text, at FROM note WHERE order_seq = ? ORDER BY id LIMIT ?";
    list(connection, sql, vec![Value::Integer(order.0), limit(LIST_MAX)], |row| {
        let at = Timestamp::from_millis(row.get(3)?);
        Ok(Note { id: row.get(0)?, user: row.get(1)?, text: row.get(2)?, at })
    })
}

/// The columns that [`read_summary`] reads, in this order.
const SUMMARY_COLUMNS: &str = "id, account, status, created_at, changed_at, user, customer_order_id, numbers";

fn read_summary(row: &Row<'_>) -> Result<Summary> {
    Ok(Summary {
        id: OrderId(uuid::Uuid::from_bytes(row.get(0)?)),
        account: account_id(row.get(1)?)?,
        status: status_of(row.get(2)?)?,
        created_at: Timestamp::from_millis(row.get(3)?),
        changed_at: Timestamp::from_millis(row.get(4)?),
        user: row.get(5)?,
        customer_order_id: row.get(6)?,
        numbers: row.get(7)?,
    })
}

#[async_trait]
impl Orders for SqliteStore {
    async fn accept(&self, order: Arc<NewOrder>) -> Result<Accepted> {
        let request = serde_json::to_string(&order.request)?;
        self.writer.write_together(Purpose::Intake, move |tables| accept(tables, &order, &request)).await
    }

    fn follow(&self, script: Arc<dyn Script>) {
        let _ = self.script.set(script); // the first one stays
    }

    async fn run_orders(
        &self,
        now: Timestamp,
        orders_max: usize,
        numbers_max: usize,
        policy: Arc<Policy>,
    ) -> Result<StepReport> {
        let script = self.script.get().cloned();
        let work =
            move |tables: &mut Tables<'_>| run_orders(tables, now, orders_max, numbers_max, &policy, script);
        self.writer.write_own(work).await
    }

    async fn order(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Order>> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| order(connection, &ids, account, kind, id)).await
    }

    async fn order_by_id(&self, id: OrderId) -> Result<Option<Order>> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| order_by_id(connection, &ids, id)).await
    }

    async fn find_orders(
        &self,
        filter: OrderFilter,
        after: Option<OrderId>,
        size: usize,
    ) -> Result<(Vec<Order>, Option<OrderId>)> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| find_orders(connection, &ids, &filter, after, size)).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<Page<Summary, OrderId>> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| orders(connection, &ids, &query)).await
    }

    async fn notes(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Note>>> {
        let ids = self.ids.clone();
        self.readers
            .read(move |connection| match order_seq(connection, &ids, account, kind, id)? {
                Some(order) => notes(connection, order).map(Some),
                None => Ok(None),
            })
            .await
    }

    async fn write_note(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
        replaces: Option<i64>,
        note: NewNote,
    ) -> Result<Option<i64>> {
        self.writer
            .write(move |tables| match order_seq(tables.connection, tables.ids, account, kind, id)? {
                Some(order) => {
                    let (text, at) = (note.text.clone(), note.at);
                    let written = write_note(tables, order, replaces, note)?;
                    if let (Some(id), None) = (written, replaces) {
                        tell_note(tables, account, kind, order, (id, &text), at)?;
                    }
                    Ok(written)
                }
                None => Ok(None),
            })
            .await
    }

    async fn amend_order(
        &self,
        account: AccountId,
        id: OrderId,
        amendment: Amendment,
        user: String,
        now: Timestamp,
    ) -> Result<Amended> {
        self.writer.write(move |tables| amend_order(tables, account, id, &amendment, &user, now)).await
    }

    async fn order_history(
        &self,
        account: AccountId,
        kind: Kind,
        id: OrderId,
    ) -> Result<Option<Vec<HistoryLine>>> {
        let ids = self.ids.clone();
        self.readers
            .read(move |connection| match order_seq(connection, &ids, account, kind, id)? {
                Some(order) => lines(connection, order).map(Some),
                None => Ok(None),
            })
            .await
    }
}
