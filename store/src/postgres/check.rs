//! The checker: feeds what is stored to `plan::check`, in order.
//!
//! Lists of rows are read through cursors, some rows at a time, so none is ever in memory as a whole. The database
//! compares the counts, and returns those that differ.

use std::collections::{HashMap, HashSet, VecDeque};

use onhook_core::check::CheckedSubscription;
use onhook_core::ids::{AccountId, OrderSeq, SubscriptionId, SubscriptionSeq};
use onhook_core::lifecycle::event::Event;
use onhook_core::notify::notification::SubscriptionFilter;
use onhook_core::order::Order;
use onhook_core::time::Timestamp;
use tokio_postgres::{Client, Row};

use super::entries::{EVENT_COLUMNS, NUMBER_COLUMNS, NumberRow, histories, read_event};
use super::open::PostgresStore;
use super::order_rows::{ORDER_COLUMNS, read_order};
use super::row::{account_of, account_or, get, time_or, word};
use super::statement::{row, rows};
use super::tries::Tries;
use crate::Result;
use crate::codes::status_code;
use crate::contract::upkeep::{Report, Watch};
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::plan::check::{Broken, Check, Counted, Key, OrderRules};

/// Most rows of one query for what is wrong: a report has no more.
const ROWS_MAX: u32 = 1_000;

/// Checks what is stored, as it was at one moment.
pub(super) async fn check(store: &PostgresStore, deep: bool, watch: &Watch) -> Result<Report> {
    let mut tries = Tries::default();
    loop {
        let done = match store.begin_snapshot().await {
            Ok(tx) => {
                let done = check_in(&tx, &store.ids, deep, watch).await;
                tx.undo(done).await
            }
            Err(error) => Err(error),
        };
        if let Some(done) = tries.after(done).await {
            return done;
        }
    }
}

async fn check_in(client: &Client, ids: &OrderIds, deep: bool, watch: &Watch) -> Result<Report> {
    let report = Report {
        numbers: one(client, "SELECT count(*) FROM number").await?,
        events: one(client, "SELECT count(*) FROM event").await?,
        orders: one(client, "SELECT count(*) FROM orders").await?,
        findings: Vec::new(),
    };
    let mut check = Check::new(report, watch);
    if deep {
        check.say_progress();
    }
    counts(client, &mut check).await?;
    broken(client, &mut check).await?;
    users(client, &mut check).await?;
    if deep {
        numbers(client, &mut check).await?;
        orders(client, ids, &mut check).await?;
    }
    Ok(check.finish())
}

async fn one(client: &Client, sql: &str) -> Result<u64> {
    let found = row(client, sql, &[]).await?.ok_or_else(|| corrupt("a query without a row"))?;
    Ok(get::<i64>(&found, 0)?.unsigned_abs())
}

