//! Statements and their values.
//!
//! A statement is sent with the types of its values, so it needs no name on the server. Those that run often have one where
//! that is safe.

use super::client::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::error::corrupt;
use crate::{Result, StoreError};

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

/// Does what does not need each other's answers. The statements go to the database together, in this order. If one of them
/// fails, its error counts, and not those of the statements behind it, which fail for that alone.
macro_rules! together {
    ($($work:expr),+ $(,)?) => {{
        let done = tokio::join!(biased; $($work),+);
        $crate::postgres::statement::Together::done(done)
    }};
}

pub(super) use together;

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
    let (rows, ()) = together!(often(client, sql, values), commit)?;
    Ok(rows)
}

/// What was done together.
pub(super) trait Together {
    type Done;

    /// Returns all of it, or the error that the others followed from.
    fn done(self) -> Result<Self::Done>;
}

macro_rules! together_of {
    ($($one:ident $at:tt),+) => {
        impl<$($one),+> Together for ($(Result<$one>,)+) {
            type Done = ($($one,)+);

            #[allow(non_snake_case, reason = "the names of types, for values of them")]
            fn done(self) -> Result<Self::Done> {
                let mut cause = None;
                let done = ($(keep(self.$at, &mut cause),)+);
                match (done, cause) {
                    (_, Some(error)) => Err(error),
                    (($(Some($one),)+), None) => Ok(($($one,)+)),
                    (_, None) => Err(corrupt("something is neither done nor failed")),
                }
            }
        }
    };
}

together_of!(A 0, B 1);
together_of!(A 0, B 1, C 2);
together_of!(A 0, B 1, C 2, D 3);
together_of!(A 0, B 1, C 2, D 3, E 4);
together_of!(A 0, B 1, C 2, D 3, E 4, F 5);

/// Returns what was done. Keeps the error if nothing was: the first one, but rather one from which others follow.
fn keep<T>(done: Result<T>, cause: &mut Option<StoreError>) -> Option<T> {
    match done {
        Ok(done) => return Some(done),
        Err(error) if cause.as_ref().is_none_or(|before| follows(before) && !follows(&error)) => {
            *cause = Some(error);
        }
        Err(_) => {}
    }
    None
}

/// True of the error of a statement whose transaction had failed before.
fn follows(error: &StoreError) -> bool {
    let StoreError::Broken(cause) = error else { return false };
    let code = cause.downcast_ref::<Error>().and_then(Error::code);
    code == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
}
