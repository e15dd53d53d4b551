//! Requests that are done once: an act, its key and its reply in one transaction.

use async_trait::async_trait;
use onhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::open::SqliteStore;
use super::row::{meta, set_meta};
use super::tables::Tables;
use crate::contract::once::{KEPT_MS, Kept, Once, Replies, RepliesMax, Reply, SURE_MS};
use crate::{Result, StoreError};

/// The setting that says that there are too many replies: 1, else it is 0 or missing.
const FULL: &str = "replies_full";

/// Does the act of a request once: fails if its key is taken, and else keeps its reply.
///
/// # Errors
/// `KeyTaken` if the user has a reply under this key, `Full` if there are too many replies, else those of the act.
pub(super) fn once<T>(
    tables: &mut Tables<'_>,
    once: Option<&Once<T>>,
    act: impl FnOnce(&mut Tables<'_>) -> Result<T>,
) -> Result<T> {
    let Some(once) = once else { return act(tables) };
    if meta::<i64>(tables.connection, FULL)?.unwrap_or(0) != 0 {
        return Err(StoreError::Full);
    }
    if kept(tables.connection, &once.user, &once.key)?.is_some() {
        return Err(StoreError::KeyTaken);
    }
    let done = act(tables)?;
    if let Some(reply) = (once.render)(&done) {
        tables
            .connection
            .prepare_cached(
                "INSERT INTO kept_reply (user_name, key, digest, at, status, location, body)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute((
                &once.user,
                &once.key,
                once.digest,
                once.at.millis(),
                reply.status,
                &reply.location,
                &reply.body,
            ))?;
    }
    Ok(done)
}

fn kept(connection: &Connection, user: &str, key: &str) -> Result<Option<Kept>> {
    let sql = "SELECT digest, status, location, body FROM kept_reply WHERE user_name = ? AND key = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row((user, key), |row| {
        let reply = Reply { status: row.get(1)?, location: row.get(2)?, body: row.get(3)? };
        Ok(Kept { digest: row.get(0)?, reply })
    });
    Ok(found.optional()?)
}

fn forget(connection: &Connection, now: Timestamp, max: RepliesMax) -> Result<usize> {
    let sql = "DELETE FROM kept_reply WHERE rowid IN
               (SELECT rowid FROM kept_reply WHERE at <= ? ORDER BY at, user_name, key LIMIT ?)";
    let delete = |until: i64, most: i64| -> Result<usize> {
        Ok(connection.prepare_cached(sql)?.execute((until, most))?)
    };
    let most = i64::try_from(max.forgotten).unwrap_or(i64::MAX);
    let mut gone = delete(now.plus_millis(-KEPT_MS).millis(), most)?;
    let count: i64 = connection.query_row("SELECT count(*) FROM kept_reply", [], |row| row.get(0))?;
    let kept = i64::try_from(max.kept).unwrap_or(i64::MAX);
    let most = most.saturating_sub(i64::try_from(gone).unwrap_or(i64::MAX));
    let over = count.saturating_sub(kept).clamp(0, most);
    let also = delete(now.plus_millis(-SURE_MS).millis(), over)?;
    gone += also;
    let full = i64::from(count.saturating_sub(i64::try_from(also).unwrap_or(0)) > kept);
    if meta::<i64>(connection, FULL)?.unwrap_or(0) != full {
        set_meta(connection, FULL, full)?;
    }
    Ok(gone)
}

#[async_trait]
impl Replies for SqliteStore {
    async fn reply(&self, user: &str, key: &str) -> Result<Option<Kept>> {
        let (user, key) = (user.to_owned(), key.to_owned());
        self.readers.read(move |connection| kept(connection, &user, &key)).await
    }

    async fn forget_replies(&self, now: Timestamp, max: RepliesMax) -> Result<usize> {
        self.writer.write_own(move |tables| forget(tables.connection, now, max)).await
    }
}
