//! Orders: accepted, run and changed inside the writer's transaction (load, ask `core`, save), and listed.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::account::{Account, Premises};
use onhook_core::ids::{AccountId, OrderId, OrderSeq, PeerId, SiteId};
use onhook_core::lifecycle::entry::Entry;
use onhook_core::lifecycle::event::By;
use onhook_core::notify::notification::Happened;
use onhook_core::number::Number;
use onhook_core::order::amend::{Amendment, NotWaiting, amend, difference};
use onhook_core::order::decide::{Decision, World, decide, decided};
use onhook_core::order::{ATTEMPTS_MAX, Failure, Kind, Line, NewOrder, Order, Origin, Status, Summary};
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use tracing::error;

use super::accounts::account_with_premises;
use super::batch::Batch;
use super::entries::number_row;
use super::exchanges::Localities;
use super::open::SqliteStore;
use super::row::{account_id, json, limit, list, of, pages_before};
use super::tables::Tables;
use super::telling::{end_bound, tell};
use super::writer::Purpose;
use crate::codes::{kind_code, status_code, status_of};
use crate::contract::orders::{Accepted, Amended, Ended, NewNote, Note, OrderQuery, Orders, StepReport};
use crate::contract::page::{LIST_MAX, Page, Start};
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::{Result, StoreError};

/// Most orders that wait for numbers and are looked at in one step.
const BACK_ORDERS_MAX: usize = 64;

/// How much a step does before it leaves the rest to the next one, so that accepts do not wait for it: numbers
/// looked at or changed, lots looked through, notifications. A single order may take more.
const WORK_MAX: usize = 20_000;

/// A step under way.
struct Run<'a> {
    batch: Batch,
    accounts: HashMap<AccountId, Option<(Account, Premises)>>,
    localities: Localities<'a>,
    work: usize,
    step: StepReport,
}

/// Accepts an order, whose request is also given as it is kept.
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
    let seq = tables.cached.next_order();
    let id = tables.ids.id(seq);
    // Kept as it was said, since the client has it in its answer; later events are not before it.
    tables.cached.now(order.created_at);
    let created_at = order.created_at.millis();
    tables
        .connection
        .prepare_cached(
            "INSERT INTO orders (seq, id, account, kind, status, attempts, created_at, changed_at, user,
                                 name, customer_order_id, site, numbers, request)
             VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        ])?;
    if let Some(key) = &order.key {
        tables
            .connection
            .prepare_cached("INSERT INTO idempotency (account, key, digest, order_seq) VALUES (?, ?, ?, ?)")?
            .execute(params![order.account.get(), key.key, key.digest, seq.0])?;
    }
    Ok(Accepted { id, again: false })
}

/// Runs orders that wait: first some of those that wait for numbers, which are older, then new ones. They
/// are loaded and saved together, numbers in the order of their digits, and judged one after another,
/// each against what the one before it left. A step that has done enough leaves the rest to the next.
fn run_orders(
    tables: &mut Tables<'_>,
    now: Timestamp,
    orders_max: usize,
    numbers_max: usize,
) -> Result<StepReport> {
    let some_wait = tables.cached.back_orders.after.is_some();
    let (back, more_back) = back_orders(tables)?;
    let (new, more) = waiting(tables, orders_max, numbers_max)?;
    // An order has not ended before it was made, whatever the clock did in between.
    let now = tables.cached.now(new.iter().map(|order| order.created_at).fold(now, Timestamp::max));
    let mut run = Run {
        batch: Batch::load(tables, new.iter().flat_map(|o| o.request.numbers()).copied())?,
        accounts: HashMap::new(),
        localities: Localities::new(tables.connection),
        work: 0,
        step: StepReport { more: more || more_back, ..StepReport::default() },
    };
    let mut looked_at = None;
    let all_back = back.len();
    for (index, order) in back.into_iter().enumerate() {
        if run.work >= WORK_MAX / 2 {
            run.step.more = true;
            break;
        }
        looked_at = Some((order.seq, index + 1 == all_back && !more_back));
        run_one(tables, order, &mut run, now)?;
    }
    let (mut run_to, mut gap) = (tables.cached.run_to(), false);
    for (index, order) in new.into_iter().enumerate() {
        if index > 0 && run.work >= WORK_MAX {
            run.step.more = true;
            break;
        }
        let seq = order.seq;
        gap |= !run_one(tables, order, &mut run, now)?;
        if !gap {
            run_to = seq;
        }
    }
    let Run { batch, step, .. } = run;
    batch.save(tables)?;
    tables.cached.set_run_to(tables.connection, run_to)?;
    // Only now: what was not written has not been looked at.
    match looked_at {
        Some((last, all)) => tables.cached.back_orders.looked_at((!all).then_some(last)),
        None if some_wait && all_back == 0 => tables.cached.back_orders.looked_at(None),
        None => {}
    }
    Ok(step)
}

