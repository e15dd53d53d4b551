//! Subscriptions: their rows, and how they are made, changed and removed.

use std::collections::HashMap;

use async_trait::async_trait;
use onhook_core::check::CheckedSubscription;
use onhook_core::ids::{AccountId, OrderId, OrderSeq, SubscriptionId, SubscriptionSeq};
use onhook_core::notify::notification::{GivenUp, SubscriptionFilter};
use onhook_core::notify::subscription::{
    Callback, Credentials, Email, NewSubscription, OrderType, Receiver, SUBSCRIPTIONS_MAX, Secret, Subject,
    Subscription,
};
use onhook_core::order::Status;
use onhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::open::SqliteStore;
use super::orders::order_seq;
use super::row;
use super::tables::Tables;
use super::telling::{apply_notifications, end_bound, give_up_all, waiting_of};
use crate::Result;
use crate::codes::status_of;
use crate::contract::subscriptions::{Subscribed, SubscriptionQuery, Subscriptions};
use crate::error::corrupt;
use crate::plan::subscriptions::{self as plan, Follows, Live, Loaded, Matter};
use crate::plan::tell::GiveUp;

pub(super) const EXPIRE: &str = "UPDATE subscription SET over = 1 WHERE seq IN
     (SELECT seq FROM subscription WHERE over = 0 AND expires_at <= ? LIMIT ?) RETURNING seq, account, id";

/// Ends expired subscriptions, at most `most`, and returns them.
fn expire_subscriptions(
    tables: &mut Tables<'_>,
    now: Timestamp,
    most: usize,
) -> Result<Vec<(SubscriptionId, AccountId)>> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let expired: Vec<(i64, u32, [u8; 16])> = tables
        .connection
        .prepare_cached(EXPIRE)?
        .query_map((now.millis(), most), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<std::result::Result<_, _>>()?;
    let mut ended = Vec::with_capacity(expired.len());
    for (seq, account, id) in expired {
        let account = row::account_id(account)?;
        tables.cached.forget_subscriber(account, SubscriptionSeq(seq));
        ended.push((SubscriptionId(uuid::Uuid::from_bytes(id)), account));
    }
    Ok(ended)
}

const COLUMNS: &str =
    "s.seq, s.id, s.account, s.order_type, o.id, s.event_type, s.url, s.username, s.password,
                       s.public_key, s.number_format, s.retry, s.signing, s.email, s.digest, s.expires_at,
                       s.disabled, s.last";

const FROM: &str = "FROM subscription s LEFT JOIN orders o ON o.seq = s.order_seq";

/// Neither the subscription nor its order has ended. The parameter is the time.
const ALIVE: &str = "s.over = 0 AND (s.expires_at IS NULL OR s.expires_at > ?)";

fn read(row: &Row<'_>) -> Result<Subscription> {
    let order: Option<[u8; 16]> = row.get(4)?;
    let order = order.map(|id| OrderId(uuid::Uuid::from_bytes(id)));
    let (order_type, event): (Option<String>, Option<String>) = (row.get(3)?, row.get(5)?);
    let subject = match (order_type, event) {
        (Some(orders), None) => Subject::Orders(row::word(&orders)?, order),
        (None, Some(event)) => Subject::Event(row::word(&event)?),
        _ => return Err(corrupt("a subscription is about nothing")),
    };
    let (url, email): (Option<String>, Option<String>) = (row.get(6)?, row.get(13)?);
    let receiver = match (url, email) {
        (Some(url), None) => {
            let (username, password): (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
            let signing: Option<String> = row.get(12)?;
            Receiver::Callback(Callback {
                url,
                credentials: username
                    .zip(password)
                    .map(|(username, password)| Credentials { username, password: Secret::new(password) }),
                public_key: row.get(9)?,
                format: row::word(&row.get::<_, String>(10)?)?,
                retry: row.get(11)?,
                signing: signing.map(Secret::new),
            })
        }
        (None, Some(address)) => {
            Receiver::Email(Email { address, digest: row::word(&row.get::<_, String>(14)?)? })
        }
        _ => return Err(corrupt("a subscription tells nobody")),
    };
    Ok(Subscription {
        seq: SubscriptionSeq(row.get(0)?),
        id: SubscriptionId(uuid::Uuid::from_bytes(row.get(1)?)),
        account: row::account_id(row.get(2)?)?,
        subject,
        receiver,
        expires_at: row.get::<_, Option<i64>>(15)?.map(Timestamp::from_millis),
        disabled: row.get(16)?,
        last: row.get(17)?,
    })
}

/// The live subscriptions of an account, by what makes two the same. At most as many as an account may have.
fn live_of() -> String {
    format!(
        "SELECT s.seq, s.order_type, s.order_seq, s.event_type, coalesce(s.url, s.email) FROM subscription s
         WHERE s.account = ?1 AND {} LIMIT {SUBSCRIPTIONS_MAX}",
        ALIVE.replace('?', "?2")
    )
}

fn live(connection: &Connection, account: AccountId, now: Timestamp) -> Result<Vec<Live>> {
    let mut statement = connection.prepare_cached(&live_of())?;
    let mut rows = statement.query((account.get(), now.millis()))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (orders, event): (Option<String>, Option<String>) = (row.get(1)?, row.get(3)?);
        let order: Option<i64> = row.get(2)?;
        let matter = match (orders, event) {
            (Some(orders), None) => Matter::Orders(row::word(&orders)?, order.map(OrderSeq)),
            (None, Some(event)) => Matter::Event(row::word(&event)?),
            _ => return Err(corrupt("a subscription is about nothing")),
        };
        found.push(Live { seq: SubscriptionSeq(row.get(0)?), matter, target: row.get(4)? });
    }
    Ok(found)
}

