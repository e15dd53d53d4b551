//! What the checker reads: pages of what is stored, each as it was at one moment.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::client::Client;
use async_trait::async_trait;
use onhook_core::check::CheckedSubscription;
use onhook_core::ids::{AccountId, OrderSeq, SubscriptionId, SubscriptionSeq};
use onhook_core::job::{Kind, State};
use onhook_core::lifecycle::history::History;
use onhook_core::notify::notification::SubscriptionFilter;
use onhook_core::number::Number;
use onhook_core::order::Order;
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::entries::{NUMBER_COLUMNS, NumberRow, histories, number_rows};
use super::jobs::next_job;
use super::open::PostgresStore;
use super::order_rows::{ORDER_COLUMNS, read_order};
use super::row::{account_of, account_or, get, limit, time_or, word};
use super::statement::{row, rows};
use super::tries::Tries;
use crate::Result;
use crate::checking::{
    self, Beginning, BrokenPage, Checked, Cursor, Events, Mark, NUMBERS, NumberPage, OrderPage, Pages, ROWS,
    Small, made_by, orders_of, page_of_orders,
};
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::plan::check::{Broken, Counted, Key};

/// How far before the newest event there may be one whose transaction has not ended. A transaction ends within seconds.
const UNDER_WAY: i64 = 200_000;

/// Most rows of one query for what is wrong: a report has no more.
const ROWS_MAX: u32 = 1_000;

/// Reads what a page needs, as it was at one moment; again if the connection breaks.
macro_rules! page {
    ($store:expr, $tx:ident => $work:expr) => {{
        let mut tries = Tries::default();
        loop {
            let done = match $store.begin_snapshot().await {
                Ok($tx) => {
                    let done = $work;
                    $tx.undo(done).await
                }
                Err(error) => Err(error),
            };
            if let Some(done) = tries.after(done).await {
                break done;
            }
        }
    }};
}

async fn one(client: &Client, sql: &str) -> Result<i64> {
    let found = row(client, sql, &[]).await?.ok_or_else(|| corrupt("a query without a row"))?;
    get(&found, 0)
}

/// The counts that are kept beside the numbers.
const KEPT: [(Counted, &str); 4] = [
    (Counted::Tally, "SELECT account, state, numbers FROM tally"),
    (Counted::Supply, "SELECT id, 0::bigint, supply FROM area"),
    (Counted::Stock, "SELECT npa_nxx, area, numbers FROM stock"),
    (Counted::InService, "SELECT site, peer, numbers FROM in_service"),
];

/// What counts events.
const COUNT: &str = "count(*), count(*) - count(number),
     coalesce(sum(CASE WHEN kind = 'imported' THEN (detail::jsonb ->> 'numbers')::bigint END), 0)::bigint";

fn counted(row: &Row) -> Result<Events> {
    let (all, of_no_number): (i64, i64) = (get(row, 0)?, get(row, 1)?);
    let (all, of_no_number) = (all.unsigned_abs(), of_no_number.unsigned_abs());
    Ok(Events { all, of_no_number, imported: get(row, 2)? })
}

async fn events(client: &Client, after: i64, to: i64) -> Result<Events> {
    let sql = format!("SELECT {COUNT} FROM event WHERE seq > $1 AND seq <= $2");
    row(client, &sql, &[&after, &to]).await?.as_ref().map_or_else(|| Ok(Events::default()), counted)
}

async fn begin(client: &Client) -> Result<Beginning> {
    let newest = one(client, "SELECT coalesce(max(seq), 0) FROM event").await?;
    let whole_to = newest.saturating_sub(UNDER_WAY).max(0);
    let there = rows(client, "SELECT seq FROM event WHERE seq > $1 ORDER BY seq", &[&whole_to]).await?;
    let mut absent = HashSet::new();
    let mut next = whole_to + 1;
    for row in &there {
        let seq: i64 = get(row, 0)?;
        absent.extend(next..seq);
        next = seq + 1;
    }
    let mut kept = Vec::with_capacity(KEPT.len());
    for (of, sql) in KEPT {
        let mut counts: BTreeMap<Key, i64> = BTreeMap::new();
        for row in &rows(client, sql, &[]).await? {
            counts.insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
        }
        kept.push((of, counts));
    }
    let import = next_job(client, Kind::Import).await?.filter(|job| job.state == State::Writing);
    Ok(Beginning {
        mark: Mark { newest, absent },
        whole_to,
        events: events(client, whole_to, newest).await?,
        kept,
        to_come: import.as_ref().map_or(0, |import| import.found["to_come"].as_i64().unwrap_or(0)),
        importing: import.is_some(),
        orders: one(client, "SELECT coalesce(max(seq), 0) FROM orders").await?.unsigned_abs(),
    })
}

