//! The tables, and how an older database gets them.
//!
//! Every node that starts brings the database to its own schema. The row of the schema's version is locked meanwhile,
//! so nodes that start together do it once.

use std::time::Duration;

use super::client::Client;
use tokio_postgres::error::SqlState;

use super::statement::{execute, row};
use crate::Result;
use crate::error::corrupt;
use crate::postgres::row::get;

/// The migrations by number, from 1.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql")];

/// What a database says if another node makes the same table at the same moment.
const MADE: [SqlState; 3] =
    [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];

/// How often a node tries to make the first table, and how long it waits in between.
const TRIES_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Returns the schema version of this program.
#[must_use]
pub fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the database to the newest schema, one transaction a migration.
///
/// # Errors
/// If the database is newer than this program. The error names both versions, and the database stays as it was.
pub(super) async fn migrate(client: &Client) -> Result<()> {
    make_version(client).await?;
    let newest = newest_schema();
    loop {
        client.batch_execute("BEGIN").await?;
        let found = row(client, "SELECT version FROM schema_version WHERE one FOR UPDATE", &[]).await?;
        let at: i64 = get(&found.ok_or_else(|| corrupt("the schema's version is missing"))?, 0)?;
        let next = usize::try_from(at).ok().and_then(|at| MIGRATIONS.get(at));
        let Some(next) = next else {
            client.batch_execute("ROLLBACK").await?;
            if at == newest {
                return Ok(());
            }
            return Err(corrupt(format!(
                "the database has schema {at}, this onhook knows schemas up to {newest}: use a newer onhook"
            )));
        };
        client.batch_execute(next).await?;
        execute(client, "UPDATE schema_version SET version = $1 WHERE one", &[&(at + 1)]).await?;
        client.batch_execute("COMMIT").await?;
    }
}

/// Makes the row of the schema's version, if it is not there. Nodes that start together on an empty database may all make
/// its table, since IF NOT EXISTS does not keep them from that. Those that fail try again, and find it.
async fn make_version(client: &Client) -> Result<()> {
    let sql = "CREATE TABLE IF NOT EXISTS schema_version
                   (one boolean PRIMARY KEY CHECK (one), version bigint NOT NULL);
               INSERT INTO schema_version VALUES (true, 0) ON CONFLICT DO NOTHING";
    let mut tries = 0;
    loop {
        match client.batch_execute(sql).await {
            Err(error) if tries < TRIES_MAX && error.code().is_some_and(|code| MADE.contains(code)) => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            done => return Ok(done?),
        }
    }
}
