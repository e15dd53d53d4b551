//! The checker: loads what is stored and lets `core::check` judge it.

use onhook_core::check::{self, CheckedSubscription, Finding};
use onhook_core::ids::{OrderSeq, SubscriptionSeq};
use onhook_core::lifecycle::diagram::State;
use onhook_core::lifecycle::event::Event;
use onhook_core::order::{Order, Status};
use onhook_core::time::Timestamp;
use rusqlite::Connection;

use super::cached::run_to;
use super::entries::{EVENT_COLUMNS, NUMBER_COLUMNS, NumberRow, history, read_event};
use super::order_rows::{ORDER_COLUMNS, ORDERS, read_order};
use super::row;
use super::subscriptions::asked;
use crate::Result;
use crate::codes::{state_code, status_code};
use crate::contract::upkeep::{Progress, Report, Watch};
use crate::order_ids::OrderIds;

/// Most findings in a report.
const FINDINGS_MAX: usize = 1_000;

/// Numbers and orders that are checked between two reports of progress.
const STRIDE: u64 = 10_000;

/// Reports the progress of a check.
struct Pace<'a> {
    watch: &'a Watch,
    progress: Progress,
}

impl Pace<'_> {
    /// Counts one more number or order as checked.
    fn step(&mut self) {
        self.progress.done += 1;
        if self.progress.done.is_multiple_of(STRIDE) {
            (self.watch)(self.progress);
        }
    }
}

