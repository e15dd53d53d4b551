//! What the checker reads: pages of what is stored, each in a transaction of its own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use onhook_core::check::Finding;
use onhook_core::ids::{AccountId, OrderSeq};
use onhook_core::job::{Kind, State};
use onhook_core::lifecycle::history::History;
use onhook_core::number::Number;
use onhook_core::order::Order;
use onhook_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::cached::run_to;
use super::entries::{NUMBER_COLUMNS, NumberRow, history, number_rows};
use super::jobs::next_job;
use super::open::SqliteStore;
use super::order_rows::{ORDER_COLUMNS, ORDERS, read_order};
use super::row::{self, engine_error, limit, list};
use super::subscriptions::asked;
use crate::Result;
use crate::checking::{
    self, Beginning, BrokenPage, Checked, Cursor, Events, Mark, NUMBERS, NumberPage, OrderPage, Pages, ROWS,
    Small, made_by, orders_of, page_of_orders,
};
use crate::codes::status_code;
use crate::order_ids::OrderIds;
use crate::plan::check::{Broken, Counted, Key};

fn one(connection: &Connection, sql: &str) -> Result<i64> {
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Asks the engine to check its file.
pub(super) fn engine(connection: &Connection, deep: bool) -> Result<Vec<Finding>> {
    let sql = if deep { "PRAGMA integrity_check" } else { "PRAGMA quick_check" };
    let said = list(connection, sql, Vec::new(), |row| Ok(row.get::<_, String>(0)?))?;
    let wrong = said.into_iter().filter(|line| line != "ok");
    Ok(wrong.map(|line| Finding::new("the database file", line)).collect())
}

/// The counts that are kept beside the numbers.
const KEPT: [(Counted, &str); 5] = [
    (Counted::Tally, "SELECT account, state, numbers FROM tally"),
    (Counted::Supply, "SELECT id, 0, supply FROM area"),
    (Counted::Stock, "SELECT npa_nxx, area, numbers FROM stock"),
    (Counted::Due, "SELECT holder, due_at, numbers FROM due"),
    (Counted::InService, "SELECT site, peer, numbers FROM in_service"),
];

fn begin(connection: &Connection) -> Result<Beginning> {
    let newest = one(connection, "SELECT coalesce(max(seq), 0) FROM event")?;
    let counted = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
    let mut kept = Vec::with_capacity(KEPT.len());
    for (of, sql) in KEPT {
        let counts: BTreeMap<Key, i64> = list(connection, sql, Vec::new(), counted)?.into_iter().collect();
        kept.push((of, counts));
    }
    let import = next_job(connection, Kind::Import)?.filter(|job| job.state == State::Writing);
    Ok(Beginning {
        mark: Mark { newest, absent: HashSet::new() },
        whole_to: newest,
        events: Events::default(),
        kept,
        to_come: import.as_ref().map_or(0, |import| import.found["to_come"].as_i64().unwrap_or(0)),
        importing: import.is_some(),
        orders: one(connection, "SELECT coalesce(max(seq), 0) FROM orders")?.unsigned_abs(),
    })
}

fn small(connection: &Connection) -> Result<Small> {
    let mut small = Small::default();
    for (of, sql) in [
        (
            Counted::Zips,
            "SELECT npa_nxx, length(zips) - length(replace(zips, ' ', '')) + (zips <> ''),
                    (SELECT count(*) FROM exchange_zip z WHERE z.npa_nxx = e.npa_nxx)
             FROM exchange e ORDER BY 1",
        ),
        (Counted::DefaultSites, "SELECT account, 1, sum(is_default) FROM site GROUP BY 1 ORDER BY 1"),
        (Counted::DefaultPeers, "SELECT site, 1, sum(is_default) FROM peer GROUP BY 1 ORDER BY 1"),
    ] {
        let read = |row: &Row<'_>| Ok((of, (row.get(0)?, 0), row.get(1)?, row.get(2)?));
        small.counts.extend(list(connection, sql, Vec::new(), read)?);
    }
    for (what, sql) in [
        (
            Broken::Exchange,
            "SELECT e.npa_nxx, e.rate_center, 0 FROM exchange e
             WHERE NOT EXISTS (SELECT 1 FROM rate_center r WHERE r.id = e.rate_center)",
        ),
        (
            Broken::Peer,
            "SELECT p.id, p.account, coalesce(s.account, 0) FROM peer p
             LEFT JOIN site s ON s.id = p.site WHERE s.account IS NOT p.account",
        ),
    ] {
        let read = |row: &Row<'_>| Ok((what, row.get(0)?, (row.get(1)?, row.get(2)?)));
        small.broken.extend(list(connection, sql, Vec::new(), read)?);
    }
    let sql = "SELECT name, account, role FROM user ORDER BY folded";
    small.users = list(connection, sql, Vec::new(), |row| {
        Ok((row.get(0)?, row.get::<_, Option<u32>>(1)?.and_then(AccountId::new), row.get(2)?))
    })?;
    Ok(small)
}

fn events(connection: &Connection, after: i64, to: i64) -> Result<Events> {
    let sql = "SELECT count(*), count(*) - count(number),
                      coalesce(sum(CASE WHEN kind = 'imported' THEN json_extract(detail, '$.numbers') END), 0)
               FROM event WHERE seq > ? AND seq <= ?";
    Ok(connection.prepare_cached(sql)?.query_row([after, to], |row| {
        let (all, of_no_number): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (all, of_no_number) = (all.unsigned_abs(), of_no_number.unsigned_abs());
        Ok(Events { all, of_no_number, imported: row.get(2)? })
    })?)
}

/// Returns an error that is the engine's own: the read was stopped, or failed, which is no finding.
fn unless_the_engine_failed<T>(read: Result<T>) -> Result<Result<T>> {
    match read {
        Err(error) if engine_error(&error).is_some() => Err(error),
        read => Ok(read),
    }
}

fn numbers(connection: &Connection, after: i64, deep: bool, mark: &Mark) -> Result<NumberPage> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number > ? ORDER BY number LIMIT ?");
    let found = list(connection, &sql, vec![Value::Integer(after), limit(NUMBERS)], |row| {
        Ok((row.get::<_, i64>(0)?, unless_the_engine_failed(NumberRow::read(row))?))
    })?;
    let mut page = NumberPage::default();
    for (digits, read) in found {
        let life = match &read {
            Ok(row) if deep || !mark.has(row.last_event) => {
                Some(unless_the_engine_failed(history(connection, row))?)
            }
            _ => None,
        };
        let row = read.map(|row| (row.entry, row.last_event));
        page.numbers.push(Checked { digits, row, history: life });
    }
    let lives = page.numbers.iter().filter_map(|number| number.history.as_ref()?.as_ref().ok());
    let mut there = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM orders WHERE seq = ?)")?;
    for order in if deep { orders_of(lives) } else { Vec::new() } {
        if !there.query_row([order], |row| row.get::<_, bool>(0))? {
            page.without_order.push(OrderSeq(order));
        }
    }
    Ok(page)
}

