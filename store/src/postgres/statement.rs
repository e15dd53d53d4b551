//! Statements and their values.
//!
//! A statement is sent with the types of its values, so it needs no name on the server. Those that run often have one where
//! that is safe.

use super::client::Client;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
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

/// Returns the rows of a statement that runs often, and has a name if its transaction allows that. It must be one for
/// which there is one good plan, whatever the tables hold: the database keeps a plan that it made when they were empty.
pub(super) async fn often(client: &Client, sql: &str, values: &[&dyn Value]) -> Result<Vec<Row>> {
    let (given, types): (Vec<_>, Vec<_>) = values.iter().map(|value| value.typed()).unzip();
    match client.named(sql, &types).await? {
        Some(statement) => Ok(client.query(&statement, &given).await?),
        None => rows(client, sql, values).await,
    }
}

/// As [`often`], and sends COMMIT right behind it, without waiting for the answer before. After an error it undoes.
pub(super) async fn often_and_commit(client: &Client, sql: &str, values: &[&dyn Value]) -> Result<Vec<Row>> {
    let types: Vec<Type> = values.iter().map(|value| value.typed().1).collect();
    client.named(sql, &types).await?; // now, so that COMMIT does not get ahead
    let commit = async { Ok(client.batch_execute("COMMIT").await?) };
    let (rows, ()) = tokio::try_join!(biased; often(client, sql, values), commit)?;
    Ok(rows)
}
