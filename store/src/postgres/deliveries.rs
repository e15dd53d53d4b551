//! Notifications that are due, the attempts at them, and how long both are kept.

use std::collections::{HashMap, HashSet};

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{AccountId, MessageId, NotificationSeq, SubscriptionId, SubscriptionSeq};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::notify::notification::{Attempt, KEPT_MS, Next, Notification};
use onhook_core::notify::subscription::{Digest, OrderType};
use onhook_core::order::Order;
use onhook_core::time::Timestamp;
use tokio_postgres::Row;

use super::accounts::lock_account;
use super::counters::{counter, set_counter};
use super::deeds::write_deeds;
use super::leases::{must_last, should_last};
use super::once::once as done_once;
use super::open::PostgresStore;
use super::order_rows::{ORDER_COLUMNS, read_order};
use super::row::{account_of, get, limit, order_id, pages_before, small, time, time_or};
use super::statement::{NOW, Value, execute, row, rows};
use super::subscriptions::{seq_of, subscription_at};
use super::telling::{give_up_all, give_up_oldest, waiting_of};
use super::transaction::{committing, reading, transaction};
use crate::Result;
use crate::codes::{kind_of, standing_code, standing_of, status_of};
use crate::contract::deliveries::{
    Deliveries, Delivery, DeliveryFilter, DeliveryPage, Due, DueLimits, DuePage, Logged, Ready, Replayed,
    Sending, SendingInFull,
};
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;
use crate::error::corrupt;
use crate::plan::deeds;
use crate::plan::deliveries::{self as plan, Carried, Loaded, Replay, SubscriptionWrite, Writes};

/// Most subscriptions that one search for due notifications visits.
const VISITS_MAX: i64 = 2_000;

/// How long transactions and leases that have ended are remembered, in milliseconds: an hour.
const ENDED_KEPT_MS: i64 = 3_600_000;

/// Most rows of `committed` that one statement deletes.
const COMMITTED_MAX: i64 = 10_000;

/// Most such statements in a row.
const COMMITTED_ROUNDS_MAX: u32 = 10;

/// True of a notification that a lease, the parameter `$1`, may claim or has claimed.
fn free() -> String {
    format!("(claim IS NULL OR claim = $1 OR claim NOT IN (SELECT token FROM lease WHERE until > {NOW}))")
}

/// Returns the subscriptions after a sequence number that something due waits for, at most `most`. The second value is
/// the subscription after which the search goes on, if there may be more.
async fn subscriptions_due(
    client: &Client,
    lease: LeaseToken,
    now: Timestamp,
    after: SubscriptionSeq,
    most: usize,
) -> Result<(Vec<i64>, Option<SubscriptionSeq>)> {
    // A skip scan: what waits for one subscription, however much, costs one seek.
    let sql = format!(
        "WITH RECURSIVE waiting (subscription, n) AS (
             (SELECT subscription, 1::bigint FROM notification WHERE standing = 0 AND subscription > $3
              ORDER BY subscription LIMIT 1)
             UNION ALL
             SELECT (SELECT o.subscription FROM notification o
                     WHERE o.standing = 0 AND o.subscription > w.subscription ORDER BY o.subscription LIMIT 1), n + 1
             FROM waiting w WHERE w.subscription IS NOT NULL AND n < $4
         )
         SELECT subscription, EXISTS (SELECT 1 FROM notification o
                                      WHERE o.subscription = w.subscription AND o.standing = 0 AND o.due_at <= $2
                                        AND {})
         FROM waiting w WHERE subscription IS NOT NULL ORDER BY subscription",
        free()
    );
    let found = rows(client, &sql, &[&lease.0, &now.millis(), &after.0, &VISITS_MAX]).await?;
    let (mut due, mut visited) = (Vec::new(), 0);
    for row in &found {
        let seq = get(row, 0)?;
        visited += 1;
        if get(row, 1)? {
            due.push(seq);
        }
        if due.len() >= most || visited >= VISITS_MAX {
            return Ok((due, Some(SubscriptionSeq(seq))));
        }
    }
    Ok((due, None))
}

