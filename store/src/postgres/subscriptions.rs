//! Subscriptions: their rows, and how they are made, changed and removed.

use super::client::Client;
use async_trait::async_trait;
use onhook_core::ids::{AccountId, OrderId, OrderSeq, SubscriptionId, SubscriptionSeq};
use onhook_core::notify::notification::GivenUp;
use onhook_core::notify::subscription::{
    Callback, Credentials, Email, NewSubscription, OrderType, Receiver, SUBSCRIPTIONS_MAX, Secret, Subject,
    Subscription,
};
use onhook_core::order::{Kind, Status};
use onhook_core::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::accounts::lock_account;
use super::open::PostgresStore;
use super::orders::order_seq;
use super::row::{account_of, get, limit, small, time, time_or, word};
use super::statement::{Value, execute, row, rows};
use super::telling::{apply_notifications, end_bound, give_up_all, waiting_of};
use super::transaction::{reading, transaction};
use crate::codes::{kind_code, status_of};
use crate::contract::subscriptions::{Subscribed, SubscriptionQuery, Subscriptions};
use crate::error::corrupt;
use crate::order_ids::OrderIds;
use crate::plan::subscriptions::{self as plan, Follows, Live, Loaded, Matter};
use crate::plan::tell::GiveUp;
use crate::{Result, StoreError};

const COLUMNS: &str = "s.seq, s.id, s.account, s.order_type, o.id, s.event_type, s.url, s.username, s.password, \
                       s.public_key, s.number_format, s.retry, s.signing, s.email, s.digest, s.expires_at, \
                       s.disabled, s.last";

const FROM: &str = "FROM subscription s LEFT JOIN orders o ON o.seq = s.order_seq";

/// Returns the condition that neither a subscription nor its order has ended, at the time that a parameter holds.
fn alive(parameter: &str) -> String {
    format!("NOT s.over AND (s.expires_at IS NULL OR s.expires_at > {parameter})")
}

fn read(row: &Row) -> Result<Subscription> {
    let order = get::<Option<Uuid>>(row, 4)?.map(OrderId);
    let subject = match (get::<Option<&str>>(row, 3)?, get::<Option<&str>>(row, 5)?) {
        (Some(_), None) => Subject::Orders(word(row, 3)?, order),
        (None, Some(_)) => Subject::Event(word(row, 5)?),
        _ => return Err(about_nothing()),
    };
    let receiver = match (get(row, 6)?, get(row, 13)?) {
        (Some(url), None) => Receiver::Callback(Callback {
            url,
            credentials: get::<Option<String>>(row, 7)?
                .zip(get::<Option<String>>(row, 8)?)
                .map(|(username, password)| Credentials { username, password: Secret::new(password) }),
            public_key: get(row, 9)?,
            format: word(row, 10)?,
            retry: get(row, 11)?,
            signing: get::<Option<String>>(row, 12)?.map(Secret::new),
        }),
        (None, Some(address)) => Receiver::Email(Email { address, digest: word(row, 14)? }),
        _ => return Err(corrupt("a subscription tells nobody")),
    };
    Ok(Subscription {
        seq: SubscriptionSeq(get(row, 0)?),
        id: SubscriptionId(get(row, 1)?),
        account: account_of(row, 2)?,
        subject,
        receiver,
        expires_at: time_or(row, 15)?,
        disabled: get(row, 16)?,
        last: get(row, 17)?,
    })
}

fn about_nothing() -> StoreError {
    corrupt("a subscription is about nothing")
}

/// Returns the live subscriptions of an account, by what makes two the same. At most as many as an account may have.
async fn live(client: &Client, account: AccountId, now: Timestamp) -> Result<Vec<Live>> {
    let sql = format!(
        "SELECT s.seq, s.order_type, s.order_seq, s.event_type, coalesce(s.url, s.email) FROM subscription s
         WHERE s.account = $1 AND {} LIMIT $3",
        alive("$2")
    );
    let values: [&dyn Value; 3] = [&i64::from(account.get()), &now.millis(), &limit(SUBSCRIPTIONS_MAX)];
    let mut found = Vec::new();
    for row in &rows(client, &sql, &values).await? {
        let matter = match (get::<Option<&str>>(row, 1)?, get::<Option<&str>>(row, 3)?) {
            (Some(_), None) => Matter::Orders(word(row, 1)?, get::<Option<i64>>(row, 2)?.map(OrderSeq)),
            (None, Some(_)) => Matter::Event(word(row, 3)?),
            _ => return Err(about_nothing()),
        };
        found.push(Live { seq: SubscriptionSeq(get(row, 0)?), matter, target: get(row, 4)? });
    }
    Ok(found)
}

