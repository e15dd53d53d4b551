//! The tables, and how an older database gets them.
//!
//! Every node that starts brings the database to its own schema. The row of the schema's version is locked meanwhile,
//! so nodes that start together do it once.

use std::time::Duration;

use super::client::{Client, code};
use tokio_postgres::error::SqlState;

use super::statement::{execute, row, rows};
use crate::StoreError;
use crate::error::corrupt;
use crate::postgres::row::get;

/// The migrations by number, from 1.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql")];

/// What a database says if there is such a table, also if another node makes it at the same moment.
const MADE: [SqlState; 3] =
    [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];

/// What a database says of a table that has other columns.
const OTHERS: [SqlState; 3] =
    [SqlState::UNDEFINED_COLUMN, SqlState::DATATYPE_MISMATCH, SqlState::CANNOT_COERCE];

/// Most tables of another program that an error names.
const NAMED_MAX: i64 = 5;

/// How often a node tries to make the first table, and how long it waits in between.
const TRIES_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Returns the schema version of this program.
#[must_use]
pub fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Why a database does not get its tables.
pub(super) enum Fault {
    /// The database failed.
    Store(StoreError),
    /// Tables of another program are in the way: some of them.
    Foreign(String),
}

impl<E: Into<StoreError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// Returns the database's schema. `None` if onhook has no tables there.
///
/// # Errors
/// If the table of the schema's version is another program's.
pub(super) async fn schema(client: &Client) -> Result<Option<i64>, Fault> {
    match row(client, "SELECT version::bigint FROM schema_version WHERE one", &[]).await {
        Ok(found) => {
            let at: Option<i64> = found.map(|row| get(&row, 0)).transpose()?;
            Ok(at.filter(|at| *at > 0))
        }
        Err(error) => match code(&error) {
            Some(code) if *code == SqlState::UNDEFINED_TABLE => Ok(None),
            Some(code) if OTHERS.contains(code) => Err(foreign(client, error).await),
            _ => Err(error.into()),
        },
    }
}

/// Brings the database to the newest schema, one transaction a migration. The table of the schema's version is made with
/// the first one, so that a database in which that fails stays as it was.
///
/// # Errors
/// If the database is newer than this program: the error names both versions. If tables of another program are in the way.
pub(super) async fn migrate(client: &Client) -> Result<(), Fault> {
    let newest = newest_schema();
    let mut tries = 0;
    loop {
        let at = schema(client).await?.unwrap_or(0);
        if at == newest {
            return Ok(());
        }
        refuse_newer(at)?;
        let made = step(client).await;
        let Err(error) = made else { continue };
        client.batch_execute("ROLLBACK").await?;
        match error {
            Step::Raced if tries < TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Step::Raced => return Err(corrupt("other nodes make the same tables").into()),
            Step::Failed(error) if code(&error).is_some_and(|code| MADE.contains(code)) => {
                return Err(foreign(client, error).await);
            }
            Step::Failed(error) => return Err(error.into()),
        }
    }
}

/// Refuses a schema that this program does not know.
pub(super) fn refuse_newer(at: i64) -> Result<(), StoreError> {
    let newest = newest_schema();
    if at <= newest {
        return Ok(());
    }
    Err(corrupt(format!(
        "the database has schema {at}, this onhook knows schemas up to {newest}: use a newer onhook"
    )))
}

/// Why a migration did not run.
enum Step {
    /// Another node makes the first tables at the same moment.
    Raced,
    /// It failed.
    Failed(StoreError),
}

impl<E: Into<StoreError>> From<E> for Step {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs the next migration, if there is one, in a transaction of its own. Other nodes wait for its end. Nodes that start
/// together on an empty database may all make the first table, since IF NOT EXISTS does not keep them from that.
async fn step(client: &Client) -> Result<(), Step> {
    client.batch_execute("BEGIN").await?;
    let sql = "CREATE TABLE IF NOT EXISTS schema_version
                   (one boolean PRIMARY KEY CHECK (one), version bigint NOT NULL);
               INSERT INTO schema_version VALUES (true, 0) ON CONFLICT DO NOTHING";
    client.batch_execute(sql).await.map_err(|error| match error.code() {
        Some(code) if MADE.contains(code) => Step::Raced,
        _ => error.into(),
    })?;
    let found = row(client, "SELECT version FROM schema_version WHERE one FOR UPDATE", &[]).await?;
    let at: i64 = get(&found.ok_or_else(|| corrupt("the schema's version is missing"))?, 0)?;
    if let Some(next) = usize::try_from(at).ok().and_then(|at| MIGRATIONS.get(at)) {
        client.batch_execute(next).await?;
        execute(client, "UPDATE schema_version SET version = $1 WHERE one", &[&(at + 1)]).await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// Returns the fault of a database that has tables of another program. `error` is what shows it, and what is returned if
/// the database does not tell their names.
async fn foreign(client: &Client, error: StoreError) -> Fault {
    let sql = "SELECT table_name::text FROM information_schema.tables
               WHERE table_schema = current_schema() ORDER BY table_name LIMIT $1";
    let told = rows(client, sql, &[&(NAMED_MAX + 1)]).await.unwrap_or_default();
    let mut names: Vec<String> = told.iter().filter_map(|row| get(row, 0).ok()).collect();
    if names.is_empty() {
        return error.into();
    }
    if names.len() > usize::try_from(NAMED_MAX).unwrap_or(0) {
        names.pop();
        names.push("…".to_owned());
    }
    Fault::Foreign(names.join(", "))
}
