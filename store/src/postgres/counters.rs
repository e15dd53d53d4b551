//! Numbers by name that the nodes share.

use super::client::Client;

use super::row::get;
use super::statement::{execute, row};
use crate::Result;

/// Returns a number. `None` if it was never set.
pub(super) async fn counter(client: &Client, name: &str) -> Result<Option<i64>> {
    let found = row(client, "SELECT value FROM counter WHERE name = $1", &[&name]).await?;
    found.map(|row| get(&row, 0)).transpose()
}

/// Sets a number.
pub(super) async fn set_counter(client: &Client, name: &str, value: i64) -> Result<()> {
    let sql = "INSERT INTO counter (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    execute(client, sql, &[&name, &value]).await?;
    Ok(())
}