/// Returns an account's subscription by id, unless it has ended.
async fn one(
    client: &Client,
    account: AccountId,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<Option<Subscription>> {
    let sql = format!("SELECT {COLUMNS} {FROM} WHERE s.id = $1 AND s.account = $2 AND {}", alive("$3"));
    let values: [&dyn Value; 3] = [&id.0, &i64::from(account.get()), &now.millis()];
    row(client, &sql, &values).await?.as_ref().map(read).transpose()
}

/// Returns a subscription by its sequence number, whether or not it has ended.
pub(super) async fn subscription_at(client: &Client, seq: SubscriptionSeq) -> Result<Option<Subscription>> {
    let sql = format!("SELECT {COLUMNS} {FROM} WHERE s.seq = $1");
    row(client, &sql, &[&seq.0]).await?.as_ref().map(read).transpose()
}

/// Returns the subscriptions of an account that have not ended, oldest first.
async fn list(client: &Client, query: &SubscriptionQuery) -> Result<Vec<Subscription>> {
    let sql = format!(
        "SELECT {COLUMNS} {FROM} WHERE s.account = $1 AND ($2 IS NULL OR s.order_type = $2)
         AND ($3 IS NULL OR o.id = $3) AND {} ORDER BY s.seq LIMIT $5",
        alive("$4")
    );
    let values: [&dyn Value; 5] = [
        &i64::from(query.account.get()),
        &query.orders.map(OrderType::word),
        &query.order.map(|id| id.0),
        &query.now.millis(),
        &limit(SUBSCRIPTIONS_MAX),
    ];
    rows(client, &sql, &values).await?.iter().map(read).collect()
}

/// Makes a subscription, or replaces `replaces`.
async fn subscribe(
    client: &Client,
    ids: &OrderIds,
    new: NewSubscription,
    replaces: Option<SubscriptionId>,
    now: Timestamp,
) -> Result<Subscribed> {
    let account = new.account;
    lock_account(client, account).await?;
    let (id, replaced) = match replaces {
        None => (SubscriptionId(ids.chance.uuid()?), None),
        Some(id) => match one(client, account, id, now).await? {
            Some(known) => (id, Some((known.seq, waiting_of(client, known.seq).await?))),
            None => return Ok(Subscribed::Missing),
        },
    };
    let named = named_order(client, ids, account, new.subject).await?;
    // The end of an order is told no earlier than it was.
    let at = named.map_or(now, |(.., changed_at)| changed_at.max(now));
    let order = named.map(|(seq, status, _)| (seq, status));
    let loaded = Loaded { new, replaced, order, live: live(client, account, now).await? };
    let writes = match plan::subscribe(&loaded, at) {
        Ok(writes) => writes,
        Err(refused) => return Ok(refused),
    };
    let seq = put(client, &loaded, id, writes.matter).await?;
    let Follows { notifications, over, .. } = writes.follow(seq);
    let made = subscription_at(client, seq).await?.ok_or_else(|| corrupt("a subscription is missing"))?;
    apply_notifications(client, ids, &notifications).await?;
    if let Some(order) = over {
        end_bound(client, &[(account, order)]).await?;
    }
    Ok(Subscribed::Made(Box::new(made)))
}

/// Returns the order that a subscription names, its status, and when it got it, if the account has one of that type.
async fn named_order(
    client: &Client,
    ids: &OrderIds,
    account: AccountId,
    subject: Subject,
) -> Result<Option<(OrderSeq, Status, Timestamp)>> {
    let Some((orders, id)) = subject.named_order() else { return Ok(None) };
    let Some(kind) = orders.kind() else { return Ok(None) };
    let Some(order) = order_seq(client, ids, account, kind, id).await? else { return Ok(None) };
    let found = row(client, "SELECT status, changed_at FROM orders WHERE seq = $1", &[&order.0]).await?;
    found.map(|row| Ok((order, status_of(small(&row, 0)?)?, time(&row, 1)?))).transpose()
}

/// Returns the last order of an account. Later ones have not run while the account is locked.
async fn last_order(client: &Client, account: AccountId) -> Result<OrderSeq> {
    let sql = "SELECT coalesce(max(last.seq), 0) FROM unnest($2::bigint[]) AS k (kind)
               CROSS JOIN LATERAL (SELECT seq FROM orders WHERE account = $1 AND kind = k.kind
                                   ORDER BY seq DESC LIMIT 1) last";
    let kinds: Vec<i64> = Kind::ALL.iter().map(|kind| kind_code(*kind).into()).collect();
    let found = row(client, sql, &[&i64::from(account.get()), &kinds]).await?;
    Ok(OrderSeq(found.map_or(Ok(0), |row| get(&row, 0))?))
}

/// Writes the row of a subscription, and returns its sequence number.
async fn put(
    client: &Client,
    loaded: &Loaded,
    id: SubscriptionId,
    matter: Matter,
) -> Result<SubscriptionSeq> {
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
    let after = last_order(client, new.account).await?;
    let account = i64::from(new.account.get());
    let order = order.map(|order| order.0);
    let (url, address) = (callback.map(|c| c.url.as_str()), email.map(|e| e.address.as_str()));
    let (username, password) =
        (credentials.map(|c| c.username.as_str()), credentials.map(|c| c.password.expose()));
    let public_key = callback.and_then(|c| c.public_key.as_deref());
    let format = callback.map(|c| c.format.word());
    let retry = callback.map(|c| c.retry);
    let signing = callback.and_then(|c| c.signing.as_ref()).map(Secret::expose);
    let digest = email.map(|e| e.digest.word());
    let expires_at = new.expires_at.map(Timestamp::millis);
    let values: [&dyn Value; 16] = [
        &id.0,
        &account,
        &orders,
        &order,
        &event,
        &url,
        &username,
        &password,
        &public_key,
        &format,
        &retry,
        &signing,
        &address,
        &digest,
        &expires_at,
        &after.0,
    ];
    let sql = if replaced.is_some() {
        "UPDATE subscription SET order_type = $3, order_seq = $4, event_type = $5, url = $6, username = $7,
             password = $8, public_key = $9, number_format = $10, retry = $11, signing = $12, email = $13,
             digest = $14, expires_at = $15, after_order = $16, disabled = false
         WHERE id = $1 AND account = $2 RETURNING seq"
    } else {
        "INSERT INTO subscription (id, account, order_type, order_seq, event_type, url, username, password,
                                   public_key, number_format, retry, signing, email, digest, expires_at,
                                   after_order)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING seq"
    };
    let written = row(client, sql, &values).await?.ok_or_else(|| corrupt("a subscription is missing"))?;
    Ok(SubscriptionSeq(get(&written, 0)?))
}