async fn small(client: &Client) -> Result<Small> {
    let mut small = Small::default();
    for (of, kept, found) in [
        (
            Counted::Zips,
            "SELECT npa_nxx, (length(zips) - length(replace(zips, ' ', '')) + (zips <> '')::int)::bigint FROM exchange",
            "SELECT npa_nxx, count(*) FROM exchange_zip GROUP BY 1",
        ),
        (
            Counted::DefaultSites,
            "SELECT DISTINCT account, 1::bigint FROM site",
            "SELECT account, count(*) FROM site WHERE is_default GROUP BY 1",
        ),
        (
            Counted::DefaultPeers,
            "SELECT DISTINCT site, 1::bigint FROM peer",
            "SELECT site, count(*) FROM peer WHERE is_default GROUP BY 1",
        ),
    ] {
        let sql = format!(
            "SELECT coalesce(k.one, f.one), coalesce(k.n, 0), coalesce(f.n, 0)
             FROM ({kept}) AS k (one, n) FULL JOIN ({found}) AS f (one, n) ON k.one = f.one
             WHERE coalesce(k.n, 0) <> coalesce(f.n, 0) ORDER BY 1 LIMIT {ROWS_MAX}"
        );
        for row in &rows(client, &sql, &[]).await? {
            small.counts.push((of, (get(row, 0)?, 0), get(row, 1)?, get(row, 2)?));
        }
    }
    for (what, sql) in [
        (
            Broken::Exchange,
            "SELECT e.npa_nxx, e.rate_center, 0::bigint FROM exchange e
             WHERE NOT EXISTS (SELECT 1 FROM rate_center r WHERE r.id = e.rate_center)",
        ),
        (
            Broken::Peer,
            "SELECT p.id, p.account, coalesce(s.account, 0) FROM peer p
             LEFT JOIN site s ON s.id = p.site WHERE s.account IS DISTINCT FROM p.account",
        ),
    ] {
        for row in &rows(client, &format!("{sql} ORDER BY 1 LIMIT {ROWS_MAX}"), &[]).await? {
            small.broken.push((what, get(row, 0)?, (get(row, 1)?, get(row, 2)?)));
        }
    }
    for row in &rows(client, "SELECT name, account, role FROM users ORDER BY folded", &[]).await? {
        small.users.push((get(row, 0)?, account_or(row, 1)?, get(row, 2)?));
    }
    Ok(small)
}

async fn numbers(client: &Client, after: i64, deep: bool, mark: &Mark) -> Result<NumberPage> {
    let sql = format!("SELECT {NUMBER_COLUMNS} FROM number WHERE number > $1 ORDER BY number LIMIT $2");
    let found = rows(client, &sql, &[&after, &limit(NUMBERS)]).await?;
    let read: Vec<_> = found.iter().map(NumberRow::read).collect();
    let wanted = |row: &&NumberRow| deep || !mark.has(row.last_event);
    let good: Vec<NumberRow> =
        read.iter().filter_map(|row| row.as_ref().ok()).filter(wanted).copied().collect();
    let mut lives = histories(client, &good).await?;
    let mut page = NumberPage::default();
    for (row, read) in found.iter().zip(read) {
        let history = match &read {
            Ok(read) if wanted(&read) => Some(
                lives
                    .remove(&read.entry.number)
                    .unwrap_or_else(|| Err(corrupt("a number without a history"))),
            ),
            _ => None,
        };
        let checked = read.map(|read| (read.entry, read.last_event));
        page.numbers.push(Checked { digits: get(row, 0)?, row: checked, history });
    }
    let lives = page.numbers.iter().filter_map(|number| number.history.as_ref()?.as_ref().ok());
    let named = if deep { orders_of(lives) } else { Vec::new() };
    if !named.is_empty() {
        let sql = "SELECT u.seq FROM unnest($1::bigint[]) AS u (seq)
                   WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = u.seq) ORDER BY 1";
        for row in &rows(client, sql, &[&named]).await? {
            page.without_order.push(OrderSeq(get(row, 0)?));
        }
    }
    Ok(page)
}