/// Returns notifications due for subscriptions after a sequence number, within limits, except those that another lease
/// has claimed. Also returns which of them this lease has not claimed yet.
async fn due(
    client: &Client,
    lease: LeaseToken,
    now: Timestamp,
    after: SubscriptionSeq,
    limits: DueLimits,
) -> Result<(DuePage, HashSet<NotificationSeq>)> {
    should_last(client, lease).await?;
    let (subscriptions, next) = subscriptions_due(client, lease, now, after, limits.subscriptions).await?;
    if subscriptions.is_empty() {
        return Ok((DuePage { due: Vec::new(), next }, HashSet::new()));
    }
    let of_one = |daily: &str, most: &str| {
        format!(
            "(SELECT o.seq, o.due_at, o.claim IS DISTINCT FROM $1 AS unclaimed FROM notification o
              WHERE o.subscription = s.seq AND o.standing = 0 AND o.due_at <= $2 AND {daily} AND {}
              ORDER BY o.due_at, o.seq LIMIT {most})",
            free()
        )
    };
    let sql = format!(
        "SELECT s.seq, s.account, coalesce(s.url, s.email), coalesce(s.digest = $6, false), n.seq, n.unclaimed
         FROM subscription s CROSS JOIN LATERAL ({} UNION ALL {}) n
         WHERE s.seq = ANY($3) ORDER BY s.seq, n.due_at, n.seq",
        of_one("s.digest IS DISTINCT FROM $6", "$4"),
        of_one("s.digest = $6", "$5")
    );
    let daily = Digest::Daily.word();
    let values: [&dyn Value; 6] =
        [&lease.0, &now.millis(), &subscriptions, &limit(limits.single), &limit(limits.daily), &daily];
    let (mut due, mut unclaimed): (Vec<Due>, _) = (Vec::new(), HashSet::new());
    for row in &rows(client, &sql, &values).await? {
        let subscription = SubscriptionSeq(get(row, 0)?);
        let seq = NotificationSeq(get(row, 4)?);
        if get(row, 5)? {
            unclaimed.insert(seq);
        }
        match due.last_mut() {
            Some(due) if due.subscription == subscription => due.notifications.push(seq),
            _ => due.push(Due {
                subscription,
                account: account_of(row, 1)?,
                target: get(row, 2)?,
                daily: get(row, 3)?,
                notifications: vec![seq],
            }),
        }
    }
    Ok((DuePage { due, next }, unclaimed))
}

/// Claims those of the notifications that are still free and wait, and returns them. One that another node claims at
/// this moment is left to it.
async fn claim(
    client: &Client,
    lease: LeaseToken,
    unclaimed: &HashSet<NotificationSeq>,
) -> Result<HashSet<NotificationSeq>> {
    must_last(client, lease).await?;
    let sql = format!(
        "WITH u AS (SELECT seq FROM notification WHERE seq = ANY($2) AND standing = 0 AND {}
                    ORDER BY seq FOR UPDATE SKIP LOCKED)
         UPDATE notification SET claim = $1 FROM u WHERE notification.seq = u.seq RETURNING notification.seq",
        free()
    );
    let wanted: Vec<i64> = unclaimed.iter().map(|seq| seq.0).collect();
    let claimed = rows(client, &sql, &[&lease.0, &wanted]).await?;
    claimed.iter().map(|row| get(row, 0).map(NotificationSeq)).collect()
}

