//! Notifications that are due, the attempts at them, and how long both are kept.

use std::collections::hash_map::Entry;

use async_trait::async_trait;
use onhook_core::ids::{AccountId, MessageId, NotificationSeq, OrderId, SubscriptionId, SubscriptionSeq};
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::notify::notification::{Attempt, GivenUp, KEPT_MS, Next, Notification};
use onhook_core::notify::subscription::OrderType;
use onhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::deeds::write_deeds;
use super::leases::{NOW, must_last};
use super::once::once as done_once;
use super::open::SqliteStore;
use super::order_rows::{ORDER_COLUMNS, ORDERS, read_order};
use super::row;
use super::subscriptions::{seq_of, subscription_at};
use super::tables::Tables;
use super::telling::{GIVE_UP_OLDEST, give_up_all, waiting_of};
use super::writer::Purpose;
use crate::Result;
use crate::codes::{kind_of, standing_code, standing_of, status_of};
use crate::contract::deliveries::{
    Deliveries, Delivery, DeliveryFilter, DeliveryPage, Due, DueLimits, DuePage, LOOKS_MAX, Logged, Ready,
    Replayed, Sending, SendingInFull,
};
use crate::contract::leases::LeaseToken;
use crate::contract::once::Once;
use crate::error::corrupt;
use crate::plan::deeds;
use crate::plan::deliveries::{
    self as plan, Carried, Loaded, NotificationWrite, Replay, SubscriptionWrite, Writes,
};

/// Most subscriptions that one search for due notifications visits.
const VISITS_MAX: usize = 2_000;

/// Ended subscriptions after a sequence number, and whether any of their notifications are still stored.
const OVER: &str = "SELECT seq, EXISTS (SELECT 1 FROM notification n WHERE n.subscription = s.seq)
     FROM subscription s WHERE over = 1 AND seq > ? ORDER BY seq LIMIT ?";

/// Logs an attempt, and what follows for each notification that it carried.
fn record(
    tables: &mut Tables<'_>,
    lease: LeaseToken,
    attempt: &Attempt,
    what: &[(NotificationSeq, Next)],
) -> Result<()> {
    must_last(tables.connection, lease)?;
    let Writes { notifications, subscriptions } = plan::record(load(tables, lease, what)?, attempt, what);
    let mut log = tables.connection.prepare_cached(
        "INSERT INTO attempt (notification, n, at, took_ms, outcome) VALUES (?, ?, ?, ?, ?)",
    )?;
    let mut update = tables.connection.prepare_cached(
        "UPDATE notification SET attempts = ?, standing = ?, due_at = ?, reason = ?, ended_at = ?,
                                 claim = NULL WHERE seq = ?",
    )?;
    let outcome = attempt.outcome.to_string();
    for NotificationWrite { seq, attempts, standing, due_at, reason, ended_at } in notifications {
        log.execute(params![seq.0, attempts, attempt.at.millis(), attempt.took_ms, outcome])?;
        let (due_at, ended_at) = (due_at.map(Timestamp::millis), ended_at.map(Timestamp::millis));
        update.execute((attempts, standing_code(standing), due_at, reason, ended_at, seq.0))?;
    }
    let mut update = tables
        .connection
        .prepare_cached("UPDATE subscription SET last = ?, disabled = disabled OR ? WHERE seq = ?")?;
    for SubscriptionWrite { seq, account, last, ended, disabled } in subscriptions {
        update.execute((last, disabled.is_some(), seq.0))?;
        if let Some(subscriber) = tables.cached.subscriber(account, seq) {
            subscriber.waiting = subscriber.waiting.saturating_sub(ended);
        }
        if let Some(all) = disabled {
            give_up_all(tables, all)?;
            tables.cached.forget_subscriber(account, seq);
        }
    }
    Ok(())
}