fn orders(connection: &Connection, after: i64) -> Result<OrderPage> {
    let sql = format!("SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE seq > ? ORDER BY seq LIMIT ?");
    let orders = list(connection, &sql, vec![Value::Integer(after), limit(checking::ORDERS)], read_order)?;
    let orders: Vec<Order> = page_of_orders(orders);
    let mut went: Vec<Number> = orders.iter().flat_map(Order::done).collect();
    went.sort_unstable();
    went.dedup();
    let rows = number_rows(connection, went)?;
    let mut lives: Vec<History> = Vec::with_capacity(rows.len());
    for row in &rows {
        // What is wrong with a number is found where numbers are read. A read that is stopped is begun again.
        lives.extend(unless_the_engine_failed(history(connection, row))?.ok());
    }
    let (asked, mut told) = (asked(connection)?, HashSet::new());
    let mut notified = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM notification
                        WHERE subscription = ? AND order_seq = ? AND status = ? AND note = 0)",
    )?;
    for order in &orders {
        for (subscription, _) in asked.get(&order.account).into_iter().flatten() {
            let key = (subscription.0, order.seq.0, i64::from(status_code(order.status)));
            if notified.query_row(key, |row| row.get(0))? {
                told.insert(key);
            }
        }
    }
    let made = made_by(&orders, &lives);
    Ok(OrderPage {
        orders,
        made,
        asked,
        told,
        told_from: told_from(connection)?,
        run_to: run_to(connection)?,
    })
}

/// Returns the time from which every notification is still stored. Earlier ones may have been deleted.
fn told_from(connection: &Connection) -> Result<Timestamp> {
    Ok(Timestamp::from_millis(row::meta(connection, "told_from")?.unwrap_or(i64::MIN)))
}