/// Returns the notifications of a subscription that still wait, complete.
async fn ready(
    client: &Client,
    subscription: SubscriptionSeq,
    (seqs, ended): (&[NotificationSeq], bool),
) -> Result<Option<Ready>> {
    let Some(subscription) = subscription_at(client, subscription).await? else { return Ok(None) };
    let sql = "SELECT u.seq, n.id, n.order_seq, n.status, n.text, n.at, n.attempts, n.replayed_at
               FROM unnest($1::bigint[]) WITH ORDINALITY AS u (seq, position) JOIN notification n ON n.seq = u.seq
               WHERE n.subscription = $2 AND (n.standing = 0 OR $3) ORDER BY u.position";
    let wanted: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let found = rows(client, sql, &[&wanted, &subscription.seq.0, &ended]).await?;
    let orders: HashSet<i64> = found.iter().map(|row| get(row, 2)).collect::<Result<_>>()?;
    let orders: Vec<i64> = orders.into_iter().collect();
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE seq = ANY($1)");
    let mut known: HashMap<i64, Order> = HashMap::new();
    for row in &rows(client, &sql, &[&orders]).await? {
        known.insert(get(row, 0)?, read_order(row)?);
    }
    let mut notifications = Vec::with_capacity(found.len());
    for row in &found {
        let seq = NotificationSeq(get(row, 0)?);
        let order = known.get(&get(row, 2)?);
        notifications.push(Notification {
            seq,
            id: MessageId(get(row, 1)?),
            order: order.ok_or_else(|| corrupt(format!("notification {} has no order", seq.0)))?.clone(),
            status: status_of(small(row, 3)?)?,
            note: get(row, 4)?,
            at: time(row, 5)?,
            attempts: small(row, 6)?,
            replayed_at: time_or(row, 7)?,
        });
    }
    Ok(Some(Ready { subscription, notifications }))
}

/// Logs an attempt, and what follows for each notification that it carried.
async fn record(
    client: &Client,
    lease: LeaseToken,
    attempt: &Attempt,
    what: &[(NotificationSeq, Next)],
) -> Result<()> {
    must_last(client, lease).await?;
    let Writes { notifications, subscriptions } =
        plan::record(load(client, lease, what).await?, attempt, what);
    let (mut seqs, mut attempts, mut standings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut due_ats, mut reasons, mut ended_ats) = (Vec::new(), Vec::new(), Vec::new());
    for write in &notifications {
        seqs.push(write.seq.0);
        attempts.push(i64::from(write.attempts));
        standings.push(i64::from(standing_code(write.standing)));
        due_ats.push(write.due_at.map(Timestamp::millis));
        reasons.push(write.reason.as_deref());
        ended_ats.push(write.ended_at.map(Timestamp::millis));
    }
    let sql = "INSERT INTO attempt (notification, n, at, took_ms, outcome)
               SELECT u.seq, u.n, $3, $4, $5 FROM unnest($1::bigint[], $2::bigint[]) AS u (seq, n)";
    let (took_ms, outcome) = (i64::from(attempt.took_ms), attempt.outcome.to_string());
    execute(client, sql, &[&seqs, &attempts, &attempt.at.millis(), &took_ms, &outcome]).await?;
    let sql = "UPDATE notification SET attempts = u.attempts, standing = u.standing, due_at = u.due_at,
                                       reason = u.reason, ended_at = u.ended_at, claim = NULL
               FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
                    AS u (seq, attempts, standing, due_at, reason, ended_at)
               WHERE notification.seq = u.seq";
    execute(client, sql, &[&seqs, &attempts, &standings, &due_ats, &reasons, &ended_ats]).await?;
    let sql = "UPDATE subscription SET last = $1, disabled = disabled OR $2 WHERE seq = $3";
    for SubscriptionWrite { seq, last, disabled, .. } in subscriptions {
        execute(client, sql, &[&last, &disabled.is_some(), &seq.0]).await?;
        if let Some(all) = disabled {
            give_up_all(client, all).await?;
        }
    }
    Ok(())
}