/// Returns an account's subscription by id, unless it has ended.
fn one(
    connection: &Connection,
    account: AccountId,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<Option<Subscription>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE s.id = ? AND s.account = ? AND {ALIVE}"))?;
    let mut rows = statement.query((id.0.as_bytes(), account.get(), now.millis()))?;
    rows.next()?.map(read).transpose()
}

/// Returns a subscription by its sequence number, whether or not it has ended.
pub(super) fn subscription_at(connection: &Connection, seq: SubscriptionSeq) -> Result<Option<Subscription>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE s.seq = ?"))?;
    let mut rows = statement.query([seq.0])?;
    rows.next()?.map(read).transpose()
}

/// Returns the subscriptions of an account that have not ended, oldest first.
fn list(connection: &Connection, query: &SubscriptionQuery) -> Result<Vec<Subscription>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} {FROM} WHERE s.account = ?1 AND (?2 IS NULL OR s.order_type = ?2)
         AND (?3 IS NULL OR o.id = ?3) AND {} ORDER BY s.seq LIMIT ?5",
        ALIVE.replace('?', "?4")
    ))?;
    let order = query.order.map(|id| id.0.into_bytes());
    let most = i64::try_from(SUBSCRIPTIONS_MAX).unwrap_or(i64::MAX);
    let values = (query.account.get(), query.orders.map(OrderType::word), order, query.now.millis(), most);
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Returns what the checker needs: all subscriptions that are not disabled, with their filters, by account.
pub(super) fn asked(
    connection: &Connection,
) -> Result<HashMap<AccountId, Vec<(SubscriptionSeq, CheckedSubscription)>>> {
    let mut statement = connection.prepare(
        "SELECT account, seq, id, order_type, order_seq, expires_at, after_order FROM subscription
         WHERE disabled = 0 AND order_type IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    let mut found: HashMap<AccountId, Vec<(SubscriptionSeq, CheckedSubscription)>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let filter = SubscriptionFilter {
            orders: row::word(&row.get::<_, String>(3)?)?,
            order: row.get::<_, Option<i64>>(4)?.map(OrderSeq),
            expires_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
        };
        let id = SubscriptionId(uuid::Uuid::from_bytes(row.get(2)?));
        let asked = CheckedSubscription { id, filter, after: OrderSeq(row.get(6)?) };
        found.entry(row::account_id(row.get(0)?)?).or_default().push((SubscriptionSeq(row.get(1)?), asked));
    }
    Ok(found)
}

/// Makes a subscription, or replaces `replaces`.
fn subscribe(
    tables: &mut Tables<'_>,
    new: NewSubscription,
    replaces: Option<SubscriptionId>,
    now: Timestamp,
) -> Result<Subscribed> {
    let now = tables.cached.now(now);
    let account = new.account;
    let (id, replaced) = match replaces {
        None => (SubscriptionId(tables.ids.chance.uuid()?), None),
        Some(id) => match one(tables.connection, account, id, now)? {
            Some(known) => (id, Some((known.seq, waiting_of(tables, known.seq)?))),
            None => return Ok(Subscribed::Missing),
        },
    };
    let order = named_order(tables, account, new.subject)?;
    let loaded = Loaded { new, replaced, order, live: live(tables.connection, account, now)? };
    let writes = match plan::subscribe(&loaded, now) {
        Ok(writes) => writes,
        Err(refused) => return Ok(refused),
    };
    let seq = put(tables, &loaded, id, writes.matter)?;
    tables.cached.forget_subscriber(account, seq);
    let Follows { subscriber, notifications, over } = writes.follow(seq);
    if let Some(subscriber) = subscriber {
        tables.cached.subscribers.entry(account).or_default().push(subscriber);
    }
    let made =
        subscription_at(tables.connection, seq)?.ok_or_else(|| corrupt("a subscription is missing"))?;
    apply_notifications(tables, &notifications)?;
    if let Some(order) = over {
        end_bound(tables, account, order)?;
    }
    Ok(Subscribed::Made(Box::new(made)))
}

/// Returns the order that a subscription names, and its status, if the account has one of that type.
fn named_order(
    tables: &Tables<'_>,
    account: AccountId,
    subject: Subject,
) -> Result<Option<(OrderSeq, Status)>> {
    let Some((orders, id)) = subject.named_order() else { return Ok(None) };
    let Some(kind) = orders.kind() else { return Ok(None) };
    let Some(order) = order_seq(tables.connection, tables.ids, account, kind, id)? else { return Ok(None) };
    let mut statement = tables.connection.prepare_cached("SELECT status FROM orders WHERE seq = ?")?;
    let status: u8 = statement.query_row([order.0], |row| row.get(0))?;
    Ok(Some((order, status_of(status)?)))
}

