//! Leases, and whether one lasts. Their time is the database's.

use std::time::Duration;

use super::client::Client;
use async_trait::async_trait;

use super::open::PostgresStore;
use super::row::get;
use super::statement::{NOW, execute, row};
use super::transaction::{committing, on_a_connection};
use crate::contract::leases::{LeaseToken, Leases};
use crate::{Result, StoreError};

/// Refuses what is done under a lease that is over. In a transaction, no other node takes the lease before its end. The
/// lock holds the token, not the time: the lease can be renewed while a transaction under it waits for others.
pub(super) async fn must_last(client: &Client, token: LeaseToken) -> Result<()> {
    found(client, token, "FOR KEY SHARE").await
}

/// Refuses what is looked for under a lease that is over. It may be over a moment later.
pub(super) async fn should_last(client: &Client, token: LeaseToken) -> Result<()> {
    found(client, token, "").await
}

async fn found(client: &Client, token: LeaseToken, lock: &str) -> Result<()> {
    let sql = format!("SELECT 1 FROM lease WHERE token = $1 AND until > {NOW} {lock}");
    row(client, &sql, &[&token.0]).await?.map(|_| ()).ok_or(StoreError::LeaseLost)
}

fn millis(lasts: Duration) -> i64 {
    i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)
}

async fn take(client: &Client, name: &str, lasts: Duration) -> Result<Option<LeaseToken>> {
    // The token is drawn again when the row is locked: of two nodes that take it in turn, the later one has the larger.
    let sql = format!(
        "INSERT INTO lease (name, token, until) VALUES ($1, nextval('lease_token'), {NOW} + $2)
         ON CONFLICT (name) DO UPDATE SET token = nextval('lease_token'), until = {NOW} + $2
         WHERE lease.until <= {NOW} RETURNING token"
    );
    let taken = row(client, &sql, &[&name, &millis(lasts)]).await?;
    taken.map(|row| get(&row, 0).map(LeaseToken)).transpose()
}

async fn renew(client: &Client, name: &str, token: LeaseToken, lasts: Duration) -> Result<bool> {
    let sql = format!("UPDATE lease SET until = {NOW} + $1 WHERE name = $2 AND token = $3 AND until > {NOW}");
    Ok(execute(client, &sql, &[&millis(lasts), &name, &token.0]).await? == 1)
}

async fn end(client: &Client, name: &str, token: LeaseToken) -> Result<()> {
    execute(client, "DELETE FROM lease WHERE name = $1 AND token = $2", &[&name, &token.0]).await?;
    Ok(())
}

impl PostgresStore {
    /// Waits for something that writes with one statement, and notes whether that was done.
    async fn written<T>(&self, write: impl Future<Output = Result<T>>) -> Result<T> {
        self.health.not_silent()?;
        let commit = self.health.commit();
        let done = write.await;
        commit.ended(&done);
        self.noted(done)
    }
}

// Each is one statement, which may run twice if the connection breaks. A lease whose taker did not learn of it runs out
// by itself. A renewal waits for nobody else's work, neither for a connection nor for a row. What takes or ends a lease may
// wait for the end of a transaction under it, so that goes by the connections of all.
#[async_trait]
impl Leases for PostgresStore {
    async fn take_lease(&self, name: &str, lasts: Duration) -> Result<Option<LeaseToken>> {
        self.written(async { committing!(self, client => take(&client, name, lasts).await) }).await
    }

    async fn renew_lease(&self, name: &str, token: LeaseToken, lasts: Duration) -> Result<bool> {
        let renewed =
            async { on_a_connection!(self.keeper(), client => renew(&client, name, token, lasts).await) };
        self.written(renewed).await
    }

    async fn end_lease(&self, name: &str, token: LeaseToken) -> Result<()> {
        self.written(async { committing!(self, client => end(&client, name, token).await) }).await
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "tests say why they are skipped")]
mod tests {
    use super::*;
    use crate::postgres::connect::CONNECTIONS_MAX;

    #[tokio::test]
    async fn a_lease_is_renewed_while_all_connections_are_taken() {
        let Ok(cluster) = onhook_cluster::shared().inspect_err(|why| println!("skipped: {why:#}")) else {
            return;
        };
        let store = PostgresStore::open(&cluster.fresh_database().unwrap()).await.unwrap();
        let long = Duration::from_mins(10);
        let lease = store.take_lease("a", long).await.unwrap().unwrap();
        let mut taken = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            taken.push(store.connection().await.unwrap());
        }
        assert!(matches!(store.connection().await, Err(StoreError::Full)));
        assert!(store.renew_lease("a", lease, long).await.unwrap());
    }
}