/// Loads those of the notifications that still wait and are claimed by this lease, with their subscriptions, and locks
/// both. If a subscription may be disabled, its account is locked before, so that no step tells it anything more.
async fn load(client: &Client, lease: LeaseToken, what: &[(NotificationSeq, Next)]) -> Result<Loaded> {
    let wanted: Vec<i64> = what.iter().map(|(seq, _)| seq.0).collect();
    if what.iter().any(|(_, next)| *next == Next::Disable) {
        let sql = "SELECT 1 FROM queue WHERE account IN
                       (SELECT s.account FROM notification n JOIN subscription s ON s.seq = n.subscription
                        WHERE n.seq = ANY($1)) ORDER BY account FOR UPDATE";
        execute(client, sql, &[&wanted]).await?;
    }
    let mut loaded = Loaded::default();
    let sql = "SELECT seq, subscription, at, attempts FROM notification
               WHERE seq = ANY($1) AND standing = 0 AND claim = $2 ORDER BY seq FOR UPDATE";
    for row in &rows(client, sql, &[&wanted, &lease.0]).await? {
        let subscription = SubscriptionSeq(get(row, 1)?);
        let carried = Carried { subscription, at: time(row, 2)?, attempts: small(row, 3)? };
        loaded.notifications.insert(NotificationSeq(get(row, 0)?), carried);
    }
    let subscriptions: HashSet<i64> = loaded.notifications.values().map(|one| one.subscription.0).collect();
    let subscriptions: Vec<i64> = subscriptions.into_iter().collect();
    let sql = "SELECT seq, account, coalesce(url, email) FROM subscription WHERE seq = ANY($1)
               ORDER BY seq FOR UPDATE";
    for row in &rows(client, sql, &[&subscriptions]).await? {
        loaded.subscriptions.insert(SubscriptionSeq(get(row, 0)?), (account_of(row, 1)?, get(row, 2)?));
    }
    Ok(loaded)
}

/// Returns the attempts at each of these notifications, oldest first.
async fn attempts_of(client: &Client, seqs: Vec<i64>) -> Result<HashMap<i64, Vec<Logged>>> {
    let mut attempts: HashMap<i64, Vec<Logged>> = HashMap::new();
    let sql = "SELECT notification, at, took_ms, outcome FROM attempt WHERE notification = ANY($1)
               ORDER BY notification, n";
    for row in &rows(client, sql, &[&seqs]).await? {
        let logged = Logged { at: time(row, 1)?, took_ms: small(row, 2)?, outcome: get(row, 3)? };
        attempts.entry(get(row, 0)?).or_default().push(logged);
    }
    Ok(attempts)
}

/// Returns the log of a subscription's deliveries, newest first, and how many it has.
async fn log(
    client: &Client,
    account: AccountId,
    id: SubscriptionId,
    page: u32,
    size: usize,
) -> Result<Option<DeliveryPage>> {
    let Some(subscription) = seq_of(client, account, id).await? else { return Ok(None) };
    let sql = "SELECT count(*) FROM notification WHERE subscription = $1";
    let total = row(client, sql, &[&subscription.0]).await?;
    let total = total.map_or(Ok(0), |row| get::<i64>(&row, 0))?.unsigned_abs();
    let sql = "SELECT n.seq, n.id, o.id, o.kind, n.status, n.note <> 0, n.at, n.standing, n.due_at, n.reason
               FROM notification n JOIN orders o ON o.seq = n.order_seq WHERE n.subscription = $1
               ORDER BY n.seq DESC LIMIT $2 OFFSET $3";
    let found = rows(client, sql, &[&subscription.0, &limit(size), &pages_before(page, size)]).await?;
    let seqs = found.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>>>()?;
    let mut attempts = attempts_of(client, seqs).await?;
    let mut deliveries = Vec::with_capacity(found.len());
    for row in &found {
        deliveries.push(read_delivery(row, attempts.remove(&get(row, 0)?).unwrap_or_default())?);
    }
    Ok(Some(DeliveryPage { deliveries, total }))
}