/// Judges one order and writes what comes of it; whether it is RECEIVED no more.
fn run_one(tables: &mut Tables<'_>, order: Order, run: &mut Run<'_>, now: Timestamp) -> Result<bool> {
    let home = match run.accounts.entry(order.account) {
        std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
        std::collections::hash_map::Entry::Vacant(new) => {
            new.insert(account_with_premises(tables.connection, order.account)?)
        }
    };
    let decision = match home {
        Some((account, premises)) => {
            let judged = catch_unwind(AssertUnwindSafe(|| -> Result<Decision> {
                let (found, work) = run.batch.find(tables, &order)?;
                run.work += work;
                let world = World {
                    account,
                    premises,
                    entries: &run.batch.entries,
                    found: &found,
                    areas: &tables.cached.areas.by_id,
                    policy: tables.policy,
                };
                Ok(decide(&order, &world, now))
            }));
            survived(tables, &order, judged.ok().transpose()?)?
        }
        None => Some(Decision::set_aside(&order.request)),
    };
    let Some(decision) = decision else { return Ok(false) };
    if decision.status == order.status && decision.moves.is_empty() {
        return Ok(order.status != Status::Received); // it waits as it did before
    }
    let before = order.status;
    let mut order = decided(order, &decision, now);
    order.origin = origin(tables, &order, &run.batch.entries, &mut run.localities)?;
    update_order(tables, before, &order)?;
    if order.status == Status::Backordered {
        add_line(tables, &order, None, None)?;
    }
    let told = tell_status(tables, &order, now)?;
    run.work += told + order.request.quantity();
    run.step.told += told;
    run.step.numbers += decision.moves.len();
    for moved in decision.moves {
        run.batch.apply(tables, &moved, &By::Order(order.seq), now)?;
    }
    if order.status.is_final() {
        let total = order.request.quantity();
        let failed = total - order.done().count();
        run.step.ended.push(Ended { id: order.id, status: order.status, total, failed });
    }
    Ok(true)
}

/// The orders of the next batch, and whether there are more.
fn waiting(tables: &Tables<'_>, orders_max: usize, numbers_max: usize) -> Result<(Vec<Order>, bool)> {
    // Nothing has come of them yet: no need to look for it.
    let mut statement = tables.connection.prepare_cached(&format!(
        "SELECT {ORDER_COLUMNS} FROM (SELECT *, NULL AS failed, NULL AS taken, NULL AS refused, NULL AS peers,
                                             NULL AS origin FROM orders)
         WHERE seq > ? AND status = 0 ORDER BY seq"
    ))?;
    let mut rows = statement.query([tables.cached.run_to().0])?;
    let (mut orders, mut numbers) = (Vec::with_capacity(orders_max), 0);
    while let Some(row) = rows.next()? {
        let order = read_order(row)?;
        numbers += order.request.quantity();
        if !orders.is_empty() && (orders.len() == orders_max || numbers > numbers_max) {
            return Ok((orders, true));
        }
        orders.push(order);
    }
    Ok((orders, false))
}

/// The next orders that wait for numbers, oldest first, if the pool has grown since they last looked; and
/// whether there are more.
fn back_orders(tables: &Tables<'_>) -> Result<(Vec<Order>, bool)> {
    let Some(after) = tables.cached.back_orders.after else { return Ok((Vec::new(), false)) };
    let mut statement = tables.connection.prepare_cached(&format!(
        "SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE status = 4 AND seq > ? ORDER BY seq LIMIT ?"
    ))?;
    let mut rows = statement.query((after.0, i64::try_from(BACK_ORDERS_MAX).unwrap_or(i64::MAX)))?;
    let mut orders = Vec::new();
    while let Some(row) = rows.next()? {
        orders.push(read_order(row)?);
    }
    let more = orders.len() == BACK_ORDERS_MAX;
    Ok((orders, more))
}

/// The decision, or none when judging it panicked and it may be tried again. An order that does so
/// every time is set aside, so that it does not hold up the others.
fn survived(tables: &Tables<'_>, order: &Order, decision: Option<Decision>) -> Result<Option<Decision>> {
    if decision.is_some() {
        return Ok(decision);
    }
    let attempts: u8 = tables
        .connection
        .prepare_cached("UPDATE orders SET attempts = attempts + 1 WHERE seq = ? RETURNING attempts")?
        .query_row([order.seq.0], |row| row.get(0))?;
    error!(order.id = %order.id, attempts, "judging order {} panicked", order.id);
    Ok((attempts >= ATTEMPTS_MAX).then(|| Decision::set_aside(&order.request)))
}

