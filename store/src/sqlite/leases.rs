//! Leases, and whether one lasts.
//!
//! Their time is the engine's. Those that a process left behind are forgotten when the store is opened (`open`).

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};

use super::open::SqliteStore;
use super::row;
use super::tables::Tables;
use super::writer::Purpose;
use crate::contract::leases::{LeaseToken, Leases};
use crate::{Result, StoreError};

/// The engine's time in milliseconds, as SQL.
pub(super) const NOW: &str = "CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)";

/// The last token that was drawn, in `meta`. It outlives its lease, so that no token is drawn twice.
const LAST: &str = "last_lease";

/// Refuses a write under a lease that is over.
pub(super) fn must_last(connection: &Connection, token: LeaseToken) -> Result<()> {
    let sql = format!("SELECT 1 FROM lease WHERE token = ? AND until > {NOW}");
    let lasts: Option<i64> =
        connection.prepare_cached(&sql)?.query_row([token.0], |row| row.get(0)).optional()?;
    lasts.map(|_| ()).ok_or(StoreError::LeaseLost)
}

fn millis(lasts: Duration) -> i64 {
    i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)
}

fn take(tables: &Tables<'_>, name: &str, lasts: Duration) -> Result<Option<LeaseToken>> {
    let connection = tables.connection;
    // Also those of nodes that are gone for good.
    connection.prepare_cached(&format!("DELETE FROM lease WHERE until <= {NOW}"))?.execute([])?;
    let token = row::meta::<i64>(connection, LAST)?.unwrap_or(0) + 1;
    let sql = format!(
        "INSERT INTO lease (name, token, until) VALUES (?, ?, {NOW} + ?) ON CONFLICT (name) DO NOTHING"
    );
    if connection.prepare_cached(&sql)?.execute((name, token, millis(lasts)))? == 0 {
        return Ok(None);
    }
    row::set_meta(connection, LAST, token)?;
    Ok(Some(LeaseToken(token)))
}

fn renew(tables: &Tables<'_>, name: &str, token: LeaseToken, lasts: Duration) -> Result<bool> {
    let sql = format!("UPDATE lease SET until = {NOW} + ? WHERE name = ? AND token = ? AND until > {NOW}");
    Ok(tables.connection.prepare_cached(&sql)?.execute((millis(lasts), name, token.0))? == 1)
}

fn end(tables: &Tables<'_>, name: &str, token: LeaseToken) -> Result<()> {
    let sql = "DELETE FROM lease WHERE name = ? AND token = ?";
    tables.connection.prepare_cached(sql)?.execute((name, token.0))?;
    Ok(())
}

#[async_trait]
impl Leases for SqliteStore {
    async fn take_lease(&self, name: &str, lasts: Duration) -> Result<Option<LeaseToken>> {
        let name = name.to_owned();
        self.writer.write_together(Purpose::Own, move |tables| take(tables, &name, lasts)).await
    }

    async fn renew_lease(&self, name: &str, token: LeaseToken, lasts: Duration) -> Result<bool> {
        let name = name.to_owned();
        self.writer.write_together(Purpose::Own, move |tables| renew(tables, &name, token, lasts)).await
    }

    async fn end_lease(&self, name: &str, token: LeaseToken) -> Result<()> {
        let name = name.to_owned();
        self.writer.write_together(Purpose::Own, move |tables| end(tables, &name, token)).await
    }
}