/// Deletes up to `most` notifications that ended long ago. Then visits as many ended subscriptions, in turn, and
/// deletes those without notifications. Returns how many it deleted.
async fn forget_deliveries(client: &Client, now: Timestamp, most: usize) -> Result<usize> {
    let cutoff = now.plus_millis(-KEPT_MS).millis();
    let sql = "SELECT seq FROM notification WHERE standing <> 0 AND ended_at < $1 ORDER BY ended_at LIMIT $2
               FOR UPDATE SKIP LOCKED";
    let old = rows(client, sql, &[&cutoff, &limit(most)]).await?;
    let old = old.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>>>()?;
    if !old.is_empty() {
        execute(client, "DELETE FROM attempt WHERE notification = ANY($1)", &[&old]).await?;
        execute(client, "DELETE FROM notification WHERE seq = ANY($1)", &[&old]).await?;
        // The checker expects no notifications of events before this time.
        set_counter(client, "told_from", cutoff).await?;
    }
    Ok(old.len() + forget_ended(client, most).await?)
}

/// Goes on where the last call stopped. Most ended subscriptions still have a log, and starting over would visit them
/// each time.
async fn forget_ended(client: &Client, most: usize) -> Result<usize> {
    let after = counter(client, "tidied").await?.unwrap_or(0);
    let sql = "SELECT seq, account FROM subscription WHERE over AND seq > $1 ORDER BY seq LIMIT $2";
    let found = rows(client, sql, &[&after, &limit(most)]).await?;
    let over = found.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>>>()?;
    let last = over.last().filter(|_| over.len() >= most).copied().unwrap_or(0);
    if last != after {
        set_counter(client, "tidied", last).await?;
    }
    if over.is_empty() {
        return Ok(0);
    }
    // A step that tells subscribers has the account locked. A step that began before the end may write a notification yet.
    let accounts = found.iter().map(|row| get(row, 1)).collect::<Result<Vec<i64>>>()?;
    let sql = "SELECT account FROM queue WHERE account = ANY($1) ORDER BY account FOR UPDATE SKIP LOCKED";
    let quiet = rows(client, sql, &[&accounts]).await?;
    let quiet = quiet.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>>>()?;
    let sql = "DELETE FROM subscription WHERE seq = ANY($1) AND account = ANY($2)
               AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.subscription = subscription.seq)";
    Ok(usize::try_from(execute(client, sql, &[&over, &quiet]).await?).unwrap_or(usize::MAX))
}

/// Deletes the rows of transactions and leases that ended long ago, by the database's clock.
async fn forget_ended_work(client: &Client) -> Result<()> {
    let sql = format!("DELETE FROM lease WHERE until < {NOW} - $1");
    execute(client, &sql, &[&ENDED_KEPT_MS]).await?;
    let sql = format!(
        "DELETE FROM committed WHERE id IN
             (SELECT id FROM committed WHERE at < {NOW} - $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)"
    );
    for _ in 0..COMMITTED_ROUNDS_MAX {
        let deleted = execute(client, &sql, &[&ENDED_KEPT_MS, &COMMITTED_MAX]).await?;
        if deleted < COMMITTED_MAX.unsigned_abs() {
            break;
        }
    }
    Ok(())
}

/// What is read of a delivery: see [`read_sending`].
const SENDING: &str = "SELECT n.seq, n.id, o.id, o.kind, n.status, n.note <> 0, n.at, n.standing, n.due_at, n.reason,
         o.account, n.subscription, coalesce(s.url, s.email), n.replay_of
     FROM notification n JOIN orders o ON o.seq = n.order_seq LEFT JOIN subscription s ON s.seq = n.subscription";

/// Most rows that one statement reads.
const READ: usize = 500;