/// Writes the row of a subscription, and returns its sequence number.
fn put(tables: &Tables<'_>, loaded: &Loaded, id: SubscriptionId, matter: Matter) -> Result<SubscriptionSeq> {
    let Loaded { new, replaced, .. } = loaded;
    let (orders, order, event) = match matter {
        Matter::Orders(orders, order) => (Some(orders.word()), order, None),
        Matter::Event(event) => (None, None, Some(event.word())),
    };
    let (callback, email) = match &new.receiver {
        Receiver::Callback(callback) => (Some(callback), None),
        Receiver::Email(email) => (None, Some(email)),
    };
    let credentials = callback.and_then(|c| c.credentials.as_ref());
    // The columns are named, so that the others (the sequence number of a replaced one) keep their values.
    let mut statement = tables.connection.prepare_cached(
        "INSERT INTO subscription (seq, id, account, order_type, order_seq, event_type, url, username,
                                   password, public_key, number_format, retry, signing, email, digest,
                                   expires_at, after_order)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (seq) DO UPDATE SET order_type = ?4, order_seq = ?5, event_type = ?6, url = ?7,
             username = ?8, password = ?9, public_key = ?10, number_format = ?11, retry = ?12,
             signing = ?13, email = ?14, digest = ?15, expires_at = ?16, after_order = ?17, disabled = 0
         RETURNING seq",
    )?;
    let values = params![
        replaced.map(|(seq, _)| seq.0),
        id.0.as_bytes(),
        new.account.get(),
        orders,
        order.map(|order| order.0),
        event,
        callback.map(|c| &c.url),
        credentials.map(|c| &c.username),
        credentials.map(|c| c.password.expose()),
        callback.and_then(|c| c.public_key.as_ref()),
        callback.map(|c| c.format.word()),
        callback.map(|c| c.retry),
        callback.and_then(|c| c.signing.as_ref()).map(Secret::expose),
        email.map(|e| &e.address),
        email.map(|e| e.digest.word()),
        new.expires_at.map(Timestamp::millis),
        tables.cached.last_order().0,
    ];
    Ok(SubscriptionSeq(statement.query_row(values, |row| row.get(0))?))
}

/// Removes a subscription and gives up its waiting notifications. Returns whether there was one.
fn unsubscribe(
    tables: &mut Tables<'_>,
    account: AccountId,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<bool> {
    let now = tables.cached.now(now);
    let Some(known) = one(tables.connection, account, id, now)? else { return Ok(false) };
    let why = GivenUp::Unsubscribed;
    give_up_all(tables, GiveUp { subscription: known.seq, why, at: now })?;
    tables.connection.prepare_cached("DELETE FROM subscription WHERE seq = ?")?.execute([known.seq.0])?;
    tables.cached.forget_subscriber(account, known.seq);
    Ok(true)
}

/// Returns the sequence number of an account's subscription by id, ended or not: its log outlives it.
pub(super) fn seq_of(
    connection: &Connection,
    account: AccountId,
    id: SubscriptionId,
) -> Result<Option<SubscriptionSeq>> {
    let seq = connection
        .prepare_cached("SELECT seq FROM subscription WHERE id = ? AND account = ?")?
        .query_row((id.0.as_bytes(), account.get()), |row| row.get(0))
        .optional()?;
    Ok(seq.map(SubscriptionSeq))
}

#[async_trait]
impl Subscriptions for SqliteStore {
    async fn subscribe(&self, new: NewSubscription, now: Timestamp) -> Result<Subscribed> {
        self.writer.write(move |tables| subscribe(tables, new, None, now)).await
    }

    async fn resubscribe(
        &self,
        id: SubscriptionId,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        self.writer.write(move |tables| subscribe(tables, new, Some(id), now)).await
    }

    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId, now: Timestamp) -> Result<bool> {
        self.writer.write(move |tables| unsubscribe(tables, account, id, now)).await
    }

    async fn subscription(
        &self,
        account: AccountId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Option<Subscription>> {
        self.readers.read(move |connection| one(connection, account, id, now)).await
    }

    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Subscription>> {
        self.readers.read(move |connection| list(connection, &query)).await
    }

    async fn expire_subscriptions(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<(SubscriptionId, AccountId)>> {
        self.writer.write_own(move |tables| expire_subscriptions(tables, now, most)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::deliveries::tests::plan;
    use crate::sqlite::telling::END_BOUND;

    /// An account that subscribes to each of its orders has many ended subscriptions.
    #[test]
    fn the_living_are_found_without_those_that_are_over() {
        for (sql, index) in [
            (live_of(), " INDEX subscription_account (account=?)"),
            (END_BOUND.to_owned(), " INDEX subscription_order (order_seq=?)"),
        ] {
            let plan = plan(&sql);
            assert!(plan.contains(index) && !plan.contains("SCAN"), "{sql}: {plan}");
        }
    }
}
