//! The checker: feeds what is stored to `plan::check`, in order.

use onhook_core::check::Finding;
use onhook_core::ids::{AccountId, OrderSeq};
use onhook_core::lifecycle::event::Event;
use onhook_core::time::Timestamp;
use rusqlite::{Connection, Row};

use super::cached::run_to;
use super::entries::{EVENT_COLUMNS, NUMBER_COLUMNS, NumberRow, history, read_event};
use super::order_rows::{ORDER_COLUMNS, ORDERS, read_order};
use super::row::{self, engine_error};
use super::subscriptions::asked;
use crate::Result;
use crate::codes::status_code;
use crate::contract::upkeep::{Report, Watch};
use crate::order_ids::OrderIds;
use crate::plan::check::{Broken, Check, Counted, Key, OrderRules};

pub(super) fn check(connection: &Connection, ids: &OrderIds, deep: bool, watch: &Watch) -> Result<Report> {
    let report = Report {
        numbers: one(connection, "SELECT count(*) FROM number")?,
        events: one(connection, "SELECT count(*) FROM event")?,
        orders: one(connection, "SELECT count(*) FROM orders")?,
        findings: Vec::new(),
    };
    let mut check = Check::new(report, watch);
    if deep {
        check.say_progress();
    }
    engine(connection, deep, &mut check)?;
    let readable = check.is_well();
    counts(connection, &mut check)?;
    broken(connection, &mut check)?;
    users(connection, &mut check)?;
    if readable && deep {
        numbers(connection, &mut check)?;
        orders(connection, ids, &mut check)?;
    }
    Ok(check.finish())
}

fn one(connection: &Connection, sql: &str) -> Result<u64> {
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Asks the engine to check its file.
fn engine(connection: &Connection, deep: bool, check: &mut Check<'_>) -> Result<()> {
    let sql = if deep { "PRAGMA integrity_check" } else { "PRAGMA quick_check" };
    let mut statement = connection.prepare(sql)?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?;
    for line in said {
        let line = line?;
        if line != "ok" {
            check.find(Finding::new("the database file", line));
        }
    }
    Ok(())
}

/// Feeds the stored counts with their recounts.
fn counts(connection: &Connection, check: &mut Check<'_>) -> Result<()> {
    let read = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
    for (of, kept, found) in [
        (
            Counted::Tally,
            "SELECT account, state, numbers FROM tally ORDER BY 1, 2",
            "SELECT coalesce(holder, 0), state, count(*) FROM number GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        (
            Counted::Supply,
            "SELECT id, 0, supply FROM area ORDER BY 1",
            "SELECT area, 0, count(*) FROM number WHERE state = 0 GROUP BY 1 ORDER BY 1",
        ),
        (
            Counted::Stock,
            "SELECT npa_nxx, area, numbers FROM stock ORDER BY 1, 2",
            "SELECT number / 10000 - 1000000, area, count(*) FROM number
             WHERE state = 0 AND number >= 12000000000 AND number < 20000000000 GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        (
            Counted::Due,
            "SELECT holder, due_at, numbers FROM due ORDER BY 1, 2",
            "SELECT holder, due_at, count(*) FROM number WHERE due_at IS NOT NULL
             GROUP BY holder, due_at ORDER BY 1, 2",
        ),
        (
            Counted::InService,
            "SELECT site, peer, numbers FROM in_service ORDER BY 1, 2",
            "SELECT site, coalesce(peer, 0), count(*) FROM number WHERE state = 2 GROUP BY 1, 2 ORDER BY 1, 2",
        ),
    ] {
        let (mut kept, mut found) = (connection.prepare(kept)?, connection.prepare(found)?);
        let kept = kept.query_map([], read)?.map(|row| Ok(row?));
        let found = found.query_map([], read)?.map(|row| Ok(row?));
        check.counts(of, kept, found)?;
    }
    for (of, sql) in [
        (
            Counted::Zips,
            "SELECT npa_nxx, length(zips) - length(replace(zips, ' ', '')) + (zips <> ''),
                    (SELECT count(*) FROM exchange_zip z WHERE z.npa_nxx = e.npa_nxx)
             FROM exchange e ORDER BY 1",
        ),
        (
            Counted::Imported,
            "SELECT 0, coalesce(sum(json_extract(detail, '$.numbers')), 0),
                    (SELECT count(*) FROM number) FROM event WHERE kind = 'imported'",
        ),
        (Counted::DefaultSites, "SELECT account, 1, sum(is_default) FROM site GROUP BY 1 ORDER BY 1"),
        (Counted::DefaultPeers, "SELECT site, 1, sum(is_default) FROM peer GROUP BY 1 ORDER BY 1"),
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            check.count(of, (row.get(0)?, 0), row.get(1)?, row.get(2)?);
        }
    }
    Ok(())
}

/// Looks for rows that refer to what is missing.
fn broken(connection: &Connection, check: &mut Check<'_>) -> Result<()> {
    for (what, sql) in [
        (
            Broken::Exchange,
            "SELECT e.npa_nxx, e.rate_center, 0 FROM exchange e
             WHERE NOT EXISTS (SELECT 1 FROM rate_center r WHERE r.id = e.rate_center)",
        ),
        (
            Broken::Place,
            "SELECT n.number, n.site, coalesce(n.holder, 0) FROM number n
             LEFT JOIN site s ON s.id = n.site LEFT JOIN peer p ON p.id = n.peer
             WHERE n.state = 2 AND (s.account IS NOT n.holder
                                    OR (n.peer IS NOT NULL AND (p.account IS NOT n.holder OR p.site IS NOT n.site)))",
        ),
        (
            Broken::Peer,
            "SELECT p.id, p.account, coalesce(s.account, 0) FROM peer p
             LEFT JOIN site s ON s.id = p.site WHERE s.account IS NOT p.account",
        ),
        (
            Broken::Closed,
            "SELECT n.number, n.holder, 0 FROM account a JOIN number n ON n.holder = a.id
             WHERE a.state = 'closed' AND n.state = 2",
        ),
        (
            Broken::Account,
            "SELECT o.seq, o.account, 0 FROM orders o
             WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = o.account)",
        ),
        (
            Broken::Outcome,
            "SELECT c.order_seq, 0, 0 FROM outcome c
             WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = c.order_seq)",
        ),
        (
            Broken::Key,
            "SELECT k.account, k.order_seq, 0 FROM idempotency k
             WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = k.order_seq AND o.account = k.account)",
        ),
        (
            Broken::Notification,
            "SELECT n.seq, n.order_seq, 0 FROM notification n
             LEFT JOIN orders o ON o.seq = n.order_seq LEFT JOIN subscription s ON s.seq = n.subscription
             WHERE o.seq IS NULL OR (s.seq IS NULL AND n.standing = 0) OR s.account <> o.account",
        ),
        (
            Broken::Told,
            "SELECT n.seq, 0, 0 FROM notification n
             JOIN orders o ON o.seq = n.order_seq WHERE n.note = 0 AND n.status BETWEEN 1 AND 3
             AND n.status <> o.status",
        ),
        (
            Broken::Attempts,
            "SELECT n.seq, n.attempts, count(a.n) FROM notification n
             LEFT JOIN attempt a ON a.notification = n.seq GROUP BY n.seq
             HAVING n.attempts <> count(a.n) OR (n.standing = 1 AND n.attempts = 0)",
        ),
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let figures: Key = (row.get(1)?, row.get(2)?);
            check.broken(what, row.get(0)?, figures);
        }
    }
    Ok(())
}