pub(super) fn check(connection: &Connection, ids: &OrderIds, deep: bool, watch: &Watch) -> Result<Report> {
    let one = |sql: &str| -> Result<u64> {
        Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    let mut report = Report {
        numbers: one("SELECT count(*) FROM number")?,
        events: one("SELECT count(*) FROM event")?,
        orders: one("SELECT count(*) FROM orders")?,
        findings: Vec::new(),
    };
    let total = report.numbers + report.orders;
    let mut pace = Pace { watch, progress: Progress { done: 0, total } };
    if deep {
        watch(pace.progress);
    }
    engine(connection, deep, &mut report)?;
    let readable = report.findings.is_empty();
    counts(connection, &mut report)?;
    if readable && deep {
        numbers(connection, &mut report, &mut pace)?;
        orders(connection, ids, &mut report, &mut pace)?;
    }
    report.findings.truncate(FINDINGS_MAX);
    Ok(report)
}

/// Asks the engine to check its file.
fn engine(connection: &Connection, deep: bool, report: &mut Report) -> Result<()> {
    let sql = if deep { "PRAGMA integrity_check" } else { "PRAGMA quick_check" };
    let mut statement = connection.prepare(sql)?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?;
    for line in said {
        let line = line?;
        if line != "ok" {
            report.findings.push(Finding::new("the database file", line));
        }
    }
    Ok(())
}

/// Checks that each stored count equals a recount. Only imports bring new numbers. Each query returns the differences:
/// where, the stored figure, and the recounted one. Its sentence has room for both.
fn counts(connection: &Connection, report: &mut Report) -> Result<()> {
    let states: String =
        State::ALL.iter().map(|state| format!("WHEN {} THEN '{state}' ", state_code(*state))).collect();
    let tally = |table: &str| {
        format!(
            "CASE {table}.account WHEN 0 THEN 'numbers without an account' \
             ELSE 'numbers of account ' || {table}.account END \
             || ' in state ' || CASE {table}.state {states} ELSE {table}.state END"
        )
    };
    let queries = [
        (
            format!(
                "SELECT {}, coalesce(t.numbers, 0), a.numbers
                 FROM (SELECT coalesce(holder, 0) AS account, state, count(*) AS numbers FROM number GROUP BY 1, 2) a
                 LEFT JOIN tally t USING (account, state) WHERE coalesce(t.numbers, 0) <> a.numbers",
                tally("a")
            ),
            "the kept count is {kept}, and there are {found}",
        ),
        (
            format!(
                "SELECT {}, t.numbers, 0 FROM tally t
                 LEFT JOIN (SELECT coalesce(holder, 0) AS account, state, count(*) AS n FROM number GROUP BY 1, 2) a
                 USING (account, state) WHERE t.numbers <> 0 AND a.n IS NULL",
                tally("t")
            ),
            "the kept count is {kept}, and there are {found}",
        ),
        (
            "SELECT 'area ' || a.id, a.supply, coalesce(s.n, 0) FROM area a
             LEFT JOIN (SELECT area, count(*) AS n FROM number WHERE state = 0 GROUP BY area) s ON s.area = a.id
             WHERE a.supply <> coalesce(s.n, 0)"
                .to_owned(),
            "its kept supply is {kept}, and the pool has {found} of its numbers",
        ),
        (
            "SELECT 'exchange ' || s.npa_nxx || ' in area ' || s.area, s.numbers, coalesce(a.n, 0) FROM stock s
             LEFT JOIN (SELECT number / 10000 - 1000000 AS npa_nxx, area, count(*) AS n FROM number
                        WHERE state = 0 GROUP BY 1, 2) a USING (npa_nxx, area)
             WHERE s.numbers <> coalesce(a.n, 0)"
                .to_owned(),
            "the kept count of its pool numbers is {kept}, and there are {found}",
        ),
        (
            "SELECT 'the store', (SELECT coalesce(sum(numbers), 0) FROM stock), count(*) AS held
             FROM number WHERE state = 0 AND number >= 12000000000 AND number < 20000000000
             HAVING (SELECT coalesce(sum(numbers), 0) FROM stock) <> count(*)"
                .to_owned(),
            "the kept counts of pool numbers by exchange add up to {kept}, and there are {found}",
        ),
        (
            "SELECT 'exchange ' || e.npa_nxx, e.rate_center, 0 FROM exchange e
             WHERE NOT EXISTS (SELECT 1 FROM rate_center r WHERE r.id = e.rate_center)"
                .to_owned(),
            "it lies in rate center {kept}, which is missing",
        ),
        (
            "SELECT 'exchange ' || e.npa_nxx, length(e.zips) - length(replace(e.zips, ' ', '')) + (e.zips <> ''),
                    (SELECT count(*) FROM exchange_zip z WHERE z.npa_nxx = e.npa_nxx) AS kept
             FROM exchange e
             WHERE length(e.zips) - length(replace(e.zips, ' ', '')) + (e.zips <> '')
                   <> (SELECT count(*) FROM exchange_zip z WHERE z.npa_nxx = e.npa_nxx)"
                .to_owned(),
            "it has {kept} ZIP codes, and searches find it by {found}",
        ),
        (
            "SELECT 'the store', coalesce(sum(json_extract(detail, '$.Imported.numbers')), 0),
                    (SELECT count(*) FROM number) AS held
             FROM event WHERE number IS NULL
             HAVING coalesce(sum(json_extract(detail, '$.Imported.numbers')), 0)
                    <> (SELECT count(*) FROM number)"
                .to_owned(),
            "its imports brought {kept} numbers, and there are {found}",
        ),
        (
            "SELECT 'numbers of account ' || d.holder || ' that are due at '
                    || strftime('%Y-%m-%dT%H:%M:%fZ', d.due_at / 1000.0, 'unixepoch'), d.numbers, count(n.number)
             FROM due d LEFT JOIN number n ON n.holder = d.holder AND n.due_at = d.due_at
             GROUP BY d.due_at, d.holder HAVING d.numbers <> count(n.number)"
                .to_owned(),
            "the kept count is {kept}, and there are {found}",
        ),
        (
            "SELECT 'the store', (SELECT coalesce(sum(numbers), 0) FROM due), count(*) AS held
             FROM number WHERE due_at IS NOT NULL
             HAVING (SELECT coalesce(sum(numbers), 0) FROM due) <> count(*)"
                .to_owned(),
            "the kept counts of numbers that are due add up to {kept}, and there are {found}",
        ),
        (
            "SELECT '+' || n.number, n.site, coalesce(n.holder, 0) FROM number n
             LEFT JOIN site s ON s.id = n.site LEFT JOIN peer p ON p.id = n.peer
             WHERE n.state = 2 AND (s.account IS NOT n.holder
                                    OR (n.peer IS NOT NULL AND (p.account IS NOT n.holder OR p.site IS NOT n.site)))"
                .to_owned(),
            "it is at site {kept}, or at a peer of it, that its account {found} does not have",
        ),
        (
            "SELECT 'site ' || p.site || CASE p.peer WHEN 0 THEN ' without a peer' ELSE ', peer ' || p.peer END,
                    p.numbers, coalesce(a.n, 0) FROM in_service p
             LEFT JOIN (SELECT site, coalesce(peer, 0) AS peer, count(*) AS n FROM number WHERE state = 2
                        GROUP BY 1, 2) a USING (site, peer) WHERE p.numbers <> coalesce(a.n, 0)"
                .to_owned(),
            "the kept count of numbers in service there is {kept}, and there are {found}",
        ),
        (
            "SELECT 'the store', (SELECT coalesce(sum(numbers), 0) FROM in_service), count(*) AS held
             FROM number WHERE state = 2
             HAVING (SELECT coalesce(sum(numbers), 0) FROM in_service) <> count(*)"
                .to_owned(),
            "the kept counts of numbers in service at sites add up to {kept}, and there are {found}",
        ),
        (
            "SELECT 'account ' || account, 1, sum(is_default) FROM site GROUP BY account
             HAVING sum(is_default) <> 1"
                .to_owned(),
            "it needs {kept} default site, and has {found}",
        ),
        (
            "SELECT 'site ' || site, 1, sum(is_default) FROM peer GROUP BY site HAVING sum(is_default) <> 1"
                .to_owned(),
            "it needs {kept} default peer, and has {found}",
        ),
        (
            "SELECT 'peer ' || p.id, p.account, coalesce(s.account, 0) FROM peer p
             LEFT JOIN site s ON s.id = p.site WHERE s.account IS NOT p.account"
                .to_owned(),
            "it belongs to account {kept}, and its site to {found}",
        ),
        (
            "SELECT 'user ' || name, coalesce(account, 0), 0 FROM user
             WHERE (account IS NULL) <> (role = 'operator')"
                .to_owned(),
            "its role does not go with its account (an operator has none, and every other user has one)",
        ),
        (
            "SELECT 'order ' || o.seq, o.account, 0 FROM orders o
             WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = o.account)"
                .to_owned(),
            "it belongs to account {kept}, which is missing",
        ),
        (
            "SELECT 'order ' || c.order_seq, 1, 0 FROM outcome c
             WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = c.order_seq)"
                .to_owned(),
            "it has an outcome, but is missing",
        ),
        (
            "SELECT 'account ' || k.account, k.order_seq, 0 FROM idempotency k
             WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = k.order_seq AND o.account = k.account)"
                .to_owned(),
            "it has an idempotency key for order {kept}, which it does not have",
        ),
        (
            "SELECT 'notification ' || n.seq, n.order_seq, n.standing FROM notification n
             LEFT JOIN orders o ON o.seq = n.order_seq LEFT JOIN subscription s ON s.seq = n.subscription
             WHERE o.seq IS NULL OR (s.seq IS NULL AND n.standing = 0) OR s.account <> o.account"
                .to_owned(),
            "order {kept}, which it tells of, is missing, or it has no subscription that it could be for",
        ),
        (
            "SELECT 'notification ' || n.seq, n.status, o.status FROM notification n
             JOIN orders o ON o.seq = n.order_seq WHERE n.note = 0 AND n.status BETWEEN 1 AND 3
             AND n.status <> o.status"
                .to_owned(),
            "it tells of a status that its order has not",
        ),
        (
            "SELECT 'notification ' || n.seq, n.attempts, count(a.n) FROM notification n
             LEFT JOIN attempt a ON a.notification = n.seq GROUP BY n.seq
             HAVING n.attempts <> count(a.n) OR (n.standing = 1 AND n.attempts = 0)"
                .to_owned(),
            "it says that {kept} attempts at a delivery were made, and {found} are kept",
        ),
    ];
    for (sql, sentence) in queries {
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let at: String = row.get(0)?;
            let (kept, found): (i64, i64) = (row.get(1)?, row.get(2)?);
            let what = sentence.replace("{kept}", &kept.to_string()).replace("{found}", &found.to_string());
            report.findings.push(Finding::new(at, what));
        }
    }
    Ok(())
}