/// Loads those of the notifications that still wait and are claimed by this lease, with their subscriptions.
fn load(tables: &Tables<'_>, lease: LeaseToken, what: &[(NotificationSeq, Next)]) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut waiting = tables.connection.prepare_cached(
        "SELECT subscription, at, attempts FROM notification WHERE seq = ? AND standing = 0 AND claim = ?",
    )?;
    let mut target = tables
        .connection
        .prepare_cached("SELECT account, coalesce(url, email) FROM subscription WHERE seq = ?")?;
    for (seq, _) in what {
        let found = waiting.query_row([seq.0, lease.0], |row| {
            let (subscription, at) = (SubscriptionSeq(row.get(0)?), Timestamp::from_millis(row.get(1)?));
            Ok(Carried { subscription, at, attempts: row.get(2)? })
        });
        let Some(carried) = found.optional()? else { continue };
        loaded.notifications.insert(*seq, carried);
        if let Entry::Vacant(unknown) = loaded.subscriptions.entry(carried.subscription) {
            let found = target.query_row([carried.subscription.0], |row| Ok((row.get(0)?, row.get(1)?)));
            if let Some((account, target)) = found.optional()? {
                unknown.insert((row::account_id(account)?, target));
            }
        }
    }
    Ok(loaded)
}

/// Deletes up to `most` notifications that ended long ago. Then visits as many ended subscriptions, in turn, and
/// deletes those without notifications. Returns how many it deleted.
fn forget_deliveries(tables: &mut Tables<'_>, now: Timestamp, most: usize) -> Result<usize> {
    let cutoff = now.plus_millis(-KEPT_MS).millis();
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let old: Vec<i64> = tables
        .connection
        .prepare_cached(
            "SELECT seq FROM notification WHERE standing <> 0 AND ended_at < ? ORDER BY ended_at LIMIT ?",
        )?
        .query_map((cutoff, most), |row| row.get(0))?
        .collect::<std::result::Result<_, _>>()?;
    for seq in &old {
        tables.connection.prepare_cached("DELETE FROM attempt WHERE notification = ?")?.execute([seq])?;
        tables.connection.prepare_cached("DELETE FROM notification WHERE seq = ?")?.execute([seq])?;
    }
    if !old.is_empty() {
        // The checker expects no notifications of events before this time.
        row::set_meta(tables.connection, "told_from", cutoff)?;
    }
    Ok(old.len() + forget_ended(tables, most)?)
}