/// Feeds the stored counts that differ from their recounts.
async fn counts(client: &Client, check: &mut Check<'_>) -> Result<()> {
    for (of, kept, found) in [
        (
            Counted::Tally,
            "SELECT account, state, numbers FROM tally",
            "SELECT coalesce(holder, 0), state, count(*) FROM number GROUP BY 1, 2",
        ),
        (
            Counted::Supply,
            "SELECT id, 0::bigint, supply FROM area",
            "SELECT area, 0::bigint, count(*) FROM number WHERE state = 0 GROUP BY 1",
        ),
        (
            Counted::Stock,
            "SELECT npa_nxx, area, numbers FROM stock",
            "SELECT ((number - number % 10000) / 10000)::bigint - 1000000, area, count(*) FROM number
             WHERE state = 0 AND number >= 12000000000 AND number < 20000000000 GROUP BY 1, 2",
        ),
        (
            Counted::InService,
            "SELECT site, peer, numbers FROM in_service",
            "SELECT site, coalesce(peer, 0), count(*) FROM number WHERE state = 2 GROUP BY 1, 2",
        ),
        (
            Counted::Zips,
            "SELECT npa_nxx, 0::bigint,
                    (length(zips) - length(replace(zips, ' ', '')) + (zips <> '')::int)::bigint FROM exchange",
            "SELECT npa_nxx, 0::bigint, count(*) FROM exchange_zip GROUP BY 1",
        ),
        (
            Counted::Imported,
            "SELECT 0::bigint, 0::bigint, coalesce(sum((detail::jsonb ->> 'numbers')::bigint), 0)::bigint
             FROM event WHERE kind = 'imported'",
            "SELECT 0::bigint, 0::bigint, count(*) FROM number",
        ),
        (
            Counted::DefaultSites,
            "SELECT DISTINCT account, 0::bigint, 1::bigint FROM site",
            "SELECT account, 0::bigint, count(*) FROM site WHERE is_default GROUP BY 1",
        ),
        (
            Counted::DefaultPeers,
            "SELECT DISTINCT site, 0::bigint, 1::bigint FROM peer",
            "SELECT site, 0::bigint, count(*) FROM peer WHERE is_default GROUP BY 1",
        ),
    ] {
        let sql = format!(
            "SELECT coalesce(k.one, f.one), coalesce(k.two, f.two), coalesce(k.n, 0), coalesce(f.n, 0)
             FROM ({kept}) AS k (one, two, n) FULL JOIN ({found}) AS f (one, two, n)
               ON k.one = f.one AND k.two = f.two
             WHERE coalesce(k.n, 0) <> coalesce(f.n, 0) ORDER BY 1, 2 LIMIT {ROWS_MAX}"
        );
        for row in &rows(client, &sql, &[]).await? {
            check.count(of, (get(row, 0)?, get(row, 1)?), get(row, 2)?, get(row, 3)?);
        }
    }
    Ok(())
}

/// Looks for rows that refer to what is missing.
async fn broken(client: &Client, check: &mut Check<'_>) -> Result<()> {
    for (what, sql) in [
        (
            Broken::Exchange,
            "SELECT e.npa_nxx, e.rate_center, 0::bigint FROM exchange e
             WHERE NOT EXISTS (SELECT 1 FROM rate_center r WHERE r.id = e.rate_center)",
        ),
        (
            Broken::Place,
            "SELECT n.number, n.site, coalesce(n.holder, 0) FROM number n
             LEFT JOIN site s ON s.id = n.site LEFT JOIN peer p ON p.id = n.peer
             WHERE n.state = 2 AND (s.account IS DISTINCT FROM n.holder
                                    OR (n.peer IS NOT NULL AND (p.account IS DISTINCT FROM n.holder
                                                                OR p.site IS DISTINCT FROM n.site)))",
        ),
        (
            Broken::Peer,
            "SELECT p.id, p.account, coalesce(s.account, 0) FROM peer p
             LEFT JOIN site s ON s.id = p.site WHERE s.account IS DISTINCT FROM p.account",
        ),
        (
            Broken::Closed,
            "SELECT n.number, n.holder, 0::bigint FROM account a JOIN number n ON n.holder = a.id
             WHERE a.state = 'closed' AND n.state = 2",
        ),
        (
            Broken::Account,
            "SELECT o.seq, o.account, 0::bigint FROM orders o
             WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = o.account)",
        ),
        (
            Broken::Key,
            "SELECT k.account, k.order_seq, 0::bigint FROM idempotency k
             WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = k.order_seq AND o.account = k.account)",
        ),
        (
            Broken::Notification,
            "SELECT n.seq, n.order_seq, 0::bigint FROM notification n
             LEFT JOIN orders o ON o.seq = n.order_seq LEFT JOIN subscription s ON s.seq = n.subscription
             WHERE o.seq IS NULL OR (s.seq IS NULL AND n.standing = 0) OR s.account <> o.account",
        ),
        (
            Broken::Told,
            "SELECT n.seq, 0::bigint, 0::bigint FROM notification n
             JOIN orders o ON o.seq = n.order_seq
             WHERE n.note = 0 AND n.status BETWEEN 1 AND 3 AND n.status <> o.status",
        ),
        (
            Broken::Attempts,
            "SELECT n.seq, n.attempts, count(a.n) FROM notification n
             LEFT JOIN attempt a ON a.notification = n.seq GROUP BY n.seq, n.attempts, n.standing
             HAVING n.attempts <> count(a.n) OR (n.standing = 1 AND n.attempts = 0)",
        ),
    ] {
        let sql = format!("{sql} ORDER BY 1 LIMIT {ROWS_MAX}");
        for row in &rows(client, &sql, &[]).await? {
            let figures: Key = (get(row, 1)?, get(row, 2)?);
            check.broken(what, get(row, 0)?, figures);
        }
    }
    Ok(())
}

