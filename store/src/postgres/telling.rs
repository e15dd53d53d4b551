//! Subscribers of orders, and the notifications that are written in the same transaction as an order's event.

use std::collections::HashMap;

use super::client::Client;
use onhook_core::ids::{AccountId, OrderSeq, SubscriptionSeq};
use onhook_core::notify::notification::{GivenUp, Subscriber, SubscriptionFilter};
use onhook_core::notify::subscription::OrderType;
use onhook_core::time::Timestamp;

use super::row::{account_of, get, time_or, word};
use super::statement::{execute, row, rows};
use crate::Result;
use crate::codes::status_code;
use crate::order_ids::OrderIds;
use crate::plan::tell::{GiveUp, NewNotification};

/// Returns the subscribers of some accounts that can still get a notification.
pub(super) async fn subscribers_of(
    client: &Client,
    accounts: &[AccountId],
) -> Result<HashMap<AccountId, Vec<Subscriber>>> {
    let accounts: Vec<i64> = accounts.iter().map(|id| id.get().into()).collect();
    let sql = "SELECT s.account, s.seq, s.order_type, s.order_seq, s.expires_at, coalesce(s.digest = 'DAILY', false),
                      (SELECT count(*) FROM notification n WHERE n.subscription = s.seq AND n.standing = 0)
               FROM subscription s
               WHERE s.account = ANY($1) AND NOT s.over AND NOT s.disabled AND s.order_type IS NOT NULL
               ORDER BY s.seq";
    let mut found: HashMap<AccountId, Vec<Subscriber>> = HashMap::new();
    for row in &rows(client, sql, &[&accounts]).await? {
        let orders: OrderType = word(row, 2)?;
        if orders.kind().is_none() {
            continue;
        }
        let order = get::<Option<i64>>(row, 3)?.map(OrderSeq);
        let filter = SubscriptionFilter { orders, order, expires_at: time_or(row, 4)? };
        let waiting = get::<i64>(row, 6)?.unsigned_abs();
        let subscriber =
            Subscriber { seq: SubscriptionSeq(get(row, 1)?), filter, daily: get(row, 5)?, waiting };
        found.entry(account_of(row, 0)?).or_default().push(subscriber);
    }
    Ok(found)
}

/// Writes notifications, except those that exist already.
pub(super) async fn apply_notifications(
    client: &Client,
    ids_of: &OrderIds,
    notifications: &[NewNotification],
) -> Result<()> {
    if notifications.is_empty() {
        return Ok(());
    }
    let (mut ids, mut subscriptions, mut orders, mut statuses) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut notes, mut texts, mut ats, mut due_ats) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for notification in notifications {
        ids.push(ids_of.chance.uuid()?);
        subscriptions.push(notification.subscription.0);
        orders.push(notification.order.0);
        statuses.push(i64::from(status_code(notification.status)));
        notes.push(notification.note.as_ref().map_or(0, |(id, _)| *id));
        texts.push(notification.note.as_ref().map(|(_, text)| text.as_str()));
        ats.push(notification.at.millis());
        due_ats.push(notification.due_at.millis());
    }
    let sql = "INSERT INTO notification
                   (id, subscription, order_seq, status, note, text, at, standing, due_at, attempts)
               SELECT u.id, u.subscription, u.order_seq, u.status, u.note, u.text, u.at, 0, u.due_at, 0
               FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
                           $7::bigint[], $8::bigint[]) WITH ORDINALITY
                    AS u (id, subscription, order_seq, status, note, text, at, due_at, n)
               ORDER BY u.n
               ON CONFLICT DO NOTHING RETURNING subscription, order_seq, status, note";
    let written =
        rows(client, sql, &[&ids, &subscriptions, &orders, &statuses, &notes, &texts, &ats, &due_ats])
            .await?;
    let mut new = std::collections::HashSet::with_capacity(written.len());
    for row in &written {
        new.insert((get::<i64>(row, 0)?, get::<i64>(row, 1)?, get::<i64>(row, 2)?, get::<i64>(row, 3)?));
    }
    for (index, notification) in notifications.iter().enumerate().filter(|(_, one)| one.crowded) {
        let key = (subscriptions.get(index), orders.get(index), statuses.get(index), notes.get(index));
        let (Some(subscription), Some(order), Some(status), Some(note)) = key else { continue };
        if new.contains(&(*subscription, *order, *status, *note)) {
            give_up_oldest(client, notification.subscription, notification.at).await?;
        }
    }
    Ok(())
}

pub(super) async fn give_up_oldest(
    client: &Client,
    subscription: SubscriptionSeq,
    at: Timestamp,
) -> Result<()> {
    let sql = "UPDATE notification SET standing = 2, due_at = NULL, claim = NULL, reason = $1, ended_at = $2
               WHERE seq = (SELECT min(seq) FROM notification WHERE subscription = $3 AND standing = 0)";
    execute(client, sql, &[&GivenUp::Crowded.word(), &at.millis(), &subscription.0]).await?;
    Ok(())
}

/// Returns how many notifications of a subscription wait.
pub(super) async fn waiting_of(client: &Client, subscription: SubscriptionSeq) -> Result<u64> {
    let sql = "SELECT count(*) FROM notification WHERE subscription = $1 AND standing = 0";
    let found = row(client, sql, &[&subscription.0]).await?;
    Ok(found.map_or(Ok(0), |row| get::<i64>(&row, 0))?.unsigned_abs())
}

/// Gives up all notifications of a subscription that wait.
pub(super) async fn give_up_all(client: &Client, what: GiveUp) -> Result<()> {
    let GiveUp { subscription, why, at } = what;
    let sql = "UPDATE notification SET standing = 2, due_at = NULL, claim = NULL, reason = $1,
                                       ended_at = greatest(at, $2)
               WHERE subscription = $3 AND standing = 0";
    execute(client, sql, &[&why.word(), &at.millis(), &subscription.0]).await?;
    Ok(())
}

/// Ends the subscriptions to single orders that have ended.
pub(super) async fn end_bound(client: &Client, orders: &[(AccountId, OrderSeq)]) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let orders: Vec<i64> = orders.iter().map(|(_, order)| order.0).collect();
    execute(client, "UPDATE subscription SET over = true WHERE order_seq = ANY($1) AND NOT over", &[&orders])
        .await?;
    Ok(())
}