/// Reads a delivery from the first ten columns of [`SENDING`].
fn read_delivery(row: &Row, attempts: Vec<Logged>) -> Result<Delivery> {
    Ok(Delivery {
        id: MessageId(get(row, 1)?),
        order: order_id(row, 2)?,
        orders: OrderType::of(kind_of(small(row, 3)?)?)
            .ok_or_else(|| corrupt("an order that nobody is told of"))?,
        status: status_of(small(row, 4)?)?,
        note: get(row, 5)?,
        at: time(row, 6)?,
        standing: standing_of(small(row, 7)?)?,
        due_at: time_or(row, 8)?,
        reason: get(row, 9)?,
        attempts,
    })
}

/// Reads a row of [`SENDING`].
fn read_sending(row: &Row) -> Result<Sending> {
    let delivery = read_delivery(row, Vec::new())?;
    Ok(Sending {
        seq: NotificationSeq(get(row, 0)?),
        account: account_of(row, 10)?,
        subscription: SubscriptionSeq(get(row, 11)?),
        receiver: get(row, 12)?,
        replay_of: get::<Option<i64>>(row, 13)?.map(NotificationSeq),
        delivery,
    })
}

async fn find_deliveries(
    client: &Client,
    filter: &DeliveryFilter,
    after: Option<NotificationSeq>,
    size: usize,
) -> Result<(Vec<Sending>, Option<NotificationSeq>)> {
    let mut before = after.map_or(i64::MAX, |seq| seq.0);
    let sql = format!("{SENDING} WHERE n.seq < $1 ORDER BY n.seq DESC LIMIT $2");
    let mut page = plan::Page::new(filter, size);
    loop {
        let read = rows(client, &sql, &[&before, &limit(READ)]).await?;
        for row in &read {
            let sending = read_sending(row)?;
            before = sending.seq.0;
            if page.is_full_with(sending) {
                return Ok(page.end());
            }
        }
        if read.len() < READ {
            return Ok(page.end());
        }
    }
}

/// Returns a delivery without its attempts, if it is this account's.
async fn sending(
    client: &Client,
    seq: NotificationSeq,
    account: Option<AccountId>,
) -> Result<Option<Sending>> {
    let found = row(client, &format!("{SENDING} WHERE n.seq = $1"), &[&seq.0]).await?;
    let found = found.as_ref().map(read_sending).transpose()?;
    Ok(found.filter(|found| account.is_none_or(|own| own == found.account)))
}

async fn delivery(
    client: &Client,
    seq: NotificationSeq,
    account: Option<AccountId>,
) -> Result<Option<SendingInFull>> {
    let Some(mut sending) = sending(client, seq, account).await? else { return Ok(None) };
    sending.delivery.attempts = attempts_of(client, vec![seq.0]).await?.remove(&seq.0).unwrap_or_default();
    let ready = ready(client, sending.subscription, (&[seq], true)).await?;
    let told = ready.and_then(|mut ready| Some((ready.subscription, ready.notifications.pop()?)));
    Ok(Some(SendingInFull { sending, told }))
}