/// Returns the table of what may be broken, its key, and what finds rows that are, among those whose key is behind the
/// first value and not behind the second.
fn paged(what: Broken) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match what {
        Broken::Place => (
            "number",
            "number",
            "SELECT n.number, n.site, coalesce(n.holder, 0) FROM number n
             LEFT JOIN site s ON s.id = n.site LEFT JOIN peer p ON p.id = n.peer
             WHERE n.number > ?1 AND n.number <= ?2 AND n.state = 2
               AND (s.account IS NOT n.holder
                    OR (n.peer IS NOT NULL AND (p.account IS NOT n.holder OR p.site IS NOT n.site)))",
        ),
        Broken::Closed => (
            "number",
            "number",
            "SELECT n.number, n.holder, 0 FROM number n JOIN account a ON a.id = n.holder
             WHERE n.number > ?1 AND n.number <= ?2 AND n.state = 2 AND a.state = 'closed'",
        ),
        Broken::Account => (
            "orders",
            "seq",
            "SELECT o.seq, o.account, 0 FROM orders o
             WHERE o.seq > ?1 AND o.seq <= ?2 AND NOT EXISTS (SELECT 1 FROM account a WHERE a.id = o.account)",
        ),
        Broken::Outcome => (
            "outcome",
            "order_seq",
            "SELECT c.order_seq, 0, 0 FROM outcome c
             WHERE c.order_seq > ?1 AND c.order_seq <= ?2
               AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = c.order_seq)",
        ),
        Broken::Notification => (
            "notification",
            "seq",
            "SELECT n.seq, n.order_seq, 0 FROM notification n
             LEFT JOIN orders o ON o.seq = n.order_seq LEFT JOIN subscription s ON s.seq = n.subscription
             WHERE n.seq > ?1 AND n.seq <= ?2
               AND (o.seq IS NULL OR (s.seq IS NULL AND n.standing = 0) OR s.account <> o.account)",
        ),
        Broken::Told => (
            "notification",
            "seq",
            "SELECT n.seq, 0, 0 FROM notification n
             JOIN orders o ON o.seq = n.order_seq
             WHERE n.seq > ?1 AND n.seq <= ?2 AND n.note = 0 AND n.status BETWEEN 1 AND 3
               AND n.status <> o.status",
        ),
        Broken::Attempts => (
            "notification",
            "seq",
            "SELECT n.seq, n.attempts, count(a.n) FROM notification n
             LEFT JOIN attempt a ON a.notification = n.seq WHERE n.seq > ?1 AND n.seq <= ?2 GROUP BY n.seq
             HAVING n.attempts <> count(a.n) OR (n.standing = 1 AND n.attempts = 0)",
        ),
        // An index finds what is due.
        Broken::Exchange | Broken::Peer | Broken::Key | Broken::Due | Broken::Noted => return None,
    })
}

fn found(row: &Row<'_>) -> Result<(i64, Key)> {
    Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
}

fn broken(connection: &Connection, what: Broken, (after, text): &Cursor) -> Result<BrokenPage> {
    if what == Broken::Key {
        return broken_keys(connection, *after, text);
    }
    let Some((table, key, sql)) = paged(what) else { return Ok(BrokenPage::default()) };
    let page = format!(
        "SELECT count(*), max(k) FROM (SELECT {key} AS k FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {ROWS})"
    );
    let (looked, last): (i64, Option<i64>) =
        connection.prepare_cached(&page)?.query_row([*after], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(last) = last else { return Ok(BrokenPage::default()) };
    let rows = list(connection, sql, vec![Value::Integer(*after), Value::Integer(last)], found)?;
    let next = (looked == ROWS).then(|| (last, String::new()));
    Ok(BrokenPage { looked: looked.unsigned_abs(), rows, next })
}

fn broken_keys(connection: &Connection, after: i64, text: &str) -> Result<BrokenPage> {
    let mut keys = connection.prepare_cached(
        "SELECT k.account, k.key, k.order_seq,
                NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = k.order_seq AND o.account = k.account)
         FROM idempotency k WHERE (k.account, k.key) > (?, ?) ORDER BY k.account, k.key LIMIT ?",
    )?;
    let mut rows = keys.query((after, text, ROWS))?;
    let mut page = BrokenPage::default();
    while let Some(row) = rows.next()? {
        page.looked += 1;
        if row.get(3)? {
            page.rows.push((row.get(0)?, (row.get(2)?, 0)));
        }
        page.next = Some((row.get(0)?, row.get(1)?));
    }
    if i64::try_from(page.looked).unwrap_or(i64::MAX) < ROWS {
        page.next = None;
    }
    Ok(page)
}

#[async_trait]
impl Pages for SqliteStore {
    fn ids(&self) -> &OrderIds {
        &self.ids
    }

    async fn begin(&self) -> Result<Beginning> {
        self.readers.read(begin).await
    }

    async fn small(&self) -> Result<Small> {
        self.readers.read(small).await
    }

    async fn events(&self, after: i64, to: i64) -> Result<Events> {
        self.readers.read(move |connection| events(connection, after, to)).await
    }

    async fn numbers(&self, after: i64, deep: bool, mark: Arc<Mark>) -> Result<NumberPage> {
        self.readers.read(move |connection| numbers(connection, after, deep, &mark)).await
    }

    async fn orders(&self, after: i64) -> Result<OrderPage> {
        self.readers.read(move |connection| orders(connection, after)).await
    }

    async fn broken(&self, what: Broken, after: Cursor) -> Result<BrokenPage> {
        self.readers.read(move |connection| broken(connection, what, &after)).await
    }
}