async fn users(client: &Client, check: &mut Check<'_>) -> Result<()> {
    let mut found =
        Cursor::open(client, "users_checked", "SELECT name, account, role FROM users ORDER BY folded")
            .await?;
    while let Some(row) = found.next().await? {
        check.user(get(&row, 0)?, account_or(&row, 1)?, get(&row, 2)?);
    }
    Ok(())
}

/// Feeds the numbers with their events.
async fn numbers(client: &Client, check: &mut Check<'_>) -> Result<()> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number ORDER BY number");
    let mut found = Cursor::open(client, "numbers_checked", &sql).await?;
    loop {
        let some = found.some().await?;
        if some.is_empty() {
            break;
        }
        let read: Vec<_> = some.iter().map(NumberRow::read).collect();
        let good: Vec<NumberRow> = read.iter().filter_map(|row| row.as_ref().ok()).copied().collect();
        let mut lives = histories(client, &good).await?;
        for (row, read) in some.iter().zip(read) {
            let life = match read {
                Ok(read) => lives.remove(&read.entry.number),
                Err(error) => Some(Err(error)),
            };
            let life = life.unwrap_or_else(|| Err(corrupt("a number without a history")));
            check.number(get::<i64>(row, 0)?, life);
        }
        if check.is_full() {
            return Ok(());
        }
    }
    check.numbers_end(one(client, "SELECT count(*) FROM event WHERE number IS NULL").await?);
    Ok(())
}

/// Feeds the orders with the events that they made.
async fn orders(client: &Client, ids: &OrderIds, check: &mut Check<'_>) -> Result<()> {
    let (asked, told_from) = (asked(client).await?, told_from(client).await?);
    // Here an order waits by its status alone, so none can lie before those that are run.
    let rules = OrderRules { ids, asked, told_from, run_to: OrderSeq(i64::MIN) };
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders ORDER BY seq");
    let mut orders = Cursor::open(client, "orders_checked", &sql).await?;
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM event WHERE order_seq IS NOT NULL AND number IS NOT NULL ORDER BY order_seq, seq"
    );
    let mut events = Cursor::open(client, "events_checked", &sql).await?;
    let mut event = events.next_event().await?;
    loop {
        let some = orders.some().await?.iter().map(read_order).collect::<Result<Vec<_>>>()?;
        if some.is_empty() {
            break;
        }
        let told = told(client, &rules, &some).await?;
        for order in some {
            let mut made = Vec::new();
            while let Some((seq, made_by)) = event.take_if(|(seq, _)| *seq <= order.seq) {
                if seq == order.seq {
                    made.push(Ok((seq, made_by)));
                } else {
                    check.orders(&rules, [], [Ok((seq, made_by))], |_, _| Ok(true))?;
                }
                event = events.next_event().await?;
            }
            let notified = |subscription: SubscriptionSeq, order: &Order| {
                Ok(told.contains(&(subscription.0, order.seq.0, status_code(order.status).into())))
            };
            check.orders(&rules, [Ok(order)], made, notified)?;
            if check.is_full() {
                return Ok(());
            }
        }
    }
    while let Some(without_order) = event.take() {
        check.orders(&rules, [], [Ok(without_order)], |_, _| Ok(true))?;
        if check.is_full() {
            return Ok(());
        }
        event = events.next_event().await?;
    }
    Ok(())
}