/// Checks that each number's row is the fold of its events, and that each event has its number.
fn numbers(connection: &Connection, report: &mut Report, pace: &mut Pace<'_>) -> Result<()> {
    let mut statement =
        connection.prepare(&format!("SELECT {NUMBER_COLUMNS} FROM number ORDER BY number"))?;
    let mut rows = statement.query([])?;
    let mut events = 0;
    while let Some(row) = rows.next()? {
        pace.step();
        let found = NumberRow::read(row).and_then(|row| {
            let history = history(connection, &row)?;
            events += history.events.len();
            Ok(check::number(&row.entry, &history.origin, history.imported_at, &history.events))
        });
        match found {
            Ok(findings) => report.findings.extend(findings),
            Err(error) => {
                let digits: i64 = row.get(0)?;
                let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
                report.findings.push(Finding::new(format!("+{digits}"), cause));
            }
        }
        if report.findings.len() >= FINDINGS_MAX {
            return Ok(());
        }
    }
    let imports: i64 =
        connection.query_row("SELECT count(*) FROM event WHERE number IS NULL", [], |row| row.get(0))?;
    let chained = u64::try_from(events).unwrap_or(u64::MAX).saturating_add(imports.unsigned_abs());
    if chained != report.events {
        let what = format!("it has {} events, and following the numbers finds {chained}", report.events);
        report.findings.push(Finding::new("the audit trail", what));
    }
    Ok(())
}

