//! What is written for subscribers together with what happened to an order.

use onhook_core::ids::{AccountId, OrderSeq, SubscriptionSeq};
use onhook_core::notify::notification::{Happened, WAITING_MAX, due_at, told};
use onhook_core::order::{Kind, Status};
use onhook_core::time::Timestamp;
use rusqlite::params;

use super::row::random_uuid;
use super::tables::Tables;
use crate::Result;
use crate::codes::status_code;

pub(super) const GIVE_UP_OLDEST: &str =
    "UPDATE notification SET standing = 2, due_at = NULL, reason = 'too many waited', ended_at = ?
     WHERE seq = (SELECT min(seq) FROM notification WHERE subscription = ? AND standing = 0)";

pub(super) const GIVE_UP_ALL: &str =
    "UPDATE notification SET standing = 2, due_at = NULL, reason = ?, ended_at = max(at, ?)
     WHERE subscription = ? AND standing = 0";

pub(super) const COUNT_WAITING: &str =
    "SELECT count(*) FROM notification WHERE subscription = ? AND standing = 0";

/// Writes a notification for each of the account's subscriptions that wants to know; how many. An
/// account without subscriptions costs a look into a table in memory.
pub(super) fn tell(
    tables: &mut Tables<'_>,
    account: AccountId,
    order: (Kind, OrderSeq, Status),
    happened: Happened,
    note: Option<(i64, &str)>,
    now: Timestamp,
) -> Result<usize> {
    let Some(subscribers) = tables.cached.subscribers.get(&account) else { return Ok(0) };
    let wanting: Vec<SubscriptionSeq> = subscribers
        .iter()
        .filter(|s| told(&s.wish, order.0, order.1, happened, now))
        .map(|s| s.seq)
        .collect();
    for seq in &wanting {
        tell_one(tables, account, *seq, order, happened, note, now)?;
    }
    Ok(wanting.len())
}

/// Writes one notification, unless it is there.
pub(super) fn tell_one(
    tables: &mut Tables<'_>,
    account: AccountId,
    subscription: SubscriptionSeq,
    (_, order, status): (Kind, OrderSeq, Status),
    happened: Happened,
    note: Option<(i64, &str)>,
    now: Timestamp,
) -> Result<()> {
    let status = match happened {
        Happened::Came(status) => status,
        Happened::Note => status,
    };
    let subscriber = tables.cached.subscriber(account, subscription);
    let (daily, waiting) = subscriber.map_or((false, 0), |s| (s.daily, s.waiting));
    let written = tables
        .connection
        .prepare_cached(
            "INSERT INTO notification (id, subscription, order_seq, status, note, text, at, standing, due_at,
                                       attempts)
             VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            random_uuid()?.as_bytes(),
            subscription.0,
            order.0,
            status_code(status),
            note.map_or(0, |(id, _)| id),
            note.map(|(_, text)| text),
            now.millis(),
            due_at(daily, now).millis(),
        ])?;
    if written == 0 {
        return Ok(());
    }
    if waiting >= WAITING_MAX {
        tables.connection.prepare_cached(GIVE_UP_OLDEST)?.execute((now.millis(), subscription.0))?;
    } else if let Some(subscriber) = tables.cached.subscriber(account, subscription) {
        subscriber.waiting += 1;
    }
    Ok(())
}

pub(super) fn waiting_of(tables: &Tables<'_>, subscription: SubscriptionSeq) -> Result<u64> {
    let waiting: i64 =
        tables.connection.prepare_cached(COUNT_WAITING)?.query_row([subscription.0], |row| row.get(0))?;
    Ok(waiting.unsigned_abs())
}

pub(super) fn give_up_all(
    tables: &Tables<'_>,
    subscription: SubscriptionSeq,
    reason: &str,
    now: Timestamp,
) -> Result<usize> {
    Ok(tables.connection.prepare_cached(GIVE_UP_ALL)?.execute((reason, now.millis(), subscription.0))?)
}

pub(super) const END_BOUND: &str =
    "UPDATE subscription SET over = 1 WHERE order_seq = ? AND account = ? AND over = 0";

/// Removes what is bound to an order that has ended from among the living.
pub(super) fn end_bound(tables: &mut Tables<'_>, account: AccountId, order: OrderSeq) -> Result<()> {
    let Some(subscribers) = tables.cached.subscribers.get_mut(&account) else { return Ok(()) };
    if !subscribers.iter().any(|s| s.wish.order == Some(order)) {
        return Ok(());
    }
    subscribers.retain(|s| s.wish.order != Some(order));
    tables.connection.prepare_cached(END_BOUND)?.execute((order.0, account.get()))?;
    Ok(())
}