/// Returns which subscriptions have a notification of which status of these orders.
async fn told(client: &Client, rules: &OrderRules<'_>, orders: &[Order]) -> Result<HashSet<(i64, i64, i64)>> {
    let accounts: HashSet<AccountId> = orders.iter().map(|order| order.account).collect();
    let asked = accounts.iter().filter_map(|account| rules.asked.get(account)).flatten();
    let subscriptions: Vec<i64> = asked.map(|(subscription, _)| subscription.0).collect();
    if subscriptions.is_empty() {
        return Ok(HashSet::new());
    }
    let orders: Vec<i64> = orders.iter().map(|order| order.seq.0).collect();
    let sql = "SELECT subscription, order_seq, status FROM notification
               WHERE subscription = ANY($1) AND order_seq = ANY($2) AND note = 0";
    let found = rows(client, sql, &[&subscriptions, &orders]).await?;
    found.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?, get(row, 2)?))).collect()
}

/// Returns all subscriptions to orders that are not disabled, with their filters, by account.
async fn asked(client: &Client) -> Result<HashMap<AccountId, Vec<(SubscriptionSeq, CheckedSubscription)>>> {
    let sql = "SELECT account, seq, id, order_type, order_seq, expires_at, after_order FROM subscription
               WHERE NOT disabled AND order_type IS NOT NULL";
    let mut found: HashMap<AccountId, Vec<(SubscriptionSeq, CheckedSubscription)>> = HashMap::new();
    for row in &rows(client, sql, &[]).await? {
        let order = get::<Option<i64>>(row, 4)?.map(OrderSeq);
        let filter = SubscriptionFilter { orders: word(row, 3)?, order, expires_at: time_or(row, 5)? };
        let (id, after) = (SubscriptionId(get(row, 2)?), OrderSeq(get(row, 6)?));
        let asked = (SubscriptionSeq(get(row, 1)?), CheckedSubscription { id, filter, after });
        found.entry(account_of(row, 0)?).or_default().push(asked);
    }
    Ok(found)
}

/// Returns the time from which every notification is still stored. Earlier ones may have been deleted.
async fn told_from(client: &Client) -> Result<Timestamp> {
    let found = row(client, "SELECT value FROM counter WHERE name = 'told_from'", &[]).await?;
    Ok(Timestamp::from_millis(found.map(|row| get(&row, 0)).transpose()?.unwrap_or(i64::MIN)))
}

/// The rows of a query, read some at a time.
struct Cursor<'a> {
    client: &'a Client,
    fetch: String,
    ahead: VecDeque<Row>,
}

impl<'a> Cursor<'a> {
    async fn open(client: &'a Client, name: &str, sql: &str) -> Result<Self> {
        client.batch_execute(&format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}")).await?;
        Ok(Self { client, fetch: format!("FETCH 1000 FROM {name}"), ahead: VecDeque::new() })
    }

    /// Returns the next rows. After the last there are none.
    async fn some(&mut self) -> Result<Vec<Row>> {
        rows(self.client, &self.fetch, &[]).await
    }

    /// Returns the next row.
    async fn next(&mut self) -> Result<Option<Row>> {
        if self.ahead.is_empty() {
            self.ahead = self.some().await?.into();
        }
        Ok(self.ahead.pop_front())
    }

    /// Returns the next row as an event of an order.
    async fn next_event(&mut self) -> Result<Option<(OrderSeq, Event)>> {
        let Some(row) = self.next().await? else { return Ok(None) };
        Ok(Some((OrderSeq(get(&row, 4)?), read_event(&row)?)))
    }
}