/// Removes a subscription and gives up its waiting notifications. Returns whether there was one.
async fn unsubscribe(
    client: &Client,
    account: AccountId,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<bool> {
    lock_account(client, account).await?;
    let Some(known) = one(client, account, id, now).await? else { return Ok(false) };
    let why = GivenUp::Unsubscribed;
    give_up_all(client, GiveUp { subscription: known.seq, why, at: now }).await?;
    execute(client, "DELETE FROM subscription WHERE seq = $1", &[&known.seq.0]).await?;
    Ok(true)
}

/// Returns the sequence number of an account's subscription by id, ended or not: its log outlives it.
pub(super) async fn seq_of(
    client: &Client,
    account: AccountId,
    id: SubscriptionId,
) -> Result<Option<SubscriptionSeq>> {
    let sql = "SELECT seq FROM subscription WHERE id = $1 AND account = $2";
    let found = row(client, sql, &[&id.0, &i64::from(account.get())]).await?;
    found.map(|row| get(&row, 0).map(SubscriptionSeq)).transpose()
}

/// Ends expired subscriptions, at most `most`, and returns them. One that is being changed waits for the next time.
async fn expire_subscriptions(
    client: &Client,
    now: Timestamp,
    most: usize,
) -> Result<Vec<(SubscriptionId, AccountId)>> {
    let sql = "UPDATE subscription SET over = true WHERE seq IN
                   (SELECT seq FROM subscription WHERE NOT over AND expires_at <= $1 ORDER BY expires_at LIMIT $2
                    FOR UPDATE SKIP LOCKED)
               RETURNING id, account";
    let ended = rows(client, sql, &[&now.millis(), &limit(most)]).await?;
    ended.iter().map(|row| Ok((SubscriptionId(get(row, 0)?), account_of(row, 1)?))).collect()
}

#[async_trait]
impl Subscriptions for PostgresStore {
    async fn subscribe(&self, new: NewSubscription, now: Timestamp) -> Result<Subscribed> {
        transaction!(self, tx => subscribe(&tx, &self.ids, new.clone(), None, now).await)
    }

    async fn resubscribe(
        &self,
        id: SubscriptionId,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        transaction!(self, tx => subscribe(&tx, &self.ids, new.clone(), Some(id), now).await)
    }

    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId, now: Timestamp) -> Result<bool> {
        transaction!(self, tx => unsubscribe(&tx, account, id, now).await)
    }

    async fn subscription(
        &self,
        account: AccountId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Option<Subscription>> {
        reading!(self, client => one(&client, account, id, now).await)
    }

    async fn subscriptions(&self, query: SubscriptionQuery) -> Result<Vec<Subscription>> {
        reading!(self, client => list(&client, &query).await)
    }

    async fn expire_subscriptions(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<(SubscriptionId, AccountId)>> {
        transaction!(self, tx => expire_subscriptions(&tx, now, most).await)
    }
}