/// Goes on where the last call stopped. Most ended subscriptions still have a log, and starting over would visit them
/// each time.
fn forget_ended(tables: &mut Tables<'_>, most: i64) -> Result<usize> {
    let over: Vec<(i64, bool)> = tables
        .connection
        .prepare_cached(OVER)?
        .query_map((tables.cached.tidied.0, most), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<std::result::Result<_, _>>()?;
    let last = over.last().filter(|_| i64::try_from(over.len()).is_ok_and(|found| found >= most));
    tables.cached.tidied = SubscriptionSeq(last.map_or(0, |(seq, _)| *seq));
    let mut forgotten = 0;
    for (seq, _) in over.iter().filter(|(_, kept)| !kept) {
        forgotten +=
            tables.connection.prepare_cached("DELETE FROM subscription WHERE seq = ?")?.execute([seq])?;
    }
    Ok(forgotten)
}

/// Claims what is due, and returns it.
fn claim(
    tables: &mut Tables<'_>,
    lease: LeaseToken,
    now: Timestamp,
    after: SubscriptionSeq,
    limits: DueLimits,
) -> Result<DuePage> {
    let (page, unclaimed) = due(tables.connection, lease, now, after, limits)?;
    let mut update = tables.connection.prepare_cached("UPDATE notification SET claim = ? WHERE seq = ?")?;
    for seq in unclaimed {
        update.execute((lease.0, seq.0))?;
    }
    Ok(page)
}

/// Returns notifications due for subscriptions after a sequence number, within limits, except those that another lease
/// has claimed. Also returns which of them this lease has not claimed yet.
fn due(
    connection: &Connection,
    lease: LeaseToken,
    now: Timestamp,
    after: SubscriptionSeq,
    limits: DueLimits,
) -> Result<(DuePage, Vec<NotificationSeq>)> {
    must_last(connection, lease)?;
    let mut next = connection.prepare_cached(
        "SELECT subscription FROM notification WHERE standing = 0 AND subscription > ?
         ORDER BY subscription LIMIT 1",
    )?;
    let mut of_one = connection.prepare_cached(&format!(
        "SELECT seq, claim IS NOT ?1 FROM notification WHERE subscription = ?2 AND standing = 0 AND due_at <= ?3
             AND (claim IS NULL OR claim = ?1
                  OR NOT EXISTS (SELECT 1 FROM lease WHERE token = claim AND until > {NOW}))
         ORDER BY due_at, seq LIMIT ?4"
    ))?;
    let (mut found, mut unclaimed, mut at) = (Vec::new(), Vec::new(), after);
    for _ in 0..VISITS_MAX {
        if found.len() == limits.subscriptions {
            return Ok((DuePage { due: found, next: Some(at) }, unclaimed));
        }
        let Some(seq) = next.query_row([at.0], |row| row.get(0)).optional()? else {
            return Ok((DuePage { due: found, next: None }, unclaimed));
        };
        at = SubscriptionSeq(seq);
        let subscription = subscription_at(connection, at)?
            .ok_or_else(|| corrupt(format!("subscription {seq} is missing, and something waits for it")))?;
        let daily = subscription.receiver.is_daily();
        let most = i64::try_from(if daily { limits.daily } else { limits.single }).unwrap_or(i64::MAX);
        let mut rows = of_one.query((lease.0, seq, now.millis(), most))?;
        let mut notifications = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = NotificationSeq(row.get(0)?);
            notifications.push(seq);
            if row.get(1)? {
                unclaimed.push(seq);
            }
        }
        if !notifications.is_empty() {
            let target = subscription.receiver.target().to_owned();
            found.push(Due { subscription: at, account: subscription.account, target, daily, notifications });
        }
    }
    Ok((DuePage { due: found, next: Some(at) }, unclaimed))
}

/// Returns those of the notifications of a subscription that still wait, complete, and if `ended` the others, too.
fn ready(
    connection: &Connection,
    subscription: SubscriptionSeq,
    (seqs, ended): (&[NotificationSeq], bool),
) -> Result<Option<Ready>> {
    let Some(subscription) = subscription_at(connection, subscription)? else { return Ok(None) };
    let mut row_of = connection.prepare_cached(
        "SELECT id, order_seq, status, text, at, attempts, replayed_at FROM notification
         WHERE seq = ?1 AND subscription = ?2 AND (standing = 0 OR ?3)",
    )?;
    let mut order_of =
        connection.prepare_cached(&format!("SELECT {ORDER_COLUMNS} FROM {ORDERS} WHERE seq = ?"))?;
    let mut notifications = Vec::new();
    for seq in seqs {
        let mut rows = row_of.query((seq.0, subscription.seq.0, ended))?;
        let Some(row) = rows.next()? else { continue };
        let mut orders = order_of.query([row.get::<_, i64>(1)?])?;
        let order = orders.next()?.ok_or_else(|| corrupt(format!("notification {} has no order", seq.0)))?;
        notifications.push(Notification {
            seq: *seq,
            id: MessageId(uuid::Uuid::from_bytes(row.get(0)?)),
            order: read_order(order)?,
            status: status_of(row.get(2)?)?,
            note: row.get(3)?,
            at: Timestamp::from_millis(row.get(4)?),
            attempts: row.get(5)?,
            replayed_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        });
    }
    Ok(Some(Ready { subscription, notifications }))
}

/// Returns the attempts at a notification, oldest first.
fn attempts_of(connection: &Connection, seq: NotificationSeq) -> Result<Vec<Logged>> {
    let mut statement = connection
        .prepare_cached("SELECT at, took_ms, outcome FROM attempt WHERE notification = ? ORDER BY n")?;
    let mut rows = statement.query([seq.0])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let at = Timestamp::from_millis(row.get(0)?);
        attempts.push(Logged { at, took_ms: row.get(1)?, outcome: row.get(2)? });
    }
    Ok(attempts)
}