async fn replay(
    client: &Client,
    seq: NotificationSeq,
    account: Option<AccountId>,
    doer: &Doer,
) -> Result<Replayed> {
    let Some(before) = sending(client, seq, account).await? else { return Ok(Replayed::Unknown) };
    // As for the record of an attempt: the account, then the notification.
    lock_account(client, before.account).await?;
    execute(client, "SELECT 1 FROM notification WHERE seq = $1 FOR UPDATE", &[&seq.0]).await?;
    let Some(before) = sending(client, seq, account).await? else { return Ok(Replayed::Unknown) };
    let subscription = subscription_at(client, before.subscription).await?;
    let waiting = waiting_of(client, before.subscription).await?;
    let now = doer.now.millis();
    let missing = || corrupt("a notification is missing");
    match plan::replay(&before, subscription.as_ref(), waiting) {
        Replay::NoReceiver => Ok(Replayed::NoReceiver),
        Replay::Move => {
            let sql = "UPDATE notification SET due_at = $1 WHERE seq = $2 AND standing = 0";
            execute(client, sql, &[&now, &seq.0]).await?;
            write_deeds(client, &[deeds::delivery_replayed(&before, None, doer)]).await?;
            Ok(Replayed::Moved(Box::new(sending(client, seq, account).await?.ok_or_else(missing)?)))
        }
        Replay::Make { crowded } => {
            let sql = "INSERT INTO notification (id, subscription, order_seq, status, note, text, at, standing, due_at,
                                                 attempts, replay_of, replayed_at)
                       SELECT id, subscription, order_seq, status, note, text, at, 0, $1, 0, seq, $1
                       FROM notification WHERE seq = $2 RETURNING seq";
            let made = row(client, sql, &[&now, &seq.0]).await?.ok_or_else(missing)?;
            if crowded {
                give_up_oldest(client, before.subscription, doer.now).await?;
            }
            let made = NotificationSeq(get(&made, 0)?);
            write_deeds(client, &[deeds::delivery_replayed(&before, Some(made), doer)]).await?;
            let made = sending(client, made, account).await?;
            Ok(Replayed::Made(Box::new(made.ok_or_else(missing)?)))
        }
    }
}

#[async_trait]
impl Deliveries for PostgresStore {
    async fn claim(
        &self,
        lease: LeaseToken,
        now: Timestamp,
        after: SubscriptionSeq,
        limits: DueLimits,
    ) -> Result<DuePage> {
        // Looked for without a transaction first: mostly nothing new is due, and then nothing is written.
        let found = reading!(self, client => due(&client, lease, now, after, limits).await)?;
        let (mut page, unclaimed) = found;
        if unclaimed.is_empty() {
            return Ok(page);
        }
        let claimed = transaction!(self, tx => claim(&tx, lease, &unclaimed).await)?;
        for due in &mut page.due {
            due.notifications.retain(|seq| !unclaimed.contains(seq) || claimed.contains(seq));
        }
        page.due.retain(|due| !due.notifications.is_empty());
        Ok(page)
    }

    async fn ready(
        &self,
        subscription: SubscriptionSeq,
        notifications: Vec<NotificationSeq>,
    ) -> Result<Option<Ready>> {
        reading!(self, client => ready(&client, subscription, (&notifications, false)).await)
    }

    async fn record(
        &self,
        lease: LeaseToken,
        attempt: Attempt,
        what: Vec<(NotificationSeq, Next)>,
    ) -> Result<()> {
        transaction!(self, tx => record(&tx, lease, &attempt, &what).await)
    }

    async fn deliveries(
        &self,
        account: AccountId,
        id: SubscriptionId,
        page: u32,
        size: usize,
    ) -> Result<Option<DeliveryPage>> {
        reading!(self, client => log(&client, account, id, page, size).await)
    }

    async fn find_deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<NotificationSeq>,
        size: usize,
    ) -> Result<(Vec<Sending>, Option<NotificationSeq>)> {
        reading!(self, client => find_deliveries(&client, &filter, after, size).await)
    }

    async fn delivery(
        &self,
        seq: NotificationSeq,
        account: Option<AccountId>,
    ) -> Result<Option<SendingInFull>> {
        reading!(self, client => delivery(&client, seq, account).await)
    }

    async fn replay(
        &self,
        seq: NotificationSeq,
        account: Option<AccountId>,
        once: Option<Once<Replayed>>,
        doer: Doer,
    ) -> Result<Replayed> {
        transaction!(self, tx => done_once(&tx, once.as_ref(), replay(&tx, seq, account, &doer)).await)
    }

    async fn forget_deliveries(&self, now: Timestamp, most: usize) -> Result<usize> {
        let forgotten = transaction!(self, tx => forget_deliveries(&tx, now, most).await)?;
        committing!(self, client => forget_ended_work(&client).await)?;
        Ok(forgotten)
    }
}
