//! Requests that are done once: an act, its key and its reply in one transaction.

use super::client::Client;
use async_trait::async_trait;
use onhook_core::time::Timestamp;

use super::counters::{counter, set_counter};
use super::open::PostgresStore;
use super::row::{get, limit, small};
use super::statement::{Value, execute, row};
use super::transaction::{reading, transaction};
use crate::contract::once::{KEPT_MS, Kept, Once, Replies, RepliesMax, Reply, SURE_MS};
use crate::error::corrupt;
use crate::{Result, StoreError};

/// The shared number that says that there are too many replies: 1, else 0.
const FULL: &str = "replies_full";

/// Does the act of a request once, in the transaction of this client: fails if its key is taken, and else keeps its
/// reply. A request with the same key meanwhile waits here until the transaction has ended.
///
/// # Errors
/// `KeyTaken` if the user has a reply under this key, `Full` if there are too many replies, else those of the act.
pub(super) async fn once<T>(
    client: &Client,
    once: Option<&Once<T>>,
    act: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(once) = once else { return act.await };
    if counter(client, FULL).await?.unwrap_or(0) != 0 {
        return Err(StoreError::Full);
    }
    let sql = "INSERT INTO kept_reply (user_name, key, digest, at, status, location, body)
               VALUES ($1, $2, $3, $4, 0, NULL, '') ON CONFLICT DO NOTHING";
    let digest = once.digest.to_vec();
    let values: [&dyn Value; 4] = [&once.user, &once.key, &digest, &once.at.millis()];
    if execute(client, sql, &values).await? == 0 {
        return Err(StoreError::KeyTaken);
    }
    let done = act.await?;
    match (once.render)(&done) {
        Some(Reply { status, location, body }) => {
            let sql = "UPDATE kept_reply SET status = $3, location = $4, body = $5
                       WHERE user_name = $1 AND key = $2";
            let values: [&dyn Value; 5] = [&once.user, &once.key, &i64::from(status), &location, &body];
            execute(client, sql, &values).await?;
        }
        None => {
            let sql = "DELETE FROM kept_reply WHERE user_name = $1 AND key = $2";
            execute(client, sql, &[&once.user, &once.key]).await?;
        }
    }
    Ok(done)
}

async fn kept(client: &Client, user: &str, key: &str) -> Result<Option<Kept>> {
    let sql = "SELECT digest, status, location, body FROM kept_reply WHERE user_name = $1 AND key = $2";
    let Some(row) = row(client, sql, &[&user, &key]).await? else { return Ok(None) };
    let digest: Vec<u8> = get(&row, 0)?;
    let digest = digest.try_into().map_err(|_| corrupt("the digest of a request has another length"))?;
    let reply = Reply { status: small(&row, 1)?, location: get(&row, 2)?, body: get(&row, 3)? };
    Ok(Some(Kept { digest, reply }))
}

async fn forget(client: &Client, now: Timestamp, max: RepliesMax) -> Result<usize> {
    let delete = async |until: Timestamp, most: i64| {
        let sql = "DELETE FROM kept_reply k USING (
                       SELECT user_name, key FROM kept_reply WHERE at <= $1 ORDER BY at, user_name, key LIMIT $2
                   ) old WHERE k.user_name = old.user_name AND k.key = old.key";
        execute(client, sql, &[&until.millis(), &most]).await
    };
    let most = limit(max.forgotten);
    let gone = delete(now.plus_millis(-KEPT_MS), most).await?;
    let count = row(client, "SELECT count(*) FROM kept_reply", &[]).await?;
    let count: i64 = count.map_or(Ok(0), |row| get(&row, 0))?;
    let kept = i64::try_from(max.kept).unwrap_or(i64::MAX);
    let over = count.saturating_sub(kept).clamp(0, most.saturating_sub_unsigned(gone));
    let also = delete(now.plus_millis(-SURE_MS), over).await?;
    let full = i64::from(count.saturating_sub_unsigned(also) > kept);
    if counter(client, FULL).await?.unwrap_or(0) != full {
        set_counter(client, FULL, full).await?;
    }
    Ok(usize::try_from(gone.saturating_add(also)).unwrap_or(usize::MAX))
}

#[async_trait]
impl Replies for PostgresStore {
    async fn reply(&self, user: &str, key: &str) -> Result<Option<Kept>> {
        reading!(self, client => kept(&client, user, key).await)
    }

    async fn forget_replies(&self, now: Timestamp, max: RepliesMax) -> Result<usize> {
        transaction!(self, tx => forget(&tx, now, max).await)
    }
}