/// Returns the log of a subscription's deliveries, newest first, and how many it has.
fn log(
    connection: &Connection,
    account: AccountId,
    id: SubscriptionId,
    page: u32,
    size: usize,
) -> Result<Option<DeliveryPage>> {
    let Some(subscription) = seq_of(connection, account, id)? else { return Ok(None) };
    let total: i64 = connection
        .prepare_cached("SELECT count(*) FROM notification WHERE subscription = ?")?
        .query_row([subscription.0], |row| row.get(0))?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let skip = i64::from(page.saturating_sub(1)).saturating_mul(size);
    let mut statement = connection.prepare_cached(
        "SELECT n.seq, n.id, o.id, o.kind, n.status, n.note <> 0, n.at, n.standing, n.due_at, n.reason
         FROM notification n JOIN orders o ON o.seq = n.order_seq WHERE n.subscription = ?
         ORDER BY n.seq DESC LIMIT ? OFFSET ?",
    )?;
    let mut rows = statement.query((subscription.0, size, skip))?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        let attempts = attempts_of(connection, NotificationSeq(row.get(0)?))?;
        deliveries.push(read_delivery(row, attempts)?);
    }
    Ok(Some(DeliveryPage { deliveries, total: total.unsigned_abs() }))
}

/// What is read of a delivery: see [`read_sending`].
const SENDING: &str = "SELECT n.seq, n.id, o.id, o.kind, n.status, n.note <> 0, n.at, n.standing, n.due_at, n.reason,
         o.account, n.subscription, coalesce(s.url, s.email), n.replay_of
     FROM notification n JOIN orders o ON o.seq = n.order_seq LEFT JOIN subscription s ON s.seq = n.subscription";

/// Reads a delivery from the first ten columns of [`SENDING`].
fn read_delivery(row: &Row<'_>, attempts: Vec<Logged>) -> Result<Delivery> {
    Ok(Delivery {
        id: MessageId(uuid::Uuid::from_bytes(row.get(1)?)),
        order: OrderId(uuid::Uuid::from_bytes(row.get(2)?)),
        orders: OrderType::of(kind_of(row.get(3)?)?)
            .ok_or_else(|| corrupt("an order that nobody is told of"))?,
        status: status_of(row.get(4)?)?,
        note: row.get(5)?,
        at: Timestamp::from_millis(row.get(6)?),
        standing: standing_of(row.get(7)?)?,
        due_at: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis),
        reason: row.get(9)?,
        attempts,
    })
}

/// Reads a row of [`SENDING`].
fn read_sending(row: &Row<'_>) -> Result<Sending> {
    let delivery = read_delivery(row, Vec::new())?;
    Ok(Sending {
        seq: NotificationSeq(row.get(0)?),
        account: row::account_id(row.get(10)?)?,
        subscription: SubscriptionSeq(row.get(11)?),
        receiver: row.get(12)?,
        replay_of: row.get::<_, Option<i64>>(13)?.map(NotificationSeq),
        delivery,
    })
}

fn find_deliveries(
    connection: &Connection,
    filter: &DeliveryFilter,
    after: Option<NotificationSeq>,
    size: usize,
) -> Result<(Vec<Sending>, Option<NotificationSeq>)> {
    let before = after.map_or(i64::MAX, |seq| seq.0);
    let mut statement =
        connection.prepare_cached(&format!("{SENDING} WHERE n.seq < ? ORDER BY n.seq DESC LIMIT ?"))?;
    let mut rows = statement.query((before, i64::try_from(LOOKS_MAX).unwrap_or(i64::MAX)))?;
    let mut page = plan::Page::new(filter, size);
    while let Some(row) = rows.next()? {
        if page.is_full_with(read_sending(row)?) {
            break;
        }
    }
    Ok(page.end())
}

