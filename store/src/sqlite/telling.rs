//! Notifications that are written in the same transaction as an order's event.

use onhook_core::ids::{AccountId, OrderSeq, SubscriptionSeq};
use onhook_core::notify::notification::GivenUp;
use rusqlite::params;

use super::tables::Tables;
use crate::Result;
use crate::codes::status_code;
use crate::plan::tell::{GiveUp, NewNotification};

pub(super) const GIVE_UP_OLDEST: &str =
    "UPDATE notification SET standing = 2, due_at = NULL, reason = ?, ended_at = ?
     WHERE seq = (SELECT min(seq) FROM notification WHERE subscription = ? AND standing = 0)";

pub(super) const GIVE_UP_ALL: &str =
    "UPDATE notification SET standing = 2, due_at = NULL, reason = ?, ended_at = max(at, ?)
     WHERE subscription = ? AND standing = 0";

pub(super) const COUNT_WAITING: &str =
    "SELECT count(*) FROM notification WHERE subscription = ? AND standing = 0";

/// Writes notifications for an account's subscriptions, except those that exist already.
pub(super) fn apply_notifications(tables: &mut Tables<'_>, notifications: &[NewNotification]) -> Result<()> {
    let mut insert = tables.connection.prepare_cached(
        "INSERT INTO notification (id, subscription, order_seq, status, note, text, at, standing, due_at, attempts)
         VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0) ON CONFLICT DO NOTHING",
    )?;
    for NewNotification { account, subscription, order, status, note, at, due_at, crowded } in notifications {
        let written = insert.execute(params![
            tables.ids.chance.uuid()?.as_bytes(),
            subscription.0,
            order.0,
            status_code(*status),
            note.as_ref().map_or(0, |(id, _)| *id),
            note.as_ref().map(|(_, text)| text),
            at.millis(),
            due_at.millis(),
        ])?;
        if written == 0 {
            continue;
        }
        if *crowded {
            tables.connection.prepare_cached(GIVE_UP_OLDEST)?.execute((
                GivenUp::Crowded.word(),
                at.millis(),
                subscription.0,
            ))?;
        } else if let Some(subscriber) = tables.cached.subscriber(*account, *subscription) {
            subscriber.waiting += 1;
        }
    }
    Ok(())
}

pub(super) fn waiting_of(tables: &Tables<'_>, subscription: SubscriptionSeq) -> Result<u64> {
    let waiting: i64 =
        tables.connection.prepare_cached(COUNT_WAITING)?.query_row([subscription.0], |row| row.get(0))?;
    Ok(waiting.unsigned_abs())
}

pub(super) fn give_up_all(tables: &Tables<'_>, what: GiveUp) -> Result<()> {
    let GiveUp { subscription, why, at } = what;
    let values = (why.word(), at.millis(), subscription.0);
    tables.connection.prepare_cached(GIVE_UP_ALL)?.execute(values)?;
    Ok(())
}

pub(super) const END_BOUND: &str =
    "UPDATE subscription SET over = 1 WHERE order_seq = ? AND account = ? AND over = 0";

/// Ends the subscriptions to one order that has ended.
pub(super) fn end_bound(tables: &mut Tables<'_>, account: AccountId, order: OrderSeq) -> Result<()> {
    let Some(subscribers) = tables.cached.subscribers.get_mut(&account) else { return Ok(()) };
    if !subscribers.iter().any(|s| s.filter.order == Some(order)) {
        return Ok(());
    }
    subscribers.retain(|s| s.filter.order != Some(order));
    tables.connection.prepare_cached(END_BOUND)?.execute((order.0, account.get()))?;
    Ok(())
}
