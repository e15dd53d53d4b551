//! Statements and their values.
//!
//! A statement is sent with the types of its values, so it needs no name on the server. Named statements would not
//! survive a pooler between onhook and the database that gives each transaction another connection.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::Result;

/// The database's time in milliseconds, as SQL.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// A value of a statement.
pub(super) trait Value: Sync {
    /// Returns the value, and its type in the database.
    fn typed(&self) -> (&(dyn ToSql + Sync), Type);
}

macro_rules! values {
    ($($of:ty => $kind:ident, $list:ident;)+) => { $(
        impl Value for $of {
            fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
                (self, Type::$kind)
            }
        }

        impl Value for Option<$of> {
            fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
                (self, Type::$kind)
            }
        }

        impl Value for Vec<$of> {
            fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
                (self, Type::$list)
            }
        }

        impl Value for Vec<Option<$of>> {
            fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
                (self, Type::$list)
            }
        }
    )+ };
}

values! {
    i64 => INT8, INT8_ARRAY;
    f64 => FLOAT8, FLOAT8_ARRAY;
    bool => BOOL, BOOL_ARRAY;
    String => TEXT, TEXT_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    Vec<u8> => BYTEA, BYTEA_ARRAY;
    Uuid => UUID, UUID_ARRAY;
}

/// Returns the rows of a query.
pub(super) async fn rows(client: &Client, sql: &str, values: &[&dyn Value]) -> Result<Vec<Row>> {
    let values: Vec<_> = values.iter().map(|value| value.typed()).collect();
    Ok(client.query_typed(sql, &values).await?)
}

/// Returns the row of a query that finds at most one.
pub(super) async fn row(client: &Client, sql: &str, values: &[&dyn Value]) -> Result<Option<Row>> {
    Ok(rows(client, sql, values).await?.into_iter().next())
}

/// Runs a statement, and returns how many rows it wrote.
pub(super) async fn execute(client: &Client, sql: &str, values: &[&dyn Value]) -> Result<u64> {
    let values: Vec<_> = values.iter().map(|value| value.typed()).collect();
    Ok(client.execute_typed(sql, &values).await?)
}