/// Where the numbers of a number order are from. Returns none before it has ended. `entries` are those that
/// have been loaded; others are read.
fn origin(
    tables: &Tables<'_>,
    order: &Order,
    entries: &HashMap<Number, Entry>,
    localities: &mut Localities<'_>,
) -> Result<Option<Origin>> {
    if order.request.kind() != Kind::Number || !order.status.is_final() {
        return Ok(None);
    }
    let mut numbers: Vec<Number> = order.done().collect();
    numbers.sort_unstable();
    let (mut seen, mut places) = (HashSet::new(), Vec::new());
    for number in numbers {
        let area = match entries.get(&number) {
            Some(entry) => entry.area,
            // It was taken in an earlier step; its area has not changed since.
            None => match number_row(tables.connection, number)? {
                Some(row) => row.entry.area,
                None => return Err(corrupt(format!("{} is missing", number.masked()))),
            },
        };
        if seen.insert((number.npa_nxx(), area)) {
            places.push(localities.at(number, area)?);
        }
    }
    Ok(Origin::of(&places))
}

/// Writes what can change in an order whose status was `before`, which must not be final.
fn update_order(tables: &Tables<'_>, before: Status, order: &Order) -> Result<()> {
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

/// Writes down that something has happened to an order that waits.
fn add_line(
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

/// Changes an order that waits, as a client asks.
fn amend_order(
    tables: &mut Tables<'_>,
    account: AccountId,
    id: OrderId,
    amendment: &Amendment,
    user: &str,
    now: Timestamp,
) -> Result<Amended> {
    let found = order(tables.connection, tables.ids, account, Kind::Number, id)?;
    let Some(before) = found else { return Ok(Amended::NoOrder) };
    let now = tables.cached.now(now);
    let mut after = match amend(&before, amendment, now) {
        Ok(after) => after,
        Err(NotWaiting) => return Ok(Amended::NotWaiting),
    };
    after.origin = origin(tables, &after, &HashMap::new(), &mut Localities::new(tables.connection))?;
    update_order(tables, before.status, &after)?;
    if after.status.is_final() {
        tell_status(tables, &after, now)?;
    } else if let Some(difference) = difference(&before, &after) {
        add_line(tables, &after, Some(user), Some(&difference))?;
    }
    Ok(Amended::Done(Box::new(after)))
}

/// Tells subscribers what became of an order; how many.
fn tell_status(tables: &mut Tables<'_>, order: &Order, now: Timestamp) -> Result<usize> {
    let what = (order.request.kind(), order.seq, order.status);
    let told = tell(tables, order.account, what, Happened::Came(order.status), None, now)?;
    if order.status.is_final() {
        end_bound(tables, order.account, order.seq)?;
    }
    Ok(told)
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

/// Tells subscribers of a note that was added.
fn tell_note(
    tables: &mut Tables<'_>,
    account: AccountId,
    kind: Kind,
    order: OrderSeq,
    note: (i64, &str),
    at: Timestamp,
) -> Result<()> {
    if !tables.cached.subscribers.contains_key(&account) {
        return Ok(());
    }
    let status: u8 = tables
        .connection
        .prepare_cached("SELECT status FROM orders WHERE seq = ?")?
        .query_row([order.0], |row| row.get(0))?;
    let what = (kind, order, status_of(status)?);
    let at = tables.cached.now(at);
    tell(tables, account, what, Happened::Note, Some(note), at)?;
    Ok(())
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

/// An order's sequence number, without its numbers.
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
            // A foreign id is an unknown id: both begin nowhere.
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

/// What has happened to an order beside its end.
fn lines(connection: &Connection, order: OrderSeq) -> Result<Vec<Line>> {
    let sql = "SELECT at, author, status, taken, difference FROM order_line WHERE order_seq = ?
               ORDER BY id LIMIT ?";
    list(connection, sql, vec![Value::Integer(order.0), limit(LIST_MAX)], |row| {
        Ok(Line {
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

/// Orders with what came of them.
pub(super) const ORDERS: &str = "orders LEFT JOIN outcome ON outcome.order_seq = orders.seq";

/// The columns of [`ORDERS`] that [`order`] wants, in this order.
pub(super) const ORDER_COLUMNS: &str = "seq, id, account, status, created_at, changed_at, user, name, \
                                        customer_order_id, request, failed, taken, refused, peers, origin";

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
    })
}

/// The columns that [`summary`] wants, in this order.
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

    async fn run_orders(&self, now: Timestamp, orders_max: usize, numbers_max: usize) -> Result<StepReport> {
        self.writer.write_own(move |tables| run_orders(tables, now, orders_max, numbers_max)).await
    }

    async fn order(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Order>> {
        let ids = self.ids.clone();
        self.readers.read(move |connection| order(connection, &ids, account, kind, id)).await
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

    async fn order_lines(&self, account: AccountId, kind: Kind, id: OrderId) -> Result<Option<Vec<Line>>> {
        let ids = self.ids.clone();
        self.readers
            .read(move |connection| match order_seq(connection, &ids, account, kind, id)? {
                Some(order) => lines(connection, order).map(Some),
                None => Ok(None),
            })
            .await
    }
}