/// Returns a delivery without its attempts, if it is this account's.
fn sending(
    connection: &Connection,
    seq: NotificationSeq,
    account: Option<AccountId>,
) -> Result<Option<Sending>> {
    let mut statement = connection.prepare_cached(&format!("{SENDING} WHERE n.seq = ?"))?;
    let mut rows = statement.query([seq.0])?;
    let found = rows.next()?.map(read_sending).transpose()?;
    Ok(found.filter(|found| account.is_none_or(|own| own == found.account)))
}

fn delivery(
    connection: &Connection,
    seq: NotificationSeq,
    account: Option<AccountId>,
) -> Result<Option<SendingInFull>> {
    let Some(mut sending) = sending(connection, seq, account)? else { return Ok(None) };
    sending.delivery.attempts = attempts_of(connection, seq)?;
    let ready = ready(connection, sending.subscription, (&[seq], true))?;
    let told = ready.and_then(|mut ready| Some((ready.subscription, ready.notifications.pop()?)));
    Ok(Some(SendingInFull { sending, told }))
}

fn replay(
    tables: &mut Tables<'_>,
    seq: NotificationSeq,
    account: Option<AccountId>,
    doer: &Doer,
) -> Result<Replayed> {
    let Some(before) = sending(tables.connection, seq, account)? else { return Ok(Replayed::Unknown) };
    let subscription = subscription_at(tables.connection, before.subscription)?;
    let waiting = waiting_of(tables, before.subscription)?;
    let now = doer.now.millis();
    match plan::replay(&before, subscription.as_ref(), waiting) {
        Replay::NoReceiver => Ok(Replayed::NoReceiver),
        Replay::Move => {
            let sql = "UPDATE notification SET due_at = ? WHERE seq = ? AND standing = 0";
            tables.connection.prepare_cached(sql)?.execute((now, seq.0))?;
            write_deeds(tables, &[deeds::delivery_replayed(&before, None, doer)])?;
            let moved = sending(tables.connection, seq, account)?;
            Ok(Replayed::Moved(Box::new(moved.ok_or_else(|| corrupt("a notification is missing"))?)))
        }
        Replay::Make { crowded } => {
            let sql = "INSERT INTO notification (id, subscription, order_seq, status, note, text, at, standing, due_at,
                                                 attempts, replay_of, replayed_at)
                       SELECT id, subscription, order_seq, status, note, text, at, 0, ?1, 0, seq, ?1
                       FROM notification WHERE seq = ?2 RETURNING seq";
            let made = tables.connection.prepare_cached(sql)?.query_row((now, seq.0), |row| row.get(0))?;
            if crowded {
                let values = (GivenUp::Crowded.word(), now, before.subscription.0);
                tables.connection.prepare_cached(GIVE_UP_OLDEST)?.execute(values)?;
            } else if let Some(subscriber) = tables.cached.subscriber(before.account, before.subscription) {
                subscriber.waiting += 1;
            }
            let made = NotificationSeq(made);
            write_deeds(tables, &[deeds::delivery_replayed(&before, Some(made), doer)])?;
            let made = sending(tables.connection, made, account)?;
            Ok(Replayed::Made(Box::new(made.ok_or_else(|| corrupt("a notification is missing"))?)))
        }
    }
}

#[async_trait]
impl Deliveries for SqliteStore {
    async fn claim(
        &self,
        lease: LeaseToken,
        now: Timestamp,
        after: SubscriptionSeq,
        limits: DueLimits,
    ) -> Result<DuePage> {
        // Looked for by a reader first: mostly nothing new is due, and then the writer is left alone.
        let look = move |connection: &Connection| due(connection, lease, now, after, limits);
        let (page, unclaimed) = self.readers.read(look).await?;
        if unclaimed.is_empty() {
            return Ok(page);
        }
        let work = move |tables: &mut Tables<'_>| claim(tables, lease, now, after, limits);
        self.writer.write_together(Purpose::Own, work).await
    }