async fn orders(client: &Client, after: i64) -> Result<OrderPage> {
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE seq > $1 ORDER BY seq LIMIT $2");
    let found = rows(client, &sql, &[&after, &limit(checking::ORDERS)]).await?;
    let orders: Vec<Order> = page_of_orders(found.iter().map(read_order).collect::<Result<_>>()?);
    let mut went: Vec<Number> = orders.iter().flat_map(Order::done).collect();
    went.sort_unstable();
    went.dedup();
    let lives = histories(client, &number_rows(client, &went).await?).await?;
    let lives: Vec<History> = lives.into_values().filter_map(Result::ok).collect();
    let asked = asked(client).await?;
    let told = told(client, &asked, &orders).await?;
    let made = made_by(&orders, &lives);
    // Here an order waits by its status alone, so none can lie before those that are run.
    let (told_from, run_to) = (told_from(client).await?, OrderSeq(i64::MIN));
    Ok(OrderPage { orders, made, asked, told, told_from, run_to })
}

/// Returns which subscriptions have a notification of which status of these orders.
async fn told(
    client: &Client,
    asked: &HashMap<AccountId, Vec<(SubscriptionSeq, CheckedSubscription)>>,
    orders: &[Order],
) -> Result<HashSet<(i64, i64, i64)>> {
    let accounts: HashSet<AccountId> = orders.iter().map(|order| order.account).collect();
    let asked = accounts.iter().filter_map(|account| asked.get(account)).flatten();
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

/// Returns the table of what may be broken, its key, and what finds rows that are, among those whose key is behind the
/// first value and not behind the second.
fn paged(what: Broken) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match what {
        Broken::Place => (
            "number",
            "number",
            "SELECT n.number, n.site, coalesce(n.holder, 0) FROM number n
             LEFT JOIN site s ON s.id = n.site LEFT JOIN peer p ON p.id = n.peer
             WHERE n.number > $1 AND n.number <= $2 AND n.state = 2
               AND (s.account IS DISTINCT FROM n.holder
                    OR (n.peer IS NOT NULL AND (p.account IS DISTINCT FROM n.holder
                                                OR p.site IS DISTINCT FROM n.site)))",
        ),
        Broken::Closed => (
            "number",
            "number",
            "SELECT n.number, n.holder, 0::bigint FROM number n JOIN account a ON a.id = n.holder
             WHERE n.number > $1 AND n.number <= $2 AND n.state = 2 AND a.state = 'closed'",
        ),
        Broken::Due => (
            "number",
            "number",
            "SELECT n.number, n.due_at, 0::bigint FROM number n
             WHERE n.number > $1 AND n.number <= $2 AND n.due_at IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM due d WHERE d.due_at = n.due_at AND d.number = n.number)",
        ),
        Broken::Account => (
            "orders",
            "seq",
            "SELECT o.seq, o.account, 0::bigint FROM orders o
             WHERE o.seq > $1 AND o.seq <= $2 AND NOT EXISTS (SELECT 1 FROM account a WHERE a.id = o.account)",
        ),
        Broken::Notification => (
            "notification",
            "seq",
            "SELECT n.seq, n.order_seq, 0::bigint FROM notification n
             LEFT JOIN orders o ON o.seq = n.order_seq LEFT JOIN subscription s ON s.seq = n.subscription
             WHERE n.seq > $1 AND n.seq <= $2
               AND (o.seq IS NULL OR (s.seq IS NULL AND n.standing = 0) OR s.account <> o.account)",
        ),
        Broken::Told => (
            "notification",
            "seq",
            "SELECT n.seq, 0::bigint, 0::bigint FROM notification n
             JOIN orders o ON o.seq = n.order_seq
             WHERE n.seq > $1 AND n.seq <= $2 AND n.note = 0 AND n.status BETWEEN 1 AND 3
               AND n.status <> o.status",
        ),
        Broken::Attempts => (
            "notification",
            "seq",
            "SELECT n.seq, n.attempts, count(a.n) FROM notification n
             LEFT JOIN attempt a ON a.notification = n.seq WHERE n.seq > $1 AND n.seq <= $2
             GROUP BY n.seq, n.attempts, n.standing
             HAVING n.attempts <> count(a.n) OR (n.standing = 1 AND n.attempts = 0)",
        ),
        Broken::Exchange | Broken::Peer | Broken::Key | Broken::Noted | Broken::Outcome => return None,
    })
}