fn users(connection: &Connection, check: &mut Check<'_>) -> Result<()> {
    let mut statement = connection.prepare("SELECT name, account, role FROM user ORDER BY folded")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, role): (String, String) = (row.get(0)?, row.get(2)?);
        let account: Option<u32> = row.get(1)?;
        check.user(&name, account.and_then(AccountId::new), &role);
    }
    Ok(())
}

/// Feeds the numbers with their events.
fn numbers(connection: &Connection, check: &mut Check<'_>) -> Result<()> {
    let mut statement =
        connection.prepare(&format!("SELECT {NUMBER_COLUMNS} FROM number ORDER BY number"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let digits: i64 = row.get(0)?;
        let life = NumberRow::read(row).and_then(|row| history(connection, &row));
        if let Err(error) = &life
            && engine_error(error).is_some()
        {
            return life.map(drop); // the read was stopped, or failed: that is no finding
        }
        check.number(digits, life);
        if check.is_full() {
            return Ok(());
        }
    }
    check.numbers_end(one(connection, "SELECT count(*) FROM event WHERE number IS NULL")?);
    Ok(())
}

/// Feeds the orders with the events that they made.
fn orders(connection: &Connection, ids: &OrderIds, check: &mut Check<'_>) -> Result<()> {
    let (asked, told_from, run_to) = (asked(connection)?, told_from(connection)?, run_to(connection)?);
    let rules = OrderRules { ids, asked, told_from, run_to };
    let mut orders = connection.prepare(&format!("SELECT {ORDER_COLUMNS} FROM {ORDERS} ORDER BY seq"))?;
    let mut events = connection.prepare(&format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE order_seq IS NOT NULL AND number IS NOT NULL ORDER BY order_seq, seq"
    ))?;
    let mut notified = connection.prepare(
        "SELECT EXISTS (SELECT 1 FROM notification
                        WHERE subscription = ? AND order_seq = ? AND status = ? AND note = 0)",
    )?;
    check.orders(
        &rules,
        orders.query_and_then([], read_order)?,
        events.query_and_then([], event_of_order)?,
        |subscription, order| {
            let values = (subscription.0, order.seq.0, status_code(order.status));
            Ok(notified.query_row(values, |row| row.get(0))?)
        },
    )
}

fn event_of_order(row: &Row<'_>) -> Result<(OrderSeq, Event)> {
    Ok((OrderSeq(row.get(4)?), read_event(row)?))
}

/// Returns the time from which every notification is still stored. Earlier ones may have been deleted.
fn told_from(connection: &Connection) -> Result<Timestamp> {
    Ok(Timestamp::from_millis(row::meta(connection, "told_from")?.unwrap_or(i64::MIN)))
}
