//! Tries: which errors are worth another one, and what became of a transaction whose answer is lost.

use std::time::Duration;

use super::client::{Client, code, is_of_name};
use tokio::time::Instant;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tracing::debug;
use uuid::Uuid;

use super::connect::{Connections, connection};
use super::random::random_uuid;
use super::row::get;
use super::statement::{execute, row};
use crate::error::corrupt;
use crate::{Result, StoreError, Unwritable};

/// How often a transaction is tried.
const TRIES_MAX: u32 = 8;

/// The longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_millis(800);

/// How long a node looks for the outcome of a COMMIT.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// How long a transaction is tried: each try may wait for a row or for a connection, and others wait for both.
const TRYING_MAX: Duration = Duration::from_secs(15);

/// How often something has been tried.
pub(super) struct Tries {
    count: u32,
    until: Instant,
}

impl Default for Tries {
    fn default() -> Self {
        Self { count: 0, until: Instant::now() + TRYING_MAX }
    }
}

impl Tries {
    /// Returns the result if it is the last word. Waits, and returns `None`, if it is worth another try.
    pub(super) async fn after<T>(&mut self, done: Result<T>) -> Option<Result<T>> {
        let Err(error) = done else { return Some(done) };
        if locks_out(&error) {
            return Some(Err(last(error)));
        }
        if !may_pass(&error) {
            return Some(Err(error));
        }
        self.count += 1;
        let wait = wait(self.count);
        if self.count >= TRIES_MAX || Instant::now() + wait >= self.until {
            return Some(Err(last(error)));
        }
        debug!(tries = self.count, error = error.why(), "a transaction is tried again");
        tokio::time::sleep(wait).await;
        None
    }
}

/// Returns how long to wait before the next try: twice as long each time, of which chance takes up to half.
fn wait(tries: u32) -> Duration {
    let longest = Duration::from_millis(10).saturating_mul(1 << tries.min(10)).min(WAIT_MAX);
    let mut chance = [0; 1];
    let _ = getrandom::fill(&mut chance);
    longest.mul_f64(1.0 - f64::from(chance[0]) / 512.0)
}

/// Returns whether the transaction with this row in `committed` has committed. If it has not, it never will.
///
/// # Errors
/// If that cannot be found out in time: always [`StoreError::Broken`], since the transaction may have been written.
pub(super) async fn settle(pool: &Connections, id: Uuid) -> Result<bool> {
    let settled = tokio::time::timeout(SETTLE_MAX, has_committed(pool, id)).await;
    match settled {
        Ok(Err(error)) => Err(unknown(&error)),
        Ok(settled) => settled,
        Err(_) => Err(corrupt("the outcome of a transaction cannot be found out")),
    }
}

/// Returns the error of something that may have been written, whatever has failed since.
pub(super) fn unknown(error: &StoreError) -> StoreError {
    corrupt(format!("what became of a transaction is not known: {}", error.why()))
}

async fn has_committed(pool: &Connections, id: Uuid) -> Result<bool> {
    let mut tries = 0;
    loop {
        let written = match connection(pool).await {
            Ok(client) => look(&client, id).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(committed) => return Ok(committed),
            Err(error) if may_pass(&error) || matches!(error, StoreError::Full) => tries += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(wait(tries)).await;
    }
}

/// Looks whether the transaction has committed, and prevents it if not. A primary that was restarted shows a
/// transaction that its standbys may not have, and might lose it in a failover. So a row is written in any case: once
/// that is where a commit has to be, the transaction is there, too.
///
/// The row says by whom it was written: the answer to this statement may be lost, too, and then it is looked again.
async fn look(client: &Client, id: Uuid) -> Result<bool> {
    let sql = "INSERT INTO committed (id, at, prevented)
               VALUES ($1, (extract(epoch FROM now()) * 1000)::bigint, true) ON CONFLICT (id) DO NOTHING";
    execute(client, sql, &[&id]).await?;
    let found = row(client, "SELECT prevented FROM committed WHERE id = $1", &[&id]).await?;
    let found = found.ok_or_else(|| corrupt("the row of a transaction is missing"))?;
    if get(&found, 0)? {
        return Ok(false);
    }
    execute(client, sql, &[&random_uuid()?]).await?;
    Ok(true)
}

/// True if the database ended the connection. A COMMIT under way may have been done.
fn ends_connection(code: &SqlState) -> bool {
    code.code().starts_with("57P") || code.code().starts_with("08")
}

/// True if the answer was lost with the connection: what was asked for may have been done. Any other error is the
/// database's word that it was not.
pub(super) fn is_lost(error: &StoreError) -> bool {
    let StoreError::Broken(cause) = error else { return false };
    let Some(error) = cause.downcast_ref::<Error>() else { return false };
    error.code().is_none_or(ends_connection)
}

/// True if an error may be gone at the next try: a deadlock, a transaction that has to be run again, a database that
/// restarts or fails over. Nothing was written.
fn may_pass(error: &StoreError) -> bool {
    let StoreError::Broken(cause) = error else { return false };
    if cause.is::<deadpool_postgres::PoolError>() || is_of_name(error) {
        return true;
    }
    let Some(error) = cause.downcast_ref::<Error>() else { return false };
    match error.code() {
        Some(code) => {
            [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED].contains(&code)
                || [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::READ_ONLY_SQL_TRANSACTION].contains(&code)
                || ends_connection(code)
                || code.code().starts_with("53")
                || code.code() == "25P03"
        }
        None => {
            let broke = |cause: &(dyn std::error::Error + 'static)| cause.is::<std::io::Error>();
            error.is_closed() || std::error::Error::source(error).is_some_and(broke)
        }
    }
}

/// True if the database lets this node do nothing: its user cannot sign in or has lost a right, or the database is gone.
/// Nothing was written.
fn locks_out(error: &StoreError) -> bool {
    let class = |code: &SqlState| ["28", "3D"].iter().any(|class| code.code().starts_with(class));
    code(error).is_some_and(|code| class(code) || *code == SqlState::INSUFFICIENT_PRIVILEGE)
}

/// True if the database refused a value. Nothing was written.
pub(super) fn is_of_a_value(error: &StoreError) -> bool {
    code(error).is_some_and(|code| ["22", "23"].iter().any(|class| code.code().starts_with(class)))
}

/// Returns the error after the last try: others have a row for too long, or the database takes no writes for now.
fn last(error: StoreError) -> StoreError {
    match code(&error) == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        true => StoreError::Full,
        false => Unwritable::Database { why: error.why() }.into(),
    }
}