async fn broken(client: &Client, what: Broken, (after, text): &Cursor) -> Result<BrokenPage> {
    match what {
        Broken::Key => return broken_keys(client, *after, text).await,
        Broken::Noted => return wrongly_noted(client, *after, text).await,
        _ => {}
    }
    let Some((table, key, sql)) = paged(what) else { return Ok(BrokenPage::default()) };
    let page = format!(
        "SELECT count(*), max(k) FROM
             (SELECT {key} AS k FROM {table} WHERE {key} > $1 ORDER BY {key} LIMIT {ROWS}) AS page"
    );
    let found = row(client, &page, &[after]).await?.ok_or_else(|| corrupt("a query without a row"))?;
    let (looked, last): (i64, Option<i64>) = (get(&found, 0)?, get(&found, 1)?);
    let Some(last) = last else { return Ok(BrokenPage::default()) };
    let found = rows(client, &format!("{sql} ORDER BY 1 LIMIT {ROWS_MAX}"), &[after, &last]).await?;
    let read = |row: &Row| Ok((get(row, 0)?, (get(row, 1)?, get(row, 2)?)));
    let rows = found.iter().map(read).collect::<Result<_>>()?;
    let next = (looked == ROWS).then(|| (last, String::new()));
    Ok(BrokenPage { looked: looked.unsigned_abs(), rows, next })
}

async fn broken_keys(client: &Client, after: i64, text: &str) -> Result<BrokenPage> {
    let sql = "SELECT k.account, k.key, k.order_seq,
                      NOT EXISTS (SELECT 1 FROM orders o WHERE o.seq = k.order_seq AND o.account = k.account)
               FROM idempotency k WHERE (k.account, k.key) > ($1, $2) ORDER BY k.account, k.key LIMIT $3";
    let found = rows(client, sql, &[&after, &text, &ROWS]).await?;
    judged(&found, |row| Ok(((get(row, 0)?, (get(row, 2)?, 0)), (get(row, 0)?, get(row, 1)?))))
}

/// Returns numbers that are noted as due at another instant than theirs.
async fn wrongly_noted(client: &Client, after: i64, text: &str) -> Result<BrokenPage> {
    let number: i64 = text.parse().unwrap_or(0);
    let sql = "SELECT d.due_at, d.number, coalesce(n.due_at, 0), n.due_at IS DISTINCT FROM d.due_at
               FROM due d LEFT JOIN number n ON n.number = d.number
               WHERE (d.due_at, d.number) > ($1, $2) ORDER BY d.due_at, d.number LIMIT $3";
    let found = rows(client, sql, &[&after, &number, &ROWS]).await?;
    judged(&found, |row| {
        let (at, number): (i64, i64) = (get(row, 0)?, get(row, 1)?);
        Ok(((number, (at, get(row, 2)?)), (at, number.to_string())))
    })
}

/// Returns a page of rows that were read by a key of two columns. Their fourth column says whether a row is broken. `read`
/// makes of a row what is told of it then, and its key.
fn judged(found: &[Row], read: impl Fn(&Row) -> Result<((i64, Key), Cursor)>) -> Result<BrokenPage> {
    let mut page = BrokenPage { looked: found.len().try_into().unwrap_or(u64::MAX), ..BrokenPage::default() };
    for row in found {
        let (told, key) = read(row)?;
        if get(row, 3)? {
            page.rows.push(told);
        }
        page.next = Some(key);
    }
    if i64::try_from(found.len()).unwrap_or(i64::MAX) < ROWS {
        page.next = None;
    }
    Ok(page)
}

#[async_trait]
impl Pages for PostgresStore {
    fn ids(&self) -> &OrderIds {
        &self.ids
    }

    async fn begin(&self) -> Result<Beginning> {
        page!(self, tx => begin(&tx).await)
    }

    async fn small(&self) -> Result<Small> {
        page!(self, tx => small(&tx).await)
    }

    async fn events(&self, after: i64, to: i64) -> Result<Events> {
        page!(self, tx => events(&tx, after, to).await)
    }

    async fn numbers(&self, after: i64, deep: bool, mark: Arc<Mark>) -> Result<NumberPage> {
        page!(self, tx => numbers(&tx, after, deep, &mark).await)
    }

    async fn orders(&self, after: i64) -> Result<OrderPage> {
        page!(self, tx => orders(&tx, after).await)
    }

    async fn broken(&self, what: Broken, after: Cursor) -> Result<BrokenPage> {
        page!(self, tx => broken(&tx, what, &after).await)
    }
}