    async fn ready(
        &self,
        subscription: SubscriptionSeq,
        notifications: Vec<NotificationSeq>,
    ) -> Result<Option<Ready>> {
        self.readers.read(move |connection| ready(connection, subscription, (&notifications, false))).await
    }

    async fn record(
        &self,
        lease: LeaseToken,
        attempt: Attempt,
        what: Vec<(NotificationSeq, Next)>,
    ) -> Result<()> {
        let work = move |tables: &mut Tables<'_>| record(tables, lease, &attempt, &what);
        self.writer.write_together(Purpose::Own, work).await
    }

    async fn deliveries(
        &self,
        account: AccountId,
        id: SubscriptionId,
        page: u32,
        size: usize,
    ) -> Result<Option<DeliveryPage>> {
        self.readers.read(move |connection| log(connection, account, id, page, size)).await
    }

    async fn find_deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<NotificationSeq>,
        size: usize,
    ) -> Result<(Vec<Sending>, Option<NotificationSeq>)> {
        self.readers.read(move |connection| find_deliveries(connection, &filter, after, size)).await
    }

    async fn delivery(
        &self,
        seq: NotificationSeq,
        account: Option<AccountId>,
    ) -> Result<Option<SendingInFull>> {
        self.readers.read(move |connection| delivery(connection, seq, account)).await
    }

    async fn replay(
        &self,
        seq: NotificationSeq,
        account: Option<AccountId>,
        once: Option<Once<Replayed>>,
        doer: Doer,
    ) -> Result<Replayed> {
        let work = move |tables: &mut Tables<'_>| {
            done_once(tables, once.as_ref(), |tables| replay(tables, seq, account, &doer))
        };
        self.writer.write(work).await
    }

    async fn forget_deliveries(&self, now: Timestamp, most: usize) -> Result<usize> {
        self.writer.write_own(move |tables| forget_deliveries(tables, now, most)).await
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sqlite::schema;
    use crate::sqlite::subscriptions::EXPIRE;
    use crate::sqlite::telling::{COUNT_WAITING, GIVE_UP_ALL, GIVE_UP_OLDEST};

    /// Returns the engine's query plan: what it searches, and by which index.
    pub(in crate::sqlite) fn plan(sql: &str) -> String {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = vec![0_i64; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3));
        rows.unwrap().collect::<std::result::Result<Vec<_>, _>>().unwrap().join("\n")
    }

    #[test]
    fn what_waits_is_found_without_what_has_ended() {
        let oldest = plan(GIVE_UP_OLDEST);
        assert!(oldest.contains("COVERING INDEX notification_oldest (subscription=?)"), "{oldest}");
        for sql in [GIVE_UP_OLDEST, GIVE_UP_ALL, COUNT_WAITING] {
            let plan = plan(sql);
            assert!(!plan.contains("notification_log") && !plan.contains("SCAN"), "{plan}");
        }
    }

    #[test]
    fn subscriptions_that_have_ended_are_found_without_the_others() {
        let (expire, over) = (plan(EXPIRE), plan(OVER));
        assert!(expire.contains("INDEX subscription_expires (expires_at<?)"), "{expire}");
        assert!(over.contains("INDEX subscription_over (over=? AND rowid>?)"), "{over}");
        assert!(!expire.contains("SCAN") && !over.contains("SCAN"), "{expire}\n{over}");
        assert!(!over.contains("TEMP B-TREE"), "{over}");
    }

    #[tokio::test]
    async fn nothing_is_written_when_nothing_is_due() {
        use std::time::Duration;

        use crate::contract::leases::Leases;

        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let lease = store.take_lease("node", Duration::from_secs(60)).await.unwrap().unwrap();
        store.writer.close(); // now a write would fail
        let limits = DueLimits { subscriptions: 1, single: 1, daily: 1 };
        let page = store.claim(lease, Timestamp::from_millis(0), SubscriptionSeq(0), limits).await.unwrap();
        assert_eq!(page, DuePage { due: Vec::new(), next: None });
    }
}