/// Checks that each order's outcome fits its numbers, and that its events fit its outcome. Both are read side by side,
/// in the order of their sequence numbers.
fn orders(connection: &Connection, ids: &OrderIds, report: &mut Report, pace: &mut Pace<'_>) -> Result<()> {
    let mut statement = connection.prepare(&format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE order_seq IS NOT NULL ORDER BY order_seq, seq"
    ))?;
    let mut made = statement.query([])?;
    let mut event = next_event(&mut made)?;
    let asked = asked(connection)?;
    let told_from = told_from(connection)?;
    let run_to = run_to(connection)?;
    let mut statement = connection.prepare(&format!("SELECT {ORDER_COLUMNS} FROM {ORDERS} ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        pace.step();
        let order = read_order(row)?;
        let mut events = Vec::new();
        while let Some((seq, one)) = event.take_if(|(seq, _)| *seq <= order.seq) {
            match seq == order.seq {
                true => events.push(one),
                false => report.findings.push(without_order(seq)),
            }
            event = next_event(&mut made)?;
        }
        report.findings.extend(check::order(&order, &events));
        if let Some(asked) = asked.get(&order.account).filter(|_| order.changed_at >= told_from) {
            told(connection, &order, asked, report)?;
        }
        if ids.seq(order.id) != Some(order.seq) {
            let what = format!("its id leads to another sequence number than {}", order.seq.0);
            report.findings.push(Finding::new(format!("order {}", order.id), what));
        }
        if order.status == Status::Received && order.seq <= run_to {
            let what = "is RECEIVED, but lies before the orders that will be run";
            report.findings.push(Finding::new(format!("order {}", order.id), what));
        }
        if report.findings.len() >= FINDINGS_MAX {
            return Ok(());
        }
    }
    while let Some((seq, _)) = event {
        report.findings.push(without_order(seq));
        event = next_event(&mut made)?;
    }
    Ok(())
}

/// Returns the time from which every notification is still stored. Earlier ones may have been deleted.
fn told_from(connection: &Connection) -> Result<Timestamp> {
    Ok(Timestamp::from_millis(row::meta(connection, "told_from")?.unwrap_or(i64::MIN)))
}

/// Checks that the subscribers of an order have their notifications.
fn told(
    connection: &Connection,
    order: &Order,
    asked: &[(SubscriptionSeq, CheckedSubscription)],
    report: &mut Report,
) -> Result<()> {
    let mut notified = connection.prepare_cached(
        "SELECT count(*) FROM notification WHERE subscription = ? AND order_seq = ? AND status = ? AND note = 0",
    )?;
    for (seq, asked) in asked {
        let found: i64 =
            notified.query_row((seq.0, order.seq.0, status_code(order.status)), |row| row.get(0))?;
        report.findings.extend(check::notification(order, asked, found > 0));
    }
    Ok(())
}

fn without_order(seq: OrderSeq) -> Finding {
    Finding::new(format!("order {}", seq.0), "has events, but is missing")
}

fn next_event(rows: &mut rusqlite::Rows<'_>) -> Result<Option<(OrderSeq, Event)>> {
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((OrderSeq(row.get(4)?), read_event(row)?)))
}
